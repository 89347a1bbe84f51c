"""A console in this process over a desk of the tests, and browsers that are only a client."""

import atexit
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from starlette.testclient import TestClient

from dicom_io.evidence import Person
from tests.workstation.desk import Desk, desk
from tests.workstation.orders.ris import CO, DR1, JD, T1, config
from workstation.listening import ConsoleSettings
from workstation.people import people_of
from workstation.web.app import application
from workstation.web.console import Console, console_of

AD = Person("ad", "Roe^Alex", "administrator")
PASSWORD = "a long password"
PIN = "246810"


def enrol_with_secrets(root: Path) -> None:
    """Everybody has the same password, and the same PIN."""
    people = people_of(root)
    for person in (JD, DR1, T1, CO, AD):
        people.add(person, password=PASSWORD, pin=PIN)


@dataclass
class Browser:
    """A client that follows links and sends forms as a browser does: with the token that the page has."""

    client: TestClient
    page: str = ""
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **more: Any) -> str:
        return self._took(self.client.get(path, **more))

    def post(self, path: str, data: dict[str, Any] | None = None, **more: Any) -> str:
        """Sends a form with the token of the page that is open."""
        fields = {"csrf": self.token, **(data or {})}
        return self._took(self.client.post(path, data=fields, **more))

    def _took(self, response: Any) -> str:
        self.page, self.status, self.headers = response.text, response.status_code, dict(response.headers)
        self.url = str(response.url)
        return self.page

    @property
    def token(self) -> str:
        found = re.search(r'name="csrf" value="([^"]*)"', self.page)
        return found.group(1) if found else ""

    @property
    def words(self) -> str:
        """What the page says, without its marks."""
        body = re.sub(r"<(script|style)\b.*?</\1>", " ", self.page, flags=re.DOTALL)
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())

    def sign_in(self, identity: str, password: str = PASSWORD, wanted: str = "/") -> str:
        self.get("/sign-in")
        return self.post("/sign-in", {"person": identity, "password": password, "wanted": wanted})


@cache
def _event_loop() -> BlockingPortal:
    """One for all requests of this process; without it each is given a thread and an event loop of its own."""
    opened = start_blocking_portal()
    portal = opened.__enter__()
    atexit.register(opened.__exit__, None, None, None)
    return portal


@dataclass
class Counter:
    """A desk with its console."""

    desk: Desk
    console: Console

    def browser(self, identity: str = "") -> Browser:
        """A browser, of somebody who is signed in if named."""
        client = TestClient(application(self.console), base_url="http://127.0.0.1")
        client.portal = _event_loop()
        found = Browser(client)
        if identity:
            found.sign_in(identity)
            assert found.status == 200, found.words
        return found


@pytest.fixture(scope="session")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with its people, to be copied."""
    root = tmp_path_factory.mktemp("enrolled") / "root"
    with desk(root, config(console=ConsoleSettings())):
        enrol_with_secrets(root)
    return root


@pytest.fixture
def counter(tmp_path: Path, enrolled: Path) -> Iterator[Counter]:
    with copied(enrolled, tmp_path / "root") as found:
        yield found


@contextmanager
def copied(state: Path, root: Path, **more: Any) -> Iterator[Counter]:
    """A console over a copy of a state folder that nobody has open."""
    shutil.copytree(state, root)
    with desk(root, config(**{"console": ConsoleSettings(), **more})) as here:
        yield Counter(here, console_of(here.site))


@contextmanager
def a_counter(root: Path, **more: Any) -> Iterator[Counter]:
    """A console with settings of its own."""
    with desk(root, config(**{"console": ConsoleSettings(), **more})) as here:
        enrol_with_secrets(root)
        yield Counter(here, console_of(here.site))
