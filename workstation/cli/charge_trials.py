"""`workstation charge …`: what a decision would be with other facts, what a correction changes, phrases tried."""

from pathlib import Path
from typing import Annotated, Any

import typer

from workstation.cli.charge_shared import CaseArgument
from workstation.cli.shared import Json, example, open_here, show
from workstation.text_table import table


def add_to_group(charge: typer.Typer) -> None:
    """Adds the commands to the group that `charge.py` makes."""
    charge.command("what-if")(what_if)
    charge.command()(correction)
    charge.command("try-phrases")(try_phrases)


@example("workstation charge what-if DEMO-0001 report.clinical_utility=true order.three_d_ordered=true")
def what_if(
    case: CaseArgument,
    changes: Annotated[list[str], typer.Argument(metavar="FACT=VALUE", help="Any fact by its path.")],
    as_json: Json = False,
) -> None:
    """Say what would be decided if facts were others. Nothing is written."""
    from workstation.coder import what_if as tried

    found = tried.what_if(open_here(), case, changes)
    rows = [[each["field"], str(each["before"]), str(each["after"])] for each in found["differences"]]
    changed = [f"{each['field']}: {each['before']} → {each['after']}" for each in found["changes"]]
    same = "The decision would be the same."
    text = [*changed, table(rows, ["field", "now", "then"]) if rows else same]
    show(as_json, found, "\n".join(text))


@example("workstation charge correction DEMO-0001")
def correction(case: CaseArgument, as_json: Json = False) -> None:
    """Show what was billed beside what would be, field by field, for a case in `correction`."""
    from workstation.coder import what_if as tried

    found = tried.corrections(open_here(), case)
    text: list[str] = []
    for each in found:
        text.append(f"{each['charge'] or 'new'} {each['state']}".rstrip())
        text.append(table([_row(field) for field in each["fields"]], ["", "field", "billed", "now"]))
    show(as_json, found, "\n".join(text))


def _row(field: dict[str, Any]) -> list[str]:
    values = [" ".join(v) if isinstance(v, list) else str(v or "") for v in (field["billed"], field["now"])]
    return ["*" if field["differs"] else "", field["field"], *values]


@example("workstation charge try-phrases phrases.toml --last 500")
def try_phrases(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="TOML: for each fact a list, as [reading.phrases].")],
    last: Annotated[int, typer.Option(metavar="N", help="So many of the newest reports on file.", min=1)] = 200,
    as_json: Json = False,
) -> None:
    """Try report phrases on reports on file: which sentences and decisions would change. Nothing is put in force."""
    from workstation.coder import phrase_trial

    found = phrase_trial.try_phrases(open_here(), phrase_trial.phrases_in(file), last)
    lines = [f"{found['reports']} reports: {found['counting']} sentences would count, {found['no_longer']} no longer."]
    for each in found["sentences"]:
        before, now = (", ".join(each[side]) or "nothing" for side in ("before", "now"))
        lines.append(f"  {each['accession']}: {each['text']}\n    states {before}, would state {now}")
    for each in found["cases"]:
        before, now = (f"{each[side]['disposition']} {', '.join(each[side]['reasons'])}" for side in ("before", "now"))
        lines.append(f"  case {each['accession']}: {before.strip()} → {now.strip()}")
    show(as_json, found, "\n".join(lines))
