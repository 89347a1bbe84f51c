"""A request as the code that answers it sees it, and the routes that it may take."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dicom_io.evidence import Person, Role
from workstation.errors import WorkstationError
from workstation.site import Site
from workstation.store.console import ConsoleSession
from workstation.web.words import Translate

if TYPE_CHECKING:
    from workstation.web.console import Console


class Uploaded(NamedTuple):
    """A file of a form. name : as the browser said it; never a path to write to."""

    name: str
    content: bytes


class NotThere(WorkstationError):  # noqa: N818 - reads as a sentence where it is raised
    """What a page is asked for is not there: status 404."""


def own_path(text: str) -> str:
    """A path of this console, as an address or a form names one; empty where it leads elsewhere, or a browser might
    take it so. Source: WHATWG URL Standard, 4.4 (a backslash is read as a slash, tabs and line ends are dropped)."""
    return text if re.fullmatch(r"/(?:[^/\\\x00-\x20\x7f][^\\\x00-\x20\x7f]*)?", text) else ""


@dataclass(slots=True)
class Call:
    """A request. person : who is signed in; only the routes of ANYBODY may be without. form : of a POST, checked for
    its token and its size. address : of the caller."""

    console: "Console"
    request: Request
    address: str
    language: str
    tr: Translate
    person: Person | None = None
    session: ConsoleSession | None = None
    token: str = ""
    # Whether the person signed in with a password that somebody else gave them.
    given_secret: bool = False
    form: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Uploaded] = field(default_factory=dict)
    # Whether the audit trail has that this call shows a case.
    noted: bool = False
    # Every value of a field that stands several times in the form.
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        return self.console.site

    @property
    def who(self) -> Person:
        """Who is signed in. Only for routes that need it."""
        assert self.person is not None, "a route without a sign-in has nobody"
        return self.person

    def query(self, name: str, default: str = "") -> str:
        """A value of the address, of at most 400 characters."""
        return self.request.query_params.get(name, default)[:400]

    def number(self, name: str, default: int, least: int = 1, most: int = 1_000_000) -> int:
        """A number of the address, within limits; the default where it is none."""
        text = self.query(name)
        return min(max(int(text), least), most) if text.isascii() and text.isdigit() and len(text) < 9 else default

    def path(self, name: str) -> str:
        """A part of the address that the route names."""
        return str(self.request.path_params[name])

    def said(self, name: str, most: int = 4000) -> str:
        """A field of the form without blanks at its ends, of at most so many characters.

        Raises WorkstationError when there is more.
        """
        text = self.form.get(name, "").replace("\r\n", "\n").strip()
        if len(text) > most:
            raise WorkstationError(self.tr("A text has {n} characters; {most} may be.", n=len(text), most=most))
        return text

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page from a template; values are what it says."""
        return Response(self.console.render(template, self, values), status, media_type="text/html")

    def go(self, path: str, said: str = "") -> Response:
        """Sends the browser to another page of ours, which says a sentence once."""
        if said and self.session is not None:
            self.session = replace(self.session, said=said)
            self.console.site.console.seen(self.token, self.session)
        return RedirectResponse(own_path(path) or "/", 303)

    def take_said(self) -> str:
        """The sentence that an act before has left for this page; it is said once."""
        if self.session is None or not self.session.said:
            return ""
        said, self.session = self.session.said, replace(self.session, said="")
        self.console.site.console.seen(self.token, self.session)
        return said

    def download(self, name: str, content: bytes, media_type: str, *, inline: bool = False) -> Response:
        """A file. name : what the browser is to call it."""
        how = "inline" if inline else "attachment"
        plain = "".join(each if each.isascii() and (each.isalnum() or each in "._-") else "_" for each in name)
        headers = {"Content-Disposition": f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"}
        return Response(content, media_type=media_type, headers=headers)

    def json(self, content: object) -> Response:
        return Response(json.dumps(content), media_type="application/json")


# Who may take a route: roles of the register. `ANYBODY` needs no sign-in.
Roles = frozenset[Role]
ANYBODY: Roles = frozenset()
STAFF: Roles = frozenset(
    {"physician", "qualified_professional", "resident", "technologist", "coder", "compliance", "administrator"}
)


@dataclass(frozen=True, slots=True)
class PageRoute:
    """A way through the console. path : as Starlette writes it. answer : called in a thread. public : for everybody;
    a route with neither roles nor this is a mistake."""

    path: str
    answer: Callable[[Call], Response]
    roles: Roles
    method: str = "GET"
    public: bool = False

    def __post_init__(self) -> None:
        if bool(self.roles) == self.public:
            raise ValueError(f"{self.method} {self.path}: either roles or public, and not both")

    def open_to(self, person: Person | None) -> bool:
        return self.public or (person is not None and person.role in self.roles)


def get(path: str, answer: Callable[[Call], Response], roles: Roles = ANYBODY) -> PageRoute:
    """A route that shows something and changes nothing."""
    return PageRoute(path, answer, roles, "GET", public=not roles)


def post(path: str, answer: Callable[[Call], Response], roles: Roles = ANYBODY) -> PageRoute:
    """A route that does something."""
    return PageRoute(path, answer, roles, "POST", public=not roles)
