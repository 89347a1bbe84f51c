"""`workstation compliance …`: searches, samples and their reviews, rates of 3D, what was decided by hand."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workstation.cli.charge_rules import day_option
from workstation.cli.charge_shared import ByOption, WhyOption
from workstation.cli.shared import Json, PinFd, acting, example, open_here, show
from workstation.text_table import table

if TYPE_CHECKING:
    from workstation.site import Site

Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Also into a file, a .csv or a .pdf.")
]
Since = Annotated[str, typer.Option("--since", metavar="YYYY-MM-DD", help="From this day on.")]
Until = Annotated[str, typer.Option("--until", metavar="YYYY-MM-DD", help="Up to this day, and on it.")]
Month = Annotated[str, typer.Option("--month", metavar="YYYY-MM", help="The month of service.")]
Number = Annotated[int, typer.Argument(metavar="SAMPLE", help="Its number, as `compliance samples` has it.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(no_args_is_help=True, help="Look back: searches, samples, rates.")
    app.add_typer(group, name="compliance")
    group.command()(search)
    group.command()(sample)
    group.command()(samples)
    group.command()(worksheet)
    group.command()(review)
    group.command()(rates)
    group.command("by-hand")(by_hand)
    group.command("by-person")(by_person)


def _out(
    site: "Site", title: str, about: Sequence[str], columns: Sequence[str], rows: list[dict[str, Any]],
    output: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Shows a list, and writes it where a file is named."""
    from workstation.coder import exports

    if output is not None:
        exports.write(output, title, about, columns, rows, site.clock())
    cells = [[str(exports.cell(row[name])) for name in columns] for row in rows]
    show(as_json, rows, table(cells, list(columns)))


