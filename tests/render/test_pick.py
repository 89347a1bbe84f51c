"""What a click in a picture of the whole finds in the patient."""

import math
from dataclasses import replace

import numpy as np
import pytest

from render import Clip, LabelRule, Piece, Projection, View, Volume, VolumeRendering, Window, draw
from render.geometry import Box
from render.pick import first_seen, visible_from
from render.recipe import Solid
from tests.render.phantom import CENTRE_MM, GRIDS, MARKERS, marker_mm, phantom
from tests.render.test_sides import COLOURED, OPPOSITE, SEEN, place

SIZE = 120
RENDERING = VolumeRendering(COLOURED, rows=SIZE, columns=SIZE, field_of_view_mm=120.0)
MIP = Projection("mip", Window(500.0, 3000.0), rows=SIZE, columns=SIZE, field_of_view_mm=120.0)


@pytest.fixture(scope="module", params=list(GRIDS))
def volume(request: pytest.FixtureRequest) -> Volume:
    return phantom(request.param)


def at_marker(volume: Volume, recipe: Solid, side: str) -> tuple[float, float]:
    return place(draw(volume, recipe).planes[0], marker_mm(side))


@pytest.mark.parametrize("side", SEEN)
def test_the_near_side_of_what_is_seen(volume: Volume, side: str) -> None:
    near = OPPOSITE[SEEN[side][2]]
    recipe = replace(RENDERING, view=View.parse(side))
    found = first_seen(volume, recipe, *at_marker(volume, recipe, near))
    assert found is not None
    assert math.dist(found, marker_mm(near)) == pytest.approx(MARKERS[near][1], abs=2.5)
    beside = np.subtract(found, marker_mm(near)) @ np.array(recipe.view.towards_observer)
    assert beside > 0.0  # on the side that the observer looks at


def test_what_is_taken_away_is_not_found(volume: Volume) -> None:
    recipe = replace(RENDERING, view=View.parse("left"))
    at, far = at_marker(volume, recipe, "L"), marker_mm("R")
    x, y, z = CENTRE_MM
    for gone in (
        {"clips": (Clip(CENTRE_MM, (1.0, 0.0, 0.0)),)},
        {"crop": Box((x - 90, y - 90, z - 90), (x, y + 90, z + 90))},
        {"segments": (Piece(marker_mm("L"), 200.0, 3000.0, rim=1),), "masking": (LabelRule(1, "exclude"),)},
    ):
        found = first_seen(volume, replace(recipe, **gone), *at)
        assert found is not None and math.dist(found, far) <= MARKERS["R"][1] + 2.5


def test_a_maximum_is_where_its_value_is(volume: Volume) -> None:
    recipe = replace(MIP, view=View.parse("anterior"))
    found = first_seen(volume, recipe, *at_marker(volume, recipe, "P"))
    assert found is not None and math.dist(found, marker_mm("P")) <= MARKERS["P"][1]


def test_beside_the_patient_is_nothing(volume: Volume) -> None:
    assert first_seen(volume, RENDERING, -400.0, 0.0) is None
    assert first_seen(volume, RENDERING, 2.0, 2.0) is None
    within = replace(RENDERING, projection="perspective", field_of_view_mm=None, field_of_view_deg=60.0)
    assert first_seen(volume, within, 60.0, 60.0) is None


def test_visible_from() -> None:
    assert 190.0 < visible_from(RENDERING) <= 200.0
    hidden = replace(COLOURED, points=tuple(replace(p, opacity=0.0) for p in COLOURED.points))
    assert visible_from(replace(RENDERING, transfer=hidden)) == math.inf
