"""The coder in the browser: the work list and what is done with a case."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from tests.workstation.orders.ris import WHOLE, Ris, Study
from tests.workstation.web.conftest import PIN, Browser, Counter, a_counter, copied
from workstation.audit.reading import entries
from workstation.coder.queue_rows import case_key
from workstation.config import AuditSettings
from workstation.store.casebook import Casebook
from workstation.web.app import ROUTES

HELD = Study("ACC1", technique="mpr")  # TWO_D_ONLY: a matter of judgement
LACKING = Study("ACC2", patient="P2", account="A2", visit="V2")


@pytest.fixture(scope="session")
def worked(enrolled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with two cases: one that a coder may release, and one that waits for a physician's word."""
    root = tmp_path_factory.mktemp("worked") / "root"
    with copied(enrolled, root) as made:
        for study, text in ((HELD, WHOLE), (LACKING, WHOLE[:3])):
            made.desk.sr(study)
            ris = Ris(study)
            assert made.desk.hear(ris.order(), ris.report(text=text)) == ["AA", "AA"]
    return root


@pytest.fixture
def at_work(worked: Path, tmp_path: Path) -> Iterator[Counter]:
    with copied(worked, tmp_path / "root") as found:
        yield found


def key_of(counter: Counter, accession: str) -> str:
    return case_key(counter.desk.case(accession).session)


def opened(counter: Counter, accession: str = "ACC1", who: str = "jd") -> tuple[Browser, str]:
    browser = counter.browser(who)
    path = f"/cases/{key_of(counter, accession)}"
    browser.get(path)
    assert browser.status == 200, browser.words
    return browser, path


def version(browser: Browser) -> str:
    found = re.search(r'name="version" value="([^"]*)"', browser.page)
    assert found is not None
    return found.group(1)


def test_the_list_names_what_a_coder_needs(at_work: Counter) -> None:
    browser = at_work.browser("jd")
    for word in ("P1", "ACC1", "2026-03-02", "70450", "MCARE", "TWO_D_ONLY", "UTILITY_MISSING", "by: physician"):
        assert word in browser.words, word
    assert "2 cases" in browser.words


LISTS = {
    "who=coder": ["ACC1"],
    "who=physician": ["ACC2"],
    "reason=UTILITY_MISSING": ["ACC2"],
    "owner=nobody": ["ACC1", "ACC2"],
    "owner=me": [],
    "technique=mpr": ["ACC1"],
    "state=charged": [],
    "month=2026-03": ["ACC1", "ACC2"],
    "older=99": [],
    "older=x&due=-1&page=0&sort=nonsense": ["ACC1", "ACC2"],
    "sort=-patient": ["ACC2", "ACC1"],
}


def test_the_list_is_filtered_and_sorted(at_work: Counter) -> None:
    browser = at_work.browser("jd")
    found = {}
    for query in LISTS:
        browser.get(f"/cases?{query}")
        assert browser.status == 200
        found[query] = re.findall(r"· (ACC\d)<", browser.page)
    assert found == LISTS


def test_a_month_that_is_none_is_said_plainly(at_work: Counter) -> None:
    browser = at_work.browser("jd")
    browser.get("/cases?month=nonsense")
    assert browser.status == 422 and "YYYY-MM" in browser.words


def test_what_is_searched_for_is_in_no_address(at_work: Counter) -> None:
    browser = at_work.browser("jd")
    browser.post("/cases/search", {"text": "p2"})
    assert "P2" not in browser.url and "p2" not in browser.url
    assert re.findall(r"· (ACC\d)<", browser.page) == ["ACC2"]
    browser.get("/cases")
    assert re.findall(r"· (ACC\d)<", browser.page) == ["ACC2"]
    browser.post("/cases/search", {"text": ""})
    assert len(re.findall(r"· (ACC\d)<", browser.page)) == 2


def test_views_are_each_persons_own(at_work: Counter) -> None:
    browser = at_work.browser("jd")
    browser.post("/views/save", {"name": "waits <b>", "query": "who=physician&evil=1&sort=day"})
    assert "waits &lt;b&gt;" in browser.page
    assert "/cases?who=physician&amp;sort=day" in browser.page and "evil" not in browser.page
    assert "waits" not in at_work.browser("co").page
    browser.post("/views/remove", {"name": "waits <b>"})
    assert "waits" not in browser.words


