"""A guide through a first study: a step is ticked when it is done, in whatever way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDockWidget, QLabel, QScrollArea, QVBoxLayout, QWidget

from dicom_io.evidence import Person
from render import View
from workstation.desktop.language import tr
from workstation.desktop.model.keys import Keys
from workstation.desktop.model.screen import Screen
from workstation.desktop.model.session import Draft
from workstation.desktop.plain import PlainLabel


class GuidedDesktop(Protocol):
    """The part of the desktop that the guide reads. shown, first, draft : the screen of the open study as
    it is and as it was hung, and its report; or None."""

    person: Person | None
    signed: bool

    @property
    def shown(self) -> Screen | None: ...
    @property
    def first(self) -> Screen | None: ...
    @property
    def draft(self) -> Draft | None: ...


@dataclass(frozen=True, slots=True)
class GuideStep:
    """A step of the guide. text : what to do, with keys as {names of actions}. done : whether it is done."""

    text: str
    done: Callable[[GuidedDesktop], bool]


def _screen(holds: Callable[[Screen], bool]) -> Callable[[GuidedDesktop], bool]:
    return lambda desktop: desktop.shown is not None and holds(desktop.shown)


def _draft(name: str) -> Callable[[GuidedDesktop], bool]:
    return lambda desktop: desktop.draft is not None and bool(getattr(desktop.draft, name).strip())


STEPS: tuple[GuideStep, ...] = (
    GuideStep("Sign in ({lock}), as a physician if you want to sign later.", lambda d: d.person is not None),
    GuideStep("Double-click a study in the work list.", lambda d: d.shown is not None),
    GuideStep("Drag in the 3D pane: the patient turns.", _screen(lambda s: s.solid.view != View())),
    GuideStep("Press a number key: the window changes.",
         lambda d: d.shown is not None and d.first is not None and d.shown.window != d.first.window),
    GuideStep("Ctrl and wheel over a plane, or {slab_thicker}: a slab.", _screen(lambda s: s.axial.slab_mm
         + s.coronal.slab_mm + s.sagittal.slab_mm > 0)),
    GuideStep("{distance}, then two clicks in a plane: a distance.", _screen(lambda s: bool(s.measures))),
    GuideStep("{capture} over a pane: its picture goes into the tray. Tick it there for the report.",
         _screen(lambda s: any(capture.key for capture in s.captures))),
    GuideStep("Write indication, findings, impression and why 3D was needed, on the Report tab.", _draft("findings")),
    GuideStep("Look at the Charge tab: what is missing has a button to its field.", _draft("utility")),
    GuideStep("Sign and deliver, on the Report tab.", lambda d: d.signed),
)  # fmt: skip


class Guide(QDockWidget):
    """The steps, with a tick before each that is done."""

    def __init__(self, desktop: GuidedDesktop, keys: Keys, parent: QWidget) -> None:
        super().__init__(tr("Guide"), parent)
        self.setObjectName("guide")
        self._desktop, self._keys = desktop, keys
        self._done = [False] * len(STEPS)
        inner = QWidget()
        layout = QVBoxLayout(inner)
        self.lines: list[QLabel] = []
        for _ in STEPS:
            line = PlainLabel()
            line.setWordWrap(True)
            line.setTextFormat(Qt.TextFormat.PlainText)
            self.lines.append(line)
            layout.addWidget(line)
        layout.addStretch()
        room = QScrollArea()  # beside the series it is low
        room.setWidget(inner)
        room.setWidgetResizable(True)
        room.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(room)
        self.refresh()

    @property
    def done(self) -> tuple[bool, ...]:
        return tuple(self._done)

    def refresh(self) -> None:
        """Ticks the steps that are done; a ticked step stays ticked."""
        for number, (step, line) in enumerate(zip(STEPS, self.lines, strict=True)):
            self._done[number] = self._done[number] or step.done(self._desktop)
            said = tr(step.text, **self._keys.keys)
            line.setText(f"{'✓' if self._done[number] else '○'}  {said}")
