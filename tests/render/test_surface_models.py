"""Surface models: closed, true to scale, and read by others as they were made."""

import json
import struct
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOGeometry import vtkGLTFReader, vtkOBJReader, vtkSTLReader
from vtkmodules.vtkIOPLY import vtkPLYReader

from render import Mask, Volume
from render.geometry import affine_from
from render.mask_steps import Values
from render.surface import surface
from render.surface_files import as_3mf, as_glb, as_obj, as_ply, merged_stl
from render.surface_model import (
    MadePart,
    SurfaceError,
    SurfaceModel,
    SurfacePart,
    edges_open,
    make_surfaces,
    read_surface_model,
    thinned,
)

PARTS = (SurfacePart(1, "Kopf <links>", (1.0, 0.5, 0.0)), SurfacePart(2, "rod", (0.0, 0.25, 1.0)))
MODEL = SurfaceModel(PARTS, smoothing=20, reduction=0.5)


@pytest.fixture(scope="module")
def scene() -> tuple[Volume, Mask]:
    """A ball of 12 mm and a rod of 5 x 6 x 44 mm, on voxels of 1 x 1 x 2 mm of a left-handed grid."""
    k, j, i = np.indices((28, 48, 40))
    at = np.stack([i - 20.0, j - 16.0, 2.0 * k - 28.0])
    labels = np.where((at**2).sum(axis=0) <= 144.0, 1, 0)
    labels[3:25, 38:43, 5:11] = 2
    affine = affine_from((20.0, -16.0, -28.0), (0, 0, 2), (0, 1, 0), (-1, 0, 0))
    return Volume(labels.astype(np.int16), affine, "1"), Mask(labels.astype(np.uint8))


@pytest.fixture(scope="module")
def made(scene: tuple[Volume, Mask]) -> tuple[MadePart, ...]:
    return make_surfaces(scene[0], MODEL, scene[1])


def test_a_ball_is_closed_and_true_to_scale(made: tuple[MadePart, ...], scene: tuple[Volume, Mask]) -> None:
    ball = made[0]
    assert ball.open_edges == 0
    assert ball.volume_ml == pytest.approx(4.0 / 3.0 * np.pi * 1.2**3, rel=0.02)
    assert ball.size_mm == pytest.approx((24.0, 24.0, 24.0), abs=1.2)
    away = np.linalg.norm(ball.surface.vertices_mm - ball.surface.vertices_mm.mean(axis=0), axis=1)
    rough = surface(scene[1], 1, scene[0])
    assert rough is not None
    stepped = np.linalg.norm(rough.vertices_mm - rough.vertices_mm.mean(axis=0), axis=1)
    assert away.std() < 0.7 * stepped.std(), "the steps of the voxels are smoothed away"
    assert len(ball.surface.triangles) <= 0.52 * len(rough.triangles)


def test_the_same_model_gives_the_same_triangles(made: tuple[MadePart, ...], scene: tuple[Volume, Mask]) -> None:
    again = make_surfaces(scene[0], replace(MODEL, segments=(Values(1, 1, label=1), Values(2, 2, label=2))))
    for one, other in zip(made, again, strict=True):
        assert one.surface.vertices_mm.tobytes() == other.surface.vertices_mm.tobytes()
        assert one.surface.triangles.tobytes() == other.surface.triangles.tobytes()


def test_a_hole_is_counted(made: tuple[MadePart, ...]) -> None:
    whole = made[0].surface
    assert edges_open(replace(whole, triangles=whole.triangles[1:])) == 3
    assert edges_open(replace(whole, triangles=np.vstack([whole.triangles[1:], whole.triangles[:1, ::-1]]))) == 6


def test_what_shrinks_too_much_is_refused(scene: tuple[Volume, Mask]) -> None:
    """A plate of one voxel, smoothed to almost nothing."""
    labels = np.zeros(scene[0].shape, dtype=np.uint8)
    labels[10, 20:24, 10:14] = 1
    with pytest.raises(SurfaceError, match=r"encloses .* ml of a mask of 0.032 ml"):
        make_surfaces(scene[0], SurfaceModel(PARTS[:1], smoothing=200), Mask(labels))
    with pytest.raises(SurfaceError, match="no voxel has label 1"):
        make_surfaces(scene[0], SurfaceModel(PARTS[:1]), Mask(np.zeros_like(labels)))
    with pytest.raises(SurfaceError, match="no mask on the grid"):
        make_surfaces(scene[0], MODEL)