def test_several_cases_are_assigned_and_one_that_cannot_be_stops_none(at_work: Counter) -> None:
    browser = at_work.browser("jd")
    keys = [key_of(at_work, "ACC1"), "f" * 20, key_of(at_work, "ACC2")]
    browser.post("/cases/assign", {"case": keys, "to": "jd"})
    assert "2 cases assigned." in browser.words and "1 were not" in browser.words
    browser.get("/cases?owner=me")
    assert len(re.findall(r"· (ACC\d)<", browser.page)) == 2
    browser.get("/cases")
    browser.post("/cases/assign", {"case": keys[:1], "to": "T1"})
    assert "T1 is a technologist" in browser.words


def test_the_list_as_csv(at_work: Counter) -> None:
    browser = at_work.browser("jd")
    lines = browser.get("/cases.csv").split("\r\n")
    assert lines[0].startswith("state,accession,") and len(lines) == 4
    assert browser.headers["content-disposition"].startswith("attachment")


def test_a_case_shows_the_sentences_that_count_and_those_that_nearly_do(counter: Counter) -> None:
    counter.desk.sr(LACKING)
    ris = Ris(LACKING)
    counter.desk.hear(ris.order(), ris.report(text=(*WHOLE[:3], "3D clarified nothing, as it was not possible.")))
    browser, _ = opened(counter, "ACC2")
    assert re.search(r"<mark title=\"three_d_findings\">\s*3D images show the fracture", browser.page)
    assert re.search(r'<mark class="near">\s*3D clarified nothing', browser.page)
    assert "negated" in browser.words


def test_release_charges_and_shows_who_and_why(at_work: Counter) -> None:
    browser, path = opened(at_work)
    data = {"version": version(browser), "why": "looked at them", "line": "1", "lines_shown": "x", "modifier": "59"}
    browser.post(f"{path}/release", data)
    assert browser.status == 200, browser.words
    assert "Released. The case of accession ACC1 is now: queued." in browser.words
    assert at_work.desk.charges() == [("76376", "queued")]
    assert "looked at them" in browser.words and "Doe, Jane" in browser.words
    browser.get(path)
    assert "Released." not in browser.words, "it is said once"


def test_what_may_not_be_released_is_refused_whatever_the_form_says(at_work: Counter) -> None:
    browser, path = opened(at_work, "ACC2")
    assert 'action="' + path + '/release"' not in browser.page
    browser.post(f"{path}/release", {"version": version(browser), "why": "please"})
    assert browser.status == 422
    assert "cannot decide UTILITY_MISSING" in browser.words
    assert at_work.desk.charges("ACC2") == []


def test_a_refused_act_keeps_what_was_typed(at_work: Counter) -> None:
    browser, path = opened(at_work)
    browser.post(f"{path}/release", {"version": version(browser), "why": "a long thought", "lines_shown": "x"})
    assert browser.status == 422
    assert "No line was chosen" in browser.words
    assert "a long thought</textarea>" in browser.page


def test_two_people_on_one_case_do_not_overwrite_each_other(at_work: Counter) -> None:
    one, path = opened(at_work)
    other, _ = opened(at_work, who="co")
    assert "Doe, Jane" in other.words and "has this case open as well" in other.words
    was = version(other)
    one.post(f"{path}/note", {"version": version(one), "why": "I called the ward"})
    other.post(f"{path}/deny", {"version": was, "why": "no"})
    assert other.status == 409
    assert "jd did this meanwhile: note, I called the ward" in other.words
    assert at_work.desk.case().state == "held"
    other.post(f"{path}/deny", {"version": version(other), "why": "no"})
    assert at_work.desk.case().state == "denied"
    seen = one.get(f"{path}/others?version={was}", headers={"X-Polled": "1"})
    assert "has changed since" in seen


def test_a_page_that_asks_by_itself_keeps_no_session_alive(at_work: Counter) -> None:
    browser, path = opened(at_work)
    site = at_work.desk.site
    session = site.console.session(browser.client.cookies["console"])
    browser.get(f"{path}/others", headers={"X-Polled": "1"})
    assert site.console.session(browser.client.cookies["console"]) == session


PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def test_an_answer_with_a_document(at_work: Counter) -> None:
    browser, path = opened(at_work)
    data = {"version": version(browser), "why": "came by fax", "fact": "payer.prior_authorization", "value": "AUTH7"}
    browser.post(f"{path}/answer", data, files={"document": ("..\\..\\letter.pdf", PDF, "text/html")})
    assert browser.status == 200, browser.words
    assert "payer.prior_authorization = AUTH7" in browser.words
    digest = hashlib.sha256(PDF).hexdigest()
    answer = browser.client.get(f"{path}/documents/{digest}")
    assert answer.content == PDF
    assert answer.headers["content-type"] == "application/octet-stream"
    assert 'attachment; filename="letter.pdf"' in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("letter.html", b"<script>alert(1)</script>", "documents end in"),
        ("letter.svg", b"<svg onload='x'/>", "documents end in"),
        ("letter.pdf", b"<html>", "not what its ending says"),
        ("letter.pdf", b"%PDF-1.4 /OpenAction << /S /JavaScript /JS (app.alert(1)) >>", "scripts, actions or files"),
        ("letter.png", b"MZ\x90\x00", "not what its ending says"),
        ("letter.txt", b"\x00\x01\x02", "this is no text"),
        ("letter", b"%PDF-", "documents end in"),
        ("letter.pdf.exe", b"MZ", "documents end in"),
        ("", b"", "needs its document"),
        ("letter.pdf", b"", "needs its document"),
    ],
)
def test_a_hostile_document_is_not_kept(at_work: Counter, name: str, content: bytes, why: str) -> None:
    browser, path = opened(at_work)
    data = {"version": version(browser), "why": "w", "fact": "payer.prior_authorization", "value": "A"}
    browser.post(f"{path}/answer", data, files={"document": (name, content)} if name else {})
    assert browser.status in (415, 422), browser.words
    assert why in browser.words or browser.status == 415
    folder = at_work.desk.site.archive.root / "documents"
    assert not folder.exists() or not list(folder.iterdir())


def test_a_coder_states_nothing_that_only_a_physician_can(at_work: Counter) -> None:
    browser, path = opened(at_work, "ACC2")
    assert "report.clinical_utility" not in browser.page.split('id="fact"')[1].split("</select>")[0]
    data = {"version": version(browser), "why": "w", "fact": "report.clinical_utility", "value": "true"}
    browser.post(f"{path}/answer", data, files={"document": ("a.txt", b"it did")})
    assert browser.status == 422 and "only a physician can state this" in browser.words


def test_a_physician_is_asked_and_replies_with_their_secret(at_work: Counter) -> None:
    browser, path = opened(at_work, "ACC2")
    browser.post(f"{path}/query", {"version": version(browser), "why": "What did 3D add?", "to": "DR1"})
    assert "sent to the physician's inbox" in browser.words
    browser.get("/cases")
    assert "asked: DR1" in browser.words
    doctor = at_work.browser("DR1")
    assert "What did 3D add?" in doctor.words
    assert "Inbox 1 " in doctor.words  # one case, asked about and held
    number = re.search(r'name="query" value="(\d+)"', doctor.page)
    assert number is not None
    data = {"query": number.group(1), "text": "It showed the course.", "fact.report.clinical_utility": "true"}
    doctor.post("/inbox/reply", {**data, "secret": "000000"})
    assert doctor.status == 422 and "It showed the course." in doctor.page
    assert at_work.desk.case("ACC2").state == "held"
    doctor.post("/inbox/reply", {**data, "secret": PIN})
    assert doctor.status == 200 and "signed and on file" in doctor.words
    assert at_work.desk.case("ACC2").state == "charged"
    browser.get(path)
    assert "It showed the course." in browser.words


def test_a_hold_that_nobody_asked_about_is_answered_too(at_work: Counter) -> None:
    doctor = at_work.browser("DR1")
    assert "does not say what the 3D rendering contributed" in doctor.words
    data = {"case": key_of(at_work, "ACC2"), "text": "It did.", "fact.report.clinical_utility": "true", "secret": PIN}
    doctor.post("/inbox/answer", data)
    assert doctor.status == 200, doctor.words
    assert at_work.desk.case("ACC2").state == "charged"
    assert "Nothing waits for you." in doctor.words
    doctor.get("/own")
    assert "2 sessions" in doctor.words


