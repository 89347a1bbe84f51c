"""What a screen has drawn on planes, for stored states and for copies of pictures. Knows no Qt."""

from collections.abc import Sequence

from dicom_io.objects.presentation_state import PictureNote, mark_of, mark_of_note
from render.marks import DrawnMark
from render.volume import Volume
from workstation.desktop.model.measuring import recorded
from workstation.desktop.model.screen import NOTES, Measure


def notes_of(measures: Sequence[Measure]) -> tuple[PictureNote, ...]:
    """Returns the arrows and words among measures."""
    return tuple(PictureNote(m.points_mm, m.text) for m in measures if m.kind in NOTES)


def marks_of(measures: Sequence[Measure], volume: Volume) -> tuple[DrawnMark, ...]:
    """Returns everything that is drawn on planes; what a tool grows from a click has no outline there."""
    drawn = recorded([m for m in measures if m.kind not in ("volume", "lesion", "vessel")], volume)
    found = [mark for mark in map(mark_of, drawn) if mark is not None]
    return (*found, *map(mark_of_note, notes_of(measures)))
