"""A recipient's browser: the rotation turns under the pointer, the surface too, and the report comes down as PDF."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workstation.results.signed import Signed, signed_session
from tests.workstation.web.chromium import AtWork, chromium, serving
from workstation.results.links import make_link

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Signed, str]]:
    """The signed session, and the address of its console."""
    signed = signed_session(tmp_path_factory.mktemp("browser") / "root")
    with serving(signed.site) as address:
        yield signed, address
    signed.site.papers.engine.dispose()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


def test_a_surgeon_turns_it_and_takes_the_report_along(served: tuple[Signed, str], browser: Any) -> None:
    from playwright.sync_api import expect

    signed, address = served
    token = make_link(signed.session, signed.site, signed.person, "Dr. Stone").token
    visitor = AtWork(browser, address, accept_downloads=True)
    page = visitor.page
    visitor.go(f"/r/{token}")
    page.wait_for_selector(".stage[data-kind=scroll][data-loaded='3']")
    visitor.check("results")
    page.set_viewport_size({"width": 820, "height": 1180})

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
    assert visitor.faults == []


def test_without_webgl_the_pictures_remain(served: tuple[Signed, str], browser: Any) -> None:
    signed, address = served
    token = make_link(signed.session, signed.site, signed.person, "Dr. Stone").token
    context = browser.new_context(locale="de-DE")
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


def test_the_question_for_the_word_and_a_closed_link_are_usable(served: tuple[Signed, str], browser: Any) -> None:
    signed, address = served
    token = make_link(signed.session, signed.site, signed.person, "Dr. Stone", secret="rotkehlchen").token
    visitor = AtWork(browser, address)
    visitor.go(f"/r/{token}")
    visitor.check("results-word")
    visitor.page.fill("#word", "rotkehlchen")
    visitor.page.click("button")
    visitor.page.get_by_text("Signed by Radiologist Sample").wait_for()
    assert visitor.faults == []
    visitor.go("/r/nothing")
    visitor.check("results-closed")
