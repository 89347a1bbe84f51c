"""What goes into and out of the archive by files, and what is removed from it: each in the audit trail."""

import os
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicom_io.stamp import MODEL_NAME
from tests.dicom_io.synthetic import CT, grid, image, ramp, save, write_series
from tests.workstation.audit.test_asking import events, messages, outcome, who
from tests.workstation.conftest import Answer, Command, SiteAt
from tests.workstation.samples import DOCUMENTED, SERIES_UID
from workstation.cli.shared import account
from workstation.config import AuditSettings, Config
from workstation.storage import may_go, prune

IMPORT, EXPORT, DELETED, ACCESSED = ("110107", ""), ("110106", ""), ("110105", ""), ("110103", "")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A state folder with a trail."""
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "config.toml").write_text("[audit]\n")
    return folder


def action(message: Any) -> str:
    return str(message.find("EventIdentification").get("EventActionCode"))


def study_of(message: Any) -> tuple[str, str]:
    """(study, patient)."""
    study, patient = (o.get("ParticipantObjectID") for o in message.findall("ParticipantObjectIdentification"))
    return study, patient


def counted(message: Any) -> dict[str, int]:
    found = message.findall("ParticipantObjectIdentification/ParticipantObjectDescription/SOPClass")
    return {one.get("UID"): int(one.get("NumberOfInstances")) for one in found}


def age(root: Path) -> None:
    for file in (root / "instances").rglob("*.dcm"):
        os.utime(file, (1.0e9, 1.0e9))


def test_what_comes_from_a_folder(command: Command, root: Path, tmp_path: Path) -> None:
    sent = write_series(tmp_path / "a cd", ramp((3, 8, 8)), grid())
    (tmp_path / "a cd" / "notes.txt").write_text("no DICOM")
    assert command("import", tmp_path / "a cd").code == 0
    assert command("import", tmp_path / "a cd").code == 0  # it was taken in again all the same
    assert events(root) == [IMPORT, IMPORT]
    message = messages(root)[0]
    assert who(message) == [(account(), "110152", True), ((tmp_path / "a cd").as_uri(), "110155", False)]
    assert (action(message), study_of(message)) == ("C", (sent.first.study_uid, sent.first.patient_id))
    assert counted(message) == {CT: 3}


def test_what_goes_into_files(command: Command, root: Path, slices: Path, tmp_path: Path) -> None:
    command("import", slices)
    record = command("run", SERIES_UID, "--protocol", "tiny", "--papers", DOCUMENTED, "--json").json["sr"]
    before = len(messages(root))
    out = {
        "pictures": ("render", SERIES_UID, "--protocol", "tiny", "--dicom", "-o"),
        "head.nrrd": ("export", SERIES_UID, "-o"),
        "report.pdf": ("report", record["path"], "-o"),
    }
    for name, words in out.items():
        assert command(*words, tmp_path / name).code == 0
    found = messages(root)[before:]
    assert events(root)[before:] == [EXPORT] * 3 and {action(m) for m in found} == {"R"}
    assert [who(m) for m in found] == [
        [(account(), "110153", True), ((tmp_path / name).as_uri(), "110154", False)] for name in out
    ]
    assert {study_of(m) for m in found} == {study_of(found[0])}
    assert [sum(counted(m).values()) for m in found] == [16, 16, 1]


def test_what_could_not_be_written_is_noted_as_that(command: Command, root: Path, slices: Path, tmp_path: Path) -> None:
    assert command("export", slices, "-o", tmp_path / "nowhere" / "head.nrrd").code == 1
    (message,) = messages(root)
    assert events(root) == [EXPORT] and outcome(message) == "4"


@pytest.mark.parametrize("words", ["export", "render"])
def test_wrong_settings_stop_it_before_anything_is_written(
    command: Command, root: Path, slices: Path, tmp_path: Path, words: str
) -> None:
    (root / "config.toml").write_text("[audit]\ncolour = 1\n")
    more = {"export": (), "render": ("--protocol", "tiny")}[words]
    assert command(words, slices, *more, "-o", tmp_path / "out.nrrd").code == 1
    assert not (tmp_path / "out.nrrd").exists()


def test_what_is_pruned(command: Command, root: Path, tmp_path: Path) -> None:
    """A study of which nothing is left is deleted; of one with an image of ours the source images are."""

    def last_is_ours(ds: Dataset, k: int) -> None:
        if k == 3:
            ds.ImageType, ds.ManufacturerModelName = ["DERIVED", "SECONDARY", "AXIAL"], MODEL_NAME

    whole = write_series(tmp_path / "whole", ramp((3, 8, 8)), grid())
    partly = write_series(tmp_path / "partly", ramp((4, 8, 8)), grid(), series="other", change=last_is_ours)
    for folder in ("whole", "partly"):
        command("import", tmp_path / folder)
    age(root)
    before = len(messages(root))
    assert command("storage", "prune", "--keep-days", "30", "--dry-run").code == 0
    assert len(messages(root)) == before
    assert command("storage", "prune", "--keep-days", "30", "--json").json["instances"] == 6
    found = messages(root)[before:]
    assert {event: study_of(m)[0] for event, m in zip(events(root)[before:], found, strict=True)} == {
        DELETED: whole.first.study_uid,
        ACCESSED: partly.first.study_uid,
    }
    for message in found:
        assert action(message) == "D" and who(message) == [(account(), "", True)] and counted(message) == {CT: 3}


def test_a_pruning_that_stops_half_way_says_so(tmp_path: Path, site_at: SiteAt) -> None:
    site = site_at(tmp_path / "root", Config(audit=AuditSettings()))
    write_series(tmp_path / "in", ramp((3, 8, 8)), grid())
    site.archive.import_files(tmp_path / "in")
    age(site.root)

    def stops(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune(site, may_go(site, 30), "DR1", stops)
    (message,) = messages(site.root)
    assert events(site.root) == [DELETED] and outcome(message) == "4"


def test_what_is_done_in_quarantine(command: Command, root: Path, tmp_path: Path) -> None:
    ds = image(ramp((1, 8, 8))[0], grid(), 0)

    def brings(patient: str, accession: str) -> Answer:
        ds.PatientID, ds.AccessionNumber = patient, accession
        (tmp_path / patient).mkdir()
        save(ds, tmp_path / patient / "1.dcm")
        return command("import", tmp_path / patient)

    assert brings("P-1", "A-1").code == 0
    assert brings("P-2", "A-2").code == 1
    assert events(root) == [IMPORT]  # what went aside is in nobody's study
    (aside,) = command("quarantine", "list", "--json").json
    assert command("quarantine", "release", aside["name"]).code == 0
    (aside,) = command("quarantine", "list", "--json").json
    assert command("quarantine", "discard", aside["name"], "--dry-run").code == 0
    assert command("quarantine", "discard", aside["name"]).code == 0
    assert command("quarantine", "discard", aside["name"]).code == 1
    released, discarded = messages(root)[1:]
    assert events(root)[1:] == [ACCESSED, ACCESSED]
    assert (action(released), study_of(released)[1]) == ("U", "P-2")
    assert (action(discarded), study_of(discarded)[1]) == ("D", "P-1")
    assert counted(discarded) == {CT: 1} and who(discarded) == [(account(), "", True)]


def test_half_a_file_in_quarantine_can_be_discarded(command: Command, root: Path) -> None:
    (root / "quarantine").mkdir()
    (root / "quarantine" / "1.2.3.0123456789ab.dcm").write_bytes(b"half")
    assert command("quarantine", "discard", "1.2.3.0123456789ab").code == 0
    assert not (root / "audit.log").exists()
