"""`workstation surface`: a mask as a model in every format."""

import json
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_io.objects.encapsulated_obj import ENCAPSULATED_OBJ
from tests.dicom_io.synthetic import MR, write_series
from tests.render.heads import head
from tests.workstation.conftest import Command

MODEL = {
    "segments": [{"kind": "values", "low": 250, "high": 2000, "label": 1}],
    "parts": [{"label": 1, "name": "head", "colour": [0.9, 0.8, 0.7]}],
    "reduction": 0.5,
}


@pytest.fixture
def series(tmp_path: Path) -> Path:
    write_series(tmp_path / "series", head().voxels, head().affine, sop_class=MR)
    return tmp_path / "series"


def test_a_model_is_written_as_a_file_and_as_an_object(command: Command, series: Path, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps(MODEL), encoding="utf-8")
    said = ["surface", series, "--model", tmp_path / "model.json", "--json", "-o"]
    [part] = command(*said, tmp_path / "head.obj").json["parts"]
    assert part["watertight"] and part["volume_ml"] == pytest.approx(part["mask_ml"], rel=0.03)
    assert command(*said, tmp_path / "head.dcm").code == 0
    ds = dcmread(tmp_path / "head.dcm")
    assert ds.SOPClassUID == ENCAPSULATED_OBJ and ds.MIMETypeOfEncapsulatedDocument == "model/obj"
    assert ds.EncapsulatedDocument[: ds.EncapsulatedDocumentLength] == (tmp_path / "head.obj").read_bytes()


def test_what_is_wrong_is_a_sentence(command: Command, series: Path, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({**MODEL, "parts": []}), encoding="utf-8")
    answer = command("surface", series, "--model", tmp_path / "model.json", "-o", tmp_path / "head.stl")
    assert answer.code == 1 and "1 to 255 parts" in answer.err
    answer = command("surface", series, "--model", tmp_path / "model.json", "-o", tmp_path / "head.fbx")
    assert answer.code == 1 and "there are .stl, .obj, .ply, .glb, .3mf, .dcm" in answer.err
