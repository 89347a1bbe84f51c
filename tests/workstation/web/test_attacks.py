"""What an attacker does, and an insider who is careless or means harm: each with what stops it."""

import asyncio
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.testclient import TestClient

from tests.workstation.orders.ris import WHOLE, Ris, Study
from tests.workstation.web.conftest import PASSWORD, PIN, Browser, Counter, copied
from workstation.audit.reading import entries
from workstation.billing.settle import settle_due
from workstation.coder import acts
from workstation.coder.queue_rows import case_key
from workstation.coder.work_list import WorkError
from workstation.config import AuditSettings
from workstation.listening import OidcProvider
from workstation.people import People, PeopleError
from workstation.web import app, oidc
from workstation.web.app import ROUTES, _address, application
from workstation.web.call import own_path
from workstation.web.console import console_of
from workstation.web.limits import Limiter, caller_of
from workstation.web.oidc import Provider, ProviderFailed
from workstation.web.uploads import _is_active

HELD = Study("ACC1", technique="mpr")
LACKING = Study("ACC2", patient="P2", account="A2", visit="V2")


@pytest.fixture(scope="module")
def two_cases(enrolled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a case that a coder may release, and one that waits for a physician."""
    root = tmp_path_factory.mktemp("attacked") / "root"
    with copied(enrolled, root) as made:
        for study, text in ((HELD, WHOLE), (LACKING, WHOLE[:3])):
            made.desk.sr(study)
            made.desk.hear(Ris(study).order(), Ris(study).report(text=text))
    return root


@pytest.fixture
def here(two_cases: Path, tmp_path: Path) -> Iterator[Counter]:
    with copied(two_cases, tmp_path / "root", audit=AuditSettings()) as found:
        yield found


@pytest.fixture(scope="module")
def unchanged(two_cases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counter]:
    """A console in which no case is changed."""
    with copied(two_cases, tmp_path_factory.mktemp("unchanged") / "root", audit=AuditSettings()) as found:
        found.console.limiter = found.console.secrets_limiter = Limiter(1_000_000)
        yield found


def path_of(counter: Counter, accession: str = "ACC1") -> str:
    return f"/cases/{case_key(counter.desk.case(accession).session)}"


def in_page(browser: Browser, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', browser.page)
    assert found is not None, name
    return found.group(1)


def at_once(*all_of_them: Callable[[], Any]) -> None:
    """Does them all at the same time."""
    gate = threading.Barrier(len(all_of_them))

    def run(one: Callable[[], Any]) -> None:
        gate.wait()
        one()

    threads = [threading.Thread(target=run, args=(one,)) for one in all_of_them]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# Secrets


def test_guesses_at_the_same_time_all_count(here: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them is looked at before the others are counted: here by two hosts."""
    looked: list[str] = []
    nobody_yet = threading.Event()

    def signed_in(people: People, identity: str, password: str) -> Any:
        looked.append(password)
        nobody_yet.wait(0.2)
        raise PeopleError("wrong")

    monkeypatch.setattr(People, "signed_in", signed_in)
    other = Counter(here.desk, console_of(here.desk.site))
    browsers = [host.browser() for host in (here, other) for _ in range(6)]
    for browser in browsers:
        browser.get("/sign-in")
    at_once(*(lambda b=b: b.post("/sign-in", {"person": "jd", "password": "guess"}) for b in browsers))
    assert 0 < len(looked) <= 5
    assert all(browser.status == 401 for browser in browsers)


def test_no_spelling_of_an_id_has_guesses_of_its_own(unchanged: Counter) -> None:
    browser = unchanged.browser()
    browser.get("/sign-in")
    for spelled in ("co ", " co", "co\t", "co", "\u2003co"):
        browser.post("/sign-in", {"person": spelled, "password": "guess"})
    for spelled in ("CO", "Co", "co\u200b", "ＣＯ"):
        browser.post("/sign-in", {"person": spelled, "password": PASSWORD})
        assert browser.status == 401
    browser.post("/sign-in", {"person": "co", "password": PASSWORD})
    assert browser.status == 401 and "locked" in browser.words


def test_a_guess_at_any_door_is_in_the_audit_trail(here: Counter) -> None:
    doctor = here.browser("DR1")
    doctor.post("/inbox/answer", {"case": path_of(here, "ACC2")[7:], "text": "x", "secret": "000000"} | SAYS)
    doctor.post("/password", {"secret": "000000", "password": "x" * 9, "again": "x" * 9})
    failed = [each for each in entries(here.console.trail) if each.event.startswith("User Auth") and each.outcome]
    assert [each.person for each in failed] == ["DR1", "DR1"]
    assert all("testclient" in " ".join(each.who) for each in failed)


SAYS = {"fact.report.clinical_utility": "true"}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/password", {"secret": PASSWORD, "password": "the new word", "again": "the new word"}),
        ("/cases/0/links", {"recipient": "Dr. Stone", "pin": "the new word", "secret": PIN}),
    ],
)
def test_no_secret_is_shown_again_when_a_session_is_over(here: Counter, path: str, fields: dict[str, str]) -> None:
    browser = here.browser("DR1")
    browser.get("/password")
    now = here.desk.site.clock()
    object.__setattr__(here.desk.site, "clock", lambda: now + timedelta(minutes=31))
    browser.post(path, fields)
    assert browser.status == 401
    assert "the new word" not in browser.page and PASSWORD not in browser.page and PIN not in browser.page


