"""What the door promises beside the pixels: progress, giving up, provenance, and errors that say what to do."""

import gc
import threading
import weakref

import numpy as np
import pytest

import render
from render import (
    Cancelled,
    DrawError,
    Projection,
    Reformat,
    Rotation,
    TransferFunction,
    View,
    Volume,
    VolumeRendering,
    Window,
    draw,
    load_preset,
)
from render.engine import cpu
from render.engine.cpu.body import voxels_without_table
from render.engine.cpu.bricks import bricks
from render.geometry import point
from render.picture import to_rgb
from render.recipe import ControlPoint, Recipe, canonical_json, read_recipe
from tests.render.phantom import phantom

WINDOW = Window(40.0, 400.0)
BONE = VolumeRendering(load_preset("ct_bone"), rows=64, columns=48)


@pytest.fixture(scope="module")
def volume() -> Volume:
    return phantom()


def box_volume(dtype: str = "int16", value: float = 700.0) -> Volume:
    voxels = np.full((20, 20, 20), -1000, dtype=dtype)
    voxels[6:14, 6:14, 6:14] = value
    return Volume(voxels, np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]], "HU")


def test_shapes_types_and_planes(volume: Volume) -> None:
    rendering = draw(volume, BONE)
    assert (rendering.pixels.shape, rendering.pixels.dtype.name, rendering.unit) == ((1, 64, 48, 3), "uint8", "RGB")
    turning = draw(volume, Projection("mip", WINDOW, rotation=Rotation(4), rows=30, columns=20))
    assert (turning.pixels.shape, turning.pixels.dtype.name, turning.unit) == ((4, 30, 20), "int16", "HU")
    assert len({plane.pixel_spacing_mm[0] for plane in turning.planes}) == 1
    stack = draw(volume, Reformat(WINDOW, count=5, rows=30, columns=20))
    assert (stack.pixels.shape, len(stack.planes)) == ((5, 30, 20), 5)
    assert stack.planes[2].at(14.5, 9.5) == pytest.approx(volume.centre_mm)
    for picture in (rendering, turning, stack):
        assert not picture.pixels.flags.writeable
        assert to_rgb(picture).shape[2] == 3


def test_float_volumes_stay_float() -> None:
    picture = draw(box_volume("float32", 0.25), Projection("mip", WINDOW, rows=20, columns=20))
    assert picture.pixels.dtype == np.float32
    assert picture.pixels.max() == np.float32(0.25)


def test_provenance(volume: Volume) -> None:
    provenance = draw(volume, BONE).provenance
    assert (provenance.engine, provenance.engine_version, provenance.device) == ("cpu", cpu.ENGINE_VERSION, "")
    assert provenance.recipe is BONE
    assert provenance.volume_digest == volume.digest
    assert draw(volume, read_recipe(canonical_json(BONE))).digest == draw(volume, BONE).digest


def test_outside_is_the_lower_end_of_the_window(volume: Volume) -> None:
    for recipe in (
        Projection("mip", WINDOW, rows=20, columns=20, field_of_view_mm=900.0),
        Projection("average", WINDOW, rows=20, columns=20, field_of_view_mm=900.0),
        Reformat(WINDOW, rows=20, columns=20, pixel_mm=60.0),
        Reformat(WINDOW, rows=20, columns=20, pixel_mm=60.0, thickness_mm=5.0),
    ):
        picture = draw(volume, recipe)
        assert picture.pixels[0, 0, 0] == -160
        assert to_rgb(picture)[0, 0].tolist() == [0, 0, 0]


def test_a_slab_takes_only_what_lies_in_it() -> None:
    volume = box_volume()
    through = Projection("mip", WINDOW, rows=20, columns=20, slab_mm=2.0, centre_mm=volume.centre_mm)
    beside = Projection("mip", WINDOW, rows=20, columns=20, slab_mm=2.0, centre_mm=(9.5, 2.0, 9.5))
    assert draw(volume, through).pixels.max() == 700
    assert draw(volume, beside).pixels.max() == -1000


def test_a_thin_slab_between_slices_still_has_values() -> None:
    recipe = Projection(
        "average", WINDOW, rows=8, columns=8, field_of_view_mm=8.0, slab_mm=0.1, centre_mm=(9.5, 9.5, 9.5)
    )
    values = draw(box_volume(), recipe).pixels
    assert (values[0, 1:7, 1:7] == 700).all()


def test_opaque_colour_comes_out_exactly() -> None:
    flat = TransferFunction(
        "flat", "HU", (ControlPoint(0.0, 0.2, 0.4, 0.6, 1.0), ControlPoint(1000.0, 0.2, 0.4, 0.6, 1.0)), shading=None
    )
    picture = draw(box_volume(value=500), VolumeRendering(flat, rows=20, columns=20))
    assert picture.pixels[0, 10, 10].tolist() == [51, 102, 153]


