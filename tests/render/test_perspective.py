"""Perspective, views from inside, placed lights, depth cueing and ambient occlusion."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from render import (
    Box,
    RecipeError,
    Rotation,
    Shading,
    TransferFunction,
    View,
    Volume,
    VolumeRendering,
    draw,
    load_preset,
    read_recipe,
)
from render.annotate import annotated, description
from render.engine import framing
from render.geometry import Vector, vector
from render.mask import Mask
from render.recipe import Clip, ControlPoint, FlightEye, LabelRule, canonical_json, digest
from tests.render.phantom import CENTRE_MM, GRIDS, MARKERS, marker_mm, phantom
from tests.render.test_sides import COLOURED, OPPOSITE, SEEN

SIZE = 121
SOLID = TransferFunction("solid", "HU", (ControlPoint(0.0, 1, 1, 1, 0.0), ControlPoint(1.0, 1, 1, 1, 1.0)))


@pytest.fixture(scope="module", params=list(GRIDS))
def volume(request: pytest.FixtureRequest) -> Volume:
    return phantom(request.param)


def seen_at(eye: Vector, view: View, at: Vector, angle_deg: float, size: int = SIZE) -> tuple[float, float]:
    """(row, column) of a point through a pinhole, by trigonometry alone."""
    offset = np.array(at) - np.array(eye)
    ahead = -offset @ np.array(view.towards_observer)
    scale = (size / 2.0) / math.tan(math.radians(angle_deg / 2.0)) / ahead
    middle = (size - 1) / 2.0
    return middle - scale * (offset @ np.array(view.up)), middle + scale * (offset @ np.array(view.right))


@pytest.mark.parametrize("side", SEEN)
def test_from_inside_each_marker_is_where_it_must_be(volume: Volume, side: str) -> None:
    """The observer in the middle of the body looks away from `side`, at the marker opposite."""
    view, marker = View.parse(side), SEEN[side][2]
    # A little aside, so that a mirrored picture is noticed.
    eye = vector(np.array(CENTRE_MM) + 6.0 * np.array(view.right) + 3.0 * np.array(view.up))
    recipe = VolumeRendering(
        COLOURED, view, rows=SIZE, columns=SIZE, projection="perspective", eye_mm=eye, field_of_view_deg=60.0
    )
    picture = draw(volume, recipe)
    seen = picture.pixels[0, :, :, 0] > 0
    rows, columns = np.nonzero(seen)
    assert (rows.mean(), columns.mean()) == pytest.approx(seen_at(eye, view, marker_mm(marker), 60.0), abs=1.0)
    away = float(np.linalg.norm(np.array(marker_mm(marker)) - np.array(eye)))
    radius_px = MARKERS[marker][1] / away * (SIZE / 2.0) / math.tan(math.radians(30.0))
    assert math.sqrt(seen.sum() / math.pi) == pytest.approx(radius_px, rel=0.12)


@pytest.mark.parametrize("side", SEEN)
def test_from_outside_all_is_in_sight_and_on_its_side(volume: Volume, side: str) -> None:
    view = View.parse(side)
    recipe = VolumeRendering(COLOURED, view, rows=SIZE, columns=SIZE, projection="perspective", field_of_view_deg=40.0)
    picture = draw(volume, recipe)
    eye = framing.pinholes(volume, recipe)[0].eye_mm
    on_right, on_top, _ = SEEN[side]
    for marker in (on_right, OPPOSITE[on_right], on_top, OPPOSITE[on_top]):
        row, column = (round(v) for v in seen_at(eye, view, marker_mm(marker), 40.0))
        assert 0 <= row < SIZE and 0 <= column < SIZE
        assert picture.pixels[0, row, column, 0] > 0
    assert not any(edge.any() for edge in (picture.pixels[0, 0], picture.pixels[0, -1], picture.pixels[0, :, 0]))


def test_far_away_perspective_is_parallel() -> None:
    volume = phantom("oblique")
    view = View(33.0, 21.0)
    parallel = draw(volume, VolumeRendering(COLOURED, view, rows=SIZE, columns=SIZE, field_of_view_mm=120.0))
    far = 4000.0
    eye = vector(np.array(volume.centre_mm) + far * np.array(view.towards_observer))
    angle = 2.0 * math.degrees(math.atan(60.0 / far))
    recipe = VolumeRendering(
        COLOURED, view, rows=SIZE, columns=SIZE, projection="perspective", eye_mm=eye, field_of_view_deg=angle
    )
    theirs = draw(volume, recipe).pixels[0].astype(int)
    different = (np.abs(parallel.pixels[0] - theirs) > 3).any(axis=-1)
    # The edges of opaque discs, which fall between samples elsewhere.
    assert different.mean() < 0.03


@pytest.mark.parametrize("angle", [60.0, 150.0])
def test_inside_a_hollow_ball_every_ray_meets_the_wall_head_on(angle: float) -> None:
    """Opacity and headlight do not depend on how far aside a ray goes: steps are equally long along all of them."""
    k, j, i = np.indices((61, 61, 61)) - 30.0
    radius = np.sqrt(k * k + j * j + i * i)
    voxels = np.clip((radius - 20.0) * 400.0, -1000, 1000).astype(np.int16)
    volume = Volume(voxels, np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]], "HU")
    recipe = VolumeRendering(
        SOLID, View(40.0, 10.0), rows=64, columns=64, projection="perspective", eye_mm=(30.0, 30.0, 30.0),
        field_of_view_deg=angle,
    )  # fmt: skip
    wall = draw(volume, recipe).pixels[0, :, :, 0]
    assert wall.min() >= 235


def test_a_perspective_picture_has_no_planes_and_is_annotated_without_a_scale() -> None:
    volume = phantom()
    recipe = VolumeRendering(
        COLOURED, View.parse("left"), Rotation(2), 200, 220, projection="perspective", field_of_view_deg=45.0, name="P"
    )
    picture = draw(volume, recipe)
    assert picture.planes == ()
    assert picture.pixels.shape == (2, 200, 220, 3)
    assert annotated(picture, 1).shape == (200, 220, 3)
    assert description(picture, 1) == [
        "P 2/2", "seen from right", "preset markers", "perspective of 45°, no scale",
    ]  # fmt: skip


def test_a_rotation_turns_on_the_spot_or_walks_round() -> None:
    volume = phantom()
    walking = VolumeRendering(COLOURED, rotation=Rotation(4), projection="perspective", field_of_view_deg=45.0)
    eyes = [pinhole.eye_mm for pinhole in framing.pinholes(volume, walking)]
    assert eyes[0][1] < volume.centre_mm[1] < eyes[2][1] and eyes[1][0] > volume.centre_mm[0] > eyes[3][0]
    standing = VolumeRendering(
        COLOURED, rotation=Rotation(4), projection="perspective", field_of_view_deg=45.0, eye_mm=CENTRE_MM
    )
    assert {pinhole.eye_mm for pinhole in framing.pinholes(volume, standing)} == {CENTRE_MM}


def ball() -> Volume:
    k, j, i = np.indices((41, 41, 41)) - 20.0
    values = np.clip((15.0 - np.sqrt(k * k + j * j + i * i)) * 300.0, -1000, 1000)
    return Volume(values.astype(np.int16), np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]], "HU")


@settings(deadline=None)  # the first picture of a process loads the kernels, or compiles them
@given(st.floats(0.0, 359.0), st.floats(-89.0, 89.0), st.floats(0.0, 359.0), st.floats(-60.0, 60.0))
def test_a_ball_is_brightest_where_its_surface_faces_the_light(az: float, el: float, a: float, e: float) -> None:
    view, light = View(az, el), View(a, e)
    matt = TransferFunction("matt", "HU", SOLID.points, shading=Shading(ambient=0.0, diffuse=1.0, specular=0.0))
    lit = draw(ball(), VolumeRendering(matt, view, rows=41, columns=41, field_of_view_mm=41.0, light=light))
    rows, columns = np.indices((41, 41)) - 20.0
    depth2 = 14.0**2 - rows**2 - columns**2
    inside = depth2 > 60.0
    normal = np.stack([columns, -rows, np.sqrt(np.maximum(depth2, 0.0))], axis=-1) / 14.0
    axes = np.array([view.right, view.up, view.towards_observer])
    expected = np.clip(normal @ (axes @ np.array(light.towards_observer)), 0.0, 1.0) * 255.0
    assert np.abs(lit.pixels[0, :, :, 0] - expected)[inside].mean() < 8.0


def test_a_light_beside_the_observer_is_the_headlight() -> None:
    volume, view = phantom("oblique"), View(33.0, 21.0)
    head = draw(volume, VolumeRendering(load_preset("ct_bone"), view, rows=80, columns=80))
    beside = draw(volume, VolumeRendering(load_preset("ct_bone"), view, rows=80, columns=80, light=view))
    assert np.abs(head.pixels.astype(int) - beside.pixels).max() <= 2


def test_depth_cue_darkens_the_far_end_by_what_it_says() -> None:
    """A marker in front and one behind, seen side by side from an angle; the cue is linear in depth."""
    volume, view = phantom(), View.parse("anterior, 20 towards left")
    common = {"rows": SIZE, "columns": SIZE, "field_of_view_mm": 140.0, "centre_mm": CENTRE_MM}
    plain = draw(volume, VolumeRendering(COLOURED, view, **common)).pixels[0, :, :, 0].astype(float)  # type: ignore[arg-type]
    cued = draw(volume, VolumeRendering(COLOURED, view, depth_cue=0.8, **common)).pixels[0, :, :, 0]  # type: ignore[arg-type]
    assert (cued <= plain).all()
    part = {}
    for marker in ("A", "P"):
        offset = np.array(MARKERS[marker][0])
        row = round((SIZE - 1) / 2 - offset @ np.array(view.up) * SIZE / 140.0)
        column = round((SIZE - 1) / 2 + offset @ np.array(view.right) * SIZE / 140.0)
        part[marker] = cued[row, column] / plain[row, column]
    # The middle of the volume is half of the cue darker.
    assert part["A"] > 0.65 and part["P"] < 0.55
    assert (part["A"] + part["P"]) / 2 == pytest.approx(1.0 - 0.8 / 2.0, abs=0.1)


def block(dent: int) -> Volume:
    """A flat block that faces the front, with a square hole of that depth in its face; 1 mm voxels."""
    voxels = np.full((60, 60, 60), -1000, np.int16)
    voxels[5:55, 20:55, 5:55] = 800
    voxels[25:35, 20 : 20 + dent, 25:35] = -1000
    return Volume(voxels, np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]], "HU")


def test_occlusion_darkens_a_hole_and_leaves_a_flat_face() -> None:
    plain = VolumeRendering(SOLID, rows=60, columns=60, field_of_view_mm=60.0)
    occluded = VolumeRendering(SOLID, rows=60, columns=60, field_of_view_mm=60.0, ambient_occlusion=1.0)
    flat = draw(block(0), occluded).pixels[0, 15:45, 15:45, 0].astype(float)
    assert flat.min() >= 0.9 * draw(block(0), plain).pixels[0, 30, 30, 0]
    floor = [float(draw(block(dent), occluded).pixels[0, 28:32, 28:32, 0].mean()) for dent in (0, 5, 10, 20)]
    assert floor == sorted(floor, reverse=True) and floor[2] < 0.75 * floor[0]
    half = VolumeRendering(SOLID, rows=60, columns=60, field_of_view_mm=60.0, ambient_occlusion=0.5)
    between = draw(block(10), half).pixels[0, 28:32, 28:32, 0].mean()
    assert between == pytest.approx((floor[2] + draw(block(10), plain).pixels[0, 30, 30, 0]) / 2, abs=30)
    assert floor[2] < between


def test_what_is_cut_away_keeps_no_light_out() -> None:
    """The floor of the hole, the block before it gone: by a clip, a crop box and a mask, all as bright as a face."""
    volume, hole = block(10), (29.5, 29.5, 29.5)
    labels = np.zeros(volume.shape, np.uint8)
    labels[:, :30] = 1
    common: dict[str, Any] = {"rows": 60, "columns": 60, "field_of_view_mm": 60.0, "centre_mm": hole}
    whole = draw(volume, VolumeRendering(SOLID, ambient_occlusion=1.0, **common)).pixels[0, 30, 30, 0]
    for cut in (
        {"clips": (Clip(hole, (0.0, -1.0, 0.0)),)},
        {"crop": Box((-99.0, 29.5, -99.0), (99.0, 99.0, 99.0))},
        {"masking": (LabelRule(1, "exclude"),)},
    ):
        recipe = VolumeRendering(SOLID, ambient_occlusion=1.0, **common, **cut)
        face = draw(volume, recipe, mask=Mask(labels)).pixels[0, 30, 30, 0]
        assert face > 1.3 * whole


def post() -> Volume:
    """A wall that faces the front, and a post that stands 20 mm before it; 1 mm voxels."""
    voxels = np.full((80, 80, 80), -1000, np.int16)
    voxels[:, 60:, :] = 800
    voxels[36:44, 36:40, 36:44] = 800
    return Volume(voxels, np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]], "HU")


@pytest.mark.parametrize(
    ("words", "column", "row"), [("anterior, 45 towards left", 20, 40), ("anterior, 45 towards right", 60, 40),
                                 ("anterior, 45 up", 40, 60)],
)  # fmt: skip
def test_a_post_throws_its_shadow_away_from_the_lamp(words: str, column: int, row: int) -> None:
    """The lamp at the patient's left (which is right in the picture) throws the shadow to the other side."""
    plain = VolumeRendering(SOLID, rows=80, columns=80, field_of_view_mm=80.0, light=View.parse(words))
    bright = draw(post(), plain).pixels[0, ..., 0].astype(float)
    dark = draw(post(), replace(plain, shadows=1.0)).pixels[0, ..., 0].astype(float)
    lost = bright - dark
    assert lost[row, column] > 60.0
    # Beside the post, and on the side of the lamp, the wall is as bright as it was.
    assert np.abs(lost[8:14, 8:14]).max() <= 8.0 and np.abs(lost[79 - row, 79 - column]) <= 8.0
    half = draw(post(), replace(plain, shadows=0.5)).pixels[0, row, column, 0]
    assert dark[row, column] < half < bright[row, column]