def test_a_session_ends_on_every_host_and_its_token_is_worth_nothing(here: Counter) -> None:
    other = Counter(here.desk, console_of(here.desk.site))
    browser, there = here.browser("jd"), other.browser()
    there.client.cookies.set("console", browser.client.cookies["console"])
    there.get("/password")
    assert there.status == 200 and in_page(there, "csrf") == (browser.get("/password") and browser.token)
    browser.post("/sign-out")
    there.get("/password")
    assert there.status == 401


def test_another_role_ends_what_the_old_one_may(here: Counter) -> None:
    admin, coder = here.browser("ad"), here.browser("jd")
    admin.get("/admin/people")
    admin.post("/admin/people/change", {"person": "jd", "name": "Doe^Jane", "role": "technologist"})
    coder.get("/cases")
    assert coder.status == 401
    coder.sign_in("jd")
    coder.get("/cases")
    assert coder.status == 403


# Where somebody comes from, and is sent to


@pytest.mark.parametrize(
    "elsewhere",
    ["//e.example", "/\\e.example", "/\t/e.example", "/\n/e.example", "\\\\e", "https://e", "javascript:a", ""],
)
def test_nobody_is_sent_elsewhere(unchanged: Counter, elsewhere: str) -> None:
    assert own_path(elsewhere) == ""
    browser = unchanged.browser()
    browser.get("/sign-in")
    said = {"csrf": browser.token, "back": elsewhere, "language": "en"}
    answer = browser.client.post("/language", data=said, follow_redirects=False)
    assert answer.headers["location"] == "/"
    answer = browser.client.post("/language", data={**said, "csrf": "wrong"})
    assert answer.status_code == 403 and "e.example" not in answer.text


def test_only_the_last_address_that_a_proxy_saw_counts(unchanged: Counter) -> None:
    """Whether it adds to what the caller sent or writes a header of its own behind it."""

    def asks(*forwarded: str, peer: str = "10.0.0.1") -> str:
        lines = [(b"x-forwarded-for", each.encode()) for each in forwarded]
        return _address(console, Request({"type": "http", "headers": lines, "client": (peer, 1)}))

    console = replace(unchanged.console, settings=replace(unchanged.console.settings, behind_proxy=("10.0.0.1",)))
    assert asks("6.6.6.6", "1.2.3.4") == asks("6.6.6.6, 1.2.3.4") == asks("1.2.3.4") == "1.2.3.4"
    assert asks() == asks("") == "10.0.0.1"
    assert asks("6.6.6.6", peer="10.9.9.9") == "10.9.9.9"


def test_a_network_of_ipv6_is_one_caller() -> None:
    limiter = Limiter(2)
    assert [limiter.allows(f"2001:db8::{n}") for n in range(3)] == [True, True, False]
    assert limiter.allows("2001:db8:0:1::1") and limiter.allows("10.0.0.1")
    assert caller_of("::ffff:10.0.0.1") == "10.0.0.1"


def test_a_provider_that_does_not_answer_holds_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    provider, go_on = Provider(OidcProvider("Hospital", "https://idp.example", "console")), threading.Event()

    def hangs(*_: Any) -> Any:
        go_on.wait(10)
        raise ProviderFailed("no answer")

    monkeypatch.setattr(oidc, "_json", hangs)
    monkeypatch.setattr(oidc, "_PATIENCE_S", 0.05)
    refused: list[str] = []

    def begins() -> None:
        with pytest.raises(ProviderFailed) as failed:
            provider.address("https://here/oidc/end", "s", "n", "v")
        refused.append(str(failed.value))
        if len(refused) == 6:
            go_on.set()

    at_once(*(begins for _ in range(10)))
    assert sum("many wait" in each for each in refused) == 6


