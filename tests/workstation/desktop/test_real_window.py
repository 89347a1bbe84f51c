"""The command itself in a real window of an X server, with a real mouse and keyboard, and then killed."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
from PIL import ImageGrab

from dicom_io.volumes import build_volume
from tests.workstation.desktop.conftest import DOCTOR, PASSWORD
from tests.workstation.desktop.hands import LIMIT_S, Reader, display_of, needs_a_window, xdotool
from tests.workstation.desktop.test_screens import FOLDER
from tests.workstation.samples import CT_HEAD, SERIES_UID
from workstation.desktop.model.screen import Screen
from workstation.desktop.model.session import Draft, recovered, session_file
from workstation.people import people_of
from workstation.site import open_site
from workstation.store.papers import read_papers

ROOT = Path(__file__).parents[3]
WIDTH, HEIGHT = 1500, 950
pytestmark = needs_a_window


@pytest.fixture
def display() -> Iterator[str]:
    with display_of(WIDTH, HEIGHT) as name:
        yield name


@pytest.mark.slow
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

            def turned() -> float:
                """To the right; 0 also where a drag came before the panes had their places, and met another one."""
                session = recovered(file, volume) if file.exists() else None
                return 0.0 if session is None else -session.screen.solid.view.azimuth_deg % 360.0

            while not turned():
                assert process.poll() is None and time.monotonic() < deadline, "nothing turned"
                there = ("mousemove", str(x), str(y))
                xdotool(
                    display, *there, "mousedown", "1", "mousemove_relative", "--sync", "50", "0", "mouseup", "1", *there
                )
            session = recovered(file, volume)
            assert session is not None
            # By 50 points, as often as it took; 0.4° each, and never up or down.
            assert turned() > 0.0 and session.screen.solid.view.elevation_deg == 0.0
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


@pytest.mark.slow
def test_a_study_from_the_list_to_the_charge(display: str, tmp_path: Path) -> None:
    """Open, rotate, window, slab, crop, measure, capture, report, sign, charge released: all by mouse and key."""
    root = tmp_path / "root"
    site = open_site(root)
    site.archive.import_files(CT_HEAD)
    people_of(root).add(DOCTOR, PASSWORD, "246810")
    papers = read_papers(CT_HEAD.parent / "papers" / "documented.json")
    assert papers.on_file is not None
    site.papers.put(papers.accession, papers.on_file, site.clock())
    volume = build_volume(site.archive.series(SERIES_UID))
    file = session_file(root, SERIES_UID, None)

    def screen() -> Screen:
        session = recovered(file, volume)
        assert session is not None
        return session.screen

    def draft() -> Draft:
        session = recovered(file, volume)
        assert session is not None
        return session.draft

    command = [sys.executable, "-m", "workstation", "--root", str(root), "desktop"]
    environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
    solid, axial = (WIDTH * 0.6, HEIGHT * 0.72), (WIDTH * 0.22, HEIGHT * 0.28)
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        reader = Reader(display, process, WIDTH, HEIGHT)
        try:
            assert reader.does("search", "--sync", "--onlyvisible", "--name", "3D workstation")
            search = (WIDTH * 0.3, HEIGHT * 0.084)
            reader.clicks(search)  # without a window manager, keys go to what was clicked
            reader.until(lambda: reader.sees("Sign in"), "no sign-in", lambda: reader.presses(search, "ctrl+l"))
            reader.answers("Sign in", PASSWORD)
            reader.clicks(search)
            reader.does("key", "Return")  # opens the first of the list
            reader.until(file.exists, "nothing turned", lambda: reader.drags(solid, (50, 0)))
            reader.until(lambda: screen().window.centre == 50.0, "no window", lambda: reader.presses(axial, "9"))
            reader.until(lambda: screen().axial.slab_mm > 0.0, "no slab", lambda: reader.presses(axial, "plus"))
            reader.presses(axial, "q")
            tops = cycle(range(60, HEIGHT // 3, 6))  # from the top again: a busy machine may miss all of them
            reader.until(
                lambda: screen().solid.crop is not None,
                "no crop",
                lambda: reader.drags((axial[0], next(tops)), (0, 40)),
            )
            reader.presses(axial, "d")

            def measure() -> None:
                reader.clicks((axial[0] - 40, axial[1]))
                reader.clicks((axial[0] + 40, axial[1] + 20))

            reader.until(lambda: bool(screen().measures), "no measure", measure)
            reader.until(lambda: bool(screen().captures), "no capture", lambda: reader.presses(solid, "c"))
            reader.presses(solid, "F6")
            for text in ("Fracture", "Seen in 3D", "Fracture", "Planning", "Shows fragments", "Made on a workstation"):
                reader.does("type", "--delay", "5", text)
                reader.does("key", "Tab")
            for _ in range(2):
                reader.does("key", "Down", "key", "Tab")
            reader.until(lambda: draft().required is True and draft().concurrent is True, "not attested")
            assert draft().indication == "Fracture" and draft().workstation == "Made on a workstation"
            reader.until(lambda: reader.sees("Sign"), "no signature", lambda: reader.does("key", "ctrl+Return"))
            reader.answers("Sign", "246810")
            reader.until(lambda: bool(site.casebook.newest()), "nothing was delivered")
            reader.until(lambda: site.casebook.newest()[0].state == "charged", "nothing was charged")
            reader.until(lambda: all(e.done for e in site.outbox.list()), "not everything was sent")
        finally:
            picture = ImageGrab.grab(xdisplay=display)
            process.kill()
    FOLDER.mkdir(exist_ok=True)
    picture.save(FOLDER / "real_window.png")
    (line,) = site.casebook.newest()[0].content["lines"]
    assert (line["code"], line["base"]) == ("76377", "70450")
    site.papers.engine.dispose()
