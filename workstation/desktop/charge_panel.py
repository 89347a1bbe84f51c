"""The current decision about the charge, in a panel beside the panes."""

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from workstation.desktop.language import tr
from workstation.desktop.model.desk import Verdict


class ChargePanel(QWidget):
    """The current decision, with a button to each field that is still to be filled. fill : the field's name."""

    fill = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._layout = QVBoxLayout(self)
        self.headline = QLabel()
        self.headline.setObjectName("headline")
        self.headline.setWordWrap(True)
        self._layout.addWidget(self.headline)
        self._items = QVBoxLayout()
        self._layout.addLayout(self._items)
        self.note = QLabel()
        self.note.setWordWrap(True)
        self._layout.addWidget(self.note)
        self._layout.addStretch()
        self.verdict: Verdict | None = None

    def show_verdict(self, verdict: Verdict) -> None:
        if verdict == self.verdict:
            return
        self.verdict = verdict
        self.headline.setText(verdict.headline)
        self.note.setText(verdict.note)
        _emptied(self._items)
        for sentence, who, field in verdict.missing:
            row, label = QHBoxLayout(), QLabel(f"{sentence}\n{tr('Can be supplied by: {who}', who=tr(who))}")
            label.setWordWrap(True)
            row.addWidget(label, 1)
            if field:
                button = QPushButton(tr("Fill in"))
                button.clicked.connect(lambda _=False, field=field: self.fill.emit(field))
                row.addWidget(button)
            self._items.addLayout(row)


def _emptied(layout: Any) -> None:
    while (item := layout.takeAt(0)) is not None:
        if item.widget() is not None:
            item.widget().deleteLater()
        elif item.layout() is not None:
            _emptied(item.layout())
