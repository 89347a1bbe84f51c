"""`workstation results …`: links that show a signed session to a referring physician."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workstation.cli.shared import Json, PinFd, acting, example, open_here, show
from workstation.text_table import table

if TYPE_CHECKING:
    from workstation.site import Site
    from workstation.store.result_links import ResultLink

By = Annotated[str, typer.Option("--by", metavar="ID", help="Who does it, by ID in the register of people.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    results = typer.Typer(no_args_is_help=True, help="Give signed results to referring physicians, by links.")
    app.add_typer(results, name="results")
    results.command("link")(link)
    results.command("links")(links)
    results.command("revoke")(revoke)


@example("workstation results link ACC-1001 --for 'Dr. Ada Stone' --by meier")
def link(
    case: Annotated[str, typer.Argument(metavar="CASE", help="An accession, a session or an SR's UID.")],
    recipient: Annotated[str, typer.Option("--for", metavar="NAME", help="The referring physician, in words.")],
    by: By,
    days: Annotated[
        int | None, typer.Option(help="How long it holds; what the settings say if not given.", min=1)
    ] = None,
    pin: Annotated[
        bool, typer.Option("--pin", help="The recipient has to type a PIN, which is made and shown once.")
    ] = False,
    pin_fd: PinFd = None,
    as_json: Json = False,
) -> None:
    """Make a link to the results of a signed session. It is shown once: send it to the recipient, and to nobody else.

    With --pin, give the PIN by another way than the link.
    """
    import secrets

    from workstation.results.links import address_of, make_link, session_named

    site = open_here()
    person, word = acting(site, by, pin_fd), f"{secrets.randbelow(10**8):08}" if pin else ""
    made = make_link(session_named(case, site), site, person, recipient, days, word)
    row = {**_row(made.link, site), "address": address_of(made.token, site), **({"pin": word} if pin else {})}
    lines = [
        f"Link {made.link.place} for {made.link.recipient}, until {row['expires']}:",
        str(row["address"]),
        *([f"PIN: {word}"] if pin else []),
    ]
    show(as_json, row, "\n".join(lines))


@example("workstation results links")
def links(
    case: Annotated[
        str | None, typer.Argument(metavar="CASE", help="An accession, a session or an SR's UID; all links without.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List links, newest first: for whom, by whom, until when, how often they were used. None is shown again."""
    from workstation.results.links import session_named

    site = open_here()
    session = session_named(case, site) if case else ""
    rows = [_row(each, site) for each in site.result_links.all(session)]
    columns = ["link", "state", "accession", "for", "by", "expires", "pin", "uses", "last used"]
    text = table([[str(row[c]) for c in columns] for row in rows], columns) if rows else "There are no links."
    show(as_json, rows, text)


@example("workstation results revoke 3 --by meier")
def revoke(
    number: Annotated[int, typer.Argument(metavar="LINK", help="The number of a link, as `results links` shows it.")],
    by: By,
    pin_fd: PinFd = None,
    as_json: Json = False,
) -> None:
    """Withdraw a link: from now on it opens nothing."""
    from workstation.results.links import revoke_link

    site = open_here()
    found = revoke_link(number, site, acting(site, by, pin_fd))
    show(as_json, _row(found, site), f"Link {found.place} for {found.recipient} opens nothing any more.")


def _row(each: "ResultLink", site: "Site") -> dict[str, Any]:
    from workstation.results.links import state_of

    return {
        "link": each.place,
        "state": state_of(each, site),
        "accession": each.accession,
        "session": each.session,
        "for": each.recipient,
        "by": each.made_by,
        "made": _moment(each.made_s),
        "expires": _moment(each.expires_s),
        "pin": "yes" if each.secret else "no",
        "uses": each.uses,
        "last used": _moment(each.used_s),
    }


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}" if seconds else ""
