"""The sizes that windows open with."""

from PySide6.QtWidgets import QWidget

_BESIDE, _ABOVE = 20, 60  # points left of a monitor, for the frame of the window and what the system shows


def open_with(widget: QWidget, width: int, height: int) -> None:
    """Gives a window a size in points, and never more than its monitor has room for."""
    room = widget.screen().availableGeometry()
    widget.resize(min(width, room.width() - _BESIDE), min(height, room.height() - _ABOVE))
