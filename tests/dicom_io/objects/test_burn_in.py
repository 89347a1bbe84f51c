"""Patient and study on a picture: what is written, and that it is written nowhere else."""

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dicom_io.objects.burn_in import BannerError, Burned, banner, burned
from render import fonts


def patient(**values: object) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    given: dict[str, object] = {
        "PatientName": "Doe^Jane^A",
        "PatientID": "4711",
        "PatientBirthDate": "19610203",
        "PatientSex": "F",
        "StudyDescription": "CT  head\r\n",
        "StudyDate": "20260302",
        "StudyTime": "151207.25",
        "AccessionNumber": "A-1",
        **values,
    }
    for keyword, value in given.items():
        setattr(ds, keyword, value)
    return ds


def test_name_identity_and_study() -> None:
    assert banner(patient()) == (
        "Doe, Jane A",
        "ID 4711",
        "born 1961-02-03 F",
        "CT head",
        "2026-03-02 15:12",
        "Acc A-1",
    )


def test_what_is_empty_takes_no_line() -> None:
    empty = dict.fromkeys(("PatientBirthDate", "PatientSex", "StudyDescription", "StudyTime", "AccessionNumber"), "")
    assert banner(patient(**empty)) == ("Doe, Jane A", "ID 4711", "2026-03-02")


def test_nobody_is_no_patient() -> None:
    with pytest.raises(BannerError, match="neither Patient's Name"):
        banner(patient(PatientName="^^", PatientID=""))


def test_the_patients_own_script_stands_beside_the_latin_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "runs", lambda text, size, own=None: [])  # every letter is there
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    assert banner(patient(PatientName=name))[0] == "Yamada, Tarou  山田 太郎"


def test_missing_letters_refuse_without_telling_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_files", lambda: ())
    with pytest.raises(BannerError) as refusal:
        banner(patient(PatientName="Hong^Gildong=洪^吉洞=홍^길동"))
    said = str(refusal.value)
    assert said.startswith("Patient's Name (0010,0010) cannot be burned in: 3 characters (CJK)")
    assert not any(part in said for part in ("Hong", "Gildong", "洪", "4711"))


def test_a_font_file_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_files", lambda: ())
    (tmp_path / "font.ttf").write_bytes(b"no font")
    assert banner(patient(), tmp_path / "font.ttf")  # not needed for these letters
    with pytest.raises(BannerError):
        banner(patient(PatientName="Müller"), tmp_path / "font.ttf")


def test_choices() -> None:
    assert burned("none", patient()) is None
    assert burned("view", patient()) == Burned()
    assert burned("patient", patient()) == Burned(banner(patient()))
