"""Dialogs: signing in, signing, and the help page."""

from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from dicom_io.evidence import Person
from workstation.desktop.keys import ACTIONS, MOUSE, Keys
from workstation.people import People, PeopleError, readable


class SignIn(QDialog):
    """person : who signed in."""

    def __init__(self, people: People, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Sign in")
        self._people = people
        self.person: Person | None = None
        self.who, self.password, self.error = QComboBox(), QLineEdit(), QLabel()
        self.error.setObjectName("error")
        self.error.setWordWrap(True)
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        known = people.all()
        for person in known:
            self.who.addItem(f"{readable(person.name)} ({person.role})", person.id)
        if not known:
            self.error.setText("Nobody is known yet. Add people with `workstation people add`.")
        form = QFormLayout(self)
        form.addRow("Person", self.who)
        form.addRow("Password", self.password)
        form.addRow(self.error)
        form.addRow(_buttons(self, "Sign in"))
        self.password.setFocus()

    def accept(self) -> None:
        try:
            self.person = self._people.signed_in(str(self.who.currentData()), self.password.text())
        except PeopleError as error:
            self.error.setText(str(error))
            self.password.clear()
        else:
            super().accept()


class Sign(QDialog):
    """The physician's signature: the password once more, over a sentence that says what is signed."""

    def __init__(self, people: People, person: Person, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Sign")
        self._people, self._person = people, person
        self.password, self.error = QLineEdit(), QLabel()
        self.error.setObjectName("error")
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        said = QLabel(
            f"{readable(person.name)} signs the report and attests what it states about supervision and "
            "the workstation. The captured pictures are drawn, stored and sent."
        )
        said.setWordWrap(True)
        form = QFormLayout(self)
        form.addRow(said)
        form.addRow("Password", self.password)
        form.addRow(self.error)
        form.addRow(_buttons(self, "Sign"))
        self.password.setFocus()

    def accept(self) -> None:
        try:
            self._people.signed_in(self._person.id, self.password.text())
        except PeopleError as error:
            self.error.setText(str(error))
            self.password.clear()
        else:
            super().accept()


class Help(QDialog):
    """Keys and mouse, as they are set."""

    def __init__(self, keys: Keys, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys and mouse")
        self.resize(560, 720)
        self.page = QTextBrowser()
        buttons = [(f"{name.capitalize()} button", what) for name, what in keys.buttons.items()]
        rows = [*MOUSE, *buttons, *((keys.keys[action], text) for action, text in ACTIONS.items())]
        cells = "".join(f"<tr><td><b>{key}</b>&nbsp;&nbsp;</td><td>{text}</td></tr>" for key, text in rows)
        self.page.setHtml(
            f"<table cellpadding=3>{cells}</table><p>Number keys choose windows. A file <i>keys.toml</i> in the state "
            "folder changes any of these.</p><p><b>Not cleared for diagnosis.</b></p>"
        )
        layout = QVBoxLayout(self)
        layout.addWidget(self.page)
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        box.rejected.connect(self.reject)
        layout.addWidget(box)


def _buttons(dialog: QDialog, accept: str) -> QDialogButtonBox:
    box = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
    box.button(QDialogButtonBox.StandardButton.Ok).setText(accept)
    box.accepted.connect(dialog.accept)
    box.rejected.connect(dialog.reject)
    return box
