"""What was signed is stored once and whole, whenever the program ends in between; and only what a person signed."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from dicom_io.sr.evidence_sr import COMPREHENSIVE_3D_SR
from dicom_io.sr.report_sr import BASIC_TEXT_SR
from tests.thorough import slowly
from tests.workstation.desktop.test_preview import DOCTOR, WRITTEN
from tests.workstation.samples import ACCESSION, SERIES_UID, ticking, tiny_protocol
from workstation.desktop.app import make_window
from workstation.desktop.model import edits
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.session import session_file
from workstation.desktop.model.signing import being_stored, last_signed
from workstation.desktop.model.studies import Opened
from workstation.site import open_site

ROOT = Path(__file__).parents[3]


def desk_at(root: Path) -> tuple[ReadingDesk, Opened]:
    """A desk with the study open, three small pictures captured and a report that says everything."""
    desk = ReadingDesk(open_site(root, clock=ticking()))
    opened = desk.studies.open(SERIES_UID, None)
    desk.note(opened, DOCTOR, "opened")
    if not opened.session.screen.captures:
        opened.session.change(edits.collected, tiny_protocol().recipes)
        opened.session.write(**WRITTEN)
    return desk, opened


@pytest.fixture
def root(signing_root: Path) -> Path:
    return signing_root


def is_whole(root: Path, charge: str = "queued") -> None:
    """One record, one report, three pictures, one charge and one approval; nothing is left to do."""
    desk = ReadingDesk(open_site(root))
    try:
        site = desk.site
        (sr,) = site.archive.instances_of(COMPREHENSIVE_3D_SR)
        (report,) = site.archive.instances_of(BASIC_TEXT_SR)
        (record,) = site.casebook.read(ACCESSION).records
        assert (record.sr_uid, len(record.evidence.products)) == (sr.sop_instance_uid, 3)
        assert report.accession == ACCESSION
        assert [(known.charge.code, known.state) for known in site.outbox.charges()] == [("76377", charge)]
        kinds = [act.kind for act in site.journal.acts(record.evidence.session_uid)]
        assert (kinds.count("approval"), kinds.count("attested_and_signed"), kinds.count("reported")) == (1, 1, 1)
        assert desk.unfinished() == () and not session_file(root, SERIES_UID, None).exists()
        assert not list((root / "spool").rglob("*.part"))
    finally:
        desk.close()


class Ended(Exception):  # noqa: N818 - the program's end
    pass


@pytest.mark.parametrize("step", [*slowly("drawing", "keeping the pictures"), "keeping the record"])
def test_what_was_begun_is_finished(root: Path, step: str) -> None:
    desk, opened = desk_at(root)

    def tell(what: str, part: float) -> None:
        if what.startswith(step):
            raise Ended

    with pytest.raises(Ended):
        desk.deliver(opened, DOCTOR, tell)
    assert [row.reading for row in desk.studies.rows()] == ["signed"]
    desk.close()
    again = ReadingDesk(open_site(root, clock=ticking()))
    (signing,) = again.unfinished()
    assert again.finish(signing).startswith("Signed and delivered: 4 images, 3 pictures; charged")
    again.finish(signing)  # as two windows would
    again.close()
    is_whole(root)


@pytest.mark.slow
def test_a_killed_process_is_gone_on_with(root: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from tests.workstation.desktop.test_signing import DOCTOR, desk_at\n"
        "desk, opened = desk_at(Path(sys.argv[1]))\n"
        "def tell(what, part):\n"
        "    if what == 'keeping the record': os.kill(os.getpid(), signal.SIGKILL)\n"
        "desk.deliver(opened, DOCTOR, tell)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(root)], cwd=ROOT, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    desk = ReadingDesk(open_site(root, clock=ticking()))
    (signing,) = desk.unfinished()
    desk.finish(signing)
    desk.close()
    is_whole(root)


@pytest.fixture
def signed(root: Path) -> Iterator[tuple[ReadingDesk, Opened]]:
    """Signed, and nothing of it stored yet."""
    desk, opened = desk_at(root)
    desk.sign(opened, DOCTOR)
    desk._recorder.submit(lambda: None).result()
    yield desk, opened
    desk.close()


@pytest.mark.slow
def test_the_next_window_goes_on_by_itself(root: Path, qtbot: QtBot) -> None:
    desk, opened = desk_at(root)
    desk.sign(opened, DOCTOR)
    desk.close()
    window = make_window(root)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: not window.works.busy and not window.desk.unfinished(), timeout=60_000)
    window.close()
    is_whole(root, "acknowledged")


def test_the_screen_is_free_and_changes_nothing_of_it(signed: tuple[ReadingDesk, Opened]) -> None:
    desk, opened = signed
    opened.session.write(findings="Nobody could write this.")
    opened.session.amend()
    opened.session.write(findings="Something else altogether.")
    opened.session.change(edits.collected, tiny_protocol().recipes[:1])
    (signing,) = desk.unfinished()
    assert signing.draft.findings == WRITTEN["findings"] and len(signing.screen.captures) == 3
    assert "3 pictures" in desk.finish(signing, volume=opened.session.volume)
    # What was begun since is the reader's, and stays.
    assert session_file(desk.site.root, SERIES_UID, None).exists()


@pytest.mark.parametrize("words", ["Fracture of", '"which":null', '"session_uid":"'])
def test_nothing_is_shown_as_signed_that_nobody_signed(signed: tuple[ReadingDesk, Opened], words: str) -> None:
    desk, _ = signed
    assert [row.reading for row in desk.studies.rows()] == ["signed"]
    (file,) = (desk.site.root / "signing").iterdir()
    forged = {"Fracture of": "No fracture of", '"which":null': '"which":0', '"session_uid":"': '"session_uid":"9.'}
    content = file.read_text(encoding="utf-8")
    assert words in content
    file.write_text(content.replace(words, forged[words]), encoding="utf-8")
    session = desk.studies.open(SERIES_UID, None).session
    assert not session.sealed and session.draft.findings == WRITTEN["findings"]
    assert [row.reading for row in desk.studies.rows()] == ["to sign"]


def test_what_was_signed_of_another_study_is_not_shown_with_this_one(signed: tuple[ReadingDesk, Opened]) -> None:
    desk, _ = signed
    (file,) = (desk.site.root / "signing").iterdir()
    for folder in ("signing", "signed"):
        (desk.site.root / folder).mkdir(exist_ok=True)
        (desk.site.root / folder / "1.2.3.json").write_bytes(file.read_bytes())
    assert being_stored(desk.site, "1.2.3", None) is None and last_signed(desk.site, "1.2.3", None) is None
    assert being_stored(desk.site, SERIES_UID, None) is not None


def test_a_session_of_another_study_is_left_and_new_work_is_not_lost(root: Path) -> None:
    desk, _ = desk_at(root)
    file = session_file(root, SERIES_UID, None)
    other = file.read_text(encoding="utf-8").replace(SERIES_UID, "1.2.3")
    file.write_text(other, encoding="utf-8")
    again = desk.studies.open(SERIES_UID, None)
    assert "another volume" in again.warning and again.session.draft.findings == ""
    again.session.write(findings="Begun anew.")
    assert desk.studies.open(SERIES_UID, None).session.draft.findings == "Begun anew."
    assert file.read_text(encoding="utf-8") == other
    desk.close()


def test_a_file_signs_nothing(signed: tuple[ReadingDesk, Opened]) -> None:
    desk, _ = signed
    (file,) = (desk.site.root / "signing").iterdir()
    content = file.read_text(encoding="utf-8")
    file.write_text(content.replace("Fracture of", "No fracture of"), encoding="utf-8")
    assert desk.unfinished() == () and not file.exists()
    file.write_text(content, encoding="utf-8")
    assert len(desk.unfinished()) == 1
    desk.people.remove(DOCTOR.id)
    assert desk.unfinished() == ()
