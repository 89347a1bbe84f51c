"""The current decision about the charge, in a panel beside the panes."""

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QScrollArea, QVBoxLayout, QWidget

from workstation.desktop.language import tr
from workstation.desktop.model.verdicts import VERDICTS, Missing, Verdict
from workstation.desktop.plain import PlainLabel, plain_tip


class ChargePanel(QScrollArea):
    """The current decision, with a button to each field that is still to be filled. fill : the field's name."""

    fill = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        inner = QWidget()
        self._layout = QVBoxLayout(inner)
        self.headline = PlainLabel()
        self.headline.setObjectName("headline")
        self.headline.setWordWrap(True)
        self._layout.addWidget(self.headline)
        self._items = QVBoxLayout()
        self._layout.addLayout(self._items)
        self.note = PlainLabel()
        self.note.setWordWrap(True)
        self._layout.addWidget(self.note)
        self._layout.addStretch()
        self.setWidget(inner)
        self.setWidgetResizable(True)
        self.verdict: Verdict | None = None

    def show_verdict(self, verdict: Verdict) -> None:
        if verdict == self.verdict:
            return
        self.verdict = verdict
        self.headline.setText(headline_of(verdict))
        self.note.setText(note_of(verdict))
        _emptied(self._items)
        for missing in verdict.missing:
            row, label = QHBoxLayout(), PlainLabel(said_of_missing(missing))
            label.setWordWrap(True)
            label.setToolTip(plain_tip(missing.sentence))  # as it is recorded
            row.addWidget(label, 1)
            if missing.report_field:
                button = QPushButton(tr("Fill in"))
                button.setAccessibleName(f"{tr('Fill in')}: {said_of_missing(missing)}")
                button.clicked.connect(lambda _=False, field=missing.report_field: self.fill.emit(field))
                row.addWidget(button)
            self._items.addLayout(row)


def headline_of(verdict: Verdict) -> str:
    """Returns the first sentence in the language of the window."""
    words = {place: tr(said) if place == "state" else said for place, said in verdict.values.items()}
    return tr(verdict.said, **words).strip()


def note_of(verdict: Verdict) -> str:
    """Returns the note; what the outbox said stays as it is."""
    return tr(verdict.noted, **verdict.values) if verdict.noted in VERDICTS else verdict.note


def said_of_missing(missing: Missing) -> str:
    """Returns what is missing and who can supply it."""
    return f"{tr(missing.sentence)}\n{tr('Can be supplied by: {who}', who=tr(missing.resolver))}"


def verdict_lines(verdict: Verdict) -> tuple[str, ...]:
    """Returns the whole decision as paragraphs: the first sentence, what is missing, the note."""
    lines = (headline_of(verdict), *(said_of_missing(each) for each in verdict.missing), note_of(verdict))
    return tuple(line for line in lines if line)


def _emptied(layout: Any) -> None:
    while (item := layout.takeAt(0)) is not None:
        if item.widget() is not None:
            item.widget().hide()  # deleted later, and in the way until then
            item.widget().deleteLater()
        elif item.layout() is not None:
            _emptied(item.layout())
