"""Links for referring physicians: made for signed sessions, opened by their token, revoked, and told of in the audit
trail. Whoever has the token sees the results; a word that the recipient types may be asked for beside it.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dicom_io.evidence import Person, Role
from workstation.audit.trail import by_study, late, trail_of
from workstation.errors import WorkstationError
from workstation.listening import ConsoleSettings
from workstation.results.contents import ArchivedFile, ResultsError, results_of
from workstation.results.surfaces import SHOWN, model_of, model_soon
from workstation.site import Site
from workstation.store.result_links import ResultLink

MOST_DAYS = 365
LEAST_SECRET = 6
# Who may give results to somebody outside: people of the work, and whoever looks after what leaves.
MAY_LINK: frozenset[Role] = frozenset({"physician", "qualified_professional", "resident", "technologist", "compliance"})
_DAY_S = 86400.0
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes in base 64
# Wrong words: so many in a row, then a pause after each, and in the end nobody may try any more.
_FREE, _PAUSE_S, _MOST = 5, 900.0, 20
# How long the word holds in a browser.
_OPEN_S = 12 * 3600.0
_HASHER = PasswordHasher()


class LinkError(WorkstationError):
    """A link that cannot be made or revoked; the message says why."""


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A link that was just made. token : shown now and never again; the database has its digest alone."""

    token: str
    link: ResultLink


def session_named(word: str, site: Site) -> str:
    """Returns the session, as the journal calls it, that an accession, a case or an SR's UID names. Raises LinkError
    for none, or several."""
    found = site.casebook.sessions(word)
    if not found:
        raise LinkError(f"{word}: no case has this accession, session or SR; `workstation charge list` shows all.")
    if len(found) > 1:
        listed = ", ".join(session for session, _ in found)
        raise LinkError(f"{word}: there are {len(found)} cases; name one of the sessions {listed}.")
    return site.casebook.records_of(found[0][0])[-1].evidence.session_uid


def make_link(
    session_uid: str,
    site: Site,
    person: Person,
    recipient: str,
    days: float | None = None,
    secret: str = "",
    *,
    wait: bool = True,
) -> MadeLink:
    """Makes a link to the results of a signed session.

    recipient : for whom, in words. days : how long it holds, None for what the settings say. secret : what the
    recipient has to type; empty for nothing. wait : until the 3D surfaces are made, which may take half a minute; else
    they are made beside.

    Raises LinkError for a person who may not, nobody named, days or a secret out of range; ResultsError where the
    session is not signed.
    """
    if person.role not in MAY_LINK:
        raise LinkError(f"{person.id} is {person.role}; links are made by {', '.join(sorted(MAY_LINK))}.")
    recipient, days = " ".join(recipient.split()), _settings(site).link_days if days is None else days
    if not recipient or len(recipient) > 200:
        raise LinkError("A link is for somebody: name the referring physician, in up to 200 letters.")
    if not 0 < days <= MOST_DAYS:
        raise LinkError(f"A link for {days:g} days; up to {MOST_DAYS} are possible.")
    if secret and len(secret) < LEAST_SECRET:
        raise LinkError(f"The word of the link has {len(secret)} characters; {LEAST_SECRET} are needed at least.")
    results = results_of(session_uid, site)
    with suppress(ResultsError):  # the page says so, and shows the rest
        # It takes a while: now rather than when somebody looks.
        (model_of if wait else model_soon)(results.surfaces, site.root / SHOWN)
    token, now = secrets.token_urlsafe(32), site.clock().timestamp()
    hashed = _HASHER.hash(secret) if secret else ""
    row = ResultLink(
        0, _digest(token), session_uid, results.record.accession, recipient, person.id, now, now + days * _DAY_S,
        hashed, len(results.versions), 0.0, "", 0, 0.0, 0, 0.0,
    )  # fmt: skip
    link = site.result_links.add(row)
    trail = trail_of(site.config, site.root)
    for study in by_study(file.instance for file in results.files()):
        trail.exported(person.id, study, f"urn:result-link:{link.place}", site.clock(), name=f"for {recipient}")
    return MadeLink(token, link)


