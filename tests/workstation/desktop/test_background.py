"""Jobs on threads: one that outlives its window says nothing any more, and breaks nothing."""

import gc
import threading

import pytest
import shiboken6
from PySide6.QtWidgets import QProgressBar, QWidget
from pytestqt.qtbot import QtBot

from render.progress import Progress
from workstation.desktop import background
from workstation.desktop.background import Works


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
