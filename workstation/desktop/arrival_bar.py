"""A bar that reports instances that have come since the series was opened, with a button to reload it."""

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton

from workstation.desktop.background import Watch
from workstation.desktop.language import tr
from workstation.desktop.model.studies import News, Opened
from workstation.desktop.plain import PlainLabel

_REFRESH_MS = 2000


class ArrivalBar(QFrame):
    """A line above the study; hidden while the screen shows everything that the archive has."""

    reload = Signal()

    def __init__(self, ask: Callable[[Opened], News | None]) -> None:
        super().__init__()
        self.setObjectName("arrival")
        self._ask = ask
        self._opened: Opened | None = None
        self._put_off: News | None = None
        self._news: News | None = None
        self.said = PlainLabel()
        self.said.setWordWrap(True)
        self.reload_button, self.later_button = QPushButton(tr("Reload")), QPushButton(tr("Later"))
        self.reload_button.clicked.connect(self.reload)
        self.later_button.clicked.connect(self._later)
        layout = QHBoxLayout(self)
        layout.addWidget(self.said, 1)
        layout.addWidget(self.reload_button)
        layout.addWidget(self.later_button)
        self.hide()
        self._watch = Watch(self._look, _REFRESH_MS, lambda: self._opened is not None, self)
        self._watch.answered.connect(self._show)

    def follow(self, opened: Opened | None) -> None:
        """Watches another study; None watches none."""
        self._opened, self._put_off, self._news = opened, None, None
        self.hide()

    def stop(self) -> None:
        """Stops asking, and waits for the running question."""
        self._watch.stop()

    def _look(self) -> tuple[Opened | None, News | None]:
        opened = self._opened
        return opened, None if opened is None else self._ask(opened)

    def _show(self, found: tuple[Opened | None, News | None]) -> None:
        opened, news = found
        if opened is not self._opened or news == self._news:
            return
        self._news = news
        if news is not None:
            self.said.setText(in_words(news))
        self.setVisible(news is not None and news != self._put_off)

    def _later(self) -> None:
        """Hides the bar until there is other news."""
        self._put_off = self._news
        self.hide()


def in_words(news: News) -> str:
    """Returns the news as a sentence for the reader."""
    count, revision = news.more, news.standing.revision
    if count < 0:
        return tr("{count} instances of this series have been taken out of the archive.", count=-count)
    if news.standing.stage == "complete":
        return tr(
            "Revision {revision} of this series is complete: {count} instances more than are on the screen.",
            revision=revision, count=count,
        )  # fmt: skip
    if news.standing.stage == "unknown":
        return tr("{count} more instances of this series have come.", count=count)
    return tr("{count} more instances of this series have come, and it is still arriving.", count=count)
