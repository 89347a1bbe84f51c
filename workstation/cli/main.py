"""The `workstation` command. Exit 0: done; 1: refused, with the reason on stderr; 2: misuse."""

import os
import sys

import typer

from workstation.cli import (
    backup,
    bones,
    charge,
    clinical,
    compliance,
    desktop,
    fly,
    outbox,
    peers,
    pictures,
    prepare,
    record,
    registration,
    results,
    run,
    serve,
    storage,
    surfaces,
    trajectory,
    upgrade,
    vessel,
    web,
)
from workstation.cli.shared import root, take_root

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="An independent 3D workstation: DICOM series to 3D pictures, a DICOM SR and the 76376 / 76377 charge.\n\n"
    "Not cleared for diagnosis.",
)
app.callback()(take_root)
# A file of verbs is added here; `--help` lists them in this order.
for verbs in (
    pictures,
    clinical,
    bones,
    vessel,
    trajectory,
    fly,
    registration,
    surfaces,
    run,
    record,
    results,
    charge,
    compliance,
    outbox,
    serve,
    web,
    prepare,
    peers,
    storage,
    backup,
    upgrade,
    desktop,
):
    verbs.add_to(app)


_DAMAGED = (
    " It is damaged. Stop everything that uses it and put its newest backup in its place. Without one, move it away and"
    " run `workstation storage rebuild-index`: the index comes again from the files; cases and outbox are gone."
)


def main() -> None:
    """Entry point: our own errors become one sentence and exit 1; a traceback is a defect of ours."""
    # What is written is nobody else's to read, but for folders that others fetch from (`transports.folder`).
    former = os.umask(0o077)
    try:
        app()
    except Exception as error:
        from workstation.store.outbox import DatabaseFailed

        if isinstance(error, DatabaseFailed):
            # Without the statement and its values, which may be a patient's.
            said = str(error.orig)
            advice = _DAMAGED if "not a database" in said or "malformed" in said else ""
            # A server names itself in what it says; a file does not.
            which = "" if "psycopg" in type(error.orig).__module__ else f" {root() / 'workstation.db'}"
            typer.echo(f"error: the database{which}: {said.rstrip('.')}.{advice}", err=True)
        elif isinstance(error, _our_errors()):
            typer.echo(f"error: {error}", err=True)
        else:
            raise
        sys.exit(1)
    finally:
        os.umask(former)


def _our_errors() -> tuple[type[Exception], ...]:
    """The roots of what is meant for people. Looked up only when one comes: imports take time."""
    from dicom_io.errors import DicomIOError
    from render.errors import RenderError
    from workstation.errors import WorkstationError

    return DicomIOError, RenderError, WorkstationError, OSError
