"""Jobs on threads: one that outlives its window says nothing any more, and breaks nothing. Work of the window's own
thread, a step at a turn of the event loop."""

import gc
import threading
from collections.abc import Generator, Iterator

import pytest
import shiboken6
from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QProgressBar, QWidget
from pytestqt.qtbot import QtBot

from render.progress import Progress
from workstation.desktop import background
from workstation.desktop.background import Steps, Watch, Works


@pytest.mark.slow
def test_a_job_that_outlives_its_window_says_nothing(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_PATIENCE_S", 0.0)
    begun, go_on = threading.Event(), threading.Event()
    told: list[object] = []

    def work(tell: Progress) -> object:
        begun.set()
        assert go_on.wait(60)
        return "found"

    window = QWidget()
    works = Works(QProgressBar(window))
    works.run(work, told.append, "x")
    (thread,) = works._threads
    assert begun.wait(60)
    works.end()
    shiboken6.delete(window)
    del works, window
    gc.collect()
    go_on.set()
    thread.join(60)
    qtbot.wait(0)
    assert not thread.is_alive() and told == []


def test_many_short_jobs_each_tell_their_result_once(qtbot: QtBot) -> None:
    bar = QProgressBar()
    qtbot.addWidget(bar)
    works = Works(bar)
    found: list[object] = []
    for number in range(60):
        works.run(lambda tell, number=number: number, found.append, "x")  # type: ignore[misc]
    qtbot.waitUntil(lambda: not works.busy, timeout=30_000)
    assert sorted(map(str, found)) == sorted(map(str, range(60)))
    works.end()


def test_progress_is_painted_no_more_often_than_is_seen(qtbot: QtBot) -> None:
    told: list[tuple[str, float]] = []
    bar = QProgressBar()
    qtbot.addWidget(bar)
    works = Works(bar)
    vars(works)["_told"] = lambda doing, part: told.append((doing, part))

    def work(tell: Progress) -> object:
        for n in range(10_000):
            tell("reading", n / 10_000)
        tell("building", 0.0)
        return None

    with qtbot.waitSignal(works.ended, timeout=60_000):
        works.run(work, lambda _: None, "Opening")
    assert told[-1][0] == "building"
    assert ("reading", 0.0) in told and len(told) < 1000


def counting(to: int, did: list[str], name: str = "step") -> Generator[None, None, int]:
    try:
        for n in range(to):
            did.append(f"{name} {n}")
            yield
    finally:
        did.append(f"{name} closed")
    return to


@pytest.fixture
def steps(qtbot: QtBot) -> Iterator[Steps]:
    owner = QObject()
    yield Steps(owner)
    owner.deleteLater()


def test_other_events_are_taken_between_the_steps(steps: Steps, qtbot: QtBot) -> None:
    did: list[str] = []
    found: list[int] = []
    turn = QTimer()
    turn.timeout.connect(lambda: did.append("event"))
    turn.start(0)
    steps.run(counting(3, did), found.append)
    qtbot.waitUntil(lambda: bool(found))
    turn.stop()
    assert found == [3]
    assert not steps.busy
    assert "event" in did[did.index("step 0") : did.index("step 2")]


def test_work_that_is_given_up_closes_what_it_opened(steps: Steps, qtbot: QtBot) -> None:
    did: list[str] = []
    steps.run(counting(1_000_000_000, did), lambda _: did.append("done"))
    qtbot.waitUntil(lambda: "step 1" in did)
    steps.stop()
    assert did[-1] == "step closed"
    assert not steps.busy


def test_the_next_work_waits_for_the_last(steps: Steps, qtbot: QtBot) -> None:
    did: list[str] = []
    steps.run(counting(3, did, "first"), lambda _: did.append("first done"))
    steps.run(counting(1, did, "second"), lambda _: did.append("second done"))
    qtbot.waitUntil(lambda: "second done" in did)
    assert did.index("first done") < did.index("second 0")


def test_an_error_ends_the_work(steps: Steps, qtbot: QtBot) -> None:
    def failing() -> Generator[None, None, None]:
        yield
        raise ValueError("no such panel")

    with qtbot.captureExceptions() as raised:
        steps.run(failing(), lambda _: None)
        qtbot.waitUntil(lambda: not steps.busy)
    assert [str(error) for _, error, _ in raised] == ["no such panel"]


def test_a_question_is_asked_when_told_to_and_never_after_the_end(qtbot: QtBot) -> None:
    window, asked = QWidget(), []
    qtbot.addWidget(window)
    watch = Watch(lambda: asked.append(1), 0, lambda: True, window)
    with qtbot.waitSignal(watch.answered):
        watch.now()
    qtbot.waitUntil(lambda: not watch.busy)
    qtbot.wait(50)
    assert asked == [1]  # by nobody else
    watch.stop()
    watch.now()
    watch.stop()  # a window that is closed twice
    assert asked == [1] and not watch.busy
