"""`workstation charge …`: decisions, the coder's work list, imports and reports."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from workstation.cli.shared import Json, acting, example, root, show
from workstation.text_table import table

CaseArgument = Annotated[
    str, typer.Argument(metavar="CASE", help="An accession; or a session or SR UID where it has several.")
]
ByOption = Annotated[str, typer.Option("--by", help="Who does this: an ID of `workstation people list`.")]
PinFd = Annotated[
    int | None,
    typer.Option("--pin-fd", metavar="N", help="File descriptor to read their PIN or password from.", min=0),
]
WhyOption = Annotated[str, typer.Option("--why", help="The reason; kept in the casebook.")]


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
    charge.command("denied")(payer_denied)
    charge.command()(answer)
    charge.command()(recheck)
    charge.command()(unmatched)
    charge.command("import-ncci")(import_ncci)
    charge.command("import-fees")(import_fees)
    charge.command()(report)
    charge.command("sheet")(day_sheet)
    charge.command()(audit)
    charge.command("read")(read_message)
    charge.command()(decide)
    charge.command()(explain)
    charge.command()(policies)
    charge.command()(codes)


def _site() -> Any:
    from workstation.site import open_site

    return open_site(root())


@example("workstation charge list --state held")
def list_(
    state: Annotated[str, typer.Option(help="Only this state: held, denied, correction, operator, queued …")] = "",
    who: Annotated[str, typer.Option(help="Only what this role can resolve: coder, physician …")] = "",
    older_than: Annotated[int, typer.Option(metavar="DAYS", help="Only what has been so for longer.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """List every recorded 3D session with its charge: sent, held (since when, who can resolve it) or denied."""
    from workstation.billing.filing import unfiled
    from workstation.coder import work_list

    site = _site()
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
        for item in work_list.work_items(site)
        if (not state or item.state == state)
        and (not who or who in item.who)
        and (not older_than or item.age_days > older_than)
    ]
    if state in ("", "undecided") and not who and not older_than:
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
    columns = ["accession", "state", "code", "reasons", "who", "age_days", "sr_uid"]
    show(as_json, rows, table([[str(r[c]) for c in columns] for r in rows], columns))


@example("workstation charge show DEMO-0001")
def show_case(case: CaseArgument, as_json: Json = False) -> None:
    """Show a case: what is decided now and why, every earlier decision with what changed it, charges and acts."""
    from workstation.coder import case_view, work_list

    site = _site()
    view = case_view.view(site, work_list.find(site, case))
    show(as_json, view, case_view.in_words(view))


def _done(settled: Any, as_json: bool) -> None:
    from workstation.charge import decision_to_json
    from workstation.cli import words

    (one,) = settled
    result = {
        "accession": one.record.accession,
        "session": one.record.session,
        "state": one.state,
        "decision": decision_to_json(one.decision),
        "queued": list(one.queued),
    }
    text = [f"Accession {one.record.accession}: {one.state}.", words.decision(one.decision)]
    show(as_json, result, "\n".join([*text, f"{len(one.queued)} new messages in the outbox."]))


@example("workstation charge release DEMO-0001 --by jd --why 'separate session, see addendum'")
def release(case: CaseArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False) -> None:
    """Release a hold that is a matter of judgement; what is proposed is charged. Takes a coder."""
    from workstation.coder import acts

    site = _site()
    _done(acts.release(site, case, acting(site, by, pin_fd), why), as_json)


@example("workstation charge deny DEMO-0001 --by jd --why 'belongs to the base examination'")
def deny(case: CaseArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False) -> None:
    """Decide that a held case is never charged. Takes a coder or compliance."""
    from workstation.coder import acts

    site = _site()
    _done(acts.deny(site, case, acting(site, by, pin_fd), why), as_json)


@example("workstation charge reopen DEMO-0001 --by jd --why 'denied the wrong case'")
def reopen(case: CaseArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False) -> None:
    """Take back what was decided by hand; the rules decide again."""
    from workstation.coder import acts

    site = _site()
    _done(acts.reopen(site, case, acting(site, by, pin_fd), why), as_json)


@example("workstation charge credit DEMO-0001 --by jd --why 'wrong patient class'")
def credit(case: CaseArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False) -> None:
    """Take back every charge of a case that is out. It is charged no more until it is reopened."""
    from workstation.coder import acts

    site = _site()
    _done(acts.credit(site, case, acting(site, by, pin_fd), why), as_json)


@example("workstation charge correct DEMO-0001 --by jd --why 'base was changed'")
def correct(case: CaseArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False) -> None:
    """Take back what is out and no longer borne by the facts, and charge what they bear now, if anything."""
    from workstation.coder import acts

    site = _site()
    _done(acts.correct(site, case, acting(site, by, pin_fd), why), as_json)


@example("workstation charge note DEMO-0001 --by jd --why 'called the ordering physician'")
def note(case: CaseArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False) -> None:
    """Write a note into a case. Nothing follows from it."""
    from workstation.coder import acts

    site = _site()
    _done(acts.note(site, case, acting(site, by, pin_fd), why), as_json)


@example("workstation charge denied DEMO-0001 --by jd --why 'payer: not medically necessary'")
def payer_denied(case: CaseArgument, by: ByOption, why: WhyOption, pin_fd: PinFd = None, as_json: Json = False) -> None:
    """Record that the payer turned a case's charges down; a coder then decides whether it is charged again."""
    from workstation.coder import acts

    site = _site()
    _done(acts.payer_denied(site, case, acting(site, by, pin_fd), why), as_json)


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

    site = _site()
    _done(acts.answer(site, case, acting(site, by, pin_fd), why, facts, document), as_json)


