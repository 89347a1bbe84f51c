"""The panels of the study on the screen, beside its panes."""

from PySide6.QtWidgets import QDockWidget, QTabWidget, QVBoxLayout, QWidget

from workstation.desktop.language import tr
from workstation.desktop.plain import plain_title
from workstation.desktop.signed_panel import SignedBar

_LEAST_PX = 350  # all tabs in sight


class StudyDock(QDockWidget):
    """The panels as tabs, below the line that says what is signed. tabs : the panels. signed_bar : that line. folded :
    away although a study is open, for more room."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(tr("Study"), parent)
        self.setObjectName("study")
        self.tabs, self.signed_bar, self.folded = QTabWidget(), SignedBar(), False
        self._panel = 0  # the one on view: the same for every series
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.signed_bar)
        column.addWidget(self.tabs, 1)
        self.setWidget(inner)
        self.setMinimumWidth(_LEAST_PX)

    def fill(self, panels: tuple[tuple[QWidget, str], ...], title: str) -> None:
        """Shows panels, each with its title, under a title of all; the same one is on view as before."""
        for widget, name in panels:
            self.tabs.addTab(widget, name)
        self.tabs.setCurrentIndex(self._panel)
        self.setWindowTitle(plain_title(title))

    def empty(self) -> None:
        """Takes the panels out; they live on."""
        self._panel = self.tabs.currentIndex()
        while self.tabs.count():
            self.tabs.removeTab(0)

    def begin_anew(self) -> None:
        """Forgets what was on view and folded, for the next patient."""
        self._panel, self.folded = 0, False

    def reveal(self, number: int) -> None:
        """Shows a panel, also where they are folded away."""
        self.folded = False
        self.show()
        self.tabs.setCurrentIndex(number)