def test_wrong_secrets_of_a_physician_lock_too(at_work: Counter) -> None:
    doctor = at_work.browser("DR1")
    data = {"case": key_of(at_work, "ACC2"), "text": "It did.", "fact.report.clinical_utility": "true"}
    for _ in range(5):
        doctor.post("/inbox/answer", {**data, "secret": "000000"})
    doctor.post("/inbox/answer", {**data, "secret": PIN})
    assert doctor.status == 422 and "locked" in doctor.words
    assert at_work.desk.case("ACC2").state == "held"


def test_a_case_knows_the_list_that_it_was_opened_from(at_work: Counter) -> None:
    browser = at_work.browser("jd")
    browser.get("/cases?who=coder&sort=-day")
    link = re.search(r'href="(/cases/[^"]*)" data-row', browser.page)
    assert link is not None
    browser.get(unescape(link.group(1)))
    assert 'href="/cases?who=coder&amp;sort=-day"' in browser.page
    action = re.search(r'action="(/cases/[^"]*/release[^"]*)"', browser.page)
    assert action is not None
    browser.post(unescape(action.group(1)), {"version": version(browser), "why": "x", "next": "1"})
    assert browser.url.endswith("/cases?who=coder&sort=-day")  # the only one of this list; the other waits for another
    assert at_work.desk.charges() == [("76376", "queued")]


def test_the_next_case_is_the_next_of_the_list(at_work: Counter) -> None:
    browser, path = opened(at_work)
    browser.get(f"{path}/next")
    assert "ACC2" in browser.words
    browser.get(f"/cases/{key_of(at_work, 'ACC2')}/next")
    assert "That was the last case." in browser.words


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Counter]:
    """Every text that comes from outside has a script in it."""
    study = Study("<script>a</script>", patient="<img src=x>", account="<b>A", visit="'\"><svg>")
    with a_counter(tmp_path) as found:
        found.desk.sr(study)
        ris = Ris(study)
        found.desk.hear(
            ris.order(diagnoses=("<i>D",), payer="<u>PAYER"),
            ris.report(
                text=("<script>alert(1)</script> 3D images show it.", "3D <img onerror=x src=y> was necessary.")
            ),
        )
        yield found


MARKS = (
    "<script>a",
    "<img src=x",
    "<svg>",
    "<script>alert",
    "<i>D",
    "<u>PAYER",
    "<img onerror",
    "<script>note",
    "<script>s",
)


def test_no_text_from_outside_becomes_a_part_of_a_page(hostile: Counter) -> None:
    """On any page that any role can ask for."""
    coder = hostile.browser("jd")
    (ruling,) = hostile.desk.site.casebook.newest()
    key = case_key(ruling.session)
    coder.get(f"/cases/{key}")
    assert coder.status == 200
    coder.post(f"/cases/{key}/note", {"version": version(coder), "why": "<script>note</script>"})
    assert "&lt;script&gt;note" in coder.page
    coder.post("/cases/search", {"text": '"><script>s</script>'})
    hostile.desk.hear(Ris(Study("<script>a</script>2", patient="<img src=x>2")).report())
    seen = 0
    for person in ("jd", "co", "DR1", "ad"):
        browser = hostile.browser(person)
        for route in ROUTES:
            if route.method == "GET" and person_of(person) in route.roles and "{key}/next" not in route.path:
                path = re.sub(r"\{[^}]*\}", "0", route.path.replace("{key}", key))
                browser.get(f"{path}?scope=all&month=2026-03")
                seen += browser.status == 200
                if browser.headers["content-type"].startswith("text/html"):
                    for mark in MARKS:
                        assert mark not in browser.page, (person, path, mark)
    assert seen > 25


def person_of(identity: str) -> str:
    return {"jd": "coder", "co": "compliance", "DR1": "physician", "ad": "administrator"}[identity]


def test_a_link_takes_the_secret_and_is_shown_once(at_work: Counter) -> None:
    """The session of the tests has no signed record that the results room believes: it says so, and nothing is made."""
    doctor = at_work.browser("DR1")
    path = f"/cases/{key_of(at_work, 'ACC1')}/links"
    doctor.get(path)
    assert doctor.status == 200
    doctor.post(path, {"recipient": "Dr. Stone", "days": "7", "secret": "000000"})
    assert doctor.status == 422 and "is wrong" in doctor.words
    doctor.post(path, {"recipient": "", "days": "7", "secret": PIN})
    assert doctor.status == 422
    doctor.post(path, {"recipient": "Dr. Stone", "days": "x", "secret": PIN})
    assert doctor.status == 422 and at_work.desk.site.result_links.all() == ()
    coder = at_work.browser("jd")
    coder.get(path)
    assert coder.status == 403