@example("workstation charge recheck")
def recheck(
    everything: Annotated[bool, typer.Option("--all", help="Also what is charged or denied; reads all again.")] = False,
    as_json: Json = False,
) -> None:
    """Decide what is due and every open case again. Run it nightly."""
    from workstation.billing import recheck

    found = recheck.recheck(_site(), everything)
    text = (
        f"{found['forgotten']} sessions without a decision, {found['due']} accessions due, {found['looked_at']} cases "
        f"looked at, {found['changed']} changed."
    )
    show(as_json, found, text)


@example("workstation charge unmatched")
def unmatched(as_json: Json = False) -> None:
    """List what came in and belongs to no case: unknown accessions, messages of another patient, refused messages."""
    from workstation.coder import case_view

    rows = case_view.unmatched(_site())
    columns = ["what", "at", "message", "accession", "why"]
    show(as_json, rows, table([[str(r[c]) for c in columns] for r in rows], columns))


Accept = Annotated[bool, typer.Option("--accept", help="Put it in force. Without this, only compare.")]


@example("workstation charge import-ncci ccipra-v321r0-f1.txt --accept")
def import_ncci(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A PTP or MUE file of CMS: .txt, .csv or .zip.")],
    begins: Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD", help="From when an MUE file holds.")] = "",
    accept: Accept = False,
    as_json: Json = False,
) -> None:
    """Read a file of NCCI edits, show what it changes, and put it in force with --accept."""
    from workstation.billing import recheck
    from workstation.billing.gather_facts import table_before_edits
    from workstation.charge import cms_imports
    from workstation.config import load_config
    from workstation.site import local_clock

    path = root()
    own = table_before_edits(load_config(path), path)
    today = local_clock().date()
    found = cms_imports.import_edits(file, path, own, today, _day(begins, "--from"), accept)
    if accept:
        # What was decided under other edits is decided again; what they do not touch stays.
        found["recheck"] = recheck.recheck(_site())
    show(as_json, found, _imported(found))


