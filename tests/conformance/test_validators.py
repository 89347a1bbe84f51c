"""Every object we write, judged by two validators and one reader that know nothing of us."""

import copy
import functools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_io.evidence import Person
from dicom_io.files.series import Series, open_series
from dicom_io.sr.evidence_sr import read_sr
from dicom_io.sr.key_objects import key_images
from dicom_io.sr.report_sr import stated_facts
from dicom_io.volumes import stack_of
from render.geometry import point
from render.recipe import Reformat
from tests.conformance.objects import Made, make
from tests.conformance.validators import by_the_tables, dciodvfy, pixelmed
from tests.dicom_io.real import SAMPLE, real_set
from tests.dicom_io.synthetic import CT, MR, grid, rotation, write_series
from tests.thorough import slowly
from workstation.desktop.model.keyed import keep_key_images
from workstation.site import open_site


def scene() -> Any:
    """(6, 24, 20) int16: a smooth hill, so that sampling between voxels can be checked."""
    k, j, i = np.indices((6, 24, 20))
    return (600 * np.exp(-((k - 2.5) ** 2 / 8 + (j - 12) ** 2 / 60 + (i - 9) ** 2 / 40)) + 3 * i).astype(np.int16)


def code(value: str, scheme: str, meaning: str) -> Dataset:
    ds = Dataset()
    ds.CodeValue = value
    if scheme:
        ds.CodingSchemeDesignator = scheme
    ds.CodeMeaning = meaning
    return ds


def japanese(ds: Dataset, k: int) -> None:
    """Multi-byte names, as in PS3.5 H.3.2, no birth date, no accession, a knee."""
    ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    ds.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    ds.ReferringPhysicianName = "Suzuki^Ichirou=鈴木^一郎"
    ds.StudyDescription = "膝関節"
    ds.ProcedureCodeSequence = Sequence([code("73721", "C4", "膝")])
    ds.PatientBirthDate = ""
    ds.AccessionNumber = ""
    ds.BodyPartExamined = "KNEE"
    ds.Laterality = "L"


def careless(ds: Dataset, k: int) -> None:
    """What real systems send: type 2 missing, code items that break the rules, a paired part of unknown side."""
    for keyword in ("PatientBirthDate", "PatientSex", "StudyID", "ReferringPhysicianName", "StudyTime"):
        del ds[keyword]
    ds.BodyPartExamined = "KNEE"
    ds.ProcedureCodeSequence = Sequence(
        [code("CT-KNEE-LEFT-WITH-CONTRAST", "L", "Knee"), code("73701", "", "Knee"), code("73701", "C4", "CT knee")]
    )
    ds.PatientAge = ""
    ds.PatientWeight = ""
    ds.EthnicGroup = ""
    ds.OtherPatientIDsSequence = Sequence()
    ds.ContrastBolusAgent = ""
    ds.Manufacturer = ""
    ds.PhysiciansOfRecord = ["Able^Ann", "Baker^Bob"]
    ds.AcquisitionDate = "20260302"


def korean(ds: Dataset) -> None:
    """Multi-byte names in another way, as in PS3.5 I.2, and no birth date, no accession, no sex, no study time."""
    ds.SpecificCharacterSet = ["", "ISO 2022 IR 149"]
    ds.PatientName = "Hong^Gildong=洪^吉洞=홍^길동"
    ds.StudyDescription = "초음파"
    for keyword in ("PatientBirthDate", "AccessionNumber", "PatientSex", "StudyTime", "StudyID"):
        setattr(ds, keyword, "")


def worthless_codes(ds: Dataset, k: int) -> None:
    ds.ProcedureCodeSequence = Sequence([code("CT-KNEE-LEFT-WITH-CONTRAST", "L", "Knee"), Dataset()])
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethodCodeSequence = Sequence([code("113100", "DCM", "")])
    ds.ReferencedStudySequence = Sequence([Dataset()])
    ds.PatientSex = "X"
    ds.BodyPartExamined = "left knee"
    ds.LossyImageCompression = "01"


