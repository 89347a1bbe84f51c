"""The panels of the study on the screen, beside its panes."""

from PySide6.QtWidgets import QDockWidget, QStackedWidget, QTabWidget, QVBoxLayout, QWidget

from workstation.desktop.language import tr
from workstation.desktop.plain import plain_title
from workstation.desktop.signed_panel import SignedBar

_LEAST_PX = 350  # all tabs in sight


class StudyDock(QDockWidget):
    """The panels as tabs, below the line that says what is signed. Each open series has tabs of its own, which stay
    where they are: a panel that is moved to another place is laid out anew, which takes longer than a drawing.

    tabs : those on view. signed_bar : that line. folded : away although a study is open, for more room.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(tr("Study"), parent)
        self.setObjectName("study")
        self.signed_bar, self.folded = SignedBar(), False
        self._all, self._nobodys = QStackedWidget(), QTabWidget()
        self._all.addWidget(self._nobodys)
        self._panel = 0  # the one on view: the same for every series
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.signed_bar)
        column.addWidget(self._all, 1)
        self.setWidget(inner)
        self.setMinimumWidth(_LEAST_PX)

    @property
    def tabs(self) -> QTabWidget:
        found = self._all.currentWidget()
        assert isinstance(found, QTabWidget)
        return found

    def new_tabs(self) -> QTabWidget:
        """Returns tabs for one more series, without panels yet and not on view."""
        made = QTabWidget()
        self._all.addWidget(made)
        return made

    def fill(self, tabs: QTabWidget, last: QWidget, last_name: str, title: str) -> None:
        """Shows the tabs of a series under a title; the same panel is on view as before. last : the panel that all
        series have in common, beside those of each."""
        tabs.addTab(last, last_name)
        tabs.setCurrentIndex(self._panel)
        self._all.setCurrentWidget(tabs)
        self.setWindowTitle(plain_title(title))

    def empty(self) -> None:
        """Takes the panels from view; they live on."""
        self._panel = self.tabs.currentIndex()
        self._all.setCurrentWidget(self._nobodys)

    def drop(self, tabs: QTabWidget, last: QWidget) -> None:
        """Removes the tabs of a series that is closed, but not the panel that all have in common."""
        if tabs.indexOf(last) >= 0:
            tabs.removeTab(tabs.indexOf(last))
            last.setParent(self)
            last.hide()
        self._all.removeWidget(tabs)
        tabs.deleteLater()

    def begin_anew(self) -> None:
        """Forgets what was on view and folded, for the next patient."""
        self._panel, self.folded = 0, False

    def reveal(self, number: int) -> None:
        """Shows a panel, also where they are folded away."""
        self.folded = False
        self.show()
        self.tabs.setCurrentIndex(number)
