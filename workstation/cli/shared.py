"""What the modules of the command line share: the state folder, `--json`, examples in help, tables."""

import getpass
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from dicom_io.evidence import Person
    from dicom_io.files.instance import Instance
    from render.progress import Progress
    from workstation.site import Site

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

PinFd = Annotated[
    int | None,
    typer.Option("--pin-fd", metavar="N", help="File descriptor to read their PIN or password from.", min=0),
]


def example(line: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Ends a command's help with an example."""

    def with_example(command: Callable[..., Any]) -> Callable[..., Any]:
        command.__doc__ = f"{command.__doc__}\n\n    Example: {line}"
        return command

    return with_example


def show(as_json: bool, value: Any, text: str) -> None:
    """Prints a result for programs or for people."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False) if as_json else text)


_root = Path()


def take_root(
    folder: Annotated[
        Path, typer.Option("--root", envvar="WORKSTATION_ROOT", help="The state folder.", metavar="DIR")
    ] = Path("~/.local/share/workstation"),
) -> None:
    """What stands before every verb: keeps `--root` for `root()`."""
    global _root
    _root = folder.expanduser()
    if not may_enter():  # root's, where root typed the command for the account of the service
        _root = _root.absolute()
        os.chdir("/")  # the processes of this one begin in its folder, and could not


def may_enter() -> bool:
    """Whether this account may enter the folder that it is in."""
    return os.access(os.curdir, os.X_OK)


def root() -> Path:
    """The state folder that `--root` named."""
    return _root


def open_here() -> "Site":
    """The site of the state folder that `--root` named."""
    from workstation.site import open_site

    return open_site(_root)


def account() -> str:
    """The account of this machine that runs the command, as the audit trail names it."""
    from workstation.people import account as of_this_machine

    return of_this_machine()


def acting(site: "Site", identity: str, secret_fd: int | None) -> "Person":
    """The person of the register who acts by this command: from their own account, else with PIN or password, read from
    a file descriptor or asked for where somebody sits at a terminal.

    Raises PeopleError when nothing says that it is them.
    """
    asks = sys.stdin.isatty() and site.people.needs_secret(identity, account())
    return site.people.acting(
        identity, account(), secret_of(identity, secret_fd) if asks or secret_fd is not None else ""
    )


def signing(site: "Site", identity: str, secret_fd: int | None) -> "Person":
    """The person of the register who signs by this command, with PIN or password, read from a file descriptor or asked
    for. An account of this machine is not enough to sign.

    Raises PeopleError when nobody has that ID, or the secret is wrong.
    """
    return site.people.signature(identity, secret_of(identity, secret_fd))


def secret_of(identity: str, secret_fd: int | None) -> str:
    """PIN or password of somebody, read from a file descriptor or asked for."""
    if secret_fd is None:
        return getpass.getpass(f"PIN or password of {identity}: ")
    with os.fdopen(secret_fd, encoding="utf-8", closefd=False) as stream:
        return stream.readline().rstrip("\r\n")


def note_change(what: Literal["peers", "people"], name: str) -> Callable[[str], None]:
    """Reads the settings now, so that wrong ones stop a change before it is made; called with words, notes it in the
    audit trail."""
    from workstation.audit.trail import trail_of
    from workstation.config import load_config
    from workstation.site import local_clock

    trail = trail_of(load_config(root()), root())
    return lambda words: trail.changed(what, name, words, account(), local_clock())


@contextmanager
def exporting(what: Iterable["Instance"], to: Path) -> Iterator[None]:
    """Around writing what is of these instances to a file or folder outside the archive, for the audit trail. Wrong
    settings stop it before anything is written."""
    from workstation.audit.trail import AuditOutcome, by_study, trail_of, whatever_comes
    from workstation.config import load_config
    from workstation.site import local_clock

    trail, studies = trail_of(load_config(root()), root()), by_study(what)

    def note(outcome: AuditOutcome) -> None:
        for study in studies:
            trail.exported(account(), study, to.resolve().as_uri(), local_clock(), outcome)

    with whatever_comes(note):
        yield


def ae_title(text: str | None) -> str | None:
    """An option's value if it can be an AE title; misuse otherwise."""
    from workstation.destinations import checked_ae_title

    try:
        return None if text is None else checked_ae_title(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def progress_bar() -> "Progress":
    """A bar on one line of stderr that is written over, only where a person looks at it."""

    ended = ""

    def show(what: str, part: float) -> None:
        nonlocal ended
        if sys.stderr.isatty() and ended != what:
            ended = what if part >= 1.0 else ""
            done = round(24 * min(max(part, 0.0), 1.0))
            bar = "#" * done + "-" * (24 - done)
            sys.stderr.write(f"\r\x1b[K[{bar}] {part:4.0%} {what}" + ("\n" if part >= 1.0 else ""))
            sys.stderr.flush()

    return show