# Two at once


def test_what_is_done_at_once_is_done_once(here: Counter) -> None:
    """Two releases and a denial: one of them is done, the others are told."""
    path, browsers = path_of(here), [here.browser("jd") for _ in range(3)]
    for browser in browsers:
        browser.get(path)
    known = in_page(browsers[0], "version")
    verbs = ("release", "deny", "release")
    at_once(
        *(
            lambda b=b, v=v: b.post(f"{path}/{v}", {"version": known, "why": "as I see it"})
            for b, v in zip(browsers, verbs, strict=True)
        )
    )
    assert sorted(browser.status for browser in browsers) == [200, 409, 409]
    (done,) = here.desk.site.casebook.acts(here.desk.case().session)
    assert here.desk.charges() == ([("76376", "queued")] if done.kind == "release" else [])


def test_an_act_of_another_host_in_between_is_seen(here: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page knows no lock of another host: the casebook takes the act, or not."""
    site, coder = here.desk.site, next(each for each in here.desk.site.people.all() if each.id == "jd")
    session, last_check = here.desk.case().session, acts._check_units

    def in_between(*said: Any) -> None:
        last_check(*said)
        acts.deny(site, session, coder, "by the other host")

    monkeypatch.setattr(acts, "_check_units", in_between)
    with pytest.raises(WorkError, match=r"jd acted on this case meanwhile \(deny\)"):
        acts.release(site, session, coder, "by this one")
    assert [act.kind for act in site.casebook.acts(session)] == ["deny"]
    assert here.desk.charges() == []


def test_a_query_has_one_reply(here: Counter) -> None:
    coder, path = here.browser("jd"), path_of(here, "ACC2")
    coder.get(path)
    coder.post(f"{path}/query", {"version": in_page(coder, "version"), "why": "What?", "to": "DR1"})
    doctors = [here.browser("DR1") for _ in range(2)]
    said = {"query": in_page(doctors[0], "query"), "text": "It did.", "secret": PIN, **SAYS}
    at_once(*(lambda d=d: d.post("/inbox/reply", said) for d in doctors))
    assert sorted(doctor.status for doctor in doctors) == [200, 422]
    assert [act.kind for act in here.desk.site.casebook.acts(here.desk.case("ACC2").session)] == ["query", "answer"]


def test_what_was_written_before_it_died_is_there_once(here: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The act is on file; what follows from it does with the next look, and sending it again does nothing."""
    coder, path = here.browser("jd"), path_of(here)
    coder.get(path)
    said = {"version": in_page(coder, "version"), "why": "as I see it"}

    def dies(*_: Any) -> Any:
        raise RuntimeError("P1 of ACC1")

    with monkeypatch.context() as patch:
        real = here.desk.site.casebook.act
        patch.setattr(type(here.desk.site.casebook), "act", lambda _, *a, **k: (real(*a, **k), dies())[0])
        coder.post(f"{path}/release", said)
    assert coder.status == 500 and "Look whether it was done" in coder.words and "P1" not in coder.page
    coder.get(path)
    coder.post(f"{path}/release", said)
    assert coder.status == 409
    settle_due(here.desk.site)
    assert here.desk.charges() == [("76376", "queued")]
    assert [act.kind for act in here.desk.site.casebook.acts()] == ["release"]


# Insiders


def test_a_physician_states_nothing_of_what_waits_for_another(here: Counter) -> None:
    """Nor anything that was not asked."""
    doctor = here.browser("DR1")
    said = {"text": "It did.", "secret": PIN}
    doctor.post("/inbox/answer", {**said, "case": path_of(here, "ACC1")[7:], **SAYS})
    assert doctor.status == 422 and "does not wait for you" in doctor.words
    other = {"fact.order.radiologist_rationale": "true"}
    doctor.post("/inbox/answer", {**said, "case": path_of(here, "ACC2")[7:], **other})
    assert doctor.status == 422
    assert here.desk.site.casebook.acts() == ()


def test_who_sees_a_case_or_a_list_by_any_way_is_in_the_trail(here: Counter) -> None:
    """Pages, refusals of acts, and what is asked for by its address alone."""
    key = path_of(here)[7:]
    quiet = re.compile(r"/cases/\{key\}/(others|next)|/admin/|/compliance/samples$|/compliance/rates$|/password|/own$")
    for person, role in (("jd", "coder"), ("co", "compliance"), ("DR1", "physician")):
        browser = here.browser(person)
        for route in ROUTES:
            if route.method == "GET" and role in route.roles and not quiet.match(route.path) and route.path != "/":
                before = len(list(entries(here.console.trail)))
                path = re.sub(r"\{[^}]*\}", "2026-03-02", route.path.replace("{key}", key))
                browser.get(path, params={"month": "2026-03", "scope": "all"})
                if browser.status == 200 and ("ACC1" in browser.page or "ACC2" in browser.page):
                    assert len(list(entries(here.console.trail))) == before + 1, route.path
    coder = here.browser("jd")
    for name in ("note", "release", "what-if", "answer"):
        before = len(list(entries(here.console.trail)))
        coder.get("/password")
        coder.post(f"/cases/{key}/{name}", {"why": "", "fact.diagnoses": "["})
        assert "ACC1" in coder.page
        assert len(list(entries(here.console.trail))) == before + 1, name


def test_a_document_that_leaves_is_an_export(here: Counter) -> None:
    coder, path = here.browser("jd"), path_of(here)
    coder.get(path)
    said = {"version": in_page(coder, "version"), "why": "w", "fact": "diagnoses", "value": "S00"}
    coder.post(f"{path}/answer", said, files={"document": ('..\\x/"a\r\nb".txt', b"as the letter says")})
    assert coder.status == 200
    found = re.search(r'href="(/cases/[^"]*/documents/[^"]*)"', coder.page)
    assert found is not None
    coder.get(found.group(1))
    assert coder.headers["content-type"] == "application/octet-stream"
    assert coder.headers["content-disposition"].startswith("attachment;") and "\n" not in str(coder.headers)
    newest = next(iter(entries(here.console.trail)))
    assert (newest.event, newest.person, newest.accessions) == ("Export", "jd", ("ACC1",))
    # By the address of another case it is not there.
    coder.get(found.group(1).replace(path, path_of(here, "ACC2")))
    assert coder.status == 404


def test_a_trail_that_cannot_be_written_is_written_later(here: Counter) -> None:
    browser, file = here.browser("jd"), here.console.trail.file
    assert file is not None
    file.path.unlink()
    file.path.mkdir()
    browser.get(path_of(here))
    assert browser.status == 200
    file.path.rmdir()
    browser.get("/cases")
    assert [each.event for each in entries(here.console.trail)] == [
        "List of patients: Shown",
        "DICOM Instances Accessed",
    ]


# What is too much, or cannot be


@pytest.mark.parametrize("month", ["0001-01", "9999-12", "9999-99", "2026-W1", "２０２６-03"])
def test_months_at_the_ends_of_time(unchanged: Counter, month: str) -> None:
    browser = unchanged.browser("jd")
    for path in ("/money", "/money/month-file", "/cases", f"/money/days/{month}-01", f"/money/days/{month}-31/file"):
        browser.get(path, params={"month": month, "scope": "all"})
        assert browser.status in (404, 422), path
    officer = Browser(TestClient(application(unchanged.console), base_url="http://127.0.0.1"))
    officer.sign_in("DR1")
    browser.get("/cases", params={"page": "999999999", "due": "99999", "older": "99999"})
    assert browser.status == 200


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "10000-01-01", "2026-02-30"])
def test_days_at_the_ends_of_time(here: Counter, day: str) -> None:
    browser = here.browser("co")
    for path in ("/compliance", "/compliance/search-file", "/compliance/by-hand", "/compliance/by-hand-file"):
        for name in ("since", "until"):
            browser.get(path, params={name: day})
            assert browser.status == 422, path
    for path in ("/compliance/rates", "/compliance/rates-file"):
        browser.get(path, params={"month": day[:-3]})
        assert browser.status in (200, 422), path


