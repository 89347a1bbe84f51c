"""Whole days at the console: the coder's in a real browser, and the simulated day by script beside the reference."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.thorough import THOROUGH
from tests.workstation.billing.billing_system import Books
from tests.workstation.day import Story, story
from tests.workstation.desk import Desk
from tests.workstation.orders.ris import journalled
from tests.workstation.web.chromium import AtWork, chromium, serving
from tests.workstation.web.conftest import PIN, Counter, copied
from workstation.billing.filing import file_new_records
from workstation.billing.settle import settle_due
from workstation.coder.queue_rows import QueueFilter
from workstation.store.messages import Delivery


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


def live_through(desk: Desk, stories: list[Story]) -> None:
    """What the stories send comes in, in its order."""
    for each in stories:
        for study in each.signed:
            desk.site.archive.keep(journalled(study, desk.site.journal))
        file_new_records(desk.site)
        settle_due(desk.site)
        for message in each.messages:  # each is decided before the next comes
            desk.hear(message)


def stories(count: int, seed: int) -> list[Story]:
    rng = random.Random(seed)
    return [story(number, rng) for number in range(count)]


@pytest.mark.slow
def test_a_day_worked_through_the_console_ends_as_the_reference_says(counter: Counter) -> None:
    """Corrections are due, and a coder makes them in the browser; nothing else is decided by hand."""
    told = stories(120 if THOROUGH else 16, 11)
    live_through(counter.desk, told)
    browser = counter.browser("jd")
    made = 0
    for row in counter.console.queue.rows(QueueFilter(state="correction")):
        browser.get(f"/cases/{row.key}")
        browser.post(f"/cases/{row.key}/correct", {"why": "as the facts are now"})
        assert browser.status == 200, browser.words
        made += 1
    assert made > 3
    books = Books()
    for entry in counter.desk.site.outbox.list():
        if entry.message.body is not None:
            books.keep(entry.message.body)
    assert books.complaints == []
    assert sorted(books.charges.values()) == sorted(each.charge for each in told if each.charge is not None)


class Day:
    """A coder who works the list off, and the physician whom they ask."""

    def __init__(self, coder: AtWork, physician: AtWork) -> None:
        self.coder, self.physician = coder, physician
        self.done: dict[str, int] = {}

    def work_one(self) -> bool:
        """Opens the oldest case that is open and does with it what can be done. Returns whether there was one."""
        page = self.coder.page
        self.coder.go("/cases")
        first = page.locator("a[data-row]").first
        if not first.count():
            return False
        first.click()
        page.wait_for_selector("#decision")
        act = self.choose(page)
        self.done[act] = self.done.get(act, 0) + 1
        page.wait_for_selector("p.said")
        return True

    def choose(self, page: Any) -> str:
        reasons = page.inner_text("section[aria-labelledby=decision]")
        if page.locator("form[action$='/correct']").count():
            self.send(page, "correct", "as the facts are now")
            return "correct"
        if page.locator("form[action$='/release']").count():
            page.fill("#why-release", "looked at it")
            page.click("form[action$='/release'] button.main")
            return "release"
        if "ORDER_MISSING" in reasons and page.locator("form[action$='/answer']").count():
            page.click("summary:text('Answer with a document')")
            page.select_option("#fact", "order.three_d_ordered")
            page.fill("#value", "true")
            page.set_input_files("#document", {"name": "order.txt", "mimeType": "text/plain", "buffer": b"ordered 3D"})
            page.fill("#why-answer", "the ward sent its order")
            page.click("form[action$='/answer'] button.main")
            page.wait_for_selector("p.said")
            self.send(page, "deny", "decided with the ward") if page.locator("form[action$='/deny']").count() else None
            return "answer"
        if "Can be resolved by: physician" in reasons and "clinical_utility" in reasons:
            page.click("summary:text('Ask a physician')")
            page.fill("#why-query", "What did 3D contribute?")
            page.click("form[action$='/query'] button.main")
            page.wait_for_selector("p.said")
            self.reply()
            return "query"
        self.send(page, "deny", "cannot be charged")
        return "deny"

    def send(self, page: Any, act: str, why: str) -> None:
        form = page.locator(f"form[action$='/{act}']")
        if not form.is_visible():
            page.locator(f"details:has(form[action$='/{act}']) > summary").click()
        form.locator("textarea").fill(why)
        form.locator("button").click()

    def reply(self) -> None:
        page = self.physician.page
        self.physician.go("/inbox")
        form = page.locator("form[action='/inbox/reply']").first
        form.locator("input[name='fact.report.clinical_utility'][value=true]").check()
        form.locator("textarea").fill("It showed the course of the fracture.")
        form.locator("input[type=password]").fill(PIN)
        form.locator("button.main").click()
        page.wait_for_selector("p.said")


@pytest.mark.slow
@pytest.mark.parametrize("count", [4, 40])
def test_a_coder_works_the_list_off(enrolled: Path, tmp_path: Path, browser: Any, count: int) -> None:
    with copied(enrolled, tmp_path / "root") as here, serving(here.desk.site) as address:
        live_through(here.desk, stories(count, 7))
        coder, physician = (AtWork(browser, address, who) for who in ("jd", "DR1"))
        coder.check("work-list")
        coder.page.click("a[data-row]")
        coder.page.wait_for_selector("#decision")
        coder.check("case")
        physician.check("inbox")
        day = Day(coder, physician)
        for _ in range(3 * count):
            if not day.work_one():
                break
        assert "No case is here." in coder.words, day.done
        assert here.console.queue.rows(QueueFilter(open_only=True)) == ()
        assert coder.faults + physician.faults == []
        print(day.done)


@pytest.mark.slow
def test_keys_alone_do(enrolled: Path, tmp_path: Path, browser: Any) -> None:
    """Search, walk down the list, open a case: without a mouse."""
    with copied(enrolled, tmp_path / "root") as here, serving(here.desk.site) as address:
        live_through(here.desk, stories(6, 7))
        coder = AtWork(browser, address, "jd")
        page = coder.page
        page.wait_for_selector("#search")
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "search"
        page.keyboard.type("P0000")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=found among all")
        page.locator("#main").focus()
        page.keyboard.press("j")
        page.keyboard.press("j")
        wanted = page.evaluate("document.activeElement.getAttribute('href')")
        page.keyboard.press("Enter")
        page.wait_for_selector("#decision")
        assert page.url.endswith(wanted)
        assert coder.faults == []


@pytest.mark.slow
def test_a_compliance_officer_draws_and_reviews_a_sample(enrolled: Path, tmp_path: Path, browser: Any) -> None:
    with copied(enrolled, tmp_path / "root") as here, serving(here.desk.site) as address:
        live_through(here.desk, stories(8, 7))
        officer = AtWork(browser, address, "co")
        page = officer.page
        page.wait_for_selector("h1")
        officer.check("compliance-search")
        officer.go("/compliance/samples")
        page.fill("input[name=month]", "2026-03")
        page.fill("input[name=count]", "3")
        page.fill("textarea[name=why]", "monthly review")
        page.click("main form button.main")
        page.wait_for_selector("p.said")
        assert "3" in officer.words
        officer.check("compliance-sample")
        page.locator("details:has(form[action$='/review']) > summary").first.click()
        form = page.locator("form[action$='/review']").first
        form.locator("[name=finding][value=agreed]").check()
        form.locator("[name=text]").fill("as the report says")
        form.locator("button").first.click()
        page.wait_for_selector("p.said")
        (act,) = here.desk.site.casebook.acts(kinds={"review"})
        assert (act.person, act.detail["finding"], act.why) == ("co", "agreed", "as the report says")
        officer.go("/compliance/rates?month=2026-03")
        officer.check("compliance-rates")
        officer.go("/money?month=2026-03")
        officer.check("money")
        assert officer.faults == []


@pytest.mark.slow
def test_an_administrator_works_an_incident_off(enrolled: Path, tmp_path: Path, browser: Any) -> None:
    """Billing has turned a message down: it is found from the overview, tried again, and a new colleague is invited."""
    with copied(enrolled, tmp_path / "root") as here, serving(here.desk.site) as address:
        live_through(here.desk, stories(4, 7))
        site = here.desk.site
        (entry, *_) = site.outbox.list()
        site.outbox.attempted(entry.message.key, site.clock(), Delivery("rejected", "AR unknown account"))
        administrator = AtWork(browser, address, "ad")
        page = administrator.page
        page.wait_for_selector("text=Messages that wait for an operator")
        administrator.check("administration")
        administrator.go("/admin/outbox?state=operator")
        assert "AR unknown account" in administrator.words
        administrator.check("outbox")
        page.locator("td summary").first.click()
        page.locator("form[action='/admin/outbox/retry'] input[name=why]").first.fill("billing has the account now")
        page.locator("form[action='/admin/outbox/retry'] button.main").first.click()
        page.wait_for_selector("p.said")
        again = site.outbox.entry(entry.message.key)
        assert again is not None and again.state == "retrying"
        for path in ("/admin/people", "/admin/settings", "/admin/storage", "/admin/certificates", "/admin/peers"):
            administrator.go(path)
            administrator.check(path.strip("/").replace("/", "-"))
        assert administrator.faults == []