def test_json_round_trip() -> None:
    recipe = VolumeRendering(
        COLOURED.__class__("c", "HU", COLOURED.points), projection="perspective", eye_mm=(1.0, 2.0, 3.5),
        field_of_view_deg=110.0, light=View(10.0, 20.0, 30.0), depth_cue=0.5,
        ambient_occlusion=0.25, shadows=0.75,
    )  # fmt: skip
    assert read_recipe(canonical_json(recipe)) == recipe


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"projection": "fisheye"}, "projection: Input should be"),
        ({"projection": "perspective"}, "field_of_view_deg None: perspective needs one, 1…150°"),
        ({"projection": "perspective", "field_of_view_deg": 151}, "field_of_view_deg 151.0: perspective needs one"),
        (
            {"projection": "perspective", "field_of_view_deg": 90, "field_of_view_mm": 100},
            "field_of_view_mm is for par",
        ),
        (
            {"projection": "perspective", "field_of_view_deg": 90, "eye_mm": [0, 0, 0], "centre_mm": [0, 0, 0]},
            "eye_mm and centre_mm: say where",
        ),
        ({"eye_mm": [0, 0, 0]}, "eye_mm and field_of_view_deg are for perspective"),
        ({"field_of_view_deg": 90}, "eye_mm and field_of_view_deg are for perspective"),
        ({"depth_cue": 1.5}, "depth_cue 1.5 is outside 0…1"),
        ({"ambient_occlusion": -0.1}, "ambient_occlusion -0.1 is outside 0…1"),
        ({"shadows": 1.1, "light": "anterior"}, "shadows 1.1 is outside 0…1"),
        ({"shadows": 0.5}, "shadows without a light"),
        ({"light": "from above"}, "View 'from above' is not understood"),
    ],
)
def test_nonsense_is_named(change: dict[str, object], sentence: str) -> None:
    point = dict.fromkeys(("value", "red", "green", "blue", "opacity"), 0)
    transfer = {"name": "t", "unit": "HU", "points": [point, point]}
    with pytest.raises(RecipeError, match=sentence):
        read_recipe({"kind": "volume_rendering", "transfer": transfer} | change)


