"""`workstation charge …`: what the rules say of facts and records, policies, codes, files of CMS, messages read."""

from pathlib import Path
from typing import Annotated, Any

import typer

from workstation.cli.shared import Json, PinFd, acting, example, open_here, root, show
from workstation.text_table import table


def add_to_group(charge: typer.Typer) -> None:
    """Adds the commands to the group that `charge.py` makes."""
    charge.command("import-ncci")(import_ncci)
    charge.command("import-fees")(import_fees)
    charge.command("read")(read_message)
    charge.command()(decide)
    charge.command()(explain)
    charge.command()(policies)
    charge.command()(codes)


Accept = Annotated[bool, typer.Option("--accept", help="Put it in force. Without this, only compare.")]


@example("workstation charge import-ncci ccipra-v321r0-f1.txt --accept --by jd --why 'edition of April'")
def import_ncci(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A PTP or MUE file of CMS: .txt, .csv or .zip.")],
    begins: Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD", help="From when an MUE file holds.")] = "",
    accept: Accept = False,
    by: Annotated[str, typer.Option("--by", help="Who accepts it, a coder or compliance; goes with --accept.")] = "",
    why: Annotated[str, typer.Option("--why", help="The reason; kept in the casebook.")] = "",
    pin_fd: PinFd = None,
    as_json: Json = False,
) -> None:
    """Read a file of NCCI edits, show what it changes, and put it in force with --accept.

    Charges that are out and break the edits are listed, and marked with --accept. Nothing is taken back by itself.
    """
    from workstation.billing import recheck
    from workstation.coder import edits_in_force

    site, day = open_here(), day_option(begins, "--from")
    if not accept:
        found = edits_in_force.import_edits(site, file, day)
    else:
        for option, given in (("--by", by), ("--why", why)):
            if not given:
                raise typer.BadParameter("--accept takes a name and a reason", param_hint=option)
        found = edits_in_force.accept_edits(site, file, day, acting(site, by, pin_fd), why)
        # What was decided under other edits is decided again; what they do not touch stays.
        found["recheck"] = recheck.recheck(site)
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
    verb = "marked" if found["in_force"] else "would be marked"
    lines += [
        f"  charge {each['key']} {each['code']} of {each['accession']} {verb}: {'; '.join(each['edits'])}"
        for each in found.get("marked", [])
    ]
    lines.append("In force now." if found["in_force"] else "Nothing was changed; --accept puts it in force.")
    return "\n".join(lines)


@example("workstation charge read report.hl7")
def read_message(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An HL7 v2 message, as the RIS sends it.")],
    on: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Date of service; today if not given.")] = "",
    as_json: Json = False,
) -> None:
    """Show what a message states by this site's settings, or why it would be refused. Nothing is filed.

    Try the phrases of the settings on real reports with this before they count.
    """
    from workstation.coder import case_view

    site = open_here()
    found = case_view.stated(site, file, day_option(on, "--on") or site.clock().date())
    show(as_json, found, case_view.stated_in_words(found))
    if found["answer"] != "AA":
        raise typer.Exit(1)


def day_option(text: str, option: str) -> Any:
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
    from workstation.strict import StrictError, json_in

    if policy not in ("guide", "cpt"):
        raise typer.BadParameter(f"{policy!r} is not guide or cpt", param_hint="--policy")
    try:
        facts = json_in(file)
    except (OSError, StrictError) as error:
        raise FactsError(f"{file}: cannot be read ({error}).") from error
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
    from workstation.coder.work_list import marks_of
    from workstation.pipeline import explain as explain_sr

    site = open_here()
    evidence, decision = explain_sr(read_instance(sr), site)
    marks = {
        key: edits
        for session, accession in site.casebook.sessions(evidence.sop_instance_uid)
        for key, edits in marks_of(site, session, accession).items()
    }
    told = [f"  charge {key} breaks an edit of CMS: {edit}" for key, edits in marks.items() for edit in edits]
    result = decision_to_json(decision)
    if marks:
        result["breaks_edits"] = {key: list(edits) for key, edits in marks.items()}
    show(as_json, result, "\n".join([words.evidence(evidence), "", words.decision(decision), *told]))


@example("workstation charge policies")
def policies(as_json: Json = False) -> None:
    """List the charge policies with their editions, from when they hold, and where they come from."""
    from typing import get_args

    from workstation.billing.gather_facts import site_policy
    from workstation.charge.policy import PolicyName, load_policy
    from workstation.config import load_config
    from workstation.site import local_clock

    config = load_config(root()).on(local_clock().date())
    used = config.policy
    # The one that is used is shown with what the site has set, as it stands in recorded decisions.
    own = site_policy(config, root())
    rows = [
        {
            "policy": name,
            "used": name == used,
            "edition": e.name,
            "contract": e.contract,
            "from": e.effective_from.isoformat(),
            "to": e.effective_to.isoformat() if e.effective_to else "",
            "source": e.source,
        }
        for name in get_args(PolicyName)
        for e in (own if name == used else load_policy(name)).editions
    ]
    columns = ["policy", "used", "edition", "contract", "from", "to", "source"]
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
    table = site_policy(load_config(root()).on(day), root()).codes
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
