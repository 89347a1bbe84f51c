"""The desktop starts without looking for garbage, and then looks for it in what comes."""

import gc
from pathlib import Path

import pytest
import typer
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from workstation.cli import desktop as verbs


def test_garbage_is_looked_for_once_the_window_is_shown_but_not_in_the_program(
    tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs, "root", lambda: tmp_path / "root")
    at_first: list[bool] = []
    shown: list[int] = []

    def look() -> None:
        if not gc.isenabled():
            QTimer.singleShot(20, look)
            return
        shown.append(gc.get_freeze_count())
        QApplication.closeAllWindows()

    QTimer.singleShot(0, lambda: at_first.append(gc.isenabled()))
    QTimer.singleShot(0, look)
    try:
        with pytest.raises(typer.Exit):
            verbs.desktop()
        assert at_first == [False]
        assert shown[0] > 100_000  # the program
    finally:
        gc.unfreeze()
        gc.enable()
