"""Signing in: sessions, lock-out, what a browser from elsewhere can do."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from tests.workstation.web.conftest import PASSWORD, PIN, Counter, a_counter
from workstation.listening import ConsoleSettings
from workstation.web.console import csrf_of
from workstation.web.limits import Limiter


def test_somebody_signs_in_and_out(counter: Counter) -> None:
    browser = counter.browser()
    assert "Sign in" in browser.get("/")
    assert browser.status == 401
    browser.sign_in("jd")
    assert browser.status == 200
    assert "Doe, Jane" in browser.words
    browser.post("/sign-out")
    assert "Sign in" in browser.words
    browser.get("/")
    assert browser.status == 401


def test_a_wrong_password_says_no_more_than_an_unknown_person(counter: Counter) -> None:
    browser = counter.browser()
    browser.sign_in("jd", "wrong password")
    assert browser.status == 401
    wrong = browser.words.replace("jd", "X")
    browser.sign_in("nobody", "wrong password")
    assert browser.words.replace("nobody", "X") == wrong


def test_after_too_many_wrong_ones_the_right_one_is_not_looked_at(counter: Counter) -> None:
    browser = counter.browser()
    for _ in range(5):
        browser.sign_in("jd", "wrong password")
    browser.sign_in("jd")
    assert browser.status == 401
    assert "locked for 15 minutes" in browser.words
    other = counter.browser("co")
    assert other.status == 200


def test_a_lock_ends(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = counter.browser()
    for _ in range(5):
        browser.sign_in("jd", "wrong password")
    now = counter.desk.site.clock()
    object.__setattr__(counter.desk.site, "clock", lambda: now + timedelta(minutes=16))
    browser.sign_in("jd")
    assert browser.status == 200


def test_the_session_before_is_not_the_one_after(counter: Counter) -> None:
    """Whoever plants a cookie knows nothing of the session that begins under it."""
    browser = counter.browser()
    browser.get("/sign-in")
    planted = browser.client.cookies["console"]
    browser.sign_in("jd")
    assert browser.client.cookies["console"] != planted
    other = counter.browser()
    other.client.cookies.set("console", planted)
    other.get("/password")
    assert other.status == 401


def test_the_cookie_is_for_no_script_and_no_other_site(counter: Counter) -> None:
    browser = counter.browser()
    browser.get("/sign-in")
    said = browser.headers["set-cookie"]
    assert "HttpOnly" in said and "samesite=lax" in said.lower() and "Path=/" in said


def test_a_form_without_its_token_does_nothing(counter: Counter) -> None:
    browser = counter.browser("jd")
    browser.client.post("/sign-out", data={})
    browser.get("/password")
    assert browser.status == 200


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}],
)
def test_a_form_from_elsewhere_does_nothing(counter: Counter, headers: dict[str, str]) -> None:
    browser = counter.browser("jd")
    browser.get("/password")
    browser.post("/sign-out", headers=headers)
    assert browser.status == 403
    browser.get("/password")
    assert browser.status == 200


def test_the_token_of_another_session_does_nothing(counter: Counter) -> None:
    one, other = counter.browser("jd"), counter.browser("co")
    other.get("/password")
    token = other.token
    one.get("/password")
    assert one.token != token
    one.client.post("/sign-out", data={"csrf": token})
    one.get("/password")
    assert one.status == 200


@pytest.mark.parametrize("minutes", [31, 13 * 60])
def test_a_session_ends_and_what_was_sent_is_kept(counter: Counter, minutes: int) -> None:
    browser = counter.browser("jd")
    browser.get("/password")
    now = counter.desk.site.clock()
    object.__setattr__(counter.desk.site, "clock", lambda: now + timedelta(minutes=minutes))
    browser.post("/password", {"secret": PASSWORD, "password": "x" * 9, "note": "a long thought"})
    assert browser.status == 401
    assert "What you sent is kept in this page" in browser.words
    assert PASSWORD not in browser.page and "x" * 9 not in browser.page
    kept = dict(re.findall(r'name="(kept\.[^"]*)" value="([^"]*)"', browser.page))
    assert kept == {"kept.note": "a long thought"}
    browser.post("/sign-in", {"person": "jd", "password": PASSWORD, "wanted": "/password", **kept})
    assert "What you had sent" in browser.words
    assert 'value="a long thought"' in browser.page


def test_who_was_removed_is_nobody(counter: Counter) -> None:
    browser = counter.browser("jd")
    counter.desk.site.people.remove("jd")
    browser.get("/password")
    assert browser.status == 401


def test_nobody_is_sent_elsewhere_after_signing_in(counter: Counter) -> None:
    for wanted in ("//elsewhere.example/", "https://elsewhere.example/", "/\\elsewhere.example", "javascript:alert(1)"):
        browser = counter.browser()
        browser.get("/sign-in")
        data = {"csrf": browser.token, "person": "jd", "password": PASSWORD, "wanted": wanted}
        answer = browser.client.post("/sign-in", data=data, follow_redirects=False)
        assert answer.headers["location"] == "/"


def test_a_new_password_ends_the_other_sessions(counter: Counter) -> None:
    one, other = counter.browser("jd"), counter.browser("jd")
    one.get("/password")
    one.post("/password", {"secret": PIN, "password": "another password", "again": "another one"})
    assert one.status == 422 and "not the same" in one.words
    one.post("/password", {"secret": "999999", "password": "another password", "again": "another password"})
    assert one.status == 422
    one.post("/password", {"secret": PIN, "password": "another password", "again": "another password"})
    assert "is changed" in one.words
    other.get("/password")
    assert other.status == 401
    other.sign_in("jd", "another password")
    assert other.status == 200


def test_every_answer_says_what_a_browser_may_do_with_it(counter: Counter) -> None:
    browser = counter.browser("jd")
    for path in ("/", "/password", "/nowhere", "/static/console.css"):
        browser.get(path)
        assert "default-src 'none'" in browser.headers["content-security-policy"]
        assert "unsafe" not in browser.headers["content-security-policy"]
        assert browser.headers["x-content-type-options"] == "nosniff"
    assert browser.headers["cache-control"].startswith("public")
    browser.get("/password")
    assert browser.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["../app.py", "..%2fapp.py", "%2e%2e/console.py", "/etc/passwd", "..\\app.py", ""])
def test_no_other_file_is_served(counter: Counter, name: str) -> None:
    browser = counter.browser()
    browser.get(f"/static/{name}")
    assert browser.status in (401, 404)
    assert "import" not in browser.page


def test_a_body_that_is_too_large_is_not_read(counter: Counter) -> None:
    browser = counter.browser("jd")
    browser.get("/password")
    sent = 0

    def endless() -> object:
        nonlocal sent
        yield f"csrf={browser.token}&secret=".encode()
        while sent < 200:
            sent += 1
            yield b"x" * (1 << 20)

    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = browser.client.post("/password", content=endless(), headers=kind)  # type: ignore[arg-type]
    assert answer.status_code in (400, 413)


def test_too_many_requests_wait(counter: Counter) -> None:
    browser = counter.browser()
    counter.console.limiter = Limiter(30, clock=lambda: 0.0)
    statuses = [browser.client.get("/sign-in").status_code for _ in range(31)]
    assert statuses == [*[200] * 30, 429]


def test_the_token_of_a_form_follows_from_nothing_that_a_page_shows(counter: Counter) -> None:
    browser = counter.browser("jd")
    cookie = browser.client.cookies["console"]
    browser.get("/password")
    assert browser.token == csrf_of(cookie)
    assert cookie not in browser.page


def test_german(counter: Counter) -> None:
    browser = counter.browser()
    page = browser.get("/sign-in", headers={"Accept-Language": "de-AT,de;q=0.9,en;q=0.1"})
    assert 'lang="de"' in page and "Anmelden" in browser.words
    browser.post("/language", {"language": "en", "back": "/sign-in"})
    assert "Sign in" in browser.get("/sign-in", headers={"Accept-Language": "de"})


def test_a_call_by_another_name_is_refused(tmp_path: Path) -> None:
    with a_counter(tmp_path, console=ConsoleSettings(address="https://console.example")) as here:
        browser = here.browser()
        browser.get("/sign-in")
        assert browser.status == 421
        browser.get("https://console.example/sign-in")
        assert browser.status == 200


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"host": "0.0.0.0"}, "in the open"), ({"address": "http://console.example"}, "https://"), ({"key": "x"}, "key")],
)
def test_settings_that_would_show_passwords_are_refused(settings: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ConsoleSettings(**settings)  # type: ignore[arg-type]


def test_files_are_packed_once_and_asked_for_again_by_their_digest(counter: Counter) -> None:
    client = counter.browser().client
    plain = client.get("/static/results/surface.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.headers["cache-control"] == "public, no-cache"
    packed = client.get("/static/results/surface.js", headers={"accept-encoding": "gzip, br"})
    assert packed.headers["content-encoding"] == "gzip" and packed.content == plain.content
    assert int(packed.headers["content-length"]) < 0.5 * len(plain.content)
    again = client.get("/static/results/surface.js", headers={"if-none-match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    versioned = client.get("/static/console.css?v=1")
    assert "immutable" in versioned.headers["cache-control"]
    assert client.get("/static/../app.py").status_code == 404
