"""A series that is received is prepared by `serve`, anew when its process is killed and when images come late."""

import os
import shutil
import signal
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dicom_io.evidence import Person
from dicom_io.files.series import open_series
from dicom_io.network.requestor import Peer
from dicom_io.network.send import send
from tests.dicom_io.synthetic import grid, ramp, write_series
from tests.workstation.conftest import SiteAt
from tests.workstation.desktop.test_preview import WRITTEN
from tests.workstation.preparation.preparing import site_with, small, thread
from tests.workstation.samples import ACCESSION, CT_HEAD, DOCUMENTED
from tests.workstation.serve.running import Serving
from workstation.desktop.model import tray_edits
from workstation.desktop.model.desk import ReadingDesk
from workstation.people import people_of
from workstation.preparation.proposals import folder_of, proposal_in
from workstation.preparation.working import Preparer
from workstation.serve import preparing
from workstation.serve.measured import metrics
from workstation.serve.role import WorkerSettings, WorkerSignals
from workstation.storage import take_in
from workstation.store.papers import read_papers

_SETTINGS = """
[receiver]
series_quiet_s = 0.5
[[prepare]]
name = "any CT"
tools = ["bone"]
protocol = "ct_generic"
[preparation]
retry_s = 0.1
"""


def prepared(serving: Serving, state: str) -> None:
    while serving.next("preparation")["state"] != state:
        pass


@pytest.mark.slow
def test_from_the_network_to_a_proposal(tmp_path: Path, site_at: SiteAt) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "config.toml").write_text(_SETTINGS)
    series = write_series(tmp_path / "sent", ramp((8, 24, 24)), grid())
    with Serving(root, "--interval-s", "0.2") as serving:
        peer = Peer("127.0.0.1", serving.port, "WORKSTATION")
        send(series.instances[:7], peer)
        assert serving.next("to prepare") == {"event": "to prepare", "series": series.uid, "rules": ["any CT"]}
        prepared(serving, "running")
        os.kill(serving.processes["prepare"], signal.SIGKILL)
        assert serving.next("restarted")["process"] == "prepare"
        site = site_at(root)
        prepared(serving, "ready")
        first = site.preparations.list()[0]
        assert first.attempts == 2 and proposal_in(root, first) is not None
        send(series.instances[7:], peer)
        prepared(serving, "ready")
        (second,) = site.preparations.list()
        assert (second.revision, second.folder != first.folder) == (2, True)
        assert [entry.name for entry in folder_of(root).iterdir()] == [second.folder]
        assert len(site.archive.series(series.uid).instances) == 8 and len(site.archive.counts()) == 1
        code, last = serving.terminate()
    assert (code, last) == (0, "stopped")


@pytest.mark.slow
def test_from_the_network_to_the_charge(tmp_path: Path, slices: Path, site_at: SiteAt) -> None:
    """All papers are there. Signed as it was prepared it is held; amended with one picture adjusted it is charged."""
    root = tmp_path / "root"
    before, on_file = site_at(root), read_papers(DOCUMENTED).on_file
    assert on_file is not None
    before.papers.put(ACCESSION, on_file, before.clock())
    doctor = Person("DR1", "Sample^Radiologist", "physician")
    people_of(root).add(doctor, "correct horse")
    settings = _SETTINGS.replace('tools = ["bone"]', "").replace("ct_generic", "ct_head_trauma")
    (root / "config.toml").write_text(settings)
    (series,) = open_series(slices)
    with Serving(root, "--interval-s", "0.2") as serving:
        send(series.instances, Peer("127.0.0.1", serving.port, "WORKSTATION"))
        prepared(serving, "ready")
        assert serving.terminate()[0] == 0
    desk = ReadingDesk(site_at(root))
    site = desk.site
    opened = desk.studies.open(series.uid)
    captures = opened.session.screen.captures
    assert len(captures) == 10 and {capture.origin for capture in captures} == {"prepared"}
    assert site.casebook.newest() == () and len(site.archive.counts()) == 1
    opened.session.write(**WRITTEN)
    desk.deliver(opened, doctor)
    (held,) = site.casebook.newest()
    assert (held.state, held.content["reasons"]) == ("held", ["PREPARED_UNCHANGED"])
    again = desk.studies.open(series.uid)
    again.session.amend()
    again.session.change(tray_edits.retaken, 0)
    desk.deliver(again, doctor)
    (charged,) = site.casebook.newest()
    assert (charged.state, [known.charge.code for known in site.outbox.charges()]) == ("charged", ["76377"])
    desk.close()


def test_the_role_plans_what_is_complete_and_works_it_off(
    site_at: SiteAt, tmp_path: Path, slices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, with small pictures: as it finds them at its start, and as it is told of one."""
    small(monkeypatch)
    monkeypatch.setattr(preparing, "Preparer", partial(Preparer, executor=thread))
    site = site_with(site_at, tmp_path / "root", slices, processes=2)
    site.preparations.end([row.place for row in site.preparations.list()], "taken", "", 0.0)
    events, said = WorkerSignals(), list[dict[str, Any]]()
    late = sorted(CT_HEAD.glob("*.dcm"))[56]

    def say(event: dict[str, Any]) -> None:
        said.append(event)
        if event["event"] == "ready":
            (tmp_path / "late").mkdir()
            take_in(site, Path(shutil.copy(late, tmp_path / "late")), "T1")
        elif event.get("state") == "ready":
            events.end()

    preparing.run_preparer(site, WorkerSettings("prepare", str(site.root), "WS", 0.05, 1), events, say, deque())
    found = [event.get("state", event["event"]) for event in said]
    assert found[0] == "ready" and sorted(found[1:]) == ["ready", "running", "to prepare"]
    assert [(row.state, row.revision) for row in site.preparations.list()] == [("ready", 2)]
    (counted,) = [each for each in metrics(site, ()) if each.name == "workstation_preparations"]
    assert (counted.samples['state="ready"'], counted.samples['state="failed"']) == (1.0, 0.0)
