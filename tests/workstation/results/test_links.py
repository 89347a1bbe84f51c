"""Who may make a link, of what; what opens it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dicom_io.evidence import Person
from tests.workstation.conftest import Command
from tests.workstation.results.signed import Signed, unsigned_session
from workstation.audit.reading import entries
from workstation.audit.trail import trail_of
from workstation.config import AuditSettings
from workstation.results import links
from workstation.results.contents import ResultsError
from workstation.results.links import (
    LinkError,
    is_opened,
    link_of,
    make_link,
    opened_mark,
    opens,
    revoke_link,
    state_of,
)


@pytest.mark.slow
def test_a_link_is_shown_once_and_kept_as_its_digest(signed: Signed) -> None:
    made = make_link(signed.session, signed.site, signed.person, "  Dr. Ada\nStone ")
    assert len(made.token) == 43
    assert link_of(made.token, signed.site) == made.link
    assert made.link.recipient == "Dr. Ada Stone"
    assert (made.link.expires_s - made.link.made_s) == timedelta(days=14).total_seconds()
    assert made.token.encode() not in (signed.site.root / "workstation.db").read_bytes()
    assert links.address_of(made.token, signed.site) == f"http://127.0.0.1:8443/r/{made.token}"


def test_what_opens_nothing_is_all_the_same(signed: Signed) -> None:
    made = make_link(signed.session, signed.site, signed.person, "Dr. Stone", days=0.0000001)
    revoked = make_link(signed.session, signed.site, signed.person, "Dr. Stone")
    revoke_link(revoked.link.place, signed.site, signed.person)
    unknown = made.token[:-1] + ("A" if made.token[-1] != "A" else "B")
    for token in (made.token, revoked.token, unknown, "", "../" + made.token, made.token + "A"):
        assert link_of(token, signed.site) is None


@pytest.mark.parametrize(
    ("role", "recipient", "days", "secret", "why"),
    [
        ("coder", "Dr. Stone", 14, "", "coder; links are made by compliance, physician"),
        ("physician", " ", 14, "", "name the referring physician"),
        ("physician", "Dr. Stone", 366, "", "up to 365"),
        ("physician", "Dr. Stone", 14, "12345", "5 characters; 6 are needed"),
    ],
)
def test_who_may_make_which_link(signed: Signed, role: str, recipient: str, days: float, secret: str, why: str) -> None:
    person = Person("x", "X^Y", role)  # type: ignore[arg-type]
    with pytest.raises(LinkError, match=why):
        make_link(signed.session, signed.site, person, recipient, days, secret)


def test_an_unsigned_session_has_no_link(signed: Signed) -> None:
    session = unsigned_session(signed).evidence.session_uid
    with pytest.raises(ResultsError, match="not signed by a physician"):
        make_link(session, signed.site, signed.person, "Dr. Stone")
    with pytest.raises(ResultsError, match="not finished"):
        make_link("1.2.3", signed.site, signed.person, "Dr. Stone")
    assert signed.site.result_links.all(session) == ()


def test_a_word_that_was_typed_holds_for_this_link_and_some_hours(signed: Signed) -> None:
    site = signed.site
    made, other = (make_link(signed.session, site, signed.person, "Dr. Stone", secret="rotkehlchen") for _ in "ab")
    assert not opens(made.link, "amsel", site)
    assert opens(made.link, "rotkehlchen", site)
    found = site.result_links.at(made.link.place)
    assert found is not None and found.wrong == 0
    mark = opened_mark(made.link, made.token, site)
    assert is_opened(made.link, made.token, mark, site)
    assert not is_opened(other.link, other.token, mark, site)
    until, rest = mark.split(".")
    for forged in ("", ".", f"{int(until) + 1}.{rest}", f"{until}.", "9" * 30 + f".{rest}", f"²{until}.{rest}"):
        assert not is_opened(made.link, made.token, forged, site)
    later = replace(site, clock=lambda: site.clock() + timedelta(hours=13))
    assert not is_opened(made.link, made.token, mark, later)


def test_many_wrong_words_lock_a_link(signed: Signed) -> None:
    made = make_link(signed.session, signed.site, signed.person, "Dr. Stone", secret="rotkehlchen")
    clock = iter(signed.site.clock() + timedelta(hours=n) for n in range(60))
    site = replace(signed.site, clock=lambda: next(clock))
    for _ in range(20):
        assert not opens(made.link, "amsel", site)
    assert not opens(made.link, "rotkehlchen", site)
    found = signed.site.result_links.at(made.link.place)
    assert found is not None and state_of(found, signed.site) == "locked"


def test_the_commands(command: Command, sr: Path, tmp_path: Path) -> None:
    refused = command("results", "link", "DEMO-0001", "--for", "Dr. Stone", "--by", "nobody")
    assert refused.code == 1 and "nobody" in refused.err
    account = links_account(command)
    made = command(
        "results", "link", "DEMO-0001", "--for", "Dr. Stone", "--by", account, "--pin", "--days", 3, "--json"
    )
    assert made.code == 0, made.err
    assert made.json["address"].startswith("http://127.0.0.1:8443/r/") and len(made.json["pin"]) == 8
    listed = command("results", "links", "DEMO-0001")
    assert "Dr. Stone" in listed.out and "holds" in listed.out
    assert made.json["address"][-43:] not in listed.out
    assert command("results", "revoke", made.json["link"], "--by", account).code == 0
    assert command("results", "links", "--json").json[0]["state"] == "revoked"
    missing = command("results", "revoke", 99, "--by", account)
    assert missing.code == 1 and "no link 99" in missing.err
    assert "no case has" in command("results", "links", "NONE").err


def links_account(command: Command) -> str:
    """A technologist who acts from the account that runs the tests."""
    from workstation.people import account

    assert (
        command("people", "add", "tech", "--name", "Tech^T", "--role", "technologist", "--login", account()).code == 0
    )
    return "tech"


def test_revoking_is_in_the_audit_trail(signed: Signed) -> None:
    site = replace(signed.site, config=replace(signed.site.config, audit=AuditSettings(file="revoked.log")))
    made = make_link(signed.session, site, signed.person, "Dr. Stone")
    revoke_link(made.link.place, site, signed.person)
    revoke_link(made.link.place, site, signed.person)  # once
    told = list(entries(trail_of(site.config, site.root)))
    assert [(each.event, each.person, each.about) for each in told[:1]] == [
        (
            "Security Alert: Object Security Attributes Changed",
            signed.person.id,
            (f"result link {made.link.place}", "revoked"),
        )
    ]
    assert sum(each.event.startswith("Security Alert") for each in told) == 1
