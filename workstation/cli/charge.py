"""`workstation charge …`: decisions, the coder's work list, imports and reports."""

import json
from pathlib import Path
from typing import Annotated

import typer

from workstation.cli import charge_acts, charge_rules, charge_trials
from workstation.cli.charge_shared import ByOption, CaseArgument, WhyOption, print_settled
from workstation.cli.shared import Json, PinFd, acting, example, open_here, show
from workstation.text_table import table


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    charge = typer.Typer(no_args_is_help=True, help="Decide and explain charges.")
    app.add_typer(charge, name="charge")
    charge.command("list")(list_)
    charge.command("show")(show_case)
    charge.command()(release)
    charge.command()(deny)
    charge.command()(reopen)
    charge.command()(credit)
    charge.command()(correct)
    charge.command()(note)
    charge.command()(keep)
    charge.command("denied")(payer_denied)
    charge.command()(answer)
    charge.command()(recheck)
    charge.command()(unmatched)
    charge.command()(report)
    charge.command("sheet")(day_sheet)
    charge.command()(audit)
    charge_acts.add_to_group(charge)
    charge_trials.add_to_group(charge)
    charge_rules.add_to_group(charge)


@example("workstation charge list --state held")
def list_(
    state: Annotated[str, typer.Option(help="Only this state: held, denied, correction, operator, queued …")] = "",
    who: Annotated[str, typer.Option(help="Only what this role can resolve: coder, physician …")] = "",
    older_than: Annotated[int, typer.Option(metavar="DAYS", help="Only what has been so for longer.", min=0)] = 0,
    page: Annotated[
        int | None, typer.Option(metavar="N", help="Only this page of the list, from 1; 0 for all.", min=0)
    ] = None,
    size: Annotated[int, typer.Option(metavar="M", help="So many cases on a page.", min=1)] = 50,
    as_json: Json = False,
) -> None:
    """List recorded 3D sessions with their charge: sent, held (since when, who can resolve it) or not billable.

    Without --state, --who or --older-than the newest page, by when they were decided. With one of them, or with --page
    0, all of them, the oldest first; then also those that nobody has decided yet (--state undecided).
    """
    from workstation.billing.filing import unfiled
    from workstation.coder import work_list
    from workstation.store.cases import STATE_WORDS

    site = open_here()
    any_case = not (state or who or older_than)
    page = int(any_case) if page is None else page
    newest = any_case and page > 0
    items = work_list.newest_items(site, page, size) if newest else work_list.work_items(site, state, who)
    rows = [
        {
            "accession": item.accession,
            "state": item.state,
            "code": item.code,
            "reasons": ", ".join(item.reasons),
            "who": ", ".join(item.who),
            "age_days": item.age_days,
            "since": item.since.isoformat(),
            "sr_uid": item.sr_uid,
            "session": item.session,
        }
        for item in items
        if not older_than or item.age_days > older_than
    ]
    if state == "undecided" or (any_case and not newest):
        # Nothing that was rendered is out of sight, whoever has not looked at it yet.
        rows += [
            {
                "accession": sr.accession,
                "state": "undecided",
                "code": "",
                "reasons": "run `workstation charge recheck`",
                "who": "",
                "age_days": 0,
                "since": "",
                "sr_uid": sr.sop_instance_uid,
                "session": sr.series_uid,
            }
            for sr in unfiled(site)
        ]
    rows = rows[(page - 1) * size : page * size] if page and not newest else rows
    columns = ["accession", "state", "code", "reasons", "who", "age_days", "sr_uid"]
    told = [{**row, "state": STATE_WORDS.get(str(row["state"]), row["state"])} for row in rows]
    show(as_json, rows, table([[str(r[c]) for c in columns] for r in told], columns))


@example("workstation charge show DEMO-0001")
def show_case(case: CaseArgument, as_json: Json = False) -> None:
    """Show a case: what is decided now and why, every earlier decision with what changed it, charges and acts."""
    from workstation.coder import case_view, work_list

    site = open_here()
    view = case_view.view(site, work_list.find(site, case))
    show(as_json, view, case_view.in_words(view))


@example("workstation charge release DEMO-0001 --by jd --why 'separate session, see addendum'")
def release(
    case: CaseArgument,
    by: ByOption,
    why: WhyOption,
    modifier: Annotated[
        list[str] | None, typer.Option(help="Add a modifier to each line: 59, XE, XS, XP, XU, 76, 77 … Repeatable.")
    ] = None,
    base: Annotated[str, typer.Option(help="Link to this performed base procedure, not to the proposed one.")] = "",
    line: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Charge only this line of `charge show`, numbered from 1. Repeatable.", min=1),
    ] = None,
    pin_fd: PinFd = None,
    as_json: Json = False,
) -> None:
    """Release a hold that is a matter of judgement; what is proposed is charged. Takes a coder.

    A charge that the payer has denied is taken back with it, so that billing never has two.
    """
    from workstation.coder import acts

    site = open_here()
    print_settled(acts.release(site, case, acting(site, by, pin_fd), why, modifier or (), base, line or ()), as_json)


@example("workstation charge deny DEMO-0001 --by jd --why 'belongs to the base examination'")
def deny(case: CaseArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False) -> None:
    """Decide that a held case is never charged. Takes a coder or compliance."""
    from workstation.coder import acts

    site = open_here()
    print_settled(acts.deny(site, case, acting(site, by, pin_fd), why), as_json)


@example("workstation charge reopen DEMO-0001 --by jd --why 'denied the wrong case'")
def reopen(case: CaseArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False) -> None:
    """Take back what was decided by hand; the rules decide again."""
    from workstation.coder import acts

    site = open_here()
    print_settled(acts.reopen(site, case, acting(site, by, pin_fd), why), as_json)


