"""What all pages share: the site, the templates, the queue, and the limits."""

import hashlib
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup, escape

from dicom_io.person_names import group_of
from workstation.audit.trail import Trail, late, trail_of
from workstation.coder.queue import Queue
from workstation.listening import ConsoleSettings
from workstation.site import Site
from workstation.store.cases import STATE_WORDS
from workstation.web.call import Call
from workstation.web.limits import Limiter
from workstation.web.nav import NavEntry, NavLink, links
from workstation.web.words import languages

if TYPE_CHECKING:
    from workstation.web.oidc import Provider

STATIC = Path(str(files(__package__) / "static"))


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("workstation.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "name": spoken_name,
        "moment": moment,
        "money": money,
        "state_words": state_words,
        "words": words_of,
        "epoch": epoch,
        "commands": with_commands,
    }
    environment.globals["static"] = static_address
    return environment


@dataclass
class Console:
    """Made once in a process. trail : where accesses are noted."""

    site: Site
    settings: ConsoleSettings
    limiter: Limiter
    # Secrets cost a second of work each, and are what an attacker guesses.
    secrets_limiter: Limiter
    trail: Trail
    # What the bar at the top offers; `app.py` says.
    bar: tuple[NavEntry, ...] = ()
    templates: jinja2.Environment = field(default_factory=_templates)
    # Trying phrases and verifying records take a core each for a while: one at a time, so that pages are answered.
    heavy: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(1))
    # At most so many secrets are checked at once: argon2 takes 64 MB for each.
    checking: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(4))

    # Whose session was shown which case lately, by the token's digest: its pictures need no entry of their own.
    _shown: OrderedDict[tuple[str, str], None] = field(default_factory=OrderedDict)
    # Two acts on a case at once: the second one sees what the first one did. By what a session's name hashes to.
    _acting: tuple[threading.Lock, ...] = field(default_factory=lambda: tuple(threading.Lock() for _ in range(64)))

    def shown_to(self, token: str, key: str) -> None:
        """Remembers that a session was shown a case, which the audit trail has."""
        self._shown[csrf_of(token), key] = None
        while len(self._shown) > 10_000:
            self._shown.popitem(last=False)

    def was_shown(self, token: str, key: str) -> bool:
        return (csrf_of(token), key) in self._shown

    def acting_on(self, key: str) -> threading.Lock:
        """The lock of a case, while somebody acts on it in this process; the casebook looks after other hosts."""
        return self._acting[hash(key) % len(self._acting)]

    @cached_property
    def queue(self) -> Queue:
        """Read when it is first asked for; kept up to date from then on."""
        return Queue(self.site)

    def nav(self, call: Call) -> tuple[NavLink, ...]:
        return links(self.bar, call)

    def note_list(self, call: Call, what: str, rows: int, words: str = "", *, taken: bool = False) -> None:
        """Notes in the audit trail that somebody was shown a list of patients, or took it away.

        words : what narrowed it down.
        """
        said = f"{words} ({rows} rows)".strip()
        with late():
            self.trail.listed(call.who.id, what, said, self.site.clock(), call.address, taken=taken)

    def note_export(self, call: Call, what: str, rows: int) -> None:
        """Notes in the audit trail that somebody took a list away."""
        self.note_list(call, what, rows, taken=True)

    @staticmethod
    def state_words(state: str) -> str:
        return state_words(state)

    @staticmethod
    def role_words(role: str) -> str:
        return role.replace("_", " ").capitalize()

    @cached_property
    def oidc(self) -> "Provider | None":
        """The site's identity provider."""
        if self.settings.oidc is None:
            return None
        # Loaded only where there is one.
        from workstation.web.oidc import Provider

        return Provider(self.settings.oidc)

    def render(self, template: str, call: Call, values: dict[str, Any]) -> str:
        shared = {
            "call": call,
            "tr": call.tr,
            "listed": lambda words: ", ".join(map(call.tr, words)),
            "person": call.person,
            "language": call.language,
            "languages": languages(),
            "csrf_token": csrf_of(call.token),
            "said": call.take_said(),
            "station": self.site.config.station_name,
            "institution": self.site.config.institution,
        }
        return self.templates.get_template(template).render(**shared, **values)


def console_of(site: Site) -> Console:
    """Makes the console of a site by its settings."""
    settings = site.config.console or ConsoleSettings()
    return Console(site, settings, Limiter(settings.per_minute), Limiter(30), trail_of(site.config, site.root))


def cookie_name(console: Console) -> str:
    """`__Host-` where browsers take it: then no other host can have set it. Source: RFC 6265bis, 4.1.3.2."""
    return "__Host-console" if console.settings.secure else "console"


def csrf_of(token: str) -> str:
    """The token of the forms of a session. Pages of elsewhere know neither it nor the cookie that it follows from.
    Source: OWASP, Cross-Site Request Forgery Prevention."""
    return hashlib.sha256(f"form {token}".encode()).hexdigest()


def spoken_name(pn: str) -> str:
    """A person's name as people list it."""
    return group_of(pn.split("=")[0]).listed or pn


def moment(at: datetime | str) -> str:
    """A time to the minute, as all pages write it."""
    if isinstance(at, str):
        try:
            return moment(datetime.fromisoformat(at))
        except ValueError:
            return at
    return at.strftime("%Y-%m-%d %H:%M")


def with_commands(sentence: str) -> Markup:
    """A sentence for a page: what stands between backticks is a command or a key, and looks like one."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))


def money(amount: Decimal | float | None) -> str:
    """US dollars."""
    return "" if amount is None else f"${amount:,.2f}".removesuffix(".00")


def state_words(state: str) -> str:
    return STATE_WORDS.get(state, state)


def epoch(seconds: float) -> str:
    """A time in seconds since 1970, as all pages write times."""
    return moment(datetime.fromtimestamp(seconds).astimezone())


def words_of(value: object) -> str:
    """A value of a charge for people."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return "–" if value in (None, "") else str(value)


@cache
def static_address(name: str) -> str:
    """The address of a file of ours, with what changes when it does."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"
