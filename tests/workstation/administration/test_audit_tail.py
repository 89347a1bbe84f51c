"""The newest entries of the trail, without patients; damaged lines too."""

from datetime import UTC, datetime
from pathlib import Path

from workstation.administration import audit_tail
from workstation.administration.audit_tail import newest_entries
from workstation.audit.trail import Moved, trail_of
from workstation.config import AuditSettings, Config

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def test_entries_are_read_newest_first_and_name_no_patient(tmp_path: Path) -> None:
    trail = trail_of(Config(audit=AuditSettings()), tmp_path)
    trail.changed("people", "jd", "removed", "ad", AT)
    what = Moved("1.2.3", "ACC1", "PATIENT7", {"1.2": 3})
    trail.accessed("jd", what, "D", AT, "4", why="twice, jd", address="10.0.0.9")
    first, second = newest_entries(AuditSettings(), tmp_path)
    assert (first.event, first.who, first.failed) == ("DICOM Instances Accessed", ("jd (10.0.0.9)",), True)
    assert first.about == ("accession ACC1", "twice, jd")
    assert second.event == "Security Alert: User Security Attributes Changed"
    assert second.about == ("jd", "removed") and not second.failed
    assert "PATIENT7" not in repr((first, second))


def test_a_long_trail_is_read_from_its_end(tmp_path: Path, monkeypatch: object) -> None:
    trail = trail_of(Config(audit=AuditSettings()), tmp_path)
    for n in range(30):
        trail.changed("people", f"p{n}", "x", "ad", AT)
    with (tmp_path / "audit.log").open("ab") as file:
        file.write(b"<half a line\n")
    audit_tail._BLOCK = 700
    try:
        found = newest_entries(AuditSettings(), tmp_path, 12)
    finally:
        audit_tail._BLOCK = 64 << 10
    assert found[0].event == "An entry that cannot be read"
    assert [each.about[0] for each in found[1:]] == [f"p{n}" for n in range(29, 18, -1)]
    assert newest_entries(None, tmp_path) == ()
    assert newest_entries(AuditSettings(file="none.log"), tmp_path) == ()
