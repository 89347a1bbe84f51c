"""Annotation in the pixels of stored captures: said in the object, left out of the record, and never in a log."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from dicom_io.sr.evidence_sr import read_sr
from render.protocols import Protocol
from render.recipe import canonical_json
from tests.workstation.conftest import Command
from tests.workstation.samples import DOCUMENTED, SERIES_UID, tiny_protocol

NAME = "CRANIUM"


@pytest.fixture
def tiny() -> Protocol:
    """The tiny protocol, large enough to write on."""
    made = tiny_protocol()
    return replace(made, recipes=tuple(replace(recipe, rows=160, columns=160) for recipe in made.recipes))


def run(command: Command, *words: object) -> tuple[Path, dict[str, Dataset]]:
    """The SR, and the stored objects of its pictures by name, of a stack the first."""
    made = command("run", SERIES_UID, "--protocol", "tiny", "--papers", DOCUMENTED, "--json", *words).json
    sr = Path(made["sr"]["path"])
    folder = sr.parents[2]
    wanted = {i.sop_instance_uid for p in read_sr(pydicom.dcmread(sr)).products for i in p.images}
    found = {}
    for path in folder.rglob("*.dcm"):
        ds = pydicom.dcmread(path)
        if ds.SOPInstanceUID in wanted and ds.InstanceNumber == 1:
            found[str(ds.ImageComments)] = ds
    return sr, found


def test_renderings_have_letters_and_projections_their_values(command: Command, slices: Path) -> None:
    command("import", slices)
    _, objects = run(command)
    assert {name: ds.BurnedInAnnotation for name, ds in objects.items()} == {"Bone": "NO", "MIP": "NO", "Axial": "NO"}
    assert objects["MIP"].PhotometricInterpretation == "MONOCHROME2"
    assert objects["Bone"].DerivationDescription.endswith("before orientation, scale and view were burned in")
    _, plain = run(command, "--burn-in", "none")
    assert "burned in" not in plain["Bone"].DerivationDescription
    assert (plain["Bone"].pixel_array != objects["Bone"].pixel_array).any()
    assert (plain["MIP"].pixel_array == objects["MIP"].pixel_array).all()


@pytest.mark.parametrize(("choice", "says"), [pytest.param("view", "NO", marks=pytest.mark.slow), ("patient", "YES")])
def test_captures_carry_what_was_asked_for_and_say_so(command: Command, slices: Path, choice: str, says: str) -> None:
    command("import", slices)
    plain_sr, plain = run(command, "--burn-in", "none")
    sr, objects = run(command, "--burn-in", choice)
    assert {name: ds.BurnedInAnnotation for name, ds in objects.items()} == {"Bone": says, "MIP": says, "Axial": "NO"}
    for name in ("Bone", "MIP"):
        ds = objects[name]
        assert (ds.PhotometricInterpretation, ds.LossyImageCompression) == ("RGB", "00")
        assert ("patient, study" in ds.DerivationDescription) is (choice == "patient")
        assert ds.DerivationDescription.endswith("were burned in")
        assert ds.SOPInstanceUID != plain[name].SOPInstanceUID
    bone, bare = objects["Bone"].pixel_array, plain["Bone"].pixel_array
    changed = (bone != bare).any(axis=-1)
    assert 0.02 < changed.mean() < 0.9
    # The values of a reformat are nobody's to write on.
    assert (objects["Axial"].pixel_array == plain["Axial"].pixel_array).all()
    # The record is of what was drawn, whatever was written on it afterwards.
    products, before = (read_sr(pydicom.dcmread(path)).products for path in (sr, plain_sr))
    assert [p.pixel_digest for p in products] == [p.pixel_digest for p in before]
    verified = command("verify", sr, "--json")
    assert verified.code == 0
    assert all(row["agrees"] or row["what"] == "signature" for row in verified.json)


def test_the_same_case_again_stores_nothing_twice(command: Command, slices: Path, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "config.toml").write_text('burn_in = "patient"\n', encoding="utf-8")
    command("import", slices)
    first_sr, first = run(command)
    again_sr, again = run(command)
    assert first["Bone"].BurnedInAnnotation == "YES"
    assert (again_sr, again) == (first_sr, first)


def test_no_name_in_logs_nor_in_pngs_unless_asked_for(
    command: Command, slices: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    words = ["render", slices, "--protocol", "tiny", "--annotate"]
    seen = {}
    for name, more in (("plain", ()), ("dicom", ("--dicom", "--burn-in", "patient")), ("banner", ("--banner",))):
        answer = command(*words, "-o", tmp_path / name, *more)
        assert answer.code == 0
        assert NAME not in answer.out + answer.err
        seen[name] = np.asarray(Image.open(tmp_path / name / "01-bone.png"))
    assert NAME not in caplog.text
    assert (seen["plain"] == seen["dicom"]).all()
    assert (seen["plain"] != seen["banner"]).any()


def test_a_name_that_cannot_be_written_refuses_before_anything_is_drawn(
    command: Command, slices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from render import fonts

    monkeypatch.setattr(fonts, "_files", lambda: ())
    folder = tmp_path / "hangul"
    folder.mkdir()
    for file in slices.iterdir():
        ds = pydicom.dcmread(file)
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.PatientName = "홍^길동"
        ds.save_as(folder / file.name)
    command("import", folder)
    answer = command("run", SERIES_UID, "--protocol", "tiny", "--burn-in", "patient")
    assert answer.code == 1
    assert "Patient's Name (0010,0010)" in answer.err and "HANGUL" in answer.err
    assert "홍" not in answer.err
    assert command("list", "--json").json[0]["instances"] == 16
    assert len(command("list", "--json").json) == 1


def test_a_choice_that_is_none(command: Command, slices: Path, tmp_path: Path) -> None:
    for words in (["run", SERIES_UID, "--protocol", "tiny"], ["render", slices, "--protocol", "tiny", "-o", tmp_path]):
        answer = command(*words, "--burn-in", "name")
        assert answer.code == 2
        assert "none, letters, view, patient" in answer.err


def test_a_picture_too_small_to_say_whose_it_is(command: Command, slices: Path, tmp_path: Path, tiny: Protocol) -> None:
    recipe = tmp_path / "small.json"
    recipe.write_text(canonical_json(replace(tiny.recipes[0], rows=48, columns=48)))
    answer = command("render", slices, "--recipe", recipe, "--banner", "-o", tmp_path / "out")
    assert answer.code == 1
    assert "48 x 48 pixels is too small for 5 lines" in answer.err
    assert NAME not in answer.err
