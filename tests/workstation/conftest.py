"""A short real series, a small protocol, sites that are closed at the end, and the command in this process."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from render.protocols import Protocol
from tests.workstation.samples import DOCUMENTED, SERIES_UID, SLICES, pin_of_the_supervisor, ticking, tiny_protocol
from workstation.cli import main
from workstation.config import Config
from workstation.site import Clock, Site, open_site

# The tree of more than a hundred commands is made once, not for each call: most calls take no longer than that.
vars(typer.main)["get_command"] = cache(typer.main.get_command)


@pytest.fixture(scope="session")
def slices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with some neighbouring slices of the sample CT. Only read it."""
    folder = tmp_path_factory.mktemp("slices")
    for file in SLICES:
        shutil.copy(file, folder)
    return folder


@pytest.fixture
def tiny() -> Protocol:
    return tiny_protocol()


@pytest.fixture
def site_at() -> Iterator[Callable[..., Site]]:
    """Opens sites and closes their databases at the end."""
    opened: list[Site] = []

    def at(root: Path, config: Config | None = None, clock: Clock | None = None) -> Site:
        opened.append(open_site(root, config, clock or ticking()))
        return opened[-1]

    yield at
    for site in opened:
        site.papers.engine.dispose()


@pytest.fixture
def sr(command: "Command", slices: Path) -> Path:
    """The SR of a documented case that was run in the default root of `command`."""
    command("import", slices)
    made = command("run", SERIES_UID, "--protocol", "tiny", "--papers", DOCUMENTED, "--json").json
    return Path(made["sr"]["path"])


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Answer]
SiteAt = Callable[..., Site]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny: Protocol
) -> Command:
    """`workstation --root tmp_path/root ...` through its entry point, in this process, with the protocol `tiny` too.

    Papers files are believed, and where a run's papers ask for a signature, their supervisor types a PIN.
    """
    monkeypatch.setenv("WORKSTATION_SET_BELIEVE_PAPERS", "true")
    from render import protocols

    load = protocols.load_protocol
    monkeypatch.setattr(protocols, "load_protocol", lambda name: tiny if name == tiny.name else load(name))

    def run(*words: object, root: Path | None = None) -> Answer:
        line = ["workstation", "--root", str(root or tmp_path / "root"), *map(str, words)]
        monkeypatch.setattr(sys, "argv", line)
        if words[0] == "run" and "--papers" in words and "--pin-fd" not in words:
            pin = pin_of_the_supervisor(Path(str(words[words.index("--papers") + 1])), Path(line[2]))
            line += [] if pin is None else ["--pin-fd", str(pin)]
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main.main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Answer(int(end.value.code or 0), said.out, said.err)

    return run