def test_opacity_is_per_mm_whatever_the_step() -> None:
    """8 mm of 10 % a mm let 0.9⁸ through."""
    glass = TransferFunction(
        "glass",
        "HU",
        (ControlPoint(-999.0, 1, 1, 1, 0.0), ControlPoint(-998.0, 1, 1, 1, 0.1), ControlPoint(1000.0, 1, 1, 1, 0.1)),
        shading=None,
    )
    voxels = np.full((20, 20, 20), 500, dtype=np.int16)
    volume = Volume(voxels, np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]], "HU")
    crop = render.Box((0.0, 5.01, 0.0), (19.0, 13.01, 19.0))
    for step in (0.25, 0.5, 1.0):
        recipe = VolumeRendering(glass, rows=9, columns=9, field_of_view_mm=9.0, crop=crop, step_voxels=step)
        assert draw(volume, recipe).pixels[0, 4, 4, 0] == pytest.approx(255 * (1 - 0.9**8), abs=255 * 0.1 * step)


def test_the_table_is_left_out_and_the_nodule_kept() -> None:
    voxels = np.full((24, 48, 48), -1000, dtype=np.int16)
    voxels[:, 8:32, 8:40] = 40  # trunk
    voxels[:, 12:28, 12:36] = -850  # lung
    voxels[10:13, 18:21, 20:23] = 60  # nodule in the lung, joined to nothing
    voxels[:, 40:41, 8:40] = 500  # table, farther from the trunk than its blurred border
    volume = Volume(voxels, np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]], "HU")
    cleared = voxels_without_table(volume, -300.0)
    assert (cleared.voxels[:, 38:44] == -1000).all()
    np.testing.assert_array_equal(cleared.voxels[:, :38], voxels[:, :38])
    recipe = Projection(
        "mip", WINDOW, View.parse("left"), rows=24, columns=48, field_of_view_mm=24.0, body_above=-300.0
    )
    assert draw(volume, recipe).pixels.max() == 60
    assert draw(volume, Projection("mip", WINDOW, rows=24, columns=48)).pixels.max() == 500


def test_body_above_everything_draws_everything() -> None:
    volume = box_volume()
    recipe = Projection("mip", WINDOW, rows=20, columns=20, body_above=5000.0)
    assert draw(volume, recipe).pixels.max() == 700


def test_progress_rises_to_one(volume: Volume) -> None:
    for threads in (1, 3):
        parts: list[float] = []
        draw(volume, BONE, threads=threads, progress=parts.append)
        assert parts == sorted(parts)
        assert parts[-1] == 1.0


def test_cancel_between_tiles(volume: Volume) -> None:
    for threads in (1, 2):
        cancel = threading.Event()
        parts: list[float] = []

        def stop(part: float, cancel: threading.Event = cancel, parts: list[float] = parts) -> None:
            parts.append(part)
            cancel.set()

        with pytest.raises(Cancelled, match="no picture was made"):
            draw(
                volume,
                VolumeRendering(load_preset("ct_bone"), rows=400 * threads**2),
                threads=threads,
                progress=stop,
                cancel=cancel,
            )
        assert parts[-1] < 1.0


def test_wrong_unit_says_what_to_do(volume: Volume) -> None:
    other = Volume(volume.voxels, volume.affine, "1")
    with pytest.raises(DrawError, match=r"'ct_bone' is for values in 'HU', the volume is in '1'.*choose a preset"):
        draw(other, BONE)


def test_unknown_engine_is_named(volume: Volume) -> None:
    with pytest.raises(DrawError, match="Engine 'gl' is not known; there is cpu"):
        draw(volume, BONE, engine="gl")


def test_nothing_is_kept_when_the_volume_goes() -> None:
    volume = box_volume()
    draw(volume, VolumeRendering(load_preset("ct_bone"), rows=16, columns=16, body_above=-300.0))
    gone = weakref.ref(volume)
    del volume
    gc.collect()
    assert gone() is None


def test_volume_centre_and_index_need_no_blas(volume: Volume) -> None:
    k, j, i = ((n - 1) / 2 for n in volume.shape)
    assert point(volume.to_index, volume.centre_mm) == pytest.approx((k, j, i))


def test_warm_says_how_long_it_took() -> None:
    assert 0.0 < cpu.frames.warm() < 60.0


@pytest.mark.parametrize("recipe", [BONE, Projection("mip", WINDOW, View(30.0, 20.0), rows=64, columns=48)])
def test_leaping_over_bricks_changes_nothing(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = phantom("oblique")
    leaping = draw(volume, recipe).digest
    found = bricks(volume)
    found.low.fill(-32768.0)
    found.high.fill(32767.0)
    plain = Volume(volume.voxels, volume.affine, "HU")
    monkeypatch.setattr(cpu, "bricks", lambda *_: found)
    found.forget()
    assert draw(plain, recipe).digest == leaping


def test_empty_bricks_are_known_to_be_empty() -> None:
    voxels = np.full((40, 40, 80), -1000, dtype=np.int16)
    voxels[20, 20, 4] = 900
    volume = Volume(voxels, np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]], "HU")
    _, distances = bricks(volume).seen_through(load_preset("ct_bone"), 1.0)
    # Bricks of four cells: the voxel at 4 is a corner of bricks 0 and 1.
    assert distances[4, 4, :17].tolist() == [0, 0, *range(1, 16)]


def test_a_volume_too_large_for_the_kernels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = phantom("oblique")
    monkeypatch.setattr(cpu, "MOST_VOXELS", volume.voxels.size - 1)
    with pytest.raises(render.DrawError, match=f"has {volume.voxels.size} voxels; the cpu engine takes"):
        draw(volume, Reformat(Window(0.0, 100.0)))
