"""Compliance, money, messages and phrases in the browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workstation.orders.ris import CO, WHOLE, Ris, Study
from tests.workstation.web.conftest import Browser, Counter, copied
from workstation.coder import acts, samples
from workstation.coder.phrase_trial import try_phrases
from workstation.coder.queue_rows import case_key

FLAT = Study("ACC1", technique="mpr")
WHOLE_ONE = Study("ACC2", patient="P2", account="A2", visit="V2")
MONTH = "2026-03"


@pytest.fixture(scope="session")
def looked_back(enrolled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a case released by hand, a charged one, a report of an unknown accession and a refused
    message."""
    root = tmp_path_factory.mktemp("looked_back") / "root"
    with copied(enrolled, root) as made:
        desk = made.desk
        for study in (FLAT, WHOLE_ONE):
            desk.sr(study)
            desk.hear(Ris(study).order(), Ris(study).report())
        person = next(each for each in desk.site.people.all() if each.id == "jd")
        acts.release(desk.site, "ACC1", person, "=1+1 looked at it")
        ris = Ris(FLAT, minute=30)
        desk.hear(ris.report(text=("3D helped.",)).replace(b"ACC1", b"ACC9"))
        desk.hear(b"MSH|^~\\&|RIS|HOSPITAL|WORKSTATION|RAD|20260302100000+0000||ZZZ^Z01|Q1|P|2.5.1\r")
    return root


@pytest.fixture
def at_work(looked_back: Path, tmp_path: Path) -> Iterator[Counter]:
    with copied(looked_back, tmp_path / "root") as found:
        yield found