def test_a_model_is_read_and_what_is_wrong_is_named() -> None:
    said = {"parts": [{"label": 1, "name": "bone", "colour": [1, 1, 0.9]}], "reduction": 0.8}
    assert read_surface_model(json.dumps(said)) == SurfaceModel(
        (SurfacePart(1, "bone", (1.0, 1.0, 0.9)),), reduction=0.8
    )
    for wrong, message in (
        ({**said, "reduce": 1}, "reduce"),
        ({**said, "reduction": 1.0}, "reduction 1"),
        ({"parts": []}, "1 to 255 parts"),
        ({"parts": [{"label": 0, "name": "x"}]}, "label 0"),
    ):
        with pytest.raises(SurfaceError, match=message):
            read_surface_model(json.dumps(wrong))


def _read(reader: Any, path: Path) -> Any:
    reader.SetFileName(str(path))
    reader.Update()
    return reader.GetOutput()


def _enclosed_ml(data: Any) -> float:
    at = vtk_to_numpy(data.GetPoints().GetData()).astype(np.float64)
    a, b, c = at[vtk_to_numpy(data.GetPolys().GetConnectivityArray()).reshape(-1, 3)].transpose(1, 0, 2)
    return float((a * np.cross(b, c)).sum() / 6000.0)


def test_other_readers_find_both_parts(made: tuple[MadePart, ...], tmp_path: Path) -> None:
    volume_ml = sum(part.volume_ml for part in made)
    for name, data, reader in (
        ("model.stl", merged_stl(made), vtkSTLReader()),
        ("model.obj", as_obj(made), vtkOBJReader()),
        ("model.ply", as_ply(made), vtkPLYReader()),
    ):
        (tmp_path / name).write_bytes(data)
        assert _enclosed_ml(_read(reader, tmp_path / name)) == pytest.approx(volume_ml, rel=1e-4), name
    colours = vtk_to_numpy(_read(vtkPLYReader(), tmp_path / "model.ply").GetPointData().GetScalars())
    assert {tuple(c) for c in colours.tolist()} == {(255, 128, 0), (0, 64, 255)}


def test_gltf_is_in_metres_with_the_head_up(made: tuple[MadePart, ...], tmp_path: Path) -> None:
    data = as_glb(made)
    (tmp_path / "model.glb").write_bytes(data)
    reader = vtkGLTFReader()
    reader.ApplyDeformationsToGeometryOn()
    found = [0.0] * 6
    _read(reader, tmp_path / "model.glb").GetBounds(found)
    bounds = np.array(found).reshape(3, 2)
    at = np.concatenate([part.surface.vertices_mm for part in made])
    left, back, head = at.T / 1000.0
    assert np.allclose(bounds, [(v.min(), v.max()) for v in (left, head, -back)], atol=1e-6)
    length = struct.unpack("<I", data[12:16])[0]
    scene = json.loads(data[20 : 20 + length])
    assert [node["name"] for node in scene["nodes"]] == ["Kopf <links>", "rod"]
    assert scene["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] == [1.0, 0.214041, 0.0, 1.0]


def test_3mf_holds_parts_in_millimetres(made: tuple[MadePart, ...]) -> None:
    with zipfile.ZipFile(BytesIO(as_3mf(made))) as packed:
        assert packed.namelist() == ["[Content_Types].xml", "_rels/.rels", "3D/3dmodel.model"]
        model = ElementTree.fromstring(packed.read("3D/3dmodel.model"))
    assert model.get("unit") == "millimeter"
    core = {"m": "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"}
    assert [base.get("displaycolor") for base in model.iterfind(".//m:base", core)] == ["#FF8000FF", "#0040FFFF"]
    objects = model.findall(".//m:object", core)
    assert [each.get("name") for each in objects] == ["Kopf <links>", "rod"]
    assert [len(each.findall(".//m:triangle", core)) for each in objects] == [len(p.surface.triangles) for p in made]


def test_a_large_surface_is_thinned_and_nothing_of_it_vanishes() -> None:
    labels = np.zeros((60, 80, 80), np.uint8)
    labels[5:55, 5:75, 5:75] = 1
    labels[5:55, 5:75, 40:42] = 0  # two halves, and a thin leaf between them
    labels[10:50, 10:70, 40] = 1
    affine = np.diag([1.0, 0.5, 0.5, 1.0])
    volume = Volume(np.zeros(labels.shape, np.int16), affine, "1")
    found = surface(Mask(labels), 1, volume)
    assert found is not None and len(found.triangles) > 30_000
    thin = thinned(found, 2_000)
    assert 500 < len(thin.triangles) <= 2_100
    assert np.abs(thin.vertices_mm.min(axis=0) - found.vertices_mm.min(axis=0)).max() < 2.0
    assert np.abs(thin.vertices_mm.max(axis=0) - found.vertices_mm.max(axis=0)).max() < 2.0
    middle = np.abs(thin.vertices_mm - [20.0, 20.0, 30.0]).max(axis=1)
    assert middle.min() < 8.0  # the leaf is there
    assert thinned(found, len(found.triangles)) is found
