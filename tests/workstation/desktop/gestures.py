"""What hands do, as events of Qt."""

from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from workstation.desktop.pane import Pane


def drag(qtbot: QtBot, pane: QWidget, start: tuple[int, int], end: tuple[int, int], steps: int = 6) -> None:
    """Presses, moves and lets go with the left button."""
    qtbot.mousePress(pane, Qt.MouseButton.LeftButton, pos=QPoint(*start))
    for n in range(1, steps + 1):
        at = QPoint(start[0] + (end[0] - start[0]) * n // steps, start[1] + (end[1] - start[1]) * n // steps)
        move(pane, at)
    qtbot.mouseRelease(pane, Qt.MouseButton.LeftButton, pos=QPoint(*end))


def move(pane: QWidget, at: QPoint) -> None:
    """A move with the left button held: QTest's own moves hold none."""
    left = Qt.MouseButton.LeftButton
    event = QMouseEvent(
        QEvent.Type.MouseMove, QPointF(at), pane.mapToGlobal(QPointF(at)), left, left, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(pane, event)


def wheel(pane: Pane, steps: int, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    at = QPointF(pane.rect().center())
    event = QWheelEvent(
        at, pane.mapToGlobal(at), QPoint(), QPoint(0, 120 * steps), Qt.MouseButton.NoButton, modifiers,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(pane, event)


def at(pane: Pane, row: float, column: float) -> QPoint:
    """The position on the widget of a part of the height and of the width."""
    return QPoint(round(pane.width() * column), round(pane.height() * row))