def test_a_light_needs_shading() -> None:
    with pytest.raises(RecipeError, match="A light without shading: transfer function 'markers' has none"):
        VolumeRendering(COLOURED, light=View())


def test_a_flight_is_the_pictures_of_its_eyes() -> None:
    volume = phantom("plain" if "plain" in GRIDS else next(iter(GRIDS)))
    places = [vector(np.array(CENTRE_MM) + np.array(way)) for way in ([0.0, 0.0, 0.0], [2.0, -3.0, 4.0])]
    eyes = (FlightEye(places[0], View(20.0, 10.0)), FlightEye(places[1], View(200.0, -30.0, 15.0)))
    plain = VolumeRendering(COLOURED, rows=48, columns=64, projection="perspective", field_of_view_deg=80.0)
    flight = replace(plain, flight=eyes)
    drawn = draw(volume, flight, threads=1)
    for n, eye in enumerate(eyes):
        alone = draw(volume, replace(plain, eye_mm=eye.eye_mm, view=eye.view))
        assert (drawn.pixels[n] == alone.pixels[0]).all()
    assert draw(volume, flight, threads=3).digest == drawn.digest
    assert read_recipe(canonical_json(flight)) == flight
    assert "flight" not in canonical_json(plain)
    assert digest(flight) != digest(replace(flight, flight=eyes[::-1]))
    assert drawn.planes == ()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"projection": "parallel", "field_of_view_deg": None}, "A flight is in perspective"),
        ({"view": View(10.0)}, "A flight says itself where the observer is: take view out"),
        ({"eye_mm": (0.0, 0.0, 0.0), "rotation": Rotation(3)}, "take rotation and eye_mm out"),
        ({"flight": (FlightEye((0.0, 0.0, 0.0), View()),)}, "A flight of 1 pictures"),
    ],
)
def test_a_flight_that_cannot_be(change: dict[str, Any], sentence: str) -> None:
    eyes = (FlightEye((0.0, 0.0, 0.0), View()), FlightEye((0.0, 0.0, 1.0), View()))
    flight = VolumeRendering(SOLID, projection="perspective", field_of_view_deg=80.0, flight=eyes)
    with pytest.raises(RecipeError, match=sentence):
        replace(flight, **change)