@example("workstation charge credit DEMO-0001 --by jd --why 'wrong patient class'")
def credit(case: CaseArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False) -> None:
    """Take back every charge of a case that is out. It is charged no more until it is reopened."""
    from workstation.coder import acts

    site = open_here()
    print_settled(acts.credit(site, case, acting(site, by, pin_fd), why), as_json)


@example("workstation charge correct DEMO-0001 --by jd --why 'base was changed'")
def correct(case: CaseArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False) -> None:
    """Take back what is out and no longer borne by the facts, and charge what they bear now, if anything."""
    from workstation.coder import acts

    site = open_here()
    print_settled(acts.correct(site, case, acting(site, by, pin_fd), why), as_json)


@example("workstation charge note DEMO-0001 --by jd --why 'called the ordering physician'")
def note(case: CaseArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False) -> None:
    """Write a note into a case. Nothing follows from it."""
    from workstation.coder import acts

    site = open_here()
    print_settled(acts.note(site, case, acting(site, by, pin_fd), why), as_json)


@example("workstation charge keep DEMO-0001 --by jd --why 'billing added the modifier'")
def keep(case: CaseArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False) -> None:
    """Say that a charge which breaks an edit of CMS stands all the same. Takes a coder or compliance."""
    from workstation.coder import edits_in_force

    site = open_here()
    keys = edits_in_force.keep(site, case, acting(site, by, pin_fd), why)
    show(as_json, {"case": case, "kept": list(keys)}, f"{case}: {len(keys)} marked charges stand: {', '.join(keys)}.")


@example("workstation charge denied DEMO-0001 --by jd --why 'payer: not medically necessary'")
def payer_denied(case: CaseArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False) -> None:
    """Record that the payer turned a case's charges down; a coder then decides whether it is charged again."""
    from workstation.coder import acts

    site = open_here()
    print_settled(acts.payer_denied(site, case, acting(site, by, pin_fd), why), as_json)


@example("workstation charge answer DEMO-0001 diagnoses=S02.2XXA --document letter.pdf --by jd --why 'came by fax'")
def answer(
    case: CaseArgument,
    facts: Annotated[list[str], typer.Argument(metavar="FACT=VALUE", help="What the document states.")],
    document: Annotated[Path, typer.Option(help="The document; a copy is kept with its digest.")],
    by: ByOption,
    why: WhyOption,
    pin_fd: PinFd = None,
    as_json: Json = False,
) -> None:
    """Answer a hold with a document. What only a physician can state takes a physician."""
    from workstation.coder import acts

    site = open_here()
    print_settled(acts.answer(site, case, acting(site, by, pin_fd), why, facts, document), as_json)


@example("workstation charge recheck")
def recheck(
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is charged or not billable; reads all again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Decide what is due and every open case again. Run it nightly."""
    from workstation.billing import recheck

    found = recheck.recheck(open_here(), everything)
    text = (
        f"{found['forgotten']} sessions without a decision, {found['due']} accessions due, {found['looked_at']} cases "
        f"looked at, {found['changed']} changed."
    )
    show(as_json, found, text)


@example("workstation charge unmatched")
def unmatched(as_json: Json = False) -> None:
    """List what came in and belongs to no case: unknown accessions, messages of another patient, refused messages."""
    from workstation.coder import unmatched as listed

    rows = [row.as_json() for row in listed.unmatched(open_here())]
    columns = ["id", "what", "at", "message", "accession", "why"]
    show(as_json, rows, table([[str(r[c]) for c in columns] for r in rows], columns))


@example("workstation charge report --month 2026-03 --csv march.csv --page march.png")
def report(
    month: Annotated[str, typer.Option(metavar="YYYY-MM", help="The month of service.")],
    csv: Annotated[Path | None, typer.Option(help="Also the cases as CSV.")] = None,
    page: Annotated[Path | None, typer.Option(help="Also a plotted page: .png, .pdf or .svg.")] = None,
    as_json: Json = False,
) -> None:
    """A month: money charged, held, lost; by physician, payer, technique, reason; rate of 3D; age of holds."""
    from workstation.coder import month_page, month_report

    found = month_report.report(open_here(), month)
    if csv is not None:
        month_report.write_csv(found, csv)
    if page is not None:
        month_page.write_page(found, page)
    show(as_json, found, month_report.in_words(found))


@example("workstation charge sheet --day 2026-03-02 -o sheet.csv")
def day_sheet(
    day: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="The date of service.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where the CSV goes.")],
    as_json: Json = False,
) -> None:
    """Write the day sheet: every charge and credit of a date of service, as CSV."""
    from workstation.billing import day_sheet

    when = charge_rules.day_option(day, "--day")
    assert when is not None, "the option is required"
    content, count = day_sheet.sheet(open_here().outbox.charges(), when)
    output.write_bytes(content)
    show(as_json, {"file": str(output), "rows": count}, f"{output}: {count} rows.")


@example("workstation charge audit --since 2026-03-01 -o march.jsonl")
def audit(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where the JSON lines go.")],
    since: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="From this day on; all if not given.")] = "",
    as_json: Json = False,
) -> None:
    """Write every decision with its cause and every act with its person and reason, one JSON object a line."""

    from workstation.coder import case_view

    rows = case_view.audit(open_here(), charge_rules.day_option(since, "--since"))
    output.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    show(as_json, {"file": str(output), "rows": len(rows)}, f"{output}: {len(rows)} decisions and acts.")