@pytest.mark.parametrize(
    "value", ["[" * 3000, "9" * 5000, "1e999", "NaN", "9999-12-31", "0001-01-01", "null", '{"a":[1]}', "\0", "[[],{}]"]
)
def test_a_thought_may_be_any(unchanged: Counter, value: str) -> None:
    browser, path = unchanged.browser("jd"), f"{path_of(unchanged)}/what-if"
    browser.get(path)
    token = browser.token
    for name in ("diagnoses", "date_of_service", "order.urgent", "renderings[0].archived", "supervision.physician.id"):
        browser.post(path, {"csrf": token, f"fact.{name}": value})
        assert browser.status in (200, 422), (name, browser.status)


@pytest.mark.parametrize("phrase", ["a{99999999999999999999}", "(" * 1900 + ")" * 1900, "(?P<a>x)(?P<a>y)"])
def test_a_phrase_that_is_no_pattern(unchanged: Counter, phrase: str) -> None:
    browser = unchanged.browser("jd")
    browser.get("/phrases")
    browser.post("/phrases", {"three_d_findings": phrase, "last": "1"})
    assert browser.status == 422 and "regular expression" in browser.words


def test_who_is_not_signed_in_sends_little(unchanged: Counter) -> None:
    stranger = unchanged.browser()
    large = {"document": ("a.txt", b"x" * (2 << 20))}
    for path in ("/sign-in", "/language", f"{path_of(unchanged)}/answer"):
        assert stranger.client.post(path, files=large).status_code == 413, path
        stranger.client.cookies.clear()
    coder = unchanged.browser("jd")
    coder.get("/password")
    plain = {"csrf": coder.token, "why": "x" * (2 << 20)}
    assert coder.client.post(f"{path_of(unchanged)}/note", data=plain).status_code == 413


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\nA: " + b"x" * 90_000 + b"\r\n\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"A: b\r\n" * 9_000 + b"\r\n\r\n"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--b--\r\n',
        ),
        ("application/x-www-form-urlencoded", b"a=1&" * 500),
        ("application/x-www-form-urlencoded; charset=none", b"a=%ff%00&csrf=%ed%a0%80"),
        ("application/json", b"{}"),
    ],
)
def test_bodies_that_no_browser_sends(unchanged: Counter, kind: str, body: bytes) -> None:
    stranger = unchanged.browser()
    for encoding in ("identity", "gzip"):
        headers = {"content-type": kind, "content-encoding": encoding}
        assert stranger.client.post("/sign-in", content=body, headers=headers).status_code in (400, 403, 415)


