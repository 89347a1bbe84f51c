"""What takes long at the console holds nothing else up."""

import time

import pytest

from tests.workstation.orders.ris import Ris, Study
from tests.workstation.web.conftest import Counter
from workstation.web import message_pages

# It tries every way of parting a sentence before it gives up.
ENDLESS = r"(\w+\s?)+\d{9}"


def with_report(counter: Counter) -> None:
    study = Study("ACC1")
    counter.desk.sr(study)
    ris = Ris(study)
    text = ("3D images show " + "the fracture and the bone around it " * 3 + "as well.",)
    counter.desk.hear(ris.order(), ris.report(text=text))


@pytest.mark.slow
def test_a_phrase_that_never_ends_is_stopped(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    with_report(counter)
    monkeypatch.setattr(message_pages, "LIMIT_S", 3.0)
    browser = counter.browser("jd")
    browser.get("/phrases")
    began = time.monotonic()
    browser.post("/phrases", {"last": "50", "clinical_utility": ENDLESS})
    assert browser.status == 422
    assert "was ended" in browser.words and ENDLESS in browser.page
    assert time.monotonic() - began < 60
    # And the next one is tried.
    monkeypatch.setattr(message_pages, "LIMIT_S", 60.0)
    browser.post("/phrases", {"last": "50", "clinical_utility": "3D images show"})
    assert browser.status == 200, browser.words


def test_while_one_works_the_other_waits(counter: Counter) -> None:
    browser = counter.browser("jd")
    browser.get("/phrases")
    with counter.console.heavy:
        browser.post("/phrases", {"last": "50", "clinical_utility": "x"})
    assert browser.status == 422 and "Another long work" in browser.words