@pytest.fixture(scope="module")
def reading(looked_back: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A compliance officer's browser over a console that nothing is changed in."""
    with copied(looked_back, tmp_path_factory.mktemp("reading") / "root") as found:
        yield found.browser("co")


def key_of(counter: Counter, accession: str) -> str:
    return case_key(counter.desk.case(accession).session)


class TestSearch:
    def test_acts_and_decisions_with_their_cases(self, reading: Browser) -> None:
        reading.get("/compliance?since=2026-03-01")
        assert "=1+1 looked at it" in reading.words and "release by jd" in reading.words
        reading.get("/compliance?person=jd")
        assert "1 rows, the newest first" in reading.words
        reading.get("/compliance?kind=nonsense")
        assert "Nothing was found." in reading.words
        assert reading.get("/compliance?since=yesterday") and reading.status == 422

    def test_a_case_is_named_by_its_key_and_never_by_its_accession(self, reading: Browser) -> None:
        reading.get("/compliance")
        reading.post("/compliance/case", {"word": "ACC1"})
        assert re.search(r"\?case=[0-9a-f]{20}$", reading.url)
        assert "Only the case of accession ACC1" in reading.words and "ACC2" not in reading.words
        reading.post("/compliance/case", {"word": "NONE"})
        assert "No case has this accession" in reading.words

    def test_files_have_no_formula_and_all_rows(self, reading: Browser) -> None:
        csv = reading.get("/compliance/search-file?person=jd&as=csv")
        assert "'=1+1 looked at it" in csv
        assert 'attachment; filename="audit.csv"' in reading.headers["content-disposition"]
        answer = reading.client.get("/compliance/search-file?person=jd&as=pdf")
        assert answer.content.startswith(b"%PDF") and answer.headers["content-type"] == "application/pdf"


class TestRecord:
    def test_what_a_verification_finds_is_said_in_words(self, reading: Browser, looked_back: Path) -> None:
        reading.get("/compliance?person=jd")
        link = re.search(r'href="(/cases/[0-9a-f]{20})"', reading.page)
        assert link is not None
        reading.get(f"{link[1]}/record")
        assert "Records of this session" in reading.words and "What was found" not in reading.words
        sr = re.search(r'name="sr" value="([^"]*)"', reading.page)
        assert sr is not None
        reading.post(f"{link[1]}/record", {"sr": sr[1]})
        # The record of the tests names no recipe that could be drawn.
        assert reading.status == 200 and "What was found" in reading.words
        assert "Something differs" in reading.words or "Not verified" in reading.words
        reading.post(f"{link[1]}/record", {"sr": "1.2.3"})
        assert reading.status == 404


class TestSamples:
    def test_a_sample_is_drawn_and_reviewed(self, at_work: Counter) -> None:
        browser = at_work.browser("co")
        browser.get("/compliance/samples")
        form = {"month": MONTH, "count": "2", "per": "", "state": "", "seed": "7", "why": "quarterly"}
        browser.post("/compliance/samples", {**form, "count": "two"})
        assert browser.status == 422 and "whole numbers" in browser.words and 'value="two"' in browser.page
        browser.post("/compliance/samples", {**form, "month": "2026-01"})
        assert browser.status == 422 and "no case of 2026-01" in browser.words
        browser.post("/compliance/samples", form)
        assert "2 of 2 cases were drawn." in browser.words
        page, key = browser.url, key_of(at_work, "ACC1")
        review = {"case": key, "finding": "disagreed", "text": "no finding of 3D"}
        browser.post(f"{page}/review", review)
        assert "disagreed no finding of 3D" in browser.words
        (drawn,) = samples.samples(at_work.desk.site)
        assert drawn.seed == 7 and drawn.person == CO.id
        assert "no finding of 3D" in browser.get(f"{page}/file?as=csv")
        browser.get("/compliance/samples")
        assert f"Sample {drawn.number}" in browser.words
        assert browser.get("/compliance/samples/999") and browser.status == 404


class TestRatesAndHand:
    def test_rates_and_what_was_decided_by_hand(self, reading: Browser) -> None:
        reading.get(f"/compliance/rates?month={MONTH}")
        assert "100.0%" in reading.words and "DR1" in reading.words and "the rules released" in reading.words
        assert reading.get(f"/compliance/rates-file?month={MONTH}&as=csv").startswith("modality,physician")
        reading.get("/compliance/by-hand?since=2026-03-01")
        assert "1 acts" in reading.words and "=1+1 looked at it" in reading.words
        assert "'=1+1" in reading.get("/compliance/by-hand-file?since=2026-03-01&as=csv")
        assert reading.get("/compliance/rates?month=March") and reading.status == 422


class TestMoney:
    def test_a_month_leads_to_its_cases_and_days(self, reading: Browser) -> None:
        reading.get(f"/money?month={MONTH}")
        assert "3D charges of 2026-03" in reading.words
        assert f'href="/cases?scope=all&amp;month={MONTH}&amp;physician=DR1"' in reading.page
        assert 'href="/money/days/2026-03-02"' in reading.page
        assert "style=" not in reading.page, "the policy allows no style within a page"
        reading.get("/money/days/2026-03-02")
        assert "2 cases" in reading.words and "ACC1" in reading.words
        assert reading.get("/money/days/2026-03-02/file").count("\r\n") == 3
        assert "ACC2,2026-03-02,queued,charged" in reading.get(f"/money/month-file?month={MONTH}")
        assert reading.get("/money/days/nonsense") and reading.status == 404

    def test_an_administrator_sees_sums_and_no_patient(self, at_work: Counter) -> None:
        browser = at_work.browser("ad")
        browser.get(f"/money?month={MONTH}")
        assert browser.status == 200
        for word in ("ACC1", "ACC2", "P2", "/money/days", "/cases?"):
            assert word not in browser.page, word


class TestMessages:
    def row(self, browser: Browser, what: str) -> str:
        browser.get("/messages?what=all")
        found = re.search(rf'href="(/messages/[0-9a-f-]+)"[^>]*>{what}', browser.page)
        assert found is not None, browser.words
        return found[1]

    def test_a_message_is_read_and_attached(self, at_work: Counter) -> None:
        browser = at_work.browser("jd")
        browser.get("/messages")
        assert "of patients with a case 1" in browser.words and "refused, AR" not in browser.page.split("<table")[1]
        path = self.row(browser, "unknown accession")
        browser.get(path)
        assert "3D helped" in browser.words and "ACC9" in browser.words
        browser.post(f"{path}/attach", {"word": "ACC2", "why": "sent with the old number"})
        assert browser.status == 422 and "of another patient than ACC2" in browser.words
        assert "sent with the old number</textarea>" in browser.page
        browser.post(f"{path}/attach", {"word": "ACC1", "why": "sent with the old number"})
        assert "is read for accession ACC1 from now on" in browser.words
        assert browser.get(path) and browser.status == 404
        browser.get("/messages?what=attached")
        assert "sent with the old number" in browser.words
        browser.post(f"{path}/detach", {"why": "mistaken"})
        assert "It is attached no longer." in browser.words and browser.get(path) and browser.status == 200

    def test_what_is_not_ours_is_dismissed(self, at_work: Counter) -> None:
        browser = at_work.browser("jd")
        path = self.row(browser, "refused")
        browser.get(path)
        assert "Attach it to a case" not in browser.words
        browser.post(f"{path}/dismiss", {"why": "another engine"})
        assert "It is off the list." in browser.words and "refused" not in browser.page


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting a process takes a second; `test_what_if.py` does once."""
    monkeypatch.setattr("workstation.web.message_pages.try_apart", lambda *given, **_: try_phrases(*given))


@pytest.mark.usefixtures("in_this_process")
class TestPhrases:
    def test_phrases_are_tried_and_not_put_in_force(self, at_work: Counter) -> None:
        browser = at_work.browser("jd")
        browser.get("/phrases")
        assert "3D clarified" in browser.page
        head = at_work.desk.site.ledger.head()
        browser.post("/phrases", {"clinical_utility": "not in any report", "last": "50"})
        assert "3 reports: 0 sentences would count" in browser.words and "UTILITY_MISSING" in browser.words
        assert WHOLE[3].removesuffix(".") in browser.words
        browser.post("/phrases", {"clinical_utility": "3D (", "last": "50"})
        assert (
            browser.status == 422 and "not a regular expression" in browser.words and "3D (</textarea>" in browser.page
        )
        browser.post("/phrases", {"last": "0"})
        assert browser.status == 422
        assert at_work.desk.site.ledger.head() == head

    def test_an_administrator_sees_no_sentence_of_a_report(self, at_work: Counter) -> None:
        browser = at_work.browser("ad")
        browser.get("/phrases")
        browser.post("/phrases", {"clinical_utility": "not in any report", "last": "50"})
        assert browser.status == 200 and "a sentence" in browser.words
        for word in (WHOLE[3].removesuffix("."), "ACC1", "ACC2"):
            assert word not in browser.page
