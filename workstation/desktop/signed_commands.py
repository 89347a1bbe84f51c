"""What can be done with a study as a whole: amend what is signed, read its versions, print it, export its captures."""

from pathlib import Path

from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QFileDialog, QMainWindow

from dicom_io.evidence import Person
from render import Recipe
from workstation.desktop import dialogs
from workstation.desktop.background import Works
from workstation.desktop.captures_panel import Tray
from workstation.desktop.export_dialog import ExportDialog
from workstation.desktop.language import tr
from workstation.desktop.model.desk import NOBODY, ReadingDesk
from workstation.desktop.model.exporting import ExportWanted, export
from workstation.desktop.model.printing import print_signed
from workstation.desktop.model.report_check import unfinished_field
from workstation.desktop.model.studies import Opened
from workstation.desktop.open_readings import DeskReader, OpenReading
from workstation.desktop.report_panel import ReportPanel
from workstation.desktop.signed_panel import SignedBar, Versions
from workstation.desktop.study_dock import StudyDock
from workstation.desktop.viewer import Viewer
from workstation.store.journal import EventKind


class StudyWindow(QMainWindow):
    """A window with a study: its commands for what is signed and what leaves the workstation.

    The window that is shown says what it has, and how sentences are shown, studies opened and acts journalled.
    reader : who reads, and what is open.
    """

    desk: ReadingDesk
    settings: QSettings
    works: Works
    dock: StudyDock
    signed_bar: SignedBar
    reader: DeskReader

    @property
    def person(self) -> Person | None:
        """Who is signed in."""
        return self.reader.person

    @property
    def reading(self) -> OpenReading | None:
        """The series on the screen; None for the work list."""
        return self.reader.reading

    @property
    def opened(self) -> Opened | None:
        """The study on the screen; None for the work list."""
        return self.reader.opened

    @property
    def viewer(self) -> Viewer | None:
        """The panes of the study on the screen."""
        return self.reader.viewer

    @property
    def report(self) -> ReportPanel | None:
        """The report of the study on the screen."""
        return self.reader.report

    @property
    def tray(self) -> Tray | None:
        """The captures of the study on the screen."""
        return self.reader.tray

    def say(self, sentence: str, bad: bool = False) -> None:
        """Shows a sentence."""
        raise NotImplementedError

    def open_series(
        self, series_uid: str, which: int | None = None, before: Opened | None = None, *, bridged: bool = False
    ) -> None:
        """Opens a volume."""
        raise NotImplementedError

    def acted(self, act: EventKind, recipe: Recipe | None = None) -> None:
        """Journals an act of the person who is signed in."""
        raise NotImplementedError

    def changed_soon(self) -> None:
        """Has the decision about the charge shown anew."""
        raise NotImplementedError

    def show_signed(self) -> None:
        """Shows whether the open study is signed: then it can be read, and changes by an amended report alone."""
        if self.opened is None or self.report is None or self.tray is None:
            return
        sealed = self.opened.session.sealed
        self.signed_bar.show_state(self.opened)
        self.report.read_only(sealed)
        self.tray.refresh()
        self.changed_soon()

    def refused(self) -> None:
        self.say(tr("This study is signed. Correct it, or add to it, to change what is signed."), bad=True)

    def _has_signed(self) -> bool:
        """Whether a report of the open study is signed and stored; else the status bar says that none is."""
        if self.opened is not None and self.opened.signed is not None:
            return True
        self.say(tr("No report of this study is signed and stored yet."), bad=True)
        return False

    def amend(self, addendum: bool = False) -> None:
        """Opens what is signed for another version. addendum : with a place at the end where something is added."""
        if self.opened is None or self.report is None or not self._has_signed() or not self.opened.session.sealed:
            return
        session = self.opened.session
        session.amend()
        if addendum:
            session.write(impression=f"{session.draft.impression.rstrip()}\n\n{tr('Addendum:')} …")
        self.show_signed()
        self.report.show_draft(session.draft)
        self.dock.tabs.setCurrentWidget(self.report)
        place = unfinished_field(session.draft)
        if place is not None:
            self.report.go_to(place)
        else:
            self.report.fields["findings"].setFocus()
        self.acted("opened")

    def give_up_amending(self) -> None:
        """Leaves the amended report, after asking, and shows what is signed."""
        if self.opened is None or self.opened.signed is None or self.opened.session.sealed:
            return
        asked = tr(
            "Give up what was changed since version {number} was signed?", number=len(self.opened.signed.versions)
        )
        if not dialogs.Sure.ask(tr("Give up"), asked, self):
            return
        self.opened.session.sealed = True  # nothing is written any more
        self.opened.session.forget()
        self.open_series(self.opened.series.uid, before=self.opened, bridged=self.opened.session.bridged)

    def save_pdf(self) -> None:
        """Asks where the signed report goes as a PDF."""
        if self.opened is None or not self._has_signed():
            return
        suggested = f"{self.opened.series.first.accession or 'report'}.pdf"
        path, _ = QFileDialog.getSaveFileName(self, tr("The signed report as a PDF file"), suggested, "PDF (*.pdf)")
        if path:
            self.write_pdf(Path(path))

    def write_pdf(self, path: Path) -> None:
        """Writes the signed report as a PDF, in the background."""
        signed = self.opened.signed if self.opened is not None else None
        if signed is None:
            return
        site, who = self.desk.site, self.person.id if self.person is not None else NOBODY

        def done(_: object) -> None:
            self.say(tr("Written: {path}", path=str(path)))

        self.works.run(lambda tell: print_signed(signed, site, who, path), done, tr("Writing the report"))

    def export_captures(self) -> None:
        """Asks which captures are written as files, and writes them."""
        if self.opened is None or self.tray is None:
            return
        folder = self.settings.value("exports") or str(Path.home())
        captures = self.opened.session.screen.captures
        dialog = ExportDialog(captures, self.tray.list.currentRow(), str(folder), self)
        if dialog.exec() and dialog.wanted is not None:
            self.write_captures(dialog.wanted)

    def write_captures(self, wanted: ExportWanted) -> None:
        """Writes captures as files, in the background."""
        if self.opened is None:
            return
        self.settings.setValue("exports", str(wanted.folder))
        opened, site, who = self.opened, self.desk.site, self.person.id if self.person is not None else NOBODY
        measures = opened.session.screen.measures

        def done(count: object) -> None:
            self.say(tr("{count} files written to {path}.", count=count, path=str(wanted.folder)))

        build = self.desk.studies.volume
        self.works.run(lambda tell: export(opened, measures, wanted, site, who, tell, build), done, tr("Exporting"))

    def show_versions(self) -> None:
        """Shows every signed version of the report."""
        if self.opened is not None and self.opened.signed is not None:
            Versions(self.opened.signed, self).exec()