def test_a_body_by_single_bytes_has_no_more_time_than_none(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(0, 10_000, 10))
    monkeypatch.setattr(app, "monotonic", lambda: next(seconds))

    async def receive() -> Any:
        return {"type": "http.request", "body": b"x", "more_body": True}

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    app._bound(request, 1 << 20)
    with pytest.raises(HTTPException) as ended:
        asyncio.run(request.body())
    assert ended.value.status_code == 408


@pytest.mark.parametrize(("method", "path"), [("PUT", "/cases"), ("TRACE", "/"), ("GET", "/x%0d%0aSet-Cookie:a=b")])
def test_what_is_no_route_is_answered_like_a_page(unchanged: Counter, method: str, path: str) -> None:
    answer = unchanged.browser().client.request(method, path)
    assert answer.status_code == 404 and "set-cookie" not in answer.headers
    assert "default-src 'none'" in answer.headers["content-security-policy"]


PDF = b"%PDF-1.7\n1 0 obj << /Type /Catalog "
SCRIPT = b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>"


@pytest.mark.parametrize(
    ("content", "taken"),
    [
        (PDF + b">> endobj stream \x80/AAb\x00/JSx\xff endstream", True),
        (PDF + b"/OpenAction 2 0 R >> endobj", False),
        (PDF + b"/AA<</O 2 0 R>> >> endobj", False),
        (PDF + b"/#4f#70enAction 2 0 R >> endobj", False),
        (PDF + b">> 2 0 obj << /Type /ObjStm /N 1 >> stream\r\n" + zlib.compress(SCRIPT) + b"\nendstream", False),
        (PDF + b">> 2 0 obj << /Type /ObjStm /N 1 >> stream\n" + zlib.compress(b"<< /A 1 >>") + b"\nendstream", True),
        (PDF + b">> 2 0 obj << /Type /ObjStm >> stream\n" + zlib.compress(bytes(70 << 20)) + b"\nendstream", False),
    ],
    ids=["chance", "open", "additional", "spelled", "packed", "packed harmless", "bomb"],
)
def test_what_a_pdf_does_by_itself_is_found(content: bytes, taken: bool) -> None:
    assert _is_active(content) is not taken
