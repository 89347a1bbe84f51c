"""What waits is drawn into a proposal: whole or not at all, anew when images come late, and within bounds."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicom_io.archive.leases import Leases
from dicom_io.files.series import open_series
from dicom_io.volumes import build_volume
from render import draw
from render.recipe import read_recipe
from tests.workstation.conftest import Command, SiteAt
from tests.workstation.preparation.preparing import RULE, prepare, preparer, site_with, small, thread
from tests.workstation.samples import ACCESSION, CT_HEAD, DOCUMENTED, ROOT, SERIES_UID, tiny_protocol
from workstation.preparation import making, working
from workstation.preparation.making import PreparationMade, PreparationWork, make_proposal
from workstation.preparation.processes import CaseProcess
from workstation.preparation.proposals import attempt_at, folder_of, proposal_in, sweep, write_progress
from workstation.preparation.working import NotPreparedError, Preparer, cancel, make_anew, plan_all, see_urgency
from workstation.preparing import PrepareRule, SeriesTraits
from workstation.serve.measured import metrics
from workstation.site import Site
from workstation.storage import take_in
from workstation.store.papers import read_papers
from workstation.store.preparations import Preparations

Make = Callable[..., Site]


@pytest.fixture
def site(site_at: SiteAt, tmp_path: Path, slices: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    small(monkeypatch)
    return lambda *rules, **settings: site_with(site_at, tmp_path / "root", slices, *rules, **settings)


def empty(work: PreparationWork) -> PreparationMade:
    """Makes a proposal without content, of a kilobyte."""
    folder = Path(work.folder)
    folder.mkdir(parents=True)
    (folder / "proposal.json").write_bytes(b" " * 1024)
    return PreparationMade(1 << 20, 1)


def folders(site: Site) -> list[str]:
    top = folder_of(site.root)
    return sorted(entry.name for entry in top.iterdir()) if top.exists() else []


def test_a_proposal_is_what_run_would_draw(site: Make) -> None:
    """The same bytes for the same recipes, nothing in the archive, and whole on the disk."""
    here = site()
    before = here.archive.counts()
    assert prepare(here) == ["ready"]
    (row,) = here.preparations.list()
    proposal = proposal_in(here.root, row)
    assert proposal is not None and [p.name for p in proposal.pictures] == ["Bone", "MIP", "Axial"]
    volume = build_volume(here.archive.series(SERIES_UID))
    for made, recipe in zip(proposal.pictures, tiny_protocol().recipes, strict=True):
        assert read_recipe(made.recipe) == recipe
        picture = draw(volume, recipe)
        assert made.digest == picture.digest
        kept = np.load(folder_of(here.root) / row.folder / f"{made.file}.npz")["pixels"]
        assert np.array_equal(kept, picture.pixels)
    assert here.archive.counts() == before and here.journal.acts("") == () and here.outbox.list() == ()
    assert folders(here) == [row.folder] and row.size > 1000


def test_tools_are_shown_alone_or_say_why_not(site: Make) -> None:
    here = site(PrepareRule("b", tools=("bone", "lungs")))
    assert prepare(here) == ["ready"]
    proposal = proposal_in(here.root, here.preparations.list()[0])
    assert proposal is not None and [p.name for p in proposal.pictures] == ["Bone found"]
    assert proposal.notes[0].startswith("bone: ") and proposal.notes[1].startswith("lungs is left out: ")


def test_late_images_make_it_anew(site: Make, slices: Path, tmp_path: Path) -> None:
    here = site()
    prepare(here)
    (first,) = here.preparations.list()
    late = tmp_path / "late"
    late.mkdir()
    shutil.copy(sorted(CT_HEAD.glob("*.dcm"))[56], late)
    take_in(here, late, "T1")
    (plan,) = plan_all(here)
    assert plan.traits.images == 17 and plan_all(here) == []
    (waiting,) = here.preparations.list()
    assert (waiting.state, waiting.revision, folders(here)) == ("waiting", 2, [])
    assert prepare(here) == ["ready"]
    assert here.preparations.list()[0].folder != first.folder


def test_one_cases_failure_stops_no_other_and_is_tried_again(site: Make) -> None:
    here = site(
        replace(RULE, name="bad", priority=9), replace(RULE, name="good"), match="all", attempts=2, retry_s=1e-6
    )

    def make(work: PreparationWork) -> PreparationMade:
        if work.rule.name == "bad":
            raise OSError(28, "No space left on device")
        return empty(work)

    assert sorted(prepare(here, make=make)) == ["failed", "ready", "waiting"]
    bad, good = here.preparations.list()
    assert (bad.state, bad.attempts, good.state) == ("failed", 2, "ready")
    assert bad.reason == "Tried 2 times. A file could not be read or written: No space left on device."
    assert len(folders(here)) == 1


def test_what_is_being_made_is_not_swept_and_what_a_dead_worker_left_is(site: Make) -> None:
    here = site()
    swept: list[list[str]] = []

    def make(work: PreparationWork) -> PreparationMade:
        for attempt in ("-11111111", "-22222222"):  # of two workers of a farm
            Path(f"{work.folder}{attempt}").mkdir(parents=True)
        sweep(here)
        swept.append(folders(here))
        Path(f"{work.folder}-11111111").replace(work.folder)
        return PreparationMade(1 << 20, 1)

    assert prepare(here, make=make) == ["ready"]
    assert [name.rpartition("-")[2] for name in swept[0]] == ["11111111", "22222222"]
    sweep(here)
    assert folders(here) == [here.preparations.list()[0].folder]


def test_what_can_never_be_made_fails_at_once(site: Make) -> None:
    here = site(replace(RULE, protocol="ct_vascular"))
    assert prepare(here, make=lambda work: PreparationMade(refused="No dye is seen.")) == ["failed"]
    (row,) = here.preparations.list()
    assert (row.attempts, row.reason) == (1, "No dye is seen.")


class _Dying(ThreadPoolExecutor):
    """What it works on ends it."""

    def submit(self, *args: Any, **named: Any) -> "Future[Any]":
        ended: Future[Any] = Future()
        ended.set_exception(BrokenProcessPool())
        return ended


def test_what_a_case_has_ended_is_not_used_again(site: Make) -> None:
    here, started = site(attempts=3, retry_s=1e-6), list[Executor]()

    def start() -> Executor:
        started.append(_Dying() if not started else thread())
        return started[-1]

    worker = Preparer(here, threading.Event(), executor=start, make=empty)
    assert worker.work_one()
    (row,) = here.preparations.list()
    assert (row.state, row.reason) == ("waiting", "The process that drew it died, as it does when memory is short.")
    while worker.work_one():
        pass
    worker.close()
    assert [row.state for row in here.preparations.list()] == ["ready"] and len(started) == 2


def test_a_process_that_died_while_it_waited_costs_no_attempt(site: Make) -> None:
    here, started = site(attempts=1), list[Executor]()

    def broken_at_first() -> Executor:
        class Broken(ThreadPoolExecutor):
            def submit(self, *args: Any, **named: Any) -> Any:
                raise BrokenProcessPool("it was killed")

        started.append(Broken(1) if not started else ThreadPoolExecutor(1))
        return started[-1]

    worker, states = Preparer(here, threading.Event(), executor=broken_at_first, make=empty), list[str]()
    worker.tell = lambda claimed, state: states.append(state)
    while worker.work_one():
        pass
    worker.close()
    assert states == ["running", "ready"] and len(started) == 2


@pytest.mark.slow
def test_a_process_that_dies_takes_no_other_case_with_it(site: Make) -> None:
    """The drawing process is really killed by its case, which is tried again, in another process."""
    here = site(attempts=3, retry_s=1e-6)
    pids: list[int] = []

    def process() -> CaseProcess:
        made = CaseProcess()
        pids.append(made.start())
        return made

    worker, states = Preparer(here, threading.Event(), executor=process, make=_fatal_at_first), list[str]()
    worker.tell = lambda claimed, state: states.append(state)
    while worker.work_one():
        pass
    worker.close()
    assert states == ["running", "waiting", "running", "ready"] and len(set(pids)) == 2


def _fatal_at_first(work: PreparationWork) -> PreparationMade:
    """Kills the process that works on it, the first time."""
    mark = Path(work.folder).parent.parent / "died"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return empty(work)


@pytest.mark.slow
def test_a_process_dies_with_the_one_that_started_it() -> None:
    script = (
        "import os, signal, time\n"
        "from workstation.preparation.processes import CaseProcess\n"
        "if __name__ == '__main__':\n"
        "    process = CaseProcess()\n"
        "    print(process.start(), flush=True)\n"
        "    process.submit(time.sleep, 600)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    child, until = int(done.stdout), time.monotonic() + 60
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < until


def test_a_case_that_kills_its_process_each_time_fails(site: Make) -> None:
    here = site(attempts=2)
    for _ in range(2):  # as if the whole of `serve` had died
        assert Preparations(here.papers.engine, Leases(here.papers.engine, term_s=-1.0)).claim(0.0) is not None
    assert prepare(here) == ["failed"]
    assert here.preparations.list()[0].reason == "The process that drew it died each time."


def test_told_to_end_it_gives_back_and_leaves_nothing(site: Make) -> None:
    here, begun, go = site(), threading.Event(), threading.Event()

    def slow(work: PreparationWork) -> PreparationMade:
        begun.set()
        go.wait(60)
        return empty(work)

    worker = preparer(here, make=slow)
    working = threading.Thread(target=worker.work_one)
    working.start()
    assert begun.wait(60)
    worker.stop.set()
    working.join(60)
    go.set()
    (row,) = here.preparations.list()
    assert (row.state, row.attempts, row.owner) == ("waiting", 0, "")


def test_cancelled_while_it_is_drawn_it_is_not_put_in_place(site: Make) -> None:
    here = site()

    def make(work: PreparationWork) -> PreparationMade:
        cancel(SERIES_UID, here)
        return empty(work)

    assert prepare(here, make=make) == ["lost"]
    assert (here.preparations.list()[0].state, folders(here)) == ("cancelled", [])


def test_what_is_under_way_is_told_while_it_is_made(site: Make, command: Command) -> None:
    """In the row, from the files of the newest attempt; and a word of what comes to nothing is forgotten."""
    here = site(attempts=1)
    seen: list[str] = []
    tell_s = 0.01

    def told() -> None:
        (row,) = here.preparations.list()
        while row.progress == (seen[-1] if seen else ""):
            time.sleep(tell_s)
            (row,) = here.preparations.list()
        seen.append(row.progress)

    def make(work: PreparationWork) -> PreparationMade:
        folder = attempt_at(Path(work.folder))
        folder.mkdir(parents=True)
        write_progress(folder, "bone")
        told()
        write_progress(folder, "pictures", 3)
        told()
        (folder / "01.png").touch()
        told()
        (listed,) = command("prepare", "list", "--json").json
        seen.append(listed["progress"])
        samples = {each.name: each.samples for each in metrics(here, ())}
        assert samples["workstation_preparations_running"]['doing="pictures"'] == 1.0
        assert samples["workstation_preparation_pictures"] == {'of="drawn"': 1.0, 'of="wanted"': 3.0}
        raise OSError(28, "No space left on device")

    assert prepare(here, make=make, tell_s=tell_s) == ["failed"]
    assert seen == ["bone", "pictures 0 of 3", "pictures 1 of 3", "pictures 1 of 3"]
    (row,) = here.preparations.list()
    assert row.progress == "" and metrics(here, ()) != []


def test_a_case_that_takes_too_long_is_given_up(site: Make) -> None:
    here = site(limit_s=0.01, attempts=1)

    def endless(work: PreparationWork) -> PreparationMade:
        threading.Event().wait(0.5)
        return PreparationMade()

    assert prepare(here, make=endless) == ["failed"]
    assert here.preparations.list()[0].reason == "Tried 1 times. TimeoutError: It took longer than 0.01 s (limit_s)."


def test_the_oldest_go_where_space_is_short(site: Make) -> None:
    here = site(replace(RULE, name="a", priority=1), replace(RULE, name="b"), match="all", disk_mb=1)
    assert prepare(here, make=empty) == ["ready", "ready"]
    a, b = here.preparations.list()
    assert (a.state, b.state) == ("cancelled", "ready") and "disk_mb" in a.reason
    assert folders(here) == [b.folder]


def test_what_is_left_behind_is_swept_away(site: Make) -> None:
    here = site()
    prepare(here, make=empty)
    (row,) = here.preparations.list()
    for name in ("7-abc.part", "7-abc"):
        (folder_of(here.root) / name).mkdir()
    sweep(here)
    assert folders(here) == [row.folder]
    shutil.rmtree(here.root / "instances")
    here.archive.rebuild_index()
    sweep(here)
    (row,) = here.preparations.list()
    assert (row.state, row.reason, folders(here)) == ("cancelled", "The series is no longer in the archive.", [])


def test_again_and_cancel(site: Make) -> None:
    here = site()
    prepare(here, make=empty)
    (cancelled,) = cancel(SERIES_UID, here)
    assert cancelled.folder and folders(here) == []
    with pytest.raises(NotPreparedError, match="nothing is prepared"):
        cancel(SERIES_UID, here)
    (again,) = make_anew(SERIES_UID, here)
    assert (again.state, again.attempts) == ("waiting", 0)
    nothing = replace(here, config=replace(here.config, prepare=(replace(RULE, modality="MR"),)))
    with pytest.raises(NotPreparedError, match="is not prepared: head: modality is CT"):
        make_anew(SERIES_UID, nothing)


def test_a_rule_that_is_gone_and_a_series_of_long_ago(site: Make) -> None:
    here = site()
    gone = replace(here, config=replace(here.config, prepare=()))
    assert prepare(gone) == ["cancelled"]
    later = replace(here.config.preparation, look_back_h=0.0001)
    assert plan_all(replace(here, config=replace(here.config, preparation=later))) == []


def test_an_urgent_order_comes_first(site: Make, slices: Path) -> None:
    here = site()
    on_file = read_papers(DOCUMENTED).on_file
    assert on_file is not None and here.preparations.list()[0].urgent is False
    here.papers.put(ACCESSION, replace(on_file, order=replace(on_file.order, urgent=True)), here.clock())
    see_urgency(here)
    assert here.preparations.list()[0].urgent is True


def test_a_part_of_a_failure_is_removed(tmp_path: Path, slices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    monkeypatch.setattr(making, "write_content", lambda *a: (_ for _ in ()).throw(MemoryError))
    work = PreparationWork(open_series(slices)[0], RULE, None, 1, "cpu", str(tmp_path / "x.part"))
    with pytest.raises(MemoryError):
        make_proposal(work)
    assert not (tmp_path / "x.part").exists()


def test_a_hostile_series_stops_nothing(site: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    here = site()

    def broken(*of: Any) -> SeriesTraits:
        raise RecursionError

    monkeypatch.setattr(working, "traits_of", broken)
    (plan,) = [working.plan_of(series, here) for series in here.archive.all_series()]
    assert (plan.matched.rules, plan.reason) == ((), "its headers or orders cannot be read (RecursionError)")
    assert prepare(here) == ["failed"] and "RecursionError" in here.preparations.list()[0].reason
