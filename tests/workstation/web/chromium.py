"""A real browser, and a console that it reaches over a socket."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.workstation.web.conftest import PASSWORD
from workstation.site import Site
from workstation.web.serving import ConsoleServer, listen_for_browsers

# WebGL without a graphics card, and nothing that a browser does by itself.
_ARGUMENTS = (
    "--no-sandbox --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
SIZES = ((1920, 1080), (1366, 768), (820, 1180))


@contextmanager
def serving(site: Site) -> Iterator[str]:
    """The console of a site, in this process. Yields its address."""
    at = listen_for_browsers("127.0.0.1", 0)
    server = ConsoleServer(site, at)
    thread = Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{at.getsockname()[1]}"
    finally:
        server.end()
        thread.join()


@contextmanager
def chromium() -> Iterator[Any]:
    """Debian's Chromium. Skips the test where it is not installed."""
    sync_api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        yield browser
        browser.close()


class AtWork:
    """Somebody at a browser. faults : what went wrong in the page; none may."""

    def __init__(self, browser: Any, address: str, identity: str = "", **context: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1366, "height": 768}, **context)
        self.page, self.address = self.context.new_page(), address
        self.page.set_default_timeout(15_000)
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        if identity:
            self.go("/sign-in")
            self.page.fill("input[name=person]", identity)
            self.page.fill("input[name=password]", PASSWORD)
            self.page.click("main button.main")

    def go(self, path: str) -> None:
        self.page.goto(f"{self.address}{path}")

    @property
    def words(self) -> str:
        return str(self.page.inner_text("body"))

    def check(self, name: str) -> None:
        """The page is usable for everybody: axe-core finds nothing serious, and nothing is wider than the screen at any
        of three sizes. With WORKSTATION_TEST_SHOTS in the environment, pictures are kept there."""
        from axe_playwright_python.sync_playwright import Axe

        folder = os.environ.get("WORKSTATION_TEST_SHOTS", "")
        for width, height in SIZES:
            self.page.set_viewport_size({"width": width, "height": height})
            assert self.page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"
            if folder:
                Path(folder).mkdir(parents=True, exist_ok=True)
                self.page.screenshot(path=str(Path(folder) / f"{name}-{width}.png"), full_page=True)
        found = Axe().run(self.page).response["violations"]
        serious = [
            f"{each['id']}: {each['nodes'][0]['html'][:200]}"
            for each in found
            if each["impact"] in ("serious", "critical")
        ]
        assert serious == [], name
        self.page.set_viewport_size({"width": 1366, "height": 768})
