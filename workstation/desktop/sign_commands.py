"""Signing a study: what stands in the way, the decision about the charge, the signature, and storing it."""

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QWidget

from workstation.case import CaseError
from workstation.desktop.background import Watch, Works
from workstation.desktop.charge_panel import ChargePanel
from workstation.desktop.language import tr
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.signing import SignedStudy
from workstation.desktop.model.studies import Opened
from workstation.desktop.model.summary import summary_of
from workstation.desktop.model.verdicts import Verdict
from workstation.desktop.open_readings import DeskReader
from workstation.desktop.report_panel import said_of_obstacle
from workstation.desktop.sign_dialog import Sign
from workstation.desktop.study_dock import StudyDock
from workstation.desktop.target_commands import words_of

_VERDICT_MS = 400  # wait after the last change


class SignCommands(QObject):
    """Signs what is on the screen. charge : the panel with the decision. dock : the panels. soon : runs out when the
    decision is to be shown anew. say : shows a sentence, in red where it is a bad one.

    refused : signing was asked for where the study is signed already. signed : a study is signed, or its pictures are
    stored now. wrong_secret : given too often; whoever is there may not be who signed in. judged : the decision is
    shown anew.
    """

    refused = Signal()
    signed = Signal()
    wrong_secret = Signal()
    judged = Signal()

    def __init__(
        self,
        desk: ReadingDesk,
        reader: DeskReader,
        works: Works,
        dock: StudyDock,
        say: Callable[[str, bool], None],
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._desk, self._reader, self._works, self._dock = desk, reader, works, dock
        self._say, self._window = say, window
        self.charge = ChargePanel()
        self.charge.fill.connect(self._go_to_field)
        self.soon = QTimer(self)
        self.soon.setSingleShot(True)
        self.soon.setInterval(_VERDICT_MS)
        self.soon.timeout.connect(self.refresh_verdict)
        # It reads all that is known of the accession, while a reader scrolls.
        self._judge = Watch(self._judged, 0, lambda: False, self)
        self._judge.answered.connect(self._show_verdict)
        self._judge.failed.connect(lambda sentence: say(sentence, True))

    def stop(self) -> None:
        """Waits for the decision that is being made."""
        self.soon.stop()
        self._judge.stop()

    @property
    def judging(self) -> bool:
        """Whether the decision is being made anew."""
        return self._judge.busy

    def refresh_verdict(self) -> None:
        """Shows the decision as if the study were signed now, as soon as it is made."""
        opened, report = self._reader.opened, self._reader.report
        if opened is None or report is None:
            return
        if not opened.session.sealed:
            report.allow_signing(self._desk.obstacle(opened, self._reader.person))
        self._judge.now()

    def _judged(self) -> tuple[Opened, Verdict] | None:
        opened, person = self._reader.opened, self._reader.person
        return (opened, self._desk.verdict(opened, person)) if opened is not None else None

    def _show_verdict(self, answer: tuple[Opened, Verdict] | None) -> None:
        if answer is not None and answer[0] is self._reader.opened:
            self.charge.show_verdict(answer[1])
            self.judged.emit()

    def _go_to_field(self, name: str) -> None:
        report = self._reader.report
        if report is None:
            return
        if name == "captures":
            self._dock.tabs.setCurrentIndex(1)
            return
        others: dict[str, QWidget] = {
            "region": report.region,
            "required": report.required,
            "concurrent": report.concurrent,
        }
        field = report.fields.get(name) or others.get(name, report)
        self._dock.tabs.setCurrentWidget(report)
        report.ensureWidgetVisible(field)
        field.setFocus()

    def sign_and_deliver(self) -> None:
        """Shows what would be signed, and signs it when the physician gives their secret."""
        opened, person = self._reader.opened, self._reader.person
        viewer, report, tray = self._reader.viewer, self._reader.report, self._reader.tray
        if opened is None or viewer is None or report is None or tray is None:
            return
        if opened.session.sealed:
            self.refused.emit()
            return
        obstacle = self._desk.obstacle(opened, person)
        if obstacle is not None or person is None:
            if obstacle is not None:
                self._say(said_of_obstacle(obstacle), True)
                self._dock.tabs.setCurrentWidget(report)
                report.go_to(obstacle)
            return
        summary = summary_of(opened, self._desk.verdict(opened, person), viewer.said_of)
        if any(measure.target is not None for measure in viewer.session.screen.measures):
            words = ", ".join(words_of(viewer, viewer.session.screen))
            summary = replace(summary, measures=(*summary.measures, ("target lesions", words)))
        dialog = Sign(self._desk.people, person, summary, tray.icons, self._window)
        shown = opened.session.content
        drawn = viewer.drawer.small.connect(dialog.show_small)
        accepted = dialog.exec()
        if self._reader.opened is opened:
            viewer.drawer.small.disconnect(drawn)
        dialog.deleteLater()
        person = self._reader.person
        if not accepted or person is None:  # locked meanwhile
            if dialog.refused:
                self.wrong_secret.emit()
            return
        if self._reader.opened is not opened or opened.session.content != shown:
            # Work that was still being done has ended meanwhile.
            self._say(tr("Something was added while this was being signed; look at it, and sign again."), True)
            return
        try:
            signing = self._desk.sign(opened, person)
        except (CaseError, OSError) as error:
            self._say(str(error), True)
            return
        self.signed.emit()
        self._say(tr("Signed. It is being stored; the next study can be read meanwhile."), False)
        self.finish(signing, opened)

    def finish(self, signing: SignedStudy, opened: Opened | None = None) -> None:
        """Stores what was signed, beside everything else. opened : the study, where it is at hand."""

        def done(outcome: object) -> None:
            self._say(str(outcome), False)
            reading = self._reader.readings.of(signing.key)
            if reading is not None:
                reading.opened = replace(reading.opened, signed=self._desk.studies.signed(reading.opened))
            if reading is not None and reading is self._reader.reading:
                self._reader.signed = True
                self.signed.emit()
                self._judge.now()
            self.send()

        volume = opened.session.volume if opened is not None else None
        self._works.run(lambda tell: self._desk.finish(signing, tell, volume), done, tr("Storing what was signed"))

    def go_on(self) -> None:
        """Goes on with what was signed when the program ended."""
        left = self._desk.unfinished()
        if left:
            count = len(left)
            said = tr("{count} signed studies were not stored when the program ended; this goes on now.", count=count)
            self._say(said, False)
        for signing in left:
            self.finish(signing)

    def send(self) -> None:
        """Delivers the waiting messages in the background."""

        def done(said: object) -> None:
            self._say(str(said), False)
            self._judge.now()

        self._works.run(self._desk.send, done, tr("Sending"))
