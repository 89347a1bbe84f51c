"""`workstation outbox …`: what has to leave this machine, seen and delivered."""

from typing import Annotated

import typer

from workstation.cli.shared import Json, example, root, show
from workstation.text_table import table

KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="The key of a message, as `outbox list --json` shows it.")
]

OperatorWhyOption = Annotated[str, typer.Option("--why", help="Who does this and why; kept with the message.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    outbox = typer.Typer(no_args_is_help=True, help="See and deliver what has to leave this machine.")
    app.add_typer(outbox, name="outbox")
    outbox.command("list")(list_messages)
    outbox.command("show")(show_message)
    outbox.command("send")(send)
    outbox.command("check")(reach_destinations)
    outbox.command("retry")(retry)
    outbox.command("withdraw")(withdraw)


@example("workstation outbox list --waiting")
def list_messages(
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what waits for an operator.")] = False,
    as_json: Json = False,
) -> None:
    """List every message with its state, the number of tries, the last answer, and whether it is archived there."""
    from workstation.peers.commitment import archived_in_words
    from workstation.site import open_site

    site = open_site(root())
    archived = archived_in_words(site)
    rows = [
        {
            "destination": e.message.destination,
            "kind": e.message.kind,
            "identity": e.message.identity,
            "accession": e.message.accession,
            "state": e.state,
            "tries": e.tries,
            "answer": e.last_detail,
            "archived": archived(e),
            "key": e.message.key,
        }
        for e in (site.outbox.open_messages() if waiting else site.outbox.list())
        if not waiting or e.state == "operator"
    ]
    columns = ["destination", "kind", "state", "tries", "accession", "identity", "answer", "archived"]
    show(as_json, rows, table([[str(r[c])[:70] for c in columns] for r in rows], columns))


@example("workstation outbox show 3f0a…")
def show_message(key: KeyArgument, as_json: Json = False) -> None:
    """Show a message as it is sent, and what it charges or credits. It holds patient data."""
    from dicom_io.capabilities import EXPLICIT_LITTLE
    from dicom_io.files.encoding import decoded
    from workstation.peers.commitment import archived_in_words
    from workstation.site import open_site

    site = open_site(root())
    entry = site.outbox.entry(key)
    message = entry.message
    if message.kind == "step" and message.body is not None:
        body = str(decoded(message.body, EXPLICIT_LITTLE))
    else:
        body = (message.body or b"").decode("utf-8", "replace").replace("\r", "\n").rstrip()
    result = {
        "key": key,
        "destination": message.destination,
        "identity": message.identity,
        "accession": message.accession,
        "state": entry.state,
        "tries": entry.tries,
        "queued_at": entry.queued_at.isoformat(),
        "answer": entry.last_detail,
        "archived": archived_in_words(site)(entry),
        "charges": [charge.key for charge in message.charges],
        "credits": list(message.credits),
        "path": message.path or "",
        "body": body,
    }
    lines = [f"{name:12} {value}" for name, value in result.items() if name != "body" and value]
    show(as_json, result, "\n".join([*lines, body]).rstrip())


@example("workstation outbox send")
def send(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing; count what is due.")] = False,
    as_json: Json = False,
) -> None:
    """Try once to deliver everything that is due. Exit 1 when something is left."""
    from workstation.site import open_site
    from workstation.transports.deliver import deliver_all

    site = open_site(root())
    if dry_run:
        due = len(site.outbox.pending())
        show(as_json, {"due": due}, f"{due} messages are due.")
        return
    tried = deliver_all(site)
    problems = [f"{m.destination} {m.identity}: {d.detail}" for m, d in tried if d.outcome != "acknowledged"]
    done, left = len(tried) - len(problems), len(site.outbox.open_messages())
    result = {"acknowledged": done, "left": left, "problems": problems}
    show(as_json, result, "\n".join([f"{done} acknowledged, {left} left.", *problems]))
    if left:
        raise typer.Exit(1)


@example("workstation outbox check")
def reach_destinations(as_json: Json = False) -> None:
    """Try to reach every destination of the settings, sending nothing. Exit 1 when one is not reached."""
    from workstation.site import open_site
    from workstation.transports.deliver import reach_destinations

    rows = reach_destinations(open_site(root()))
    columns = ["destination", "kind", "state", "answer"]
    show(as_json, rows, table([[r[c] for c in columns] for r in rows], columns))
    if any(row["state"] != "reached" for row in rows):
        raise typer.Exit(1)


@example("workstation outbox retry 3f0a… --why 'billing mended its interface, jd'")
def retry(key: KeyArgument, why: OperatorWhyOption, as_json: Json = False) -> None:
    """Let a message that waits for an operator be tried again, with the same bytes."""
    from workstation.site import open_site

    site = open_site(root())
    site.outbox.requeue(key, site.clock(), why)
    show(as_json, {"key": key, "state": "queued"}, f"Message {key} is due again.")


@example("workstation outbox withdraw 3f0a… --why 'sent by hand, jd'")
def withdraw(key: KeyArgument, why: OperatorWhyOption, as_json: Json = False) -> None:
    """Give up a message that waits for an operator. Its charge counts as turned down; a coder decides what then."""
    from workstation.billing.settle import withdraw
    from workstation.site import open_site

    withdraw(open_site(root()), key, why)
    show(as_json, {"key": key, "state": "withdrawn"}, f"Message {key} is withdrawn.")
