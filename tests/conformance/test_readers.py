"""What others make of our objects: DCMTK, GDCM, SimpleITK, highdicom, and Orthanc as the PACS that serves them."""

import json
import sqlite3
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_io.files.digests import is_sealed
from dicom_io.files.series import read_instance
from dicom_io.network.send import send
from render.picture import window_8bit
from render.recipe import Reformat
from render.surface import surface, volume_mm3
from tests.conformance.objects import Made
from tests.conformance.test_validators import made, saved
from tests.peers.servers import orthanc, program, run

pytestmark = pytest.mark.slow

NAMES = ["mr japanese", "ct careless", "us awkward"]


def everything(objects: Made) -> dict[str, Dataset]:
    """Every object that was made, by a name of its own."""
    pictures = {f"{ds.ImageComments} {ds.InstanceNumber}": ds for ds in objects.datasets}
    return {**pictures, **objects.beside, "SR": objects.sr, "report": objects.report}


def images(objects: Made) -> dict[str, Dataset]:
    return {name: ds for name, ds in everything(objects).items() if "Rows" in ds}


@pytest.mark.parametrize("name", NAMES)
def test_dcmtk_reads_them(name: str, tmp_path: Path) -> None:
    dump, picture = program("dsrdump"), program("dcm2pnm")
    for what, ds in everything(made(name)).items():
        path = saved(ds, tmp_path)
        if "ContentSequence" in ds:
            said = run(dump, path)
            assert "WARNING" not in said and "ERROR" not in said, (what, said)
        elif "Rows" in ds and ds.get("BitsAllocated") != 1:  # it knows no images of one bit
            run(picture, "+Wn" if ds.SamplesPerPixel == 1 else "--write-16-bit-pnm", path, tmp_path / "out.pnm")
            with Image.open(tmp_path / "out.pnm") as drawn:
                assert drawn.size == (ds.Columns, ds.Rows)


@pytest.mark.parametrize("name", NAMES)
def test_gdcm_reads_them(name: str, tmp_path: Path) -> None:
    gdcm = pytest.importorskip("gdcm")
    for what, ds in everything(made(name)).items():
        reader = gdcm.ImageReader() if what in images(made(name)) else gdcm.Reader()
        reader.SetFileName(str(saved(ds, tmp_path)))
        assert reader.Read(), what
        if "Rows" in ds:
            size = [reader.GetImage().GetDimension(n) for n in range(2)]
            assert size == [ds.Columns, ds.Rows], what


@pytest.mark.parametrize("name", ["mr japanese", "ct careless", "ct sample"])
def test_simpleitk_finds_an_enhanced_stack_where_the_planes_are(name: str, tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    objects = made(name)
    for picture in objects.pictures:
        if not isinstance(picture.recipe, Reformat):
            continue
        ds = objects.beside[f"enhanced {picture.recipe.name}"]
        image = sitk.ReadImage(str(saved(ds, tmp_path)))
        for number, plane in enumerate(picture.planes):
            for row, column in ((0, 0), (63, 63), (10, 50)):
                where = image.TransformContinuousIndexToPhysicalPoint((float(column), float(row), float(number)))
                assert where == pytest.approx(plane.at(row, column), abs=1e-3)
        read = sitk.GetArrayFromImage(image)
        step = float(ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0].RescaleSlope)
        np.testing.assert_allclose(read, picture.pixels, atol=0.51 * step)


