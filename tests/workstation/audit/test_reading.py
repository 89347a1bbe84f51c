"""The trail read back: newest first, with what was said, and without patients."""

from datetime import UTC, datetime
from pathlib import Path

from workstation.audit.reading import entries
from workstation.audit.trail import Moved, trail_of
from workstation.config import AuditSettings, Config

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def test_entries_come_newest_first_and_name_no_patient(tmp_path: Path) -> None:
    trail = trail_of(Config(audit=AuditSettings()), tmp_path)
    trail.changed("people", "jd", "removed", "ad", AT)
    what = Moved("1.2.3", "ACC1", "PATIENT7", {"1.2": 3})
    trail.accessed("jd", what, "D", AT, "4", why="twice, jd", address="10.0.0.9", name="Dr. Stone")
    with (tmp_path / "audit.log").open("ab") as file:
        file.write(b"<half a line\n")
    first, second = entries(trail)
    assert (first.event, first.who, first.outcome) == (
        "DICOM Instances Accessed", ("jd Dr. Stone (10.0.0.9)",), "failed",
    )  # fmt: skip
    assert (first.accessions, first.about) == (("ACC1",), ("twice, jd",))
    assert second.event == "Security Alert: User Security Attributes Changed"
    assert (second.about, second.outcome) == (("jd", "removed"), "")
    assert "PATIENT7" not in repr((first, second))
