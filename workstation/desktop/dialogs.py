"""Dialogs: signing in, choosing, naming, query and retrieve, and the help page."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from dicom_io.evidence import Person
from dicom_io.person_names import listed
from render.progress import Progress
from workstation.desktop.background import Works
from workstation.desktop.language import tr
from workstation.desktop.model.keys import ACTIONS, MOUSE, Keys
from workstation.desktop.model.remote import Found
from workstation.desktop.plain import PlainLabel
from workstation.desktop.sizes import open_with
from workstation.people import People, PeopleError

if TYPE_CHECKING:
    from workstation.desktop.model.desk import ReadingDesk


_LONGEST = 200  # characters of a name, or of words on a picture; PS3.5 6.2 allows a short text 1024


class SignIn(QDialog):
    """Signs a person in. person : who signed in. refused : the ID of a person who could not."""

    refused = Signal(str)

    def __init__(self, people: People, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Sign in"))
        self._people = people
        self.person: Person | None = None
        self.who, self.password, self.error = QComboBox(), QLineEdit(), error_line()
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        known = people.all()
        for person in known:
            self.who.addItem(f"{listed(person.name)} ({tr(person.role)})", person.id)
        if not known:
            self.error.setText(tr("Nobody is known yet. Add people with `workstation people add`."))
        form = QFormLayout(self)
        form.addRow(tr("Person"), self.who)
        form.addRow(tr("Password"), self.password)
        form.addRow(self.error)
        form.addRow(buttons(self, tr("Sign in")))
        self.password.setFocus()

    def accept(self) -> None:
        try:
            self.person = self._people.signed_in(str(self.who.currentData()), self.password.text())
        except PeopleError as error:
            self.error.setText(tr(str(error)))
            self.password.clear()
            self.refused.emit(str(self.who.currentData()))
        else:
            super().accept()


class Choose(QDialog):
    """A choice of one of several names. accept : what the button says, `Open` by default."""

    def __init__(self, title: str, names: Sequence[str], parent: QWidget | None = None, accept: str = "") -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.list = QListWidget()
        self.list.addItems(list(names))
        self.list.setCurrentRow(0)
        # The words as they are before the window has its own font, which is wider.
        self.list.setMinimumWidth(min(round(1.2 * self.list.sizeHintForColumn(0)) + 24, 800))
        self.list.itemActivated.connect(lambda _: self.accept())
        layout = QVBoxLayout(self)
        layout.addWidget(self.list)
        layout.addWidget(buttons(self, accept or tr("Open")))

    @staticmethod
    def ask(title: str, names: Sequence[str], parent: QWidget, accept: str = "") -> int | None:
        """Returns the number of the chosen name; None when none was chosen."""
        dialog = Choose(title, names, parent, accept)
        return dialog.list.currentRow() if dialog.exec() else None


class Named(QDialog):
    """Asks for a name."""

    def __init__(self, title: str, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.name = QLineEdit()
        self.name.setMaxLength(_LONGEST)
        form = QFormLayout(self)
        form.addRow(what, self.name)
        form.addRow(buttons(self, tr("Keep")))

    @staticmethod
    def ask(title: str, what: str, parent: QWidget) -> str:
        """Returns the name; empty when none was given."""
        dialog = Named(title, what, parent)
        return dialog.name.text().strip() if dialog.exec() else ""


class Sure(QDialog):
    """Asks before something is lost. done : what the button that does it says."""

    def __init__(self, done: str, question: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(done)
        label = PlainLabel(question)
        label.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addWidget(label)
        layout.addWidget(buttons(self, done))

    @staticmethod
    def ask(done: str, question: str, parent: QWidget) -> bool:
        """Returns whether it is to be done."""
        return bool(Sure(done, question, parent).exec())


class Query(QDialog):
    """Finds studies of other nodes by C-FIND and fetches them by C-GET or C-MOVE, in the name of `person`."""

    def __init__(
        self, desk: "ReadingDesk", works: Works, parent: QWidget | None = None, person: Person | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Query and retrieve"))
        open_with(self, 900, 520)
        self._remote, self._works = desk.remote(person), works
        self._found: tuple[Found, ...] = ()
        self.peer = QComboBox()
        self.fields = {
            key: QLineEdit() for key in ("patient_id", "patient_name", "accession", "dates", "modality", "description")
        }
        titles = (tr("Patient ID"), tr("Patient"), tr("Accession"), tr("Dates"), tr("Modality"), tr("Description"))
        self.fields["dates"].setPlaceholderText("20260101-20261231")
        self.search, self.fetch = QPushButton(tr("Search")), QPushButton(tr("Retrieve"))
        self.table, self.said = QTableWidget(0, 7), PlainLabel()
        self.said.setWordWrap(True)
        self.table.setHorizontalHeaderLabels(
            [tr(t) for t in ("Patient", "ID", "Accession", "Date", "Modality", "Description", "Instances")]
        )
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        form, rows = QFormLayout(), QHBoxLayout()
        form.addRow(tr("Node"), self.peer)
        for title, edit in zip(titles, self.fields.values(), strict=True):
            form.addRow(title, edit)
            edit.returnPressed.connect(self.look)
        for button in (self.search, self.fetch):
            button.setAutoDefault(False)
            rows.addWidget(button)
        self.search.clicked.connect(self.look)
        self.fetch.clicked.connect(self.retrieve)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addLayout(rows)
        layout.addWidget(self.table)
        layout.addWidget(self.said)
        names, problem = self._remote.peers()
        self.peer.addItems(list(names))
        self.said.setText(
            tr(problem) if problem else ("" if names else tr("No node is known. Add one: workstation peers add."))
        )
        self.search.setEnabled(bool(names))
        self.fetch.setEnabled(False)
        works.said.connect(self._say)

    def look(self) -> None:
        """Asks the node for studies."""
        peer, asked = self.peer.currentText(), {key: edit.text().strip() for key, edit in self.fields.items()}
        self.said.setText(tr("Asking {peer} …", peer=peer))
        self._works.run(lambda tell: self._remote.find(peer, asked), self._show, tr("Query"))

    def _show(self, found: object) -> None:
        assert isinstance(found, tuple)
        self._found = found
        self.table.setRowCount(len(found))
        for row, study in enumerate(found):
            for column, text in enumerate(study.cells):
                self.table.setItem(row, column, QTableWidgetItem(text))
        self.table.resizeColumnsToContents()
        self.fetch.setEnabled(bool(found))
        if found:
            self.table.selectRow(0)
        self.said.setText(tr("{count} studies.", count=len(found)))

    def retrieve(self) -> None:
        """Fetches the selected studies."""
        chosen = sorted({index.row() for index in self.table.selectedIndexes()})
        peer, studies = self.peer.currentText(), [self._found[row] for row in chosen]

        def work(tell: Progress) -> object:
            return "\n".join(self._remote.fetch(peer, study, tell) for study in studies)

        self._works.run(work, lambda said: self.said.setText(str(said)), tr("Retrieving"))

    def _say(self, sentence: str, bad: bool) -> None:
        self.said.setText(tr(sentence))


class Help(QDialog):
    """The help page: keys and mouse as they are set."""

    def __init__(self, keys: Keys, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Keys and mouse"))
        open_with(self, 620, 760)
        self.page = QTextBrowser()
        buttons = [(tr(f"{name.capitalize()} button"), tr(what.capitalize())) for name, what in keys.buttons.items()]
        mouse = [(tr(what), tr(does)) for what, does in MOUSE]
        rows = [*mouse, *buttons, *((keys.keys[action], tr(text)) for action, text in ACTIONS.items())]
        cells = "".join(f"<tr><td><b>{escape(key)}</b>&nbsp;&nbsp;</td><td>{text}</td></tr>" for key, text in rows)
        said = tr("Number keys choose windows. A file keys.toml in the state folder changes any of these.")
        warning = tr("Not cleared for diagnosis.")
        self.page.setHtml(f"<table cellpadding=3>{cells}</table><p>{said}</p><p><b>{warning}</b></p>")
        layout = QVBoxLayout(self)
        layout.addWidget(self.page)
        box = QDialogButtonBox()
        box.addButton(tr("Close"), QDialogButtonBox.ButtonRole.RejectRole)
        box.rejected.connect(self.reject)
        layout.addWidget(box)


def error_line() -> QLabel:
    """Returns the line that says why a dialog was not accepted."""
    label = PlainLabel()
    label.setObjectName("error")
    label.setWordWrap(True)
    return label


def buttons(dialog: QDialog, accept: str) -> QDialogButtonBox:
    """Returns the two buttons of a dialog. accept : what the first of them says."""
    box = QDialogButtonBox()
    box.addButton(accept, QDialogButtonBox.ButtonRole.AcceptRole)
    box.addButton(tr("Cancel"), QDialogButtonBox.ButtonRole.RejectRole)
    box.accepted.connect(dialog.accept)
    box.rejected.connect(dialog.reject)
    return box
