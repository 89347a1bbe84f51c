"""Our pictures against VTK's, SimpleITK's and plain numpy's, of the same scene."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dicom_io.files.series import open_series
from dicom_io.volumes import build_volume
from render import (
    Plane,
    Projection,
    Reformat,
    Shading,
    TransferFunction,
    View,
    Volume,
    VolumeRendering,
    Window,
    draw,
    load_preset,
)
from render.engine.vtk import grab, offscreen_window
from render.picture import window_8bit
from render.recipe import ControlPoint, ProjectionMode
from tests.render import peers
from tests.render.phantom import CENTRE_MM, GRIDS, phantom
from tests.thorough import slowly

SURFACE = TransferFunction(
    "surface",
    "HU",
    (
        ControlPoint(-400.0, 0.6, 0.3, 0.2, 0.0),
        ControlPoint(-100.0, 0.8, 0.5, 0.4, 0.5),
        ControlPoint(900.0, 0.9, 0.85, 0.6, 0.9),
        ControlPoint(2000.0, 0.3, 0.6, 1.0, 1.0),
    ),
    Shading(ambient=0.3, diffuse=0.6, specular=0.2, specular_power=16),
)
WINDOW = Window(500.0, 3000.0)
VIEWS = ["anterior", "left, 30 down", "posterior, 25 towards right, 15 up", "foot"]
# VTK's mapper rounds to 15 bits and takes gradients at voxels: edges of the phantom differ by a pixel's share.
RENDERED_LEVELS, RENDERED_SIMILARITY = 2.0, 0.98
PROJECTED_LEVELS, PROJECTED_SIMILARITY = 1.0, 0.99


@peers.needs_opengl
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("grid", ["axial", "oblique", "left-handed"])
def test_volume_rendering_and_vtk(grid: str, view: str, tmp_path: Path) -> None:
    volume = phantom(grid, edge_mm=6.0)
    recipe = VolumeRendering(SURFACE, View.parse(view), rows=200, columns=220, field_of_view_mm=115.0, step_voxels=0.5)
    picture = draw(volume, recipe)
    renderer = peers.fixed_point(volume, SURFACE, 0.5 * min(volume.spacing_mm), (0.0, 1.0))
    peers.camera(renderer, picture.planes[0], recipe.view, 200, 220)
    theirs = grab(offscreen_window(renderer, 200, 220))
    difference, similarity = peers.alike(np.asarray(picture.pixels[0], np.uint8), theirs, tmp_path, "rendering")
    assert difference <= RENDERED_LEVELS
    assert similarity >= RENDERED_SIMILARITY


@peers.needs_opengl
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("grid", ["axial", "oblique"])
def test_maximum_and_vtk(grid: str, view: str, tmp_path: Path) -> None:
    volume = phantom(grid, edge_mm=6.0)
    recipe = Projection("mip", WINDOW, View.parse(view), rows=200, columns=220, field_of_view_mm=115.0, step_voxels=0.5)
    picture = draw(volume, recipe)
    renderer = peers.fixed_point(volume, None, 0.5 * min(volume.spacing_mm), (-1000.0, 2000.0))
    peers.camera(renderer, picture.planes[0], recipe.view, 200, 220)
    theirs = grab(offscreen_window(renderer, 200, 220))[:, :, 0]
    ours = window_8bit(picture.pixels[0], WINDOW.centre, WINDOW.width)
    difference, similarity = peers.alike(ours, theirs, tmp_path, "maximum")
    assert difference <= PROJECTED_LEVELS
    assert similarity >= PROJECTED_SIMILARITY


@pytest.mark.parametrize(("mode", "along"), [("mip", np.max), ("minip", np.min), ("average", np.mean)])
@pytest.mark.parametrize(("view", "axis"), [("anterior", 1), ("left", 2), ("foot", 0), ("posterior", 1)])
def test_projection_along_an_axis_is_numpy(mode: ProjectionMode, along: object, view: str, axis: int) -> None:
    """Rays along an axis through voxel centres meet every voxel and nothing between."""
    random = np.random.default_rng(5)
    voxels = random.integers(-1000, 2000, (21, 26, 31)).astype(np.int16)
    volume = Volume(voxels, np.array([[0, 0, 2.0, 7], [0, 2.0, 0, 9], [2.0, 0, 0, 3], [0, 0, 0, 1]]), "HU")
    rows, columns = {0: (26, 31), 1: (21, 31), 2: (21, 26)}[axis]
    recipe = Projection(mode, WINDOW, View.parse(view), rows=rows, columns=columns, field_of_view_mm=2.0 * rows)
    expected = np.rint(along(voxels.astype(np.float64), axis=axis))  # type: ignore[operator]
    if view != "foot":
        expected = expected[::-1]
    if view == "posterior":
        expected = expected[:, ::-1]
    np.testing.assert_allclose(draw(volume, recipe).pixels[0], expected, atol=0 if mode != "average" else 1)


@pytest.mark.parametrize("view", [*VIEWS, "anterior, 33 towards left, 21 down"])
@pytest.mark.parametrize("grid", list(GRIDS))
def test_reformat_and_peers(grid: str, view: str) -> None:
    """At most 1 HU from each in the mean, everywhere where the eight voxels exist."""
    volume = phantom(grid)
    recipe = Reformat(WINDOW, View.parse(view), rows=90, columns=100, pixel_mm=1.3, centre_mm=CENTRE_MM)
    picture = draw(volume, recipe)
    plane, ours = picture.planes[0], picture.pixels[0].astype(np.float64)
    inside = peers.inside_mask(volume, plane, 90, 100)
    assert inside.mean() > 0.5
    others = [peers.sitk_stack(volume, picture.planes, 90, 100)()[0]]
    if not grid.startswith("gantry"):
        others.append(peers.vtk_stack(volume, picture.planes, 90, 100)()[0])
    for theirs in others:
        assert np.abs(ours - theirs)[inside].mean() <= 1.0


@peers.needs_opengl
@pytest.mark.parametrize("preset", ["ct_bone", *slowly("ct_skin")])
def test_a_real_head_and_vtk(preset: str, tmp_path: Path) -> None:
    """The sample CT unshaded, since VTK's normals are others, with many small steps, where VTK's pictures settle; and
    our own with one step a voxel, which have to come out much the same."""
    volume = build_volume(open_series(Path(__file__).parents[2] / "sample_data" / "ct_head")[0])
    transfer = replace(load_preset(preset), shading=None)
    fine = VolumeRendering(transfer, View.parse("left, 30 down"), rows=200, columns=200, step_voxels=0.1)
    picture = draw(volume, fine)
    renderer = peers.fixed_point(volume, transfer, 0.1 * min(volume.spacing_mm), (0.0, 1.0))
    peers.camera(renderer, picture.planes[0], fine.view, 200, 200)
    theirs = grab(offscreen_window(renderer, 200, 200))
    difference, similarity = peers.alike(np.asarray(picture.pixels[0], np.uint8), theirs, tmp_path, preset)
    assert difference <= 2.5 and similarity >= 0.95
    coarse = np.asarray(draw(volume, replace(fine, step_voxels=1.0)).pixels[0], np.uint8)
    difference, similarity = peers.alike(coarse, np.asarray(picture.pixels[0], np.uint8), tmp_path, f"{preset}_steps")
    assert difference <= 2.5 and similarity >= 0.94


@pytest.mark.parametrize("view", VIEWS[:3])
def test_a_thick_slab_and_vtk(view: str) -> None:
    """The maximum of planes no farther apart than the slices, at most 1 HU from vtkImageReslice in the mean."""
    volume = phantom("oblique")
    gap_mm = min(volume.spacing_mm)
    samples, thick_mm = 13, 12.5 * gap_mm
    plane = Reformat(WINDOW, View.parse(view), rows=90, columns=100, pixel_mm=1.3, centre_mm=CENTRE_MM)
    recipe = replace(plane, thickness_mm=thick_mm, mode="mip")
    picture = draw(volume, recipe)
    theirs = peers.vtk_slab(volume, picture.planes[0], 90, 100, samples, gap_mm)()[0]
    deep = [
        peers.inside_mask(volume, moved(picture.planes[0], recipe.view, mm), 90, 100) for mm in (-thick_mm, thick_mm)
    ]
    inside = deep[0] & deep[1]
    assert inside.mean() > 0.3
    assert np.abs(picture.pixels[0].astype(np.float64) - theirs)[inside].mean() <= 1.0


def moved(plane: Plane, view: View, mm: float) -> Plane:
    x, y, z = (o + mm * v for o, v in zip(plane.origin_mm, view.towards_observer, strict=True))
    return replace(plane, origin_mm=(x, y, z))