@example("workstation charge import-fees PFALL26.txt --accept")
def import_fees(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A fee file of CMS (PFALL): .txt, .csv or .zip.")],
    accept: Accept = False,
    as_json: Json = False,
) -> None:
    """Read a fee schedule with its localities, show what it changes, and put it in force with --accept."""
    from workstation.charge import cms_imports

    found = cms_imports.import_fees(file, root(), accept)
    show(as_json, found, _imported(found))


def _imported(found: dict[str, Any]) -> str:
    lines = [f"{found['file']}: {found['rows']} rows, {found['kept']} of them bear on 76376 or 76377."]
    lines += [f"  + {line}" for line in found["added"]] + [f"  - {line}" for line in found["removed"]]
    lines += [f"  code {line}" for line in found.get("codes", [])]
    lines.append("In force now." if found["in_force"] else "Nothing was changed; --accept puts it in force.")
    return "\n".join(lines)


@example("workstation charge report --month 2026-03 --csv march.csv --page march.png")
def report(
    month: Annotated[str, typer.Option(metavar="YYYY-MM", help="The month of service.")],
    csv: Annotated[Path | None, typer.Option(help="Also the cases as CSV.")] = None,
    page: Annotated[Path | None, typer.Option(help="Also a plotted page: .png, .pdf or .svg.")] = None,
    as_json: Json = False,
) -> None:
    """Money and measure of a month: by physician, payer, technique and reason; share with 3D; ageing; lost charges."""
    from workstation.coder import month_report

    found = month_report.report(_site(), month)
    if csv is not None:
        month_report.write_csv(found, csv)
    if page is not None:
        month_report.write_page(found, page)
    show(as_json, found, month_report.in_words(found))


@example("workstation charge sheet --day 2026-03-02 -o sheet.csv")
def day_sheet(
    day: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="The date of service.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where the CSV goes.")],
    as_json: Json = False,
) -> None:
    """Write the day sheet: every charge and credit of a date of service, as CSV."""
    from workstation.billing import day_sheet

    when = _day(day, "--day")
    assert when is not None, "the option is required"
    content, count = day_sheet.sheet(_site().outbox.charges(), when)
    output.write_bytes(content)
    show(as_json, {"file": str(output), "rows": count}, f"{output}: {count} rows.")


@example("workstation charge audit --since 2026-03-01 -o march.jsonl")
def audit(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where the JSON lines go.")],
    since: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="From this day on; all if not given.")] = "",
    as_json: Json = False,
) -> None:
    """Write every decision with its cause and every act with its person and reason, one JSON object a line."""
    import json

    from workstation.coder import case_view

    rows = case_view.audit(_site(), _day(since, "--since"))
    output.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    show(as_json, {"file": str(output), "rows": len(rows)}, f"{output}: {len(rows)} decisions and acts.")


@example("workstation charge read report.hl7")
def read_message(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An HL7 v2 message, as the RIS sends it.")],
    as_json: Json = False,
) -> None:
    """Show what a message states by this site's settings, or why it would be refused. Nothing is filed.

    Try the phrases of the settings on real reports with this before they count.
    """
    from workstation.coder import case_view

    found = case_view.stated(_site(), file)
    show(as_json, found, case_view.stated_in_words(found))
    if found["answer"] != "AA":
        raise typer.Exit(1)


def _day(text: str, option: str) -> Any:
    from datetime import date

    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date written as YYYY-MM-DD", param_hint=option) from None


@example("workstation charge decide facts.json --policy cpt --json")
def decide(
    file: Annotated[Path, typer.Argument(metavar="FACTS.json", help="One facts object, or a list of them.")],
    policy: Annotated[str, typer.Option(help="guide or cpt.")] = "guide",
    as_json: Json = False,
) -> None:
    """Decide a charge from a facts file: what if."""
    from workstation.charge import FactsError, decision_to_json, load_policy, read_facts
    from workstation.charge import decide as decide_facts
    from workstation.cli import words

    if policy not in ("guide", "cpt"):
        raise typer.BadParameter(f"{policy!r} is not guide or cpt", param_hint="--policy")
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise FactsError(f"{file}: not readable as JSON ({error}).") from error
    rules = load_policy(policy)
    several = facts if isinstance(facts, list) else [facts]
    decisions = [decide_facts(read_facts(one), rules) for one in several]
    result: Any = [decision_to_json(d) for d in decisions]
    show(as_json, result if isinstance(facts, list) else result[0], "\n\n".join(words.decision(d) for d in decisions))


