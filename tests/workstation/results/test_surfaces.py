"""Surfaces for viewers: STL, OBJ and segmentations of ours, in the patient's place."""

import json
import os
import struct
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicom_io.objects.segmentation import segmentation
from dicom_io.volumes import build_volume
from render.mask import Mask
from render.mask_steps import Fragments, Values
from render.surface import Surface, as_stl, surface
from render.surface_files import as_obj
from render.surface_model import MadePart, SurfacePart
from tests.workstation.results.signed import Signed
from workstation.results import surfaces
from workstation.results.contents import ResultsError, results_of
from workstation.results.surfaces import ModelComing, model_of, model_soon, read_obj, read_stl

TETRAHEDRON = Surface(
    np.array([[0, 0, 0], [10, 0, 0], [0, 20, 0], [0, 0, 30]], np.float32),
    np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], np.int32),
)


def corners(found: Surface) -> list[tuple[float, ...]]:
    return sorted(map(tuple, found.vertices_mm[found.triangles].reshape(-1, 9).tolist()))


def test_stl_is_read_as_it_was_written() -> None:
    found = read_stl(as_stl(TETRAHEDRON))
    assert len(found.vertices_mm) == 4
    assert corners(found) == corners(TETRAHEDRON)


@pytest.mark.parametrize("data", [b"", b"solid text", as_stl(TETRAHEDRON)[:-1], bytes(84)])
def test_what_is_no_stl_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no binary STL"):
        read_stl(data)


def test_obj_is_read_by_parts_with_their_colours() -> None:
    parts = [
        MadePart(SurfacePart(n, name, colour), TETRAHEDRON, 0, 1.0, 1.0, (1.0, 1.0, 1.0))
        for n, (name, colour) in enumerate({"left bone": (1.0, 0.0, 0.5), "metal": (0.0, 1.0, 0.0)}.items(), start=1)
    ]
    found = list(read_obj(as_obj(parts)))
    assert [(name, colour) for name, colour, _ in found] == [("left bone", (1.0, 0.0, 0.5)), ("metal", (0.0, 1.0, 0.0))]
    assert all(corners(each) == corners(TETRAHEDRON) for _, _, each in found)
    with pytest.raises(ValueError, match="name no vertex"):
        list(read_obj(b"v 0 0 0\nf 1 2 3\n"))
    ((_, _, square),) = read_obj(b"v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1/1 2/2 3/3 -1/4\n")
    assert len(square.triangles) == 2


def test_the_surface_of_a_segmentation_lies_where_its_mask_does(signed: Signed) -> None:
    series = signed.site.archive.series(signed.run.evidence.sources[0].series_uid)
    volume = build_volume(series)
    labels = np.zeros(volume.shape, np.uint8)
    labels[3:9, 100:140, 200:260] = 1
    labels[5:8, 150:170, 210:240] = 2
    steps = (Values(0.0, 1.0), Fragments(label=1))
    stamp = signed.site.stamp("1.2.3", signed.site.clock())
    ds = segmentation(Mask(labels), steps, volume, series, stamp)
    assert ds is not None
    found = list(surfaces._read(ds))
    assert len(found) == 2
    for label, (_, _, shape) in enumerate(found, start=1):
        made = surface(Mask(labels), label, volume)
        assert made is not None
        low, high = made.vertices_mm.min(axis=0), made.vertices_mm.max(axis=0)
        # Smoothing rounds corners by less than a voxel.
        assert np.abs(shape.vertices_mm.min(axis=0) - low).max() < max(volume.spacing_mm)
        assert np.abs(shape.vertices_mm.max(axis=0) - high).max() < max(volume.spacing_mm)
    assert any(colour is not None for _, colour, _ in found)  # parts of divided bones bring theirs


def test_a_model_is_made_once_and_thinned_out(signed: Signed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surfaces, "MOST_TRIANGLES", 2000)
    found = results_of(signed.session, signed.site).surfaces
    made = model_of(found, tmp_path / "shown")
    assert made is not None and made.whole > 2000
    assert 0 < made.triangles <= 2400
    kind, version, size = struct.unpack("<4sII", made.glb.read_bytes()[:12])
    assert (kind, version, size) == (b"glTF", 2, made.glb.stat().st_size)
    assert len(read_stl(made.stl.read_bytes()).triangles) == made.whole
    monkeypatch.setattr(surfaces, "_made", lambda found: pytest.fail("it was kept"))
    assert model_of(found, tmp_path / "shown") == made
    assert model_of((), tmp_path / "shown") is None
    assert [part["name"] for part in surfaces.parts_as_json(made)] == ["Mask of Turn, label 1"]
    assert json.dumps(surfaces.parts_as_json(made))


def test_old_models_give_way_as_a_whole(tmp_path: Path) -> None:
    for n in range(3):
        for end in ("json", "glb", "stl"):
            (tmp_path / f"{n}.{end}").write_bytes(bytes(10))
            os.utime(tmp_path / f"{n}.{end}", (n, n))
    surfaces._forget(tmp_path, 60)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        f"{n}.{end}" for n in "12" for end in ("glb", "json", "stl")
    ]


def test_a_changed_object_gives_no_surface(signed: Signed, tmp_path: Path) -> None:
    (file,) = results_of(signed.session, signed.site).surfaces
    with pytest.raises(ResultsError, match="not what was recorded"):
        model_of((replace(file, digest="0" * 64),), tmp_path)


def test_a_model_is_made_beside_the_calls_that_ask(
    signed: Signed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, folder = results_of(signed.session, signed.site).surfaces, tmp_path / "shown"
    assert model_soon((), folder) is None
    may_go, made = threading.Event(), surfaces._made
    calls: list[int] = []

    def slowly(given: Any) -> Any:
        calls.append(1)
        assert may_go.wait(60)
        return made(given)

    monkeypatch.setattr(surfaces, "_made", slowly)
    for _ in range(3):
        with pytest.raises(ModelComing):
            model_soon(found, folder)
    (under_way,) = surfaces._UNDER_WAY.values()
    may_go.set()
    under_way.join()
    assert calls == [1]
    assert model_soon(found, folder) == model_of(found, folder)


def test_a_model_that_cannot_be_made_is_said_and_tried_again(signed: Signed, tmp_path: Path) -> None:
    found = results_of(signed.session, signed.site).surfaces
    changed = (replace(found[0], digest="0" * 64),)
    for _ in range(2):
        with pytest.raises(ModelComing):
            model_soon(changed, tmp_path)
        for thread in list(surfaces._UNDER_WAY.values()):
            thread.join()
        with pytest.raises(ResultsError, match="not what was recorded"):
            model_soon(changed, tmp_path)
