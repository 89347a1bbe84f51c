"""A recipient's browser: the rotation turns under the pointer, the surface too, and the report comes down as PDF."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.workstation.results.signed import Signed, signed_session
from workstation.results.links import make_link
from workstation.web.serving import ConsoleServer, listen_for_browsers

pytestmark = pytest.mark.slow
# WebGL without a graphics card, and nothing that a browser does by itself.
_ARGUMENTS = (
    "--no-sandbox --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Signed, str]]:
    """The signed session, and the address of its console."""
    signed = signed_session(tmp_path_factory.mktemp("browser") / "root")
    at = listen_for_browsers("127.0.0.1", 0)
    server = ConsoleServer(signed.site, at)
    thread = Thread(target=server.run)
    thread.start()
    yield signed, f"http://127.0.0.1:{at.getsockname()[1]}"
    server.end()
    thread.join()
    signed.site.papers.engine.dispose()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        yield browser
        browser.close()


def test_a_surgeon_turns_it_and_takes_the_report_along(served: tuple[Signed, str], chromium: Any) -> None:
    from playwright.sync_api import expect

    signed, address = served
    token = make_link(signed.session, signed.site, signed.person, "Dr. Stone").token
    page = chromium.new_context(viewport={"width": 820, "height": 1180}, accept_downloads=True).new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.goto(f"{address}/r/{token}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 820

    surface = page.locator(".surface")
    surface.scroll_into_view_if_needed()
    page.wait_for_selector(".surface[data-ready]")
    left = page.locator(".side.left")
    expect(left).to_have_text("R")  # seen from the front
    page.get_by_role("button", name="View from: left").click()
    expect(left).to_have_text("A")
    surface.focus()
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    expect(left).to_have_text("L")  # a quarter on: from behind
    page.get_by_label("Mask of Turn, label 1", exact=True).uncheck()

    stage = page.locator(".stage[data-kind=turn]")
    stage.scroll_into_view_if_needed()
    page.wait_for_selector(".stage[data-kind=turn][data-loaded='5']")
    before = stage.get_attribute("aria-valuenow")
    box = stage.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - box["width"] * 0.45, y, steps=4)
    page.mouse.move(x - box["width"] * 0.45, y)
    assert stage.get_attribute("aria-valuenow") != before
    page.mouse.up()
    stage.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert stage.get_attribute("aria-valuetext") == "Picture 2 of 5"

    page.locator("a.enlarge").first.click()
    assert page.locator("dialog.light img").get_attribute("src").endswith("/1.png")
    page.keyboard.press("Escape")
    with page.expect_download() as fetched:
        page.get_by_role("link", name="Report as PDF").click()
    assert Path(fetched.value.path()).read_bytes().startswith(b"%PDF")
    assert faults == []


def test_without_webgl_the_pictures_remain(served: tuple[Signed, str], chromium: Any) -> None:
    signed, address = served
    token = make_link(signed.session, signed.site, signed.person, "Dr. Stone").token
    context = chromium.new_context(locale="de-DE")
    context.add_init_script(
        "const made = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
        " return kind === '2d' ? made.call(this, kind, ...more) : null; };"
    )
    page = context.new_page()
    page.goto(f"{address}/r/{token}")
    page.locator(".surface").scroll_into_view_if_needed()
    page.get_by_text("Dieser Browser kann keine 3D-Oberflächen zeigen").wait_for()
    assert page.locator(".still img").first.is_visible()
