"""Where a presentation state draws a length: on the surface of a curved picture, and over a rendering in colour."""

import math
from pathlib import Path

import numpy as np
import pytest

from dicom_io.evidence import Measurement
from dicom_io.files.series import read_dataset
from dicom_io.objects.derived import derive
from dicom_io.objects.presentation_reading import drawings_of
from dicom_io.objects.presentation_state import COLOUR_STATE, GRAYSCALE_STATE, PictureNote, presentation_state
from dicom_io.volumes import build_volume
from render import Volume, VolumeRendering, Window, draw, load_preset
from render.curved_surface import surfaces
from render.geometry import Vector, View
from render.measure import place_on
from render.recipe import CurvedReformat, Recipe, Rotation
from tests.conformance.objects import STAMP
from tests.dicom_io.synthetic import CT, grid, ramp, write_series
from workstation.records.measurements import measure


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Volume, object]:
    series = write_series(tmp_path_factory.mktemp("series"), ramp((12, 30, 34)), grid(), sop_class=CT)
    return build_volume(series), series


def curved(volume: Volume) -> CurvedReformat:
    x, y, z = volume.centre_mm
    turns = np.linspace(-1.0, 1.0, 9)
    path = tuple((x + 3.0 * math.sin(t), y + 8.0 * t, z + 4.0 * math.cos(t)) for t in turns)
    return CurvedReformat(Window(500.0, 1000.0), path, count=2, rows=64, columns=64, name="curved")


def state_of(
    made: tuple[Volume, object], recipe: Recipe, measurement: Measurement, *notes: PictureNote
) -> tuple[str, dict[int, list[tuple[float, float]]], int]:
    """The class of the state, the ends of the line on each frame as (column, row), and how many graphics there are."""
    volume, series = made
    picture = draw(volume, recipe)
    images = derive([picture], series, STAMP)  # type: ignore[arg-type]
    source = read_dataset(series.first.path)  # type: ignore[attr-defined]
    state = presentation_state(picture, images, [measurement], source, STAMP, notes=notes)
    assert state is not None
    drawn = drawings_of(state)
    assert {uid for uid, _ in drawn} <= {str(image.SOPInstanceUID) for image in images}
    lines = {frame: [line for each in found for line in each.lines] for (_, frame), found in drawn.items()}
    ends = {frame: [found[0][0], found[0][-1]] for frame, found in lines.items()}
    return str(state.SOPClassUID), ends, sum(map(len, lines.values()))


def length(made: tuple[Volume, object], points: tuple[Vector, ...]) -> Measurement:
    return measure("length 1", "length", points, View(), made[0])


def test_on_a_curved_picture_it_lies_where_it_was_drawn_and_on_no_other_frame(made: tuple[Volume, object]) -> None:
    recipe = curved(made[0])
    way = surfaces(recipe)[1].way((8.0, 50.0), (40.0, 44.0))
    assert way is not None and len(way) > 2
    sop_class, ends, _ = state_of(made, recipe, length(made, way))
    assert sop_class == GRAYSCALE_STATE and set(ends) == {1}
    assert ends[1][0] == pytest.approx((50.0, 8.0), abs=0.05) and ends[1][1] == pytest.approx((44.0, 40.0), abs=0.05)
    on_axis = surfaces(recipe)[0].way((8.0, 31.5), (40.0, 31.5))
    assert on_axis is not None
    _, ends, _ = state_of(made, recipe, length(made, on_axis))
    assert set(ends) == {0, 1}  # the axis is on every side of the turn


def test_an_arrow_lies_on_a_curved_picture_with_its_ends(made: tuple[Volume, object]) -> None:
    recipe = curved(made[0])
    tip, end = (surfaces(recipe)[0].at(*at) for at in ((10.0, 20.0), (50.0, 45.0)))
    assert tip is not None and end is not None
    far = length(made, ((500.0, 0.0, 0.0), (520.0, 0.0, 0.0)))
    _, ends, count = state_of(made, recipe, far, PictureNote((tip, end), "here"))
    assert ends[0] == [pytest.approx((45.0, 50.0), abs=0.05), pytest.approx((20.0, 10.0), abs=0.05)] and count == 2


def test_over_a_turning_rendering_it_is_where_it_is_seen(made: tuple[Volume, object]) -> None:
    volume, _ = made
    x, y, z = volume.centre_mm
    a, b = (x - 6.0, y + 4.0, z - 3.0), (x + 5.0, y - 7.0, z + 4.0)
    transfer = load_preset("ct_bone")
    recipe = VolumeRendering(transfer, rotation=Rotation(3), rows=64, columns=64)
    sop_class, ends, _ = state_of(made, recipe, length(made, (a, b)))
    assert sop_class == COLOUR_STATE and set(ends) == {0, 1, 2}
    planes = draw(volume, recipe).planes
    for frame, line in ends.items():
        wanted = [place_on(planes[frame], at)[::-1] for at in (a, b)]
        assert line == [pytest.approx(at, abs=1e-2) for at in wanted]


def test_nothing_in_colour_has_a_state_without_a_drawing(made: tuple[Volume, object], tmp_path: Path) -> None:
    volume, series = made
    picture = draw(volume, VolumeRendering(load_preset("ct_bone"), rows=64, columns=64))
    images = derive([picture], series, STAMP)  # type: ignore[arg-type]
    plane = measure("distance 1", "distance", (volume.centre_mm, (0.0, 0.0, 0.0)), View(), volume)
    assert presentation_state(picture, images, [plane], read_dataset(series.first.path), STAMP) is None  # type: ignore[attr-defined]
