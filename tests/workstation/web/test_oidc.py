"""Signing in by an identity provider: a real one in another thread, and what a false one can do."""

import base64
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.workstation.web.conftest import Browser, Counter, a_counter
from workstation.listening import ConsoleSettings, OidcProvider
from workstation.web import oidc

# An identity provider in a process of its own, until its input ends.
_PROVIDER = """
import sys
from oidc_provider_mock import User, run_server_in_thread
users = [User(sub=each, claims={"preferred_username": each}) for each in ("jd", "stranger")]
with run_server_in_thread(require_nonce=True, user_claims=users) as server:
    print(server.server_port, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    pytest.importorskip("authlib", reason="oidc-provider-mock is not installed")
    command = [sys.executable, "-W", "ignore", "-c", _PROVIDER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        yield f"http://localhost:{process.stdout.readline().strip()}"
        process.stdin.close()


@pytest.fixture
def site(tmp_path: Path, issuer: str) -> Iterator[Counter]:
    (tmp_path / "secret").write_text("a secret of the client\n")
    provider = OidcProvider("Hospital", issuer, "console", str(tmp_path / "secret"))
    with a_counter(tmp_path / "root", console=ConsoleSettings(oidc=provider)) as found:
        yield found


def at_the_provider(browser: Browser, identity: str, wanted: str = "/password") -> str:
    """Begins, and signs in at the provider. Returns the address that the browser is sent back to."""
    answer = browser.client.get(f"/oidc/begin?wanted={wanted}", follow_redirects=False)
    assert answer.status_code == 303
    place = answer.headers["location"]
    back = httpx2.post(place, data={"sub": identity}, follow_redirects=False)
    return str(back.headers["location"])


def test_somebody_signs_in(site: Counter) -> None:
    browser = site.browser()
    assert "Sign in with Hospital" in browser.get("/sign-in")
    back = at_the_provider(browser, "jd")
    browser.get(back)
    assert browser.status == 200 and browser.url.endswith("/password") and "Doe, Jane" in browser.words
    # Once: neither the code nor the state is good again.
    browser.get(back)
    assert browser.status == 422


def test_whom_the_register_does_not_know_gets_nowhere(site: Counter) -> None:
    browser = site.browser()
    browser.get(at_the_provider(browser, "stranger"))
    assert browser.status == 422 and "nobody of that ID is in the register" in browser.words
    browser.get("/password")
    assert browser.status == 401


def test_an_answer_that_this_browser_did_not_ask_for_is_refused(site: Counter) -> None:
    """An attacker's own code signs nobody else in."""
    back = at_the_provider(site.browser(), "jd")
    victim = site.browser()
    victim.get(back)
    assert victim.status == 422 and "not begun in this browser" in victim.words
    at_the_provider(victim, "jd")  # has begun one of its own
    victim.get(back)
    assert victim.status == 422


def test_an_answer_to_another_question_is_refused(site: Counter) -> None:
    browser = site.browser()
    back = at_the_provider(browser, "jd")
    state, _, verifier, rest = browser.client.cookies["console-oidc"].split("~")
    browser.client.cookies.delete("console-oidc")
    browser.client.cookies.set("console-oidc", "~".join((state, "y" * 43, verifier, rest)), path="/oidc")
    browser.get(back)
    assert browser.status == 422 and "another question" in browser.words


def test_nobody_is_sent_elsewhere(site: Counter) -> None:
    for wanted in ("//elsewhere.example/", "https://elsewhere.example", "/\\elsewhere.example"):
        browser = site.browser()
        back = at_the_provider(browser, "jd", wanted)
        answer = browser.client.get(back, follow_redirects=False)
        assert answer.headers["location"] == "/"


def test_what_the_provider_is_asked(site: Counter, issuer: str) -> None:
    browser = site.browser()
    place = browser.client.get("/oidc/begin", follow_redirects=False).headers["location"]
    asked = {key: values[0] for key, values in parse_qs(urlsplit(place).query).items()}
    assert place.startswith(issuer)
    # The verifier stays here until the code is exchanged: what the provider knows of it is its digest.
    verifier = browser.client.cookies["console-oidc"].split("~")[2]
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    assert asked["code_challenge_method"] == "S256" and asked["code_challenge"] == digest
    assert asked["redirect_uri"] == "http://127.0.0.1/oidc/end" and len(asked["nonce"]) == 43


def test_a_provider_that_is_not_there(tmp_path: Path) -> None:
    settings = ConsoleSettings(oidc=OidcProvider("Hospital", "http://127.0.0.1:9/", "console"))
    with a_counter(tmp_path / "root", console=settings) as found:
        browser = found.browser()
        browser.get("/oidc/begin")
        assert browser.status == 422 and "does not answer" in browser.words


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ({"issuer": "https://other.example"}, "calls itself"),
        ({"issuer": "https://idp.example"}, "lacks authorization_endpoint"),
    ],
)
def test_a_provider_that_speaks_for_another(says: dict[str, str], why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "_json", lambda address: says)
    with pytest.raises(oidc.ProviderFailed, match=why):
        oidc.Provider(OidcProvider("Hospital", "https://idp.example/", "console")).address("r", "s", "n", "v")


def test_without_a_provider_there_is_no_such_way(counter: Counter) -> None:
    browser = counter.browser()
    assert "Sign in with" not in browser.get("/sign-in")
    for path in ("/oidc/begin", "/oidc/end?code=x&state=y"):
        browser.get(path)
        assert browser.status == 422


def test_signing_takes_a_secret_all_the_same(site: Counter) -> None:
    browser = site.browser()
    browser.get(at_the_provider(browser, "jd"))
    browser.post("/password", {"secret": "", "password": "x" * 9, "again": "x" * 9})
    assert browser.status == 422 and re.search("wrong", browser.words)


def test_a_provider_over_plain_http_is_refused() -> None:
    with pytest.raises(ValueError, match="https://"):
        OidcProvider("Hospital", "http://idp.example", "console")
