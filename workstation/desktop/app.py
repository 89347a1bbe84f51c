"""Starts the desktop: `workstation desktop [STUDY]`."""

import gc
import sys
from pathlib import Path

from PySide6.QtCore import QSettings, QTimer
from PySide6.QtWidgets import QApplication

from workstation.desktop.language import speak
from workstation.desktop.model.desk import ReadingDesk
from workstation.desktop.model.keys import load_keys
from workstation.desktop.window import MainWindow
from workstation.site import open_site

_SHOWN_MS = 50
# How long a thread keeps the interpreter at most while another waits for it: the window's thread and the one that
# draws hand it over several times a picture, and Python's 5 ms are a third of one at 60 a second.
_TURN_S = 0.001


def make_window(root: Path, region: str = "") -> MainWindow:
    """Makes the main window over a state folder. Raises ConfigError, KeysError."""
    sys.setswitchinterval(_TURN_S)
    site = open_site(root)
    settings = QSettings(str(root / "desktop.ini"), QSettings.Format.IniFormat)
    window = MainWindow(ReadingDesk(site, region), load_keys(root / "keys.toml"), settings)
    QTimer.singleShot(_SHOWN_MS, window, window.desk.warm)  # beside it, it would keep the window from being shown
    return window


def collect_what_comes() -> None:
    """From now on garbage is looked for, but not in what is there already: the program has half a million objects, and
    whenever all are looked through, no thread runs for a tenth of a second."""
    gc.freeze()
    gc.enable()


def start(root: Path, study: str = "", region: str = "", language: str = "en", demo: Path | None = None) -> int:
    """Shows the window until it is closed. study : a series UID to open at once. demo : a folder to import; the guide
    is then shown too.

    Raises ValueError for an unknown language.
    """
    application = QApplication.instance() or QApplication(sys.argv[:1])
    application.setApplicationName("workstation")
    catalogue = speak(language)
    window = make_window(root, region)
    if demo is not None:
        window.helping.show_guide()
        window.taking_in.paths([str(demo)])
    window.show()
    QTimer.singleShot(_SHOWN_MS, window, collect_what_comes)
    if study:
        window.open_series(study)
    code = application.exec()
    del catalogue  # Qt keeps no translator alive
    return code
