"""What people do with pictures, as it goes into the journal: chosen, left out, adjusted, masks edited."""

from dataclasses import replace

from render import Recipe
from workstation.desktop.model import tray_edits
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.screen import Capture, recipe_of
from workstation.desktop.open_readings import DeskReader, OpenReading
from workstation.store.journal import EventKind


class ActsJournal:
    """Journals the acts of whoever is signed in, in the series that they act in. reader : who that is."""

    def __init__(self, desk: ReadingDesk, reader: DeskReader) -> None:
        self._desk, self._reader = desk, reader

    def acted(self, act: EventKind, recipe: Recipe | None = None) -> None:
        """Journals an act in the series on the screen, where there is one."""
        if self._reader.reading is not None:
            self._acted_in(self._reader.reading, act, recipe)

    def _acted_in(self, reading: OpenReading, act: EventKind, recipe: Recipe | None) -> None:
        self._desk.note(reading.opened, self._reader.person, act, recipe)

    def seen(self) -> None:
        """Journals that the series on the screen was opened, once for each person who sees it."""
        reading, person = self._reader.reading, self._reader.person
        who = person.id if person is not None else ""
        if reading is not None and who not in reading.seen_by:
            reading.seen_by.add(who)
            self.acted("opened")
            self._desk.opened_by(reading.opened, person)

    def seen_anew(self) -> None:
        """Journals the same for a person who has just come; all that is open counts as not seen by them yet."""
        for each in self._reader.readings:
            each.seen_by.clear()
        self.seen()

    def captured(self, before: int) -> None:
        """Journals the pictures that are in the tray since it had so many, with the person who chose them, and their
        view and cuts."""
        opened = self._reader.opened
        if opened is None:
            return
        session = opened.session
        if len(session.screen.captures) > before:
            session.captured_by(self._reader.person)
        first = self._desk.studies.first_screen(opened.identity, session.volume)
        for capture in session.screen.captures[before:]:
            if capture.origin == "mine" and tray_edits.adjusted(session.screen, first, capture.recipe):
                self.acted("view_adjustment", capture.recipe)
            self.acted("image_selection", capture.recipe)

    def changed(self, reading: OpenReading) -> None:
        """Journals what has changed in a series since this was last asked; also in one that is open behind the one on
        the screen."""
        before, screen = reading.before, reading.opened.session.screen
        reading.before = screen
        if before.solid.steps != screen.solid.steps:
            self._acted_in(reading, "mask_editing", recipe_of(screen, "solid", 512, 512))
        if screen.captures is not before.captures:
            self._tray_changed(reading, before.captures, screen.captures)

    def _tray_changed(self, reading: OpenReading, before: tuple[Capture, ...], after: tuple[Capture, ...]) -> None:
        """Journals what became of pictures in the tray: dropped, taken anew, or under another name."""
        kept, known = {capture.recipe for capture in after}, {capture.recipe for capture in before}
        gone = [c.recipe for c in before if c.recipe not in kept]
        come = [c.recipe for c in after if c.recipe not in known]
        if len(before) != len(after):
            for recipe in gone:
                self._acted_in(reading, "image_rejection", recipe)
            return  # what was captured is journalled where it is captured
        for old, new in zip(gone, come, strict=False):
            if replace(old, name=new.name) != new:
                self._acted_in(reading, "view_adjustment", new)
            self._acted_in(reading, "image_selection", new)
