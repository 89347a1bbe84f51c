"""What is signed of the open study: a line above the panels, and the versions of its report to read."""

from html import escape

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QListWidget,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from dicom_io.person_names import listed
from dicom_io.sr.report_sr import FiledReport
from workstation.desktop.language import tr
from workstation.desktop.model.signed import SignedReading, draft_of
from workstation.desktop.model.studies import Opened
from workstation.desktop.model.summary import sections_of
from workstation.desktop.plain import PlainLabel
from workstation.desktop.sizes import open_with


class SignedBar(QFrame):
    """Says that the study is signed, by whom and when. correct, addendum : the reader wants to amend it. give_up : not
    to amend it after all. versions, pdf : what was signed, to read and as a file."""

    correct = Signal()
    addendum = Signal()
    give_up = Signal()
    versions = Signal()
    pdf = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("arrival")
        self.said = PlainLabel()
        self.said.setWordWrap(True)
        self.buttons = {
            "correct": self._button(tr("Correct"), self.correct, tr("A new version of the report, with other words")),
            "addendum": self._button(tr("Addendum"), self.addendum, tr("A new version, with something added")),
            "give_up": self._button(tr("Give up"), self.give_up, tr("Back to the version that is signed")),
            "versions": self._button(tr("Versions …"), self.versions, tr("Every version that was signed")),
            "pdf": self._button(tr("PDF …"), self.pdf, tr("The signed report as a PDF file")),
        }
        row, layout = QHBoxLayout(), QVBoxLayout(self)
        layout.addWidget(self.said)
        for button in self.buttons.values():
            row.addWidget(button)
        row.addStretch()
        layout.addLayout(row)
        self.hide()

    def _button(self, text: str, signal: object, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setToolTip(tip)
        button.clicked.connect(lambda _=False: signal.emit())  # type: ignore[attr-defined]
        return button

    def show_state(self, opened: Opened | None) -> None:
        """Shows what is signed of a study; nothing where nothing is."""
        if opened is None or (opened.signed is None and not opened.session.sealed):
            self.hide()
            return
        sealed, signed = opened.session.sealed, opened.signed
        if signed is None:
            self.said.setText(tr("Signed. It is being stored."))
        else:
            said = (
                "Signed by {name}, {at}. Version {number}."
                if sealed
                else "Amending version {number}, signed by {name}, {at}."
            )
            self.said.setText(
                tr(said, number=len(signed.versions), name=_named(signed.newest), at=_moment(signed.newest))
            )
        for name, button in self.buttons.items():
            amending = name == "give_up"
            button.setVisible(signed is not None and (name in ("versions", "pdf") or amending != sealed))
        self.show()


# What `SignedBar` says, for the languages.
SAID = ("Signed by {name}, {at}. Version {number}.", "Amending version {number}, signed by {name}, {at}.")


class Versions(QDialog):
    """Every signed version of a report, the newest first."""

    def __init__(self, signed: SignedReading, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Versions of the report"))
        open_with(self, 860, 560)
        self._versions = tuple(reversed(signed.versions))
        self.list, self.page = QListWidget(), QTextBrowser()
        self.list.setAccessibleName(tr("Versions of the report"))
        for place, version in enumerate(self._versions):
            number = len(self._versions) - place
            self.list.addItem(
                tr("Version {number}: {at}, {name}", number=number, at=_moment(version), name=_named(version))
            )
        self.list.setMaximumWidth(330)
        self.list.setWordWrap(True)
        row = QHBoxLayout(self)
        row.addWidget(self.list)
        row.addWidget(self.page, 1)
        self.list.currentRowChanged.connect(self._show)
        self.list.setCurrentRow(0)

    def _show(self, row: int) -> None:
        version = self._versions[row]
        lines = [(tr(title), text) for title, text in sections_of(draft_of(version))]
        lines.append((tr("Key pictures"), str(len(version.key_images))))
        if version.predecessor:
            lines.append((tr("Amends"), self._number_of(version.predecessor)))
        self.page.setHtml("".join(f"<h4>{_html(title)}</h4><p>{_html(text)}</p>" for title, text in lines))

    def _number_of(self, uid: str) -> str:
        numbers = {each.sop_instance_uid: len(self._versions) - n for n, each in enumerate(self._versions)}
        return tr("Version {number}", number=numbers[uid]) if uid in numbers else uid


def _html(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def _named(version: FiledReport) -> str:
    return listed(version.signed_by)


def _moment(version: FiledReport) -> str:
    return f"{version.signed_at:%Y-%m-%d %H:%M}"
