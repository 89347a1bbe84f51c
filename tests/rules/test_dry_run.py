"""A command that sends or deletes has --dry-run: which do is read from the functions that they lead to."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.rules.mentions import commands_of, options_of
from tests.rules.reach import Reach, sources
from workstation.cli.main import app

ROOT = Path(__file__).parents[2]
COMMAND = get_command(app)

# Functions by which instances and messages leave this machine or come to it, and by which instances are deleted.
SENDING = (
    r"workstation\.transports\.\w+\.(\w+\.)?(_?deliver\w*|drain)",
    r"workstation\.hl7\.mllp\.send",
    r"workstation\.peers\.ask\.\w+\.(give|fetch)",
    r"workstation\.pipeline\.run",
    r"dicom_io\.network\.send\.(send|send_one|Sender\.send)",
    r"dicom_io\.network\.retrieve\.retrieve",
    r"dicom_io\.network\.dicomweb\.(retrieve|store)",
    r"workstation\.store\.schema\.move",
)
DELETING = (
    r"workstation\.storage\.prune",
    r"dicom_io\.archive\.upkeep\.prune",
    r"dicom_io\.archive\.quarantine\.discard",
    r"workstation\.store\.schema\.upgrade",  # what was there before is gone as well
)
# What sends without --dry-run, and why it may.
EXCUSED = {
    "demo": "sends to stand-ins that it starts itself on this machine, in a folder of its own",
    "web": "deletes and sends when the person at the browser presses a button, with a reason",
    "desktop": "sends and fetches when the person at the screen presses a button",
}


def sends_or_deletes(name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in SENDING + DELETING)


def function_of(command: Any) -> str:
    return f"{command.callback.__module__}.{command.callback.__qualname__}"


@pytest.fixture(scope="module")
def reach() -> Reach:
    return Reach(sources(ROOT, ("workstation", "dicom_io")))


@pytest.mark.parametrize("pattern", SENDING + DELETING)
def test_each_of_these_functions_is_there(reach: Reach, pattern: str) -> None:
    assert any(re.fullmatch(pattern, name) for name in reach.all()), f"no function is called {pattern}"


@pytest.mark.parametrize("name", commands_of(COMMAND))
def test_what_sends_or_deletes_has_a_dry_run(reach: Reach, name: str) -> None:
    command = commands_of(COMMAND)[name]
    way, has = reach.path(function_of(command), sends_or_deletes), "--dry-run" in options_of(command)
    if name in EXCUSED:
        assert way and not has, f"`workstation {name}` needs no excuse any more"
    else:
        # The other way round as well: where the way is not seen, a new command's would not be seen either.
        assert has == bool(way), f"`workstation {name}` {'has' if has else 'has no'} --dry-run; it leads to: {way}"


# Commands that somebody might add: what their module imports, what they do, and the function by which they send.
PLANTS = (
    ("import typer", "from workstation.transports.deliver import deliver_all as go; go(site)", "deliver_all"),
    ("from workstation.transports import deliver", "deliver.deliver_all(site)", "deliver_all"),
    ("from workstation.peers import ask", "ask.peer(root, config, name, clock).give([])", ".give"),
    ("from dicom_io.network import send", "[*map(send.send_one, [])]", "send_one"),
    ("from dicom_io.network.send import Sender", "with Sender(peer) as s: s.send(instance)", "Sender.send"),
    ("from workstation import storage", "table = {'x': storage.prune}; table['x'](site, [])", "storage.prune"),
    ("from dicom_io.archive.quarantine import discard", "hand_on(discard)", "quarantine.discard"),
    ("from workstation.cli.storage import discard", "discard(peer)", "quarantine.discard"),
    ("from workstation.cli.invented_helper import Helper", "Helper().begin_invented()", "pipeline.run"),
    ("from workstation.site import open_site", "print(open_site(peer).outbox.list())", ""),
)
HELPER = """
class Helper:
    def begin_invented(self) -> None:
        when_clicked(self._inner)

    def _inner(self) -> None:
        from workstation.pipeline import run
        run()
"""


@pytest.fixture(scope="module")
def planted() -> Reach:
    texts = {"workstation.cli.invented_helper": HELPER}
    for number, (imports, body, _) in enumerate(PLANTS):
        texts[f"workstation.cli.invented{number}"] = f"{imports}\ndef command(peer: str) -> None:\n    {body}\n"
    return Reach(sources(ROOT, ("workstation", "dicom_io")) | texts)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(PLANTS)))
def test_a_new_command_that_sends_is_seen(planted: Reach, number: int) -> None:
    way = planted.path(f"workstation.cli.invented{number}.command", sends_or_deletes)
    by = PLANTS[number][2]
    assert way[-1].endswith(by) if by else not way