def _series(name: str, folder: Path) -> Series:
    affine = grid(rotation(0.3, -0.2, 0.1), (3.0, 1.5, 1.6))
    if name == "ct sample":
        folder.mkdir(exist_ok=True)
        for file in sorted(SAMPLE.glob("*.dcm"))[40:64]:  # the demonstration has all of it looked at
            shutil.copy(file, folder)
        return open_series(folder)[0]
    if name == "ct careless":
        return write_series(folder, scene(), affine, sop_class=CT, change=careless)
    if name == "ct worthless codes":
        return write_series(folder, scene(), affine, sop_class=CT, change=worthless_codes)
    if name == "us awkward":
        for path in sorted(real_set("us_enhanced_volume_phantom").rglob("*")):
            if path.is_file():
                ds = dcmread(path, force=True)
                if "PixelData" in ds:
                    korean(ds)
                    folder.mkdir(exist_ok=True)
                    ds.save_as(folder / path.name, enforce_file_format=True)
        return open_series(folder)[0]
    if name == "mr japanese":
        return write_series(folder, scene(), affine, sop_class=MR, change=japanese)
    return open_series(real_set(name))[0]


@functools.cache
def made(name: str) -> Made:
    """Made once for all tests of this module; everything in it is only read."""
    with tempfile.TemporaryDirectory() as folder:
        return make(_series(name, Path(folder)), bare=name == "ct careless")


# The demonstration has all of "ct sample" looked at; "us awkward" is that phantom, and worse.
SOURCES = [
    "mr japanese",
    *slowly(
        "ct careless",
        "us awkward",
        "ct sample",
        "ct worthless codes",
        "mr_ge_fruit_sag_196",
        "us_enhanced_volume_phantom",
    ),
]


