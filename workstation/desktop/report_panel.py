"""The structured report beside the panes, with sentences to begin with for each clinical use."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QTextCursor, QWheelEvent
from PySide6.QtWidgets import (
    QComboBox,
    QGroupBox,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from workstation.desktop.language import tr
from workstation.desktop.model.report_check import FIELD_TITLES, NO_REGION, REGION_TITLES, Obstacle
from workstation.desktop.model.report_lines import with_lines
from workstation.desktop.model.session import CLINICAL_USES, Draft
from workstation.desktop.plain import PlainLabel
from workstation.desktop.viewer import Viewer

# Fields of the report: key, title, hint, height in points.
FIELDS: tuple[tuple[str, str, str, int], ...] = (
    ("indication", FIELD_TITLES["indication"], "", 54),
    ("findings", FIELD_TITLES["findings"], "", 120),
    ("impression", FIELD_TITLES["impression"], "", 80),
    ("necessity", FIELD_TITLES["necessity"], "Why 3D was needed for this patient", 54),
    ("utility", FIELD_TITLES["utility"], "What the 3D pictures contributed", 54),
    (
        "workstation",
        FIELD_TITLES["workstation"],
        "That the pictures were made on an independent workstation",
        54,
    ),
)
ANSWERS: dict[str, bool | None] = {"not stated": None, "yes": True, "no": False}
# Template sentences for each clinical use; the physician changes or deletes them.
TEMPLATES: dict[str, dict[str, str]] = {
    "vascular": {
        "indication": "Vascular question: aneurysm, stenosis or malformation of …",
        "findings": "Course, calibre and branches …\nAneurysm: site, neck, diameter …\nStenosis: site, degree …",
        "impression": "",
    },
    "oncology": {
        "indication": "Tumour of …, staging or follow-up.",
        "findings": "Mass: site, size in three planes, borders …\nRelation to vessels and organs …\nNodes …",
        "impression": "",
    },
    "orthopaedics": {
        "indication": "Injury of …, fracture or joint.",
        "findings": "Fracture lines, fragments, displacement …\nJoint surfaces …\nAlignment …",
        "impression": "",
    },
    "neurosurgery": {
        "indication": "Planning or follow-up of surgery at …",
        "findings": "Lesion: site, size …\nRelation to skull, vessels and eloquent areas …\nApproach …",
        "impression": "",
    },
}


class ReportPanel(QScrollArea):
    """The structured report. signed : the physician wants to sign; sign is only for physicians.

    unless_chosen : the region of the study while its reader chooses none, one of REGION_TITLES; empty where it is not
    known.
    """

    signed = Signal()

    def __init__(self, viewer: Viewer, unless_chosen: str = "") -> None:
        super().__init__()
        self._session = viewer.session
        self._put: dict[str, tuple[str, ...]] = {}  # what each tool put there last
        inner = QWidget()
        form = QVBoxLayout(inner)
        self.use: QComboBox = _Steady()
        self.use.setAccessibleName(tr("Template …"))
        self.use.addItem(tr("Template …"), None)
        for name in CLINICAL_USES:
            self.use.addItem(tr(name.capitalize()), name)
        self.use.activated.connect(self._template)
        form.addWidget(self.use)
        self.fields: dict[str, QPlainTextEdit] = {}
        for key, title, hint, height in FIELDS:
            box = QGroupBox(tr(title))
            edit = QPlainTextEdit()
            edit.setPlaceholderText(tr(hint) if hint else "")
            edit.setTabChangesFocus(True)
            edit.setFixedHeight(height)
            edit.setAccessibleName(tr(title))
            edit.textChanged.connect(lambda key=key, edit=edit: self._wrote(key, edit.toPlainText()))
            QVBoxLayout(box).addWidget(edit)
            self.fields[key] = edit
            form.addWidget(box)
        self.required, self.concurrent = (
            _asked(form, tr("An independent workstation was required")),
            _asked(form, tr("I supervised the work while it was done")),
        )
        self.required.activated.connect(lambda: self._session.write(required=self.required.currentData()))
        self.concurrent.activated.connect(lambda: self._session.write(concurrent=self.concurrent.currentData()))
        self.region = self._asked_region(unless_chosen)
        row = QHBoxLayout()
        row.addWidget(PlainLabel(tr("Body region")))
        row.addWidget(self.region, 1)
        form.addLayout(row)
        self.key_pictures = PlainLabel()
        self.key_pictures.setWordWrap(True)
        form.addWidget(self.key_pictures)
        self.sign = QPushButton(tr("Sign and deliver …"))
        self.sign.clicked.connect(self.signed)
        form.addWidget(self.sign)
        self.why_not = PlainLabel()
        self.why_not.setWordWrap(True)
        form.addWidget(self.why_not)
        self.setWidget(inner)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.show_draft(self._session.draft)
        viewer.changed.connect(self._show_key_pictures)
        self._show_key_pictures()

    def _asked_region(self, unless_chosen: str) -> QComboBox:
        box = _Steady()
        box.setAccessibleName(tr("Body region"))
        box.setToolTip(tr("The body region of pictures and charge"))
        known = tr(REGION_TITLES[unless_chosen]) if unless_chosen else ""
        box.addItem(
            tr("{region}, unless another is chosen", region=known) if known else tr("not known; choose one"), ""
        )
        for name, title in REGION_TITLES.items():
            box.addItem(tr(title), name)
        box.activated.connect(lambda: self._session.write(region=box.currentData()))
        return box

    def show_draft(self, draft: Draft) -> None:
        for key, edit in self.fields.items():
            if edit.toPlainText() != getattr(draft, key):
                edit.setPlainText(getattr(draft, key))
        self.use.setCurrentIndex(max(self.use.findData(draft.clinical_use), 0))
        self.region.setCurrentIndex(max(self.region.findData(draft.region), 0))
        self.required.setCurrentIndex(self.required.findData(draft.required))
        self.concurrent.setCurrentIndex(self.concurrent.findData(draft.concurrent))

    def _show_key_pictures(self) -> None:
        """Lists the captures ticked for the report."""
        names = [capture.recipe.name for capture in self._session.screen.captures if capture.key]
        self.key_pictures.setText(tr("Key pictures: {names}", names="; ".join(names)) if names else "")

    def allow_signing(self, obstacle: Obstacle | None) -> None:
        """Allows or forbids signing. What is wanting in a field leaves the button: pressing it goes there."""
        mended_here = obstacle is not None and (obstacle.report_field is not None or obstacle.sentence == NO_REGION)
        self.sign.setEnabled(obstacle is None or mended_here)
        self.why_not.setText(said_of_obstacle(obstacle) if obstacle is not None else "")

    def read_only(self, sealed: bool) -> None:
        """Makes the report one to read, or to write."""
        for edit in self.fields.values():
            edit.setReadOnly(sealed)
        for widget in (self.use, self.region, self.required, self.concurrent, self.sign):
            widget.setEnabled(not sealed)
        if sealed:
            self.why_not.setText("")

    def put(self, source: str, lines: Sequence[str], before: Sequence[str] = ()) -> None:
        """Puts what a tool has found under the findings; what it put there before makes room. before : what it would
        have put there before, for a study that was opened again since."""
        field = self.fields["findings"]
        field.setPlainText(with_lines(field.toPlainText(), lines, (self._put.get(source, ()), before)))
        self._put[source] = tuple(lines)

    def go_to(self, obstacle: Obstacle) -> None:
        """Puts the cursor on the place that is to be mended, and marks it."""
        if obstacle.sentence == NO_REGION:
            self.ensureWidgetVisible(self.region)
            self.region.setFocus(Qt.FocusReason.OtherFocusReason)
        if obstacle.report_field is None:
            return
        edit = self.fields[obstacle.report_field]
        cursor = edit.textCursor()
        cursor.setPosition(obstacle.start)
        cursor.setPosition(obstacle.end, QTextCursor.MoveMode.KeepAnchor)
        edit.setTextCursor(cursor)
        self.ensureWidgetVisible(edit)
        edit.setFocus(Qt.FocusReason.OtherFocusReason)

    def _wrote(self, key: str, text: str) -> None:
        self._session.write(**{key: text})

    def _template(self) -> None:
        name = self.use.currentData()
        self._session.write(clinical_use=name)
        for key, text in TEMPLATES.get(name or "", {}).items():
            # A template never overwrites text that was written, only nothing and another template's as it came.
            written = self.fields[key].toPlainText().strip()
            if not written or written in {template[key].strip() for template in TEMPLATES.values()}:
                self.fields[key].setPlainText(text)


def said_of_obstacle(obstacle: Obstacle) -> str:
    """Returns the reason against signing in the language of the window."""
    words = {place: tr(said) if place in ("field", "role") else said for place, said in obstacle.values.items()}
    return tr(obstacle.sentence, **words)


class _Steady(QComboBox):
    """A choice that the wheel does not change: who scrolls the report past it means the report."""

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        event.ignore()


def _asked(form: QVBoxLayout, question: str) -> QComboBox:
    box = _Steady()
    for title, value in ANSWERS.items():
        box.addItem(tr(title), value)
    box.setAccessibleName(question)
    row = QHBoxLayout()
    label = PlainLabel(question)
    label.setWordWrap(True)
    row.addWidget(label, 1)
    row.addWidget(box)
    form.addLayout(row)
    return box
