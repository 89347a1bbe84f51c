"""A guide through a first study: each step is ticked when it has been done, whichever way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDockWidget, QLabel, QVBoxLayout, QWidget

from render import View
from workstation.desktop.language import tr
from workstation.desktop.screen import Screen

if TYPE_CHECKING:
    from workstation.desktop.window import MainWindow


@dataclass(frozen=True, slots=True)
class Step:
    """text : what to do, with the keys of this reader in {braces}. done : whether it has been done."""

    text: str
    done: Callable[["MainWindow"], bool]


def _screen(holds: Callable[[Screen], bool]) -> Callable[["MainWindow"], bool]:
    return lambda window: window.viewer is not None and holds(window.viewer.session.screen)


def _draft(name: str) -> Callable[["MainWindow"], bool]:
    return lambda window: window.opened is not None and bool(getattr(window.opened.session.draft, name).strip())


STEPS: tuple[Step, ...] = (
    Step("Sign in ({lock}), as a physician if you want to sign later.", lambda w: w.person is not None),
    Step("Double-click a study in the work list.", lambda w: w.viewer is not None),
    Step("Drag in the 3D pane: the patient turns.", _screen(lambda s: s.solid.view != View())),
    Step("Press a number key: the window changes.", _screen(lambda s: (s.window.centre, s.window.width) != (50, 400))),
    Step("Ctrl and wheel over a plane, or {slab_thicker}: a slab.", _screen(lambda s: s.axial.slab_mm
         + s.coronal.slab_mm + s.sagittal.slab_mm > 0)),
    Step("{distance}, then two clicks in a plane: a distance.", _screen(lambda s: bool(s.measures))),
    Step("{capture} over a pane: its picture goes into the tray. Tick it there for the report.",
         _screen(lambda s: any(capture.key for capture in s.captures))),
    Step("Write findings and why 3D was needed, on the Report tab.", _draft("findings")),
    Step("Look at the Charge tab: what is missing has a button to its field.", _draft("utility")),
    Step("Sign and deliver, on the Report tab.", lambda w: w.signed),
)  # fmt: skip


class Guide(QDockWidget):
    """The steps, with a tick before each that is done."""

    def __init__(self, window: "MainWindow") -> None:
        super().__init__(tr("Guide"), window)
        self.setObjectName("guide")
        self._window = window
        self._done = [False] * len(STEPS)
        inner = QWidget()
        layout = QVBoxLayout(inner)
        self.lines: list[QLabel] = []
        for _ in STEPS:
            line = QLabel()
            line.setWordWrap(True)
            line.setTextFormat(Qt.TextFormat.PlainText)
            self.lines.append(line)
            layout.addWidget(line)
        layout.addStretch()
        self.setWidget(inner)
        self.refresh()

    @property
    def done(self) -> tuple[bool, ...]:
        return tuple(self._done)

    def refresh(self) -> None:
        """Ticks what has been done; what was done once stays ticked."""
        for number, (step, line) in enumerate(zip(STEPS, self.lines, strict=True)):
            self._done[number] = self._done[number] or step.done(self._window)
            said = tr(step.text, **self._window.keys.keys)
            line.setText(f"{'✓' if self._done[number] else '○'}  {said}")