@pytest.mark.parametrize("name", [*NAMES, "ct sample"])
def test_highdicom_finds_the_mask_in_the_segmentation(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    # It indexes frames in databases in memory that it never closes, of which Python warns since 3.13.
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connected(*words: Any, **more: Any) -> sqlite3.Connection:
        connection = connect(*words, **more)
        request.addfinalizer(connection.close)
        return connection

    monkeypatch.setattr(sqlite3, "connect", connected)
    seg = pytest.importorskip("highdicom.seg")
    objects = made(name)
    read = seg.segread(str(saved(objects.beside["segmentation"], tmp_path)))
    labels = [int(label) for label in np.unique(objects.mask.labels) if label]
    assert [read.get_segment_description(n).segment_label for n in range(1, len(labels) + 1)] == [
        f"label {label}" for label in labels
    ]
    volume = read.get_volume(combine_segments=True, skip_overlap_checks=True)
    found = np.asarray(volume.array)
    # It holds the slices that any segment reaches; ours counts from the first one.
    origin = np.array(objects.volume.to_index) @ volume.affine
    index = np.rint(origin).astype(int)
    assert np.abs(origin - index).max() < 1e-3
    expected = np.zeros_like(objects.mask.labels)
    for place, label in enumerate(labels, start=1):
        expected[objects.mask.labels == label] = place
    k, j, i = np.indices(found.shape)
    at = np.stack([k, j, i, np.ones_like(k)], axis=-1) @ index.T
    np.testing.assert_array_equal(found, expected[at[..., 0], at[..., 1], at[..., 2]])
    assert int((found > 0).sum()) == int((expected > 0).sum())


@pytest.mark.parametrize("name", ["mr japanese", "ct careless"])
def test_dcmtk_shows_a_picture_as_its_presentation_state_says(name: str, tmp_path: Path) -> None:
    show = program("dcmp2pgm")
    objects = made(name)
    picture, group = objects.pictures[0], objects.groups[0]
    state = saved(objects.beside["presentation of sagittal reformat"], tmp_path)
    window = picture.recipe.window  # type: ignore[union-attr]
    for pixels, ds in zip(picture.pixels, group, strict=True):
        out = tmp_path / "shown.pgm"
        run(show, "-p", state, saved(ds, tmp_path), out)
        with Image.open(out) as drawn:
            shown = np.asarray(drawn).astype(int)
        # Our window and DCMTK's round differently; another window would be far away.
        assert np.abs(shown - window_8bit(pixels, window.centre, window.width)).max() <= 2


def test_a_measurement_is_drawn_on_its_plane(tmp_path: Path) -> None:
    state = made("ct sample").beside
    drawn = [ds for name, ds in state.items() if name.startswith("presentation") and "GraphicAnnotationSequence" in ds]
    kinds = {g.GraphicType for ds in drawn for a in ds.GraphicAnnotationSequence for g in a.GraphicObjectSequence}
    texts = {t.UnformattedTextValue for ds in drawn for a in ds.GraphicAnnotationSequence for t in a.TextObjectSequence}
    assert kinds <= {"POLYLINE", "ELLIPSE", "POINT"}
    assert all(texts) or not texts


@pytest.mark.parametrize("name", [*NAMES, "ct sample"])
def test_a_surface_encloses_its_mask(name: str, tmp_path: Path) -> None:
    objects = made(name)
    ds = dcmread(saved(objects.beside["surface"], tmp_path))
    data = bytes(ds.EncapsulatedDocument)[: ds.EncapsulatedDocumentLength]
    count = int.from_bytes(data[80:84], "little")
    assert len(data) == 84 + 50 * count
    shape = surface(objects.mask, 7, objects.volume)
    assert shape is not None and len(shape.triangles) == count
    voxels = int((objects.mask.labels == 7).sum()) * abs(float(np.linalg.det(objects.volume.affine[:3, :3])))
    # The corners of a voxel model are cut, never turned inside out.
    assert 0.8 * voxels < volume_mm3(shape) <= voxels * 1.001
    triangles = np.frombuffer(data[84:], dtype=np.dtype([("n", "<f4", 3), ("p", "<f4", (3, 3)), ("x", "<u2")]))
    assert np.abs(np.linalg.norm(triangles["n"], axis=1) - 1.0).max() < 1e-4
    low, high = triangles["p"].reshape(-1, 3).min(axis=0), triangles["p"].reshape(-1, 3).max(axis=0)
    assert np.all(high - low > 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_view_says_where_every_pixel_is(name: str) -> None:
    objects = made(name)
    for picture in objects.pictures:
        ds = objects.beside.get(f"view of {picture.recipe.name}")
        if ds is None:
            continue
        rows, columns = picture.pixels.shape[1:3]
        for row, column in ((0, 0), (rows - 1, 3), (11, columns - 1)):
            if "MPRTopLeftHandCorner" in ds:
                plane = picture.planes[len(picture.planes) // 2]
                along = (column + 0.5) * ds.MPRViewWidth / columns, (row + 0.5) * ds.MPRViewHeight / rows
                axes = ds.MPRViewWidthDirection, ds.MPRViewHeightDirection
                where = np.array(ds.MPRTopLeftHandCorner) + sum(
                    a * np.array(v) for a, v in zip(along, axes, strict=True)
                )
            else:
                plane = picture.planes[0]
                left, right, top, bottom, near, far = ds.RenderFieldOfView
                eye, look, up = map(np.array, (ds.ViewpointPosition, ds.ViewpointLookAtPoint, ds.ViewpointUpDirection))
                forward = (look - eye) / np.linalg.norm(look - eye)
                x = left + (column + 0.5) * (right - left) / columns
                y = top + (row + 0.5) * (bottom - top) / rows
                where = look + x * np.cross(forward, up) + y * up
                assert 0 < near < np.linalg.norm(look - eye) < far
            assert tuple(where) == pytest.approx(plane.at(row, column), abs=1e-6)
    palette = (
        objects.beside["view of rendering"].VolumeStreamSequence[0].PresentationStateClassificationComponentSequence[0]
    )
    red = np.frombuffer(palette.RedPaletteColorLookupTableData, "<u2")
    transfer = objects.pictures[4].recipe.transfer  # type: ignore[union-attr]
    assert len(red) == palette.RedPaletteColorLookupTableDescriptor[0] == 4096
    assert (red[0], red[-1]) == tuple(round(p.red * 65535) for p in (transfer.points[0], transfer.points[-1]))


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:  # our own server, on this machine
        return answer.read()


@pytest.mark.parametrize("name", ["mr japanese", "ct careless", "us awkward"])
def test_orthanc_stores_and_serves_them(name: str, tmp_path: Path) -> None:
    objects = everything(made(name))
    kept = tmp_path / "kept"
    kept.mkdir()
    paths = {what: saved(ds, kept) for what, ds in objects.items()}
    with orthanc(tmp_path / "orthanc") as pacs:
        sent = list(send([read_instance(path) for path in paths.values()], pacs.peer))
        assert [one.detail for one in sent if not one.accepted] == []
        ids = json.loads(_get(f"{pacs.url}/instances"))
        assert len(ids) == len(objects)
        served: dict[str, Dataset] = {}
        for each in ids:
            path = tmp_path / f"{each}.dcm"
            path.write_bytes(_get(f"{pacs.url}/instances/{each}/file"))
            ds = dcmread(path)
            served[str(ds.SOPInstanceUID)] = ds
        for what, ds in objects.items():
            assert served[str(ds.SOPInstanceUID)] == dcmread(paths[what]), what
        for sealed in ("segmentation", "key objects", "surface"):
            assert is_sealed(served[str(objects[sealed].SOPInstanceUID)])
        # It can show what is a picture.
        pictures = images(made(name))
        shown = json.loads(_get(f"{pacs.url}/instances?expand"))
        for each in shown:
            ds = served[each["MainDicomTags"]["SOPInstanceUID"]]
            if str(ds.SOPInstanceUID) in {str(p.SOPInstanceUID) for p in pictures.values()} and ds.BitsAllocated > 1:
                assert _get(f"{pacs.url}/instances/{each['ID']}/preview")[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_programs_find_what_is_wrong(tmp_path: Path) -> None:
    """The readers above would say so: a broken SR and a broken image are refused by them."""
    broken = dcmread(saved(made("ct careless").sr, tmp_path))
    broken.ContentSequence[0].ValueType = "NONSENSE"
    path = saved(broken, tmp_path)
    done = subprocess.run([program("dsrdump"), str(path)], capture_output=True, text=True, check=False)
    assert done.returncode != 0 or "ERROR" in done.stderr