def test_who_sees_and_takes_what_is_in_the_audit_trail(worked: Path, tmp_path: Path) -> None:
    with copied(worked, tmp_path / "root", audit=AuditSettings()) as here:
        browser = here.browser("jd")
        browser.post("/cases/search", {"text": "P2"})
        browser.get("/cases.csv")
        browser.get(f"/cases/{key_of(here, 'ACC2')}")
        here.browser("DR1")
        seen = [(each.event, each.person, each.accessions) for each in entries(here.console.trail)]
    assert seen == [
        ("List of patients: Shown", "DR1", ()),  # the inbox
        ("User Authentication: Login", "DR1", ()),
        ("DICOM Instances Accessed", "jd", ("ACC2",)),
        ("List of patients: Taken away", "jd", ()),
        ("List of patients: Shown", "jd", ()),
        ("List of patients: Shown", "jd", ()),
        ("User Authentication: Login", "jd", ()),
    ]


def offered(browser: Browser, path: str) -> set[str]:
    return set(re.findall(rf'action="{path}/([a-z-]+)"', browser.page))


@pytest.mark.parametrize(
    ("way", "ends"), [pytest.param("rebill", "acknowledged", marks=pytest.mark.slow), ("write-off", "credited")]
)
def test_what_the_payer_denied_is_appealed_then_billed_again_or_written_off(
    at_work: Counter, way: str, ends: str
) -> None:
    browser, path = opened(at_work)
    browser.post(f"{path}/release", {"version": version(browser), "why": "looked", "line": "1", "lines_shown": "x"})
    assert {"rebill", "write-off", "appeal", "release", "answer"}.isdisjoint(offered(browser, path))
    at_work.desk.deliver()
    browser.get(path)
    assert {"denied", "credit"} <= offered(browser, path)
    browser.post(f"{path}/denied", {"version": version(browser), "why": "not medically necessary"})
    assert browser.status == 200, browser.words
    assert {"rebill", "write-off", "appeal"} <= offered(browser, path) and "credit" not in offered(browser, path)
    browser.post(f"{path}/appeal", {"version": version(browser), "why": "see the surgeon's letter"})
    assert browser.status == 200 and "appeal" not in offered(browser, path)
    assert "see the surgeon&#39;s letter" in browser.page
    browser.get("/cases?scope=all")
    assert "APPEALED" in browser.words
    browser.get(path)
    data = {"version": version(browser), "why": "the payer agreed", "line": "1", "lines_shown": "x"}
    browser.post(f"{path}/{way}", data)
    assert browser.status == 200, browser.words
    at_work.desk.deliver()
    assert [state for _, state in at_work.desk.charges()][-1] == ends
    browser.get(path)
    assert ("reopen" in offered(browser, path)) and "rebill" not in offered(browser, path)


def test_a_credited_case_is_reopened_and_charged_anew(at_work: Counter) -> None:
    browser, path = opened(at_work)
    browser.post(f"{path}/release", {"version": version(browser), "why": "looked", "line": "1", "lines_shown": "x"})
    at_work.desk.deliver()
    browser.get(path)
    browser.post(f"{path}/credit", {"version": version(browser), "why": "wrong patient class"})
    assert "is now: credited" in browser.words and "deny" not in offered(browser, path)
    browser.post(f"{path}/reopen", {"version": version(browser), "why": "it was right"})
    assert "release" in offered(browser, path) or at_work.desk.case().state == "charged"


def test_a_case_whose_record_is_incomplete_is_looked_at_all_the_same(
    at_work: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = replace(at_work.desk.case("ACC2"), facts="{}")
    monkeypatch.setattr(Casebook, "newest_of", lambda *_: found)
    browser, path = opened(at_work, "ACC2")
    assert "UTILITY_MISSING" in browser.words
    browser.get(f"{path}/what-if")
    assert browser.status == 200