def saved(ds: Dataset, folder: Path) -> Path:
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("name", SOURCES)
def test_derived_objects_have_no_errors(name: str, tmp_path: Path) -> None:
    objects = made(name).datasets
    assert len(objects) >= 6
    # One instance of a stack is like the other.
    found = {name: dciodvfy(saved(ds, tmp_path)) for name, ds in {ds.ImageComments: ds for ds in objects}.items()}
    assert found == {name: [] for name in found}


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_objects_beside_the_pictures_have_no_errors(name: str, tmp_path: Path) -> None:
    # It does not know the volumetric states; the tables of the standard judge those below.
    objects = {what: ds for what, ds in made(name).beside.items() if not what.startswith("view")}
    assert {"segmentation", "key objects", "presentation of sagittal reformat"} <= set(objects)
    assert name == "ct careless" or {"presentation of rendering", "presentation of curved"} <= set(objects)
    assert {what: dciodvfy(saved(ds, tmp_path)) for what, ds in objects.items()} == {what: [] for what in objects}
    assert pixelmed(saved(objects["key objects"], tmp_path)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mr japanese", *slowly("ct careless", "us awkward")])
def test_states_surfaces_and_captures_are_what_the_tables_of_the_standard_say(name: str) -> None:
    objects = {f"{ds.ImageComments}": ds for ds in made(name).datasets if "ConversionType" in ds}
    objects |= {
        what: ds
        for what, ds in made(name).beside.items()
        if what.startswith(("presentation", "view", "surface", "registration"))
    }
    assert {"view of sagittal reformat", "view of MIP", "view of rendering", "surface", "registration"} <= set(objects)
    assert {what: by_the_tables(ds) for what, ds in objects.items()} == {what: [] for what in objects}
    broken = copy.deepcopy(objects["view of MIP"])
    del broken.RenderProjection
    del broken.VolumetricPresentationInputSetSequence[0].PresentationInputType
    broken.EchoTime = "1"
    assert by_the_tables(broken) == [
        "EchoTime is in no module",
        "RenderProjection (type 1)",
        "VolumetricPresentationInputSetSequence.PresentationInputType (type 1)",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_objects_with_burned_in_annotation_have_no_errors(name: str, tmp_path: Path) -> None:
    objects = made(name).marked
    captures = [ds for ds in objects if ds.PhotometricInterpretation == "RGB"]
    assert {ds.BurnedInAnnotation for ds in captures} == {"YES"}
    assert {ds.BurnedInAnnotation for ds in objects if ds not in captures} <= {"NO"}
    assert len(captures) >= 4
    looked_at = {ds.ImageComments: ds for ds in objects}  # one instance of a stack is like the other
    found = {name: dciodvfy(saved(ds, tmp_path)) for name, ds in looked_at.items()}
    assert found == {name: [] for name in found}


@pytest.mark.slow
def test_a_face_is_said_to_be_recognisable_and_nothing_else_is() -> None:
    said = {ds.ImageComments: ds.get("RecognizableVisualFeatures") for ds in made("ct sample").datasets}
    # That transfer function is opaque from air to bone, and this is a head.
    assert {name for name, value in said.items() if value == "YES"} == {"rendering", "turning rendering"}
    assert set(said.values()) == {"YES", None}
    knee = {ds.get("RecognizableVisualFeatures") for ds in made("mr japanese").datasets}
    assert knee == {None}
    inherited = {ds.get("RecognizableVisualFeatures") for ds in made("us_enhanced_volume_phantom").datasets}
    assert inherited == {"NO"}


@pytest.mark.parametrize("name", SOURCES)
def test_sr_has_no_errors(name: str, tmp_path: Path) -> None:
    path = saved(made(name).sr, tmp_path)
    assert dciodvfy(path) == []
    assert pixelmed(path) == []
    assert read_sr(dcmread(path)) == made(name).evidence


@pytest.mark.parametrize("name", SOURCES)
def test_report_has_no_errors(name: str, tmp_path: Path) -> None:
    path = saved(made(name).report, tmp_path)
    assert dciodvfy(path) == []
    assert pixelmed(path) == []
    bare = "necessity" not in path.read_text(errors="replace")
    assert stated_facts(dcmread(path)) == (frozenset() if bare else {"medical_necessity", "clinical_utility"})


def test_the_validators_find_errors_that_are_there(tmp_path: Path) -> None:
    broken = dcmread(saved(made("ct careless").sr, tmp_path))
    del broken.CompletionFlag
    broken.ContentSequence[0].RelationshipType = "SELECTED FROM"
    path = saved(broken, tmp_path)
    assert any("CompletionFlag" in line for line in dciodvfy(path))
    assert any("SELECTED FROM" in line or "template" in line.lower() for line in pixelmed(path))


def one_by_one(folder: Path) -> Path:
    """A folder with single images that say no place."""
    (folder / "sent").mkdir()
    write_series(folder / "sent", scene(), grid(), sop_class=CT, change=unplaced)
    return folder / "sent"


def unplaced(ds: Dataset, k: int) -> None:
    japanese(ds, k)
    del ds.ImagePositionPatient


def frames(folder: Path) -> Path:
    """A folder with a multi-frame image."""
    return real_set("us_enhanced_volume_phantom")


@pytest.mark.parametrize("folder", [one_by_one, frames])
def test_key_images_of_a_series_read_in_2d_have_no_errors(folder: Callable[[Path], Path], tmp_path: Path) -> None:
    site = open_site(tmp_path / "root")
    site.archive.import_files(folder(tmp_path))
    images = stack_of(site.archive.all_series()[0]).images
    uid = keep_key_images([images[4], images[1]], Person("DR1", "Sample^Radiologist", "physician"), site)
    path = Path(site.archive.instance(uid).path)
    site.papers.engine.dispose()
    assert len(key_images(dcmread(path))) == len({images[n].instance.sop_instance_uid for n in (4, 1)})
    assert dciodvfy(path) == []
    assert pixelmed(path) == []


@pytest.mark.parametrize("name", ["mr japanese"])
def test_names_and_descriptions_survive_the_change_of_character_set(name: str, tmp_path: Path) -> None:
    for ds in (*made(name).datasets, made(name).sr, made(name).report):
        again = dcmread(saved(ds, tmp_path))
        assert str(again.PatientName) == "Yamada^Tarou=山田^太郎=やまだ^たろう"
        assert str(again.ReferringPhysicianName) == "Suzuki^Ichirou=鈴木^一郎"
        assert again.StudyDescription == "膝関節"
        assert again.ProcedureCodeSequence[0].CodeMeaning == "膝"
        assert again.SpecificCharacterSet == "ISO_IR 192"


def test_valid_codes_stay_and_invalid_ones_go() -> None:
    for ds in (*made("ct careless").datasets, made("ct careless").sr):
        assert [(c.CodeValue, c.CodingSchemeDesignator) for c in ds.ProcedureCodeSequence] == [("73701", "C4")]
    for ds in (*made("ct worthless codes").datasets, made("ct worthless codes").sr):
        assert "ProcedureCodeSequence" not in ds


@pytest.mark.slow
def test_a_side_and_what_was_prepared_are_in_the_validated_record() -> None:
    found = read_sr(made("ct sample").sr).products
    assert (found[0].laterality, found[0].prepared) == ("L", False)
    assert (found[1].laterality, found[1].prepared) == ("", True)


def test_several_names_stay_several() -> None:
    for ds in (*made("ct careless").datasets, made("ct careless").sr):
        assert list(map(str, ds.PhysiciansOfRecord)) == ["Able^Ann", "Baker^Bob"]


def test_laterality_is_copied_never_invented() -> None:
    assert {ds.Laterality for ds in made("mr japanese").datasets} == {"L"}
    assert {ds.Laterality for ds in made("ct careless").datasets} == {""}
    assert all("Laterality" not in ds for ds in made("ct sample").datasets)


@pytest.mark.parametrize("name", ["ct sample", "mr japanese", *slowly("mr_ge_fruit_sag_196")])
@pytest.mark.parametrize("which", [0, 1])
def test_an_independent_reader_finds_a_reformat_where_the_picture_is(name: str, which: int, tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    picture, group = made(name).pictures[which], made(name).groups[which]
    assert isinstance(picture.recipe, Reformat)
    volume = made(name).volume
    for plane, pixels, ds in zip(picture.planes, picture.pixels, group, strict=True):
        image = sitk.ReadImage(str(saved(ds, tmp_path)))
        for row, column in ((0, 0), (63, 63), (10, 50)):
            where = image.TransformContinuousIndexToPhysicalPoint((float(column), float(row), 0.0))
            assert where == pytest.approx(plane.at(row, column), abs=1e-3)
        assert image.GetSpacing()[:2] == pytest.approx(plane.pixel_spacing_mm[::-1], abs=1e-6)
        direction = np.array(image.GetDirection()).reshape(3, 3)
        assert direction[:, 2] == pytest.approx(plane.normal, abs=1e-6)
        read = sitk.GetArrayFromImage(image)[0]
        step = float(ds.RescaleSlope)
        np.testing.assert_allclose(read, pixels, atol=0.51 * step)
        if picture.recipe.thickness_mm == 0.0:
            _same_as_the_source_there(volume, image, read)


def _same_as_the_source_there(volume: Any, image: Any, read: Any) -> None:
    """The reader's own geometry and the source volume give the same values, sampled trilinearly."""
    inside = 0
    for row in range(1, 64, 3):
        for column in range(1, 64, 3):
            where = image.TransformContinuousIndexToPhysicalPoint((float(column), float(row), 0.0))
            at = np.array(point(volume.to_index, where))
            low = np.floor(at).astype(int)
            if (low < 0).any() or (low + 1 >= np.array(volume.shape)).any():
                continue
            part = at - low
            corner = volume.voxels[tuple(slice(n, n + 2) for n in low)].astype(float)
            for fraction in part:
                corner = corner[0] * (1 - fraction) + corner[1] * fraction
            assert read[row, column] == pytest.approx(float(corner), abs=1.0)
            inside += 1
    assert inside > 5
