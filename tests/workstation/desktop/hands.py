"""Hands at a real window of an X server: mouse and keys by xdotool, and nothing else."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from PIL import Image, ImageGrab

LIMIT_S = 300.0
needs_a_window = pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="Xvfb and xdotool are not installed"
)


@contextmanager
def display_of(width: int, height: int) -> Iterator[str]:
    """An X server of our own, on a number that it chooses."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as server:
        os.close(writing)
        with os.fdopen(reading) as number:
            name = f":{number.readline().strip()}"
        try:
            yield name
        finally:
            server.terminate()


def xdotool(display: str, *words: str) -> str:
    done = subprocess.run(
        ["xdotool", *words], env={**os.environ, "DISPLAY": display}, capture_output=True, text=True, check=False,
        timeout=LIMIT_S,
    )  # fmt: skip
    return done.stdout.strip()


class Reader:
    """Somebody at a screen: mouse and keys, nothing else. What came of it is looked for in the state folder."""

    def __init__(self, display: str, process: "subprocess.Popen[str]", width: int, height: int) -> None:
        self._display, self._process, self._middle = display, process, (width // 2, height // 2)
        self._ends = time.monotonic() + LIMIT_S

    def does(self, *words: str) -> str:
        return xdotool(self._display, *words)

    def until(
        self, holds: Callable[[], bool], what: str, act: Callable[[], object] = lambda: None, again_s: float = 0.0
    ) -> None:
        """Acts until something holds. again_s : how long what was done may take before it is done again; two clicks in
        one place would soon be a double-click."""
        acted = float("-inf")
        while not holds():
            assert self._process.poll() is None and time.monotonic() < self._ends, what
            if time.monotonic() >= acted + again_s:
                act()
                acted = time.monotonic()
            elif again_s:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.05)

    def grabbed_later(self, after_s: float = 0.3) -> Image.Image:
        """Returns the screen as it is in a moment."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(after_s)
        return ImageGrab.grab(xdisplay=self._display)

    def sees(self, title: str) -> bool:
        return bool(self.does("search", "--onlyvisible", "--name", f"^{title}( . .*)?$"))

    def answers(self, title: str, text: str) -> None:
        """Types into a dialog, once it is there, and sees it go. Types again where keys came before its field did."""
        self.until(lambda: self.sees(title), f"no dialog {title}")
        typed = float("-inf")

        def types() -> None:
            nonlocal typed
            if time.monotonic() < typed + LIMIT_S / 15.0:
                return
            middle = ("mousemove", str(self._middle[0]), str(self._middle[1]))
            self.does(*middle, "key", "ctrl+a", "type", "--delay", "5", text)
            self.does("key", "Return")
            typed = time.monotonic()

        self.until(lambda: not self.sees(title), f"dialog {title} stays", types)

    def drags(self, start: tuple[float, float], by: tuple[int, int]) -> None:
        at = ("mousemove", str(start[0]), str(start[1]))
        way = ("mousemove_relative", "--sync", "--", str(by[0]), str(by[1]))
        self.does(*at, "mousedown", "1", *way, "mouseup", "1")

    def clicks(self, at: tuple[float, float]) -> None:
        self.does("mousemove", str(at[0]), str(at[1]), "click", "1")

    def presses(self, at: tuple[float, float], key: str) -> None:
        self.does("mousemove", str(at[0]), str(at[1]), "key", key)
