"""The signature: what is about to be signed is shown whole, and then the secret is asked for."""

from collections.abc import Mapping

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QIcon, QKeyEvent
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFormLayout,
    QFrame,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from dicom_io.evidence import Person
from dicom_io.person_names import listed
from render.picture import Picture
from workstation.desktop.charge_panel import headline_of, verdict_lines
from workstation.desktop.dialogs import buttons, error_line
from workstation.desktop.images import icon_of
from workstation.desktop.language import tr
from workstation.desktop.model.summary import SigningSummary
from workstation.desktop.plain import PlainLabel
from workstation.people import People, PeopleError

_TRIES = 3  # wrong signatures before the window is locked
_THUMB, _LEAST_HEIGHT, _WIDTH = 112, 420, 760
_SCROLLED_BY = {
    Qt.Key.Key_PageUp, Qt.Key.Key_PageDown,
    Qt.Key.Key_Up, Qt.Key.Key_Down,
}  # fmt: skip

_IN_WORDS = ("Sex", "Body region")  # values that are words of the window


class Sign(QDialog):
    """The physician's signature: what is signed, and below it password or PIN once more.

    summary : what is signed. icons : small pictures by name, as far as they are drawn; `show_small` takes those that
    come later. refused : whether the secret was wrong too often.
    """

    def __init__(
        self,
        people: People,
        person: Person,
        summary: SigningSummary,
        icons: Mapping[str, QIcon],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Sign"))
        self._people, self._person = people, person
        self._tries, self.refused = 0, False
        self.page = QScrollArea()
        self.page.setWidgetResizable(True)
        self.page.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.page.setAccessibleName(tr("What is signed"))
        self.pictures = _pictures(summary, icons)
        self._inner = self._contents(summary)
        self.page.setWidget(self._inner)
        self.password, self.error = QLineEdit(), error_line()
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.password.installEventFilter(self)
        said = PlainLabel(
            tr(
                "{name} signs the report and attests what it states about supervision and the workstation. The "
                "captured pictures are drawn, stored and sent.",
                name=listed(person.name),
            )
        )
        said.setWordWrap(True)
        asked = tr("PIN or password") if people.has_pin(person.id) else tr("Password")
        self.password.setAccessibleName(asked)
        form = QFormLayout()
        form.addRow(asked, self.password)
        form.addRow(self.error)
        layout = QVBoxLayout(self)
        layout.addWidget(self.page, 1)
        layout.addWidget(said)
        layout.addWidget(_line(f"{tr('Charge')}: {headline_of(summary.verdict)}", "headline"))
        layout.addLayout(form)
        layout.addWidget(buttons(self, tr("Sign")))
        self._fit()
        self.password.setFocus()

    def _fit(self) -> None:
        """Takes the height that the text wants, and never more than the screen has."""
        screen = QApplication.primaryScreen().availableGeometry()
        wanted = self._inner.heightForWidth(_WIDTH - 40) + 240
        self.resize(min(_WIDTH, screen.width() - 40), min(max(_LEAST_HEIGHT, wanted), screen.height() - 60, 1000))

    def _contents(self, summary: SigningSummary) -> QWidget:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setSpacing(4)
        for number, pairs in enumerate((summary.patient, summary.study)):
            text = "   ".join(f"{tr(title)}: {tr(value) if title in _IN_WORDS else value}" for title, value in pairs)
            column.addWidget(_line(text, "headline" if number == 0 else ""))
        for title, text in summary.sections:
            column.addWidget(_line(tr(title), "section"))
            column.addWidget(_line(text))
        column.addWidget(_line(tr("Attested"), "section"))
        for question, answer in summary.answers:
            said = {True: tr("yes"), False: tr("no"), None: tr("not stated")}[answer]
            column.addWidget(_line(f"{tr(question)}: {said}"))
        if summary.measures:
            column.addWidget(_line(tr("Measures"), "section"))
            measured = (f"{tr(kind).capitalize()}: {said}" for kind, said in summary.measures)
            column.addWidget(_line("\n".join(measured)))
        keys = sum(capture.key for capture in summary.captures)
        title = tr("Pictures: {count}, for the report {keys}", count=len(summary.captures), keys=keys)
        column.addWidget(_line(title, "section"))
        column.addWidget(self.pictures)
        column.addWidget(_line(tr("Charge"), "section"))
        headline, *lines = verdict_lines(summary.verdict)
        column.addWidget(_line(headline, "headline"))
        for line in lines:
            column.addWidget(_line(line))
        column.addStretch()
        return inner

    def show_small(self, name: str, picture: Picture) -> None:
        """Shows a small picture that was drawn only now."""
        for item in self.pictures.findItems(name, Qt.MatchFlag.MatchExactly):
            item.setIcon(icon_of(picture))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Scrolls what is signed by keys while the secret has the focus."""
        if watched is self.password and event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            bar = self.page.verticalScrollBar()
            if event.key() in _SCROLLED_BY:
                step = bar.pageStep() if event.key() in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown) else bar.singleStep()
                up = event.key() in (Qt.Key.Key_PageUp, Qt.Key.Key_Up)
                bar.setValue(bar.value() + (-step if up else step))
                return True
        return super().eventFilter(watched, event)

    def accept(self) -> None:
        try:
            self._people.signature(self._person.id, self.password.text())
        except PeopleError as error:
            self._tries += 1
            self.error.setText(tr(str(error)))
            self.password.clear()
            if self._tries >= _TRIES:
                self.refused = True
                self.reject()
        else:
            super().accept()


def _line(text: str, name: str = "") -> QLabel:
    label = PlainLabel(text)
    label.setWordWrap(True)
    label.setObjectName(name)
    return label


def _pictures(summary: SigningSummary, icons: Mapping[str, QIcon]) -> QListWidget:
    """Returns the small pictures, those of the report marked, in rows as the width allows."""
    shown = QListWidget()
    shown.setViewMode(QListWidget.ViewMode.IconMode)
    shown.setIconSize(QSize(_THUMB, _THUMB))
    shown.setGridSize(QSize(_THUMB + 28, _THUMB + 40))
    shown.setResizeMode(QListWidget.ResizeMode.Adjust)
    shown.setMovement(QListWidget.Movement.Static)
    shown.setWordWrap(True)
    shown.setTextElideMode(Qt.TextElideMode.ElideRight)
    shown.setSelectionMode(QListWidget.SelectionMode.NoSelection)
    shown.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    shown.setObjectName("plain")
    shown.setFrameShape(QFrame.Shape.NoFrame)
    shown.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    shown.setAccessibleName(tr("Captures"))
    for capture in summary.captures:
        item = QListWidgetItem(icons.get(capture.recipe.name, QIcon()), capture.recipe.name)
        item.setToolTip(tr("For the report") if capture.key else "")
        if capture.key:
            font = item.font()
            font.setBold(True)
            item.setFont(font)
        shown.addItem(item)
    rows = -(-len(summary.captures) // 5)
    shown.setFixedHeight(max(1, rows) * (_THUMB + 40) + 8)
    return shown
