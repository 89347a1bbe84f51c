"""The command itself in a real window of an X server, with a real mouse and keyboard, and then killed."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_io.build_volume import build_volume
from tests.desktop.conftest import DOCTOR, PASSWORD
from tests.workstation.samples import CT_HEAD, SERIES_UID
from workstation.desktop.session import recovered, session_file
from workstation.people import people_of
from workstation.site import open_site

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT, LIMIT_S = 1500, 950, 90.0
pytestmark = pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="Xvfb and xdotool are not installed"
)


@pytest.fixture
def display() -> Iterator[str]:
    """An X server of our own, on a number that it chooses."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as server:
        os.close(writing)
        with os.fdopen(reading) as number:
            yield f":{number.readline().strip()}"
        server.terminate()


def xdotool(display: str, *words: str) -> str:
    done = subprocess.run(
        ["xdotool", *words], env={**os.environ, "DISPLAY": display}, capture_output=True, text=True, check=False,
        timeout=30,
    )  # fmt: skip
    return done.stdout.strip()


def test_open_turn_capture_and_survive_a_kill(display: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    site = open_site(root)
    site.archive.import_files(CT_HEAD)
    people_of(root).add(DOCTOR, PASSWORD)
    volume = build_volume(site.archive.series(SERIES_UID))
    file = session_file(root, SERIES_UID, None)
    command = [sys.executable, "-m", "workstation", "--root", str(root), "desktop", SERIES_UID]
    environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            window = xdotool(display, "search", "--sync", "--onlyvisible", "--name", "3D workstation")
            assert window
            # The middle of the 3D pane, by where the panes are at this size.
            x, y, deadline = WIDTH * 0.49, HEIGHT * 0.74, time.monotonic() + LIMIT_S
            while not file.exists():
                assert process.poll() is None and time.monotonic() < deadline, "nothing turned"
                there = ("mousemove", str(x), str(y))
                xdotool(
                    display, *there, "mousedown", "1", "mousemove_relative", "--sync", "50", "0", "mouseup", "1", *there
                )
            session = recovered(file, volume)
            assert session is not None
            # To the right by 50 points, as often as it took; 0.4° each, and never up or down.
            turned = -session.screen.solid.view.azimuth_deg % 360.0
            assert turned > 0.0 and session.screen.solid.view.elevation_deg == 0.0
            while not (session := recovered(file, volume)) or not session.screen.captures:
                assert process.poll() is None and time.monotonic() < deadline, "nothing was captured"
                xdotool(display, "mousemove", str(x), str(y), "key", "c")
            captured = session.screen
        finally:
            process.kill()
    back = recovered(file, volume)
    assert back is not None and len(back.screen.captures) >= len(captured.captures)
    assert back.screen.captures[0].recipe == captured.captures[0].recipe
    site.papers.engine.dispose()