def revoke_link(place: int, site: Site, person: Person) -> ResultLink:
    """Revokes a link by its number: from now on it opens nothing. Raises LinkError."""
    if person.role not in MAY_LINK:
        raise LinkError(f"{person.id} is {person.role}; links are revoked by {', '.join(sorted(MAY_LINK))}.")
    if site.result_links.at(place) is None:
        raise LinkError(f"There is no link {place}; `workstation results links` lists them.")
    if site.result_links.revoke(place, person.id, site.clock().timestamp()):
        with late():
            trail = trail_of(site.config, site.root)
            trail.changed("links", f"result link {place}", "revoked", person.id, site.clock())
    found = site.result_links.at(place)
    assert found is not None, "links are never removed"
    return found


def link_of(token: str, site: Site) -> ResultLink | None:
    """Returns the link of a token; None alike for one that was never made, has expired or was revoked."""
    if not _TOKEN.fullmatch(token):
        return None
    found = site.result_links.of_token(_digest(token))
    return found if found is not None and found.holds(site.clock().timestamp()) else None


def opens(link: ResultLink, word: str, site: Site) -> bool:
    """Whether the word that was typed opens a link. Wrong ones are counted, and soon cost a pause; after many of them
    the link needs another."""
    if not link.secret:
        return True
    if not site.result_links.take_try(link.place, site.clock().timestamp(), _FREE, _PAUSE_S, _MOST):
        return False
    try:
        _HASHER.verify(link.secret, word)
    except (VerificationError, InvalidHashError):
        return False
    site.result_links.right_word(link.place)
    return True


def opened_mark(link: ResultLink, token: str, site: Site) -> str:
    """Returns what a browser keeps for some hours to show that the word was typed in it: nobody can make it who does
    not have token and stored hash."""
    until = int(site.clock().timestamp() + _OPEN_S)
    return f"{until}.{_mark(link, token, until)}"


def state_of(link: ResultLink, site: Site) -> str:
    """Returns what a link does now, in a word: holds, expired, revoked, or locked by wrong words."""
    if link.revoked_s:
        return "revoked"
    if not link.holds(site.clock().timestamp()):
        return "expired"
    return "locked" if link.wrong >= _MOST else "holds"


def is_opened(link: ResultLink, token: str, mark: str, site: Site) -> bool:
    """Whether a link may be looked at: no word is asked for, or the browser has the mark that it was typed."""
    if not link.secret:
        return True
    until, _, rest = mark.partition(".")
    if not (until.isascii() and until.isdigit() and len(until) < 15) or int(until) < site.clock().timestamp():
        return False
    return hmac.compare_digest(_mark(link, token, int(until)), rest)


def note_opened(link: ResultLink, files: Iterable[ArchivedFile], address: str, site: Site) -> None:
    """Notes that the page of a link was opened: in the list of links, and in the audit trail."""
    site.result_links.used(link.place, site.clock().timestamp())
    trail = trail_of(site.config, site.root)
    for study in by_study(file.instance for file in files):
        with late():
            trail.accessed(who(link), study, "R", site.clock(), address=address, name=link.recipient)


def note_fetched(link: ResultLink, files: Iterable[ArchivedFile], what: str, address: str, site: Site) -> None:
    """Notes in the audit trail that something was fetched by a link. what : one word."""
    trail = trail_of(site.config, site.root)
    for study in by_study(file.instance for file in files):
        to = f"urn:result-link:{link.place}:{what}"
        with late():
            trail.exported(who(link), study, to, site.clock(), address=address, name=link.recipient)


def address_of(token: str, site: Site) -> str:
    """Returns the address of a link, as it is sent to the recipient."""
    settings = _settings(site)
    scheme = "https" if settings.secure else "http"
    base = settings.address or f"{scheme}://{settings.host}:{settings.port}"
    return f"{base.rstrip('/')}/r/{token}"


def contact_of(site: Site) -> str:
    """Returns whom a recipient is told to ask."""
    return _settings(site).link_contact or site.config.institution or "the radiology department"


def _settings(site: Site) -> ConsoleSettings:
    return site.config.console or ConsoleSettings()


def who(link: ResultLink) -> str:
    """Returns as whom the audit trail knows the recipient of a link, who is in no register."""
    return f"result-link-{link.place}"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _mark(link: ResultLink, token: str, until: int) -> str:
    return hmac.new(link.secret.encode(), f"{token} {until}".encode(), "sha256").hexdigest()
