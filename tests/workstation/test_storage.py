"""The retention rule and the commands that look after the archive."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dicom_io.synthetic import JPEG_LS, grid, image, ramp, save, write_series
from tests.workstation.conftest import Command
from workstation.site import Site
from workstation.storage import may_go
from workstation.store.messages import Delivery, Message
from workstation.transports.order import deliver_pending


@pytest.fixture
def old(tmp_path: Path, site_at: Callable[..., Site]) -> Site:
    """A site whose archive holds three old instances of accession A-1."""
    site = site_at(tmp_path / "root")
    write_series(tmp_path / "in", ramp((3, 8, 8)), grid())
    site.archive.import_files(tmp_path / "in")
    for file in (tmp_path / "root" / "instances").rglob("*.dcm"):
        os.utime(file, (1.0e9, 1.0e9))
    return site


def test_what_nobody_needs_may_go(old: Site) -> None:
    assert len(may_go(old, 30)) == 3
    assert may_go(old, 1e5) == []


def test_an_accession_that_is_due_stays(old: Site) -> None:
    old.casebook.touch("A-1", "a test")
    assert may_go(old, 30) == []


@pytest.mark.parametrize("by", ["accession", "instance"])
def test_what_a_message_needs_stays_until_it_is_acknowledged(old: Site, by: str) -> None:
    (series,) = old.archive.all_series()
    uid = series.first.sop_instance_uid if by == "instance" else "1.2.3"
    old.outbox.queue([Message("pacs", "dicom", uid, "A-1" if by == "accession" else "", path="x")], old.clock())
    assert may_go(old, 30) == []
    (entry,) = old.outbox.list()
    deliver_pending(old.outbox, lambda _: Delivery("acknowledged", "0x0000"), old.clock)
    assert entry.message.identity == uid and len(may_go(old, 30)) == 3


def test_from_the_command_line(command: Command, old: Site, tmp_path: Path) -> None:
    assert command("storage", "status", "--json").json["instances"] == 3
    assert command("storage", "verify").out == "Every instance is as it was received.\n"
    assert command("storage", "prune", "--keep-days", "30", "--dry-run", "--json").json["instances"] == 3
    (file, *_) = sorted((tmp_path / "root" / "instances").rglob("*.dcm"))
    file.write_bytes(b"nonsense")
    found = command("storage", "verify", "--json")
    assert found.code == 1 and "bytes, not" in found.json[0]["fault"]
    assert command("storage", "rebuild-index", "--json").json["instances"] == 2
    assert command("storage", "prune", "--keep-days", "30").code == 0
    assert command("list", "--json").json == []
    assert command("quarantine", "list", "--json").json == []
    assert command("quarantine", "discard", "1.2.3").code == 1


def test_the_same_in_another_transfer_syntax_is_told_and_removed(command: Command, tmp_path: Path) -> None:
    made = [image(plane, grid(), k) for k, plane in enumerate(ramp((3, 32, 32)))]
    (tmp_path / "again").mkdir()
    for k, ds in enumerate(made):
        save(ds, tmp_path / f"{k}.dcm")
    for k, ds in enumerate(made):
        if k == 2:
            ds.PatientID = "P-2"
        save(ds, tmp_path / "again" / f"{k}.dcm", JPEG_LS)
    command("import", tmp_path / "0.dcm")
    for k in (1, 2):
        command("import", tmp_path / f"{k}.dcm")
    assert command("import", tmp_path / "again").code == 1
    listed = command("quarantine", "list", "--compare", "--json").json
    assert sorted(row["compared"] for row in listed) == ["other content", "same content", "same content"]
    assert {row["transfer_syntax"] for row in listed} == {"JPEG-LS Lossless"}
    assert "compared" not in command("quarantine", "list", "--json").json[0]
    (other,) = (row["name"] for row in listed if row["compared"] == "other content")
    shown = [command("quarantine", "show", row["name"], "--json").json for row in listed]
    assert [s["same_content"] for s in shown] == [row["name"] != other for row in listed]
    assert {s["kept_transfer_syntax"] for s in shown} == {"Explicit VR Little Endian"}
    would = command("quarantine", "discard", "--same", "--dry-run", "--json").json
    assert len(would["names"]) == 2 and len(command("quarantine", "list", "--json").json) == 3
    assert command("quarantine", "discard", "--same").out == "2 are deleted.\n"
    assert [row["name"] for row in command("quarantine", "list", "--json").json] == [other]
    assert command("quarantine", "discard").code == command("quarantine", "discard", other, "--same").code == 2
    assert command("storage", "verify").code == 0
