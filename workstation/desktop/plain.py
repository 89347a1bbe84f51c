"""Words of headers and people as they are: never read as HTML, as Qt does with what looks like it."""

from html import escape

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel


class PlainLabel(QLabel):
    """A label that shows its text as it is. Every label of the desktop is one."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)


def plain_tip(text: str) -> str:
    """Returns a tool tip that shows a text as it is."""
    return f"<qt>{escape(text)}</qt>" if "<" in text else text


def plain_title(text: str) -> str:
    """Returns a menu's or dock's title that shows a text as it is: there `&` marks a key."""
    return text.replace("&", "&&")