@example("workstation compliance search --person jd --since 2026-03-01 -o march.csv")
def search(
    person: Annotated[str, typer.Option(help="An ID; also an account or AE title, for accesses.")] = "",
    case: Annotated[str, typer.Option(help="An accession, a session or an SR's UID.")] = "",
    kind: Annotated[str, typer.Option(help="Of an act, the state of a decision, or part of an event's name.")] = "",
    source: Annotated[str, typer.Option(help="Only `act`, `decision` or `access`.")] = "",
    since: Since = "",
    until: Until = "",
    page: Annotated[int, typer.Option(metavar="N", help="Which page, from 1.", min=1)] = 1,
    size: Annotated[int, typer.Option(metavar="M", help="So many rows on a page.", min=1)] = 50,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Search acts, decisions and accesses (of the audit trail), the newest first. A file gets all pages."""
    from workstation.coder import audit_search

    if source not in ("", *audit_search.SOURCES):
        raise typer.BadParameter(f"one of {', '.join(audit_search.SOURCES)}", param_hint="--source")
    site = open_here()
    wanted = audit_search.AuditFilter(
        person,
        case,
        kind,
        source,
        day_option(since, "--since"),
        day_option(until, "--until"),
    )
    columns = ("at", "source", "kind", "person", "role", "accession", "text")
    if output is not None:
        rows = [row.as_json() for row in audit_search.everything(site, wanted)]
        _out(site, "Audit search", [], columns, rows, output, as_json)
        return
    found = audit_search.search(site, wanted, page, size)
    _out(site, "Audit search", [], columns, [row.as_json() for row in found.rows], None, as_json)
    if not as_json:
        typer.echo(f"page {found.number} of {found.pages}, {found.total} rows")


@example("workstation compliance sample --month 2026-03 --count 5 --per physician --by co --why 'quarterly review'")
def sample(
    month: Month,
    count: Annotated[int, typer.Option(metavar="N", help="So many cases; with --per of each.", min=1)],
    by: ByOption,
    why: WhyOption,
    per: Annotated[str, typer.Option(help="`physician` or `reason`: so many of each.")] = "",
    state: Annotated[str, typer.Option(help="Only cases of this state.")] = "",
    seed: Annotated[int | None, typer.Option(help="Draws the same again; without it one is drawn.", min=0)] = None,
    pin_fd: PinFd = None,
    as_json: Json = False,
) -> None:
    """Draw cases of a month at random, and write down the seed and what was drawn. Takes compliance."""
    from workstation.coder import samples as drawn

    site = open_here()
    found = drawn.draw(site, acting(site, by, pin_fd), why, month, count, per, state, seed)  # type: ignore[arg-type]
    result = _as_json(found)
    text = f"Sample {found.number}: {len(found.sessions)} of {found.population} cases, seed {found.seed}."
    show(as_json, result, text)


def _as_json(found: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(found), "at": found.at.isoformat(), "sessions": list(found.sessions)}


@example("workstation compliance samples")
def samples(as_json: Json = False) -> None:
    """List the samples, the newest first."""
    from workstation.coder import samples as drawn

    rows = [_as_json(each) for each in drawn.samples(open_here())]
    columns = ["number", "at", "person", "month", "count", "per", "state", "population", "seed", "why"]
    show(as_json, rows, table([[str(row[c]) for c in columns] for row in rows], columns))


@example("workstation compliance worksheet 17 -o sheet.pdf")
def worksheet(number: Number, output: Output = None, as_json: Json = False) -> None:
    """List the cases of a sample with what their reviews have found."""
    from workstation.coder import samples as drawn

    site = open_here()
    found = drawn.sample(site, number)
    rows = [row.as_json() for row in drawn.worksheet(site, number)]
    columns = (
        "accession",
        "day",
        "physician",
        "examination",
        "codes",
        "state",
        "reasons",
        "finding",
        "text",
        "reviewer",
    )
    about = [f"{found.month}, {len(rows)} of {found.population} cases, seed {found.seed}, drawn by {found.person}"]
    _out(site, f"Sample {number}", about, columns, rows, output, as_json)


@example("workstation compliance review 17 DEMO-0001 --finding agreed --text 'documented' --by co")
def review(
    number: Number,
    case: Annotated[str, typer.Argument(metavar="CASE", help="An accession; or a session or SR UID.")],
    finding: Annotated[str, typer.Option("--finding", help="`agreed`, `disagreed` or `unclear`.")],
    text: Annotated[str, typer.Option("--text", help="What was found; kept in the casebook.")],
    by: ByOption,
    pin_fd: PinFd = None,
    as_json: Json = False,
) -> None:
    """Write down what the review of a case of a sample has found. Takes compliance."""
    from workstation.coder import samples as drawn

    site = open_here()
    drawn.review(site, number, case, acting(site, by, pin_fd), finding, text)
    show(as_json, {"sample": number, "case": case, "finding": finding}, f"{case}: {finding}.")


@example("workstation compliance rates --month 2026-03 -o rates.csv")
def rates(month: Month, output: Output = None, as_json: Json = False) -> None:
    """Rates of 3D of a month, by modality and physician, with those above the site's limits flagged."""
    from workstation.coder import rates as watched

    site = open_here()
    rows = [row.as_json() for row in watched.rates(site, month)]
    columns = ("modality", "physician", "charges", "examinations", "rate", "limit", "flagged")
    _out(site, f"Rates of 3D, {month}", [], columns, rows, output, as_json)


@example("workstation compliance by-hand --since 2026-03-01 --until 2026-03-31")
def by_hand(
    since: Since = "",
    until: Until = "",
    person: Annotated[str, typer.Option(help="Only what this person did.")] = "",
    output: Output = None,
    as_json: Json = False,
) -> None:
    """List what people decided in the place of the rules: releases, denials, credits, corrections, charges kept."""
    from workstation.coder import rates as watched

    site = open_here()
    first, last = day_option(since, "--since"), day_option(until, "--until")
    rows = [row.as_json() for row in watched.by_hand(site, first, last, person)]
    columns = ("at", "person", "role", "kind", "called", "accession", "why")
    _out(site, "Decided by hand", [_span(first, last)], columns, rows, output, as_json)


def _span(first: date | None, last: date | None) -> str:
    return f"from {first or 'the beginning'} to {last or 'now'}"


@example("workstation compliance by-person --month 2026-03")
def by_person(month: Month, output: Output = None, as_json: Json = False) -> None:
    """Charges of a month by who supervised and by who released them, with what is expected of them."""
    from workstation.coder import rates as watched

    site = open_here()
    rows = [row.as_json() for row in watched.charges_by_person(site, month)]
    columns = ("capacity", "person", "cases", "expected_low", "expected_high", "unknown")
    _out(site, f"Charges by person, {month}", [], columns, rows, output, as_json)