@example("workstation charge explain SR.dcm")
def explain(
    sr: Annotated[Path, typer.Argument(metavar="SR.dcm", help="A 3D post-processing SR of this workstation.")],
    as_json: Json = False,
) -> None:
    """Build the facts from an SR and what is on file for its accession, decide, and say why."""
    from dicom_io.files.series import read_instance
    from workstation.charge import decision_to_json
    from workstation.cli import words
    from workstation.pipeline import explain as explain_sr
    from workstation.site import open_site

    evidence, decision = explain_sr(read_instance(sr), open_site(root()))
    show(as_json, decision_to_json(decision), f"{words.evidence(evidence)}\n\n{words.decision(decision)}")


@example("workstation charge policies")
def policies(as_json: Json = False) -> None:
    """List the charge policies with their editions, from when they hold, and where they come from."""
    from typing import get_args

    from workstation.billing.gather_facts import site_policy
    from workstation.charge.policy import PolicyName, load_policy
    from workstation.config import load_config

    config = load_config(root())
    used = config.policy
    # The one that is used is shown with what the site has set, as it stands in recorded decisions.
    own = site_policy(config, root())
    rows = [
        {
            "policy": name,
            "used": name == used,
            "edition": e.name,
            "from": e.effective_from.isoformat(),
            "to": e.effective_to.isoformat() if e.effective_to else "",
            "source": e.source,
        }
        for name in get_args(PolicyName)
        for e in (own if name == used else load_policy(name)).editions
    ]
    columns = ["policy", "used", "edition", "from", "to", "source"]
    show(as_json, rows, table([[str(r[c]) for c in columns] for r in rows], columns))


def _table_of(entry: Any, table: Any) -> str:
    from workstation.billing.gather_facts import SITE_CODES
    from workstation.charge.cms_imports import EDITS_FILE

    if entry is None:
        return ""
    if entry in table.imported_entries:
        return EDITS_FILE
    return SITE_CODES if entry in table.site_entries else "shipped"


@example("workstation charge codes 70450 --on 2026-03-02")
def codes(
    code: Annotated[str, typer.Argument(metavar="CODE", help="A procedure code.")],
    on: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Date of service; today if not given.")] = "",
    as_json: Json = False,
) -> None:
    """Show what we know of a procedure code: its class, from where, since when, and whether that is verified."""
    from datetime import date

    from workstation.billing.gather_facts import site_policy
    from workstation.config import load_config
    from workstation.site import local_clock

    try:
        day = date.fromisoformat(on) if on else local_clock().date()
    except ValueError:
        raise typer.BadParameter(f"{on!r} is not a date written as YYYY-MM-DD", param_hint="--on") from None
    table = site_policy(load_config(root()), root()).codes
    entry = table.lookup(code.upper(), day)
    known = {
        "code": code.upper(),
        "on": day.isoformat(),
        "class": entry.code_class if entry else "in no list: a charge beside it is held",
        "modality": (entry.modality or "") if entry else "",
        "region": (entry.region or "") if entry else "",
        "from": entry.effective_from.isoformat() if entry else "",
        "to": entry.effective_to.isoformat() if entry and entry.effective_to else "",
        "basis": entry.basis if entry else "",
        "verified": entry.verified if entry else False,
        "table": _table_of(entry, table),
    }
    show(as_json, known, "\n".join(f"{key:9} {value}" for key, value in known.items()))
