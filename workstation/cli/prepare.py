"""`workstation prepare …`: what is drawn before anybody looks, and by which rule."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workstation.cli.shared import Json, example, open_here, show
from workstation.text_table import table

if TYPE_CHECKING:
    from dicom_io.files.series import Series
    from workstation.preparation.working import SeriesPlan
    from workstation.preparing import PrepareRule
    from workstation.site import Site
    from workstation.store.preparation_rows import Preparation

SeriesArgument = Annotated[str, typer.Argument(metavar="SERIES", help="A Series Instance UID in the archive.")]
RuleOption = Annotated[str, typer.Option("--rule", metavar="NAME", help="Only what this rule wants.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    prepare = typer.Typer(no_args_is_help=True, help="See and steer what is drawn before anybody looks.")
    app.add_typer(prepare, name="prepare")
    prepare.command("list")(list_preparations)
    prepare.command("show")(show_preparation)
    prepare.command("again")(again)
    prepare.command("cancel")(cancel)
    prepare.command("try")(try_rules)


@example("workstation prepare list --state failed")
def list_preparations(
    state: Annotated[str, typer.Option(help="Only those: waiting, running, ready, failed, cancelled or taken.")] = "",
    most: Annotated[int, typer.Option(metavar="N", help="At most so many of each state.", min=1)] = 200,
    as_json: Json = False,
) -> None:
    """List what is prepared: what is open in the order in which it is worked off (urgent orders, then priority, then
    arrival), then the rest, what has changed last first."""
    from workstation.store.preparation_rows import PREPARATION_STATES

    if state and state not in PREPARATION_STATES:
        raise typer.BadParameter(f"--state {state!r} is not one of {', '.join(PREPARATION_STATES)}")
    site = open_here()
    states = [each for each in PREPARATION_STATES if state in ("", each)]
    rows = [_row(each, site) for each in site.preparations.listed(states, most)]
    columns = [
        "state",
        "urgent",
        "priority",
        "rule",
        "accession",
        "attempts",
        "changed",
        "progress",
        "series_uid",
        "reason",
    ]
    show(as_json, rows, table([[_cell(row[c]) for c in columns] for row in rows], columns))


@example("workstation prepare show 1.2.840.113619.2.1")
def show_preparation(series: SeriesArgument, as_json: Json = False) -> None:
    """Show what was prepared of a series: every picture with its recipe, the digest of its pixels and its file."""
    from workstation.preparation.proposals import proposal_in, still_of
    from workstation.preparation.working import NotPreparedError

    site, result = open_here(), []
    for each in site.preparations.of_series(series):
        proposal = proposal_in(site.archive.root, each)
        made: dict[str, Any] = {}
        if proposal is not None:
            made = {
                "volume": proposal.which,
                "protocol": proposal.protocol,
                "notes": list(proposal.notes),
                "prior": None if proposal.prior is None else asdict(proposal.prior),
                "pictures": [
                    {
                        "name": picture.name,
                        "digest": picture.digest,
                        "still": str(still_of(site.archive.root, each, picture)),
                        "recipe": picture.recipe,
                    }
                    for picture in proposal.pictures
                ],
            }
        result.append({**_row(each, site), **made})
    if not result:
        raise NotPreparedError(f"Series {series}: no rule wanted it prepared. `workstation prepare try` says why.")
    lines = []
    for row in result:
        lines.append(f"{row['rule']}: {row['state']}" + (f", {row['reason']}" if row["reason"] else ""))
        lines += [f"  {note}" for note in row.get("notes", ())]
        if prior := row.get("prior"):
            lines.append(
                f"  prior of {prior['study_date']}: {prior['series_uid']}, registered ({prior['quality']:.2f})"
            )
        lines += [f"  {picture['name']}: {picture['still']}" for picture in row.get("pictures", ())]
    show(as_json, result, "\n".join(lines))


@example("workstation prepare again 1.2.840.113619.2.1")
def again(series: SeriesArgument, rule: RuleOption = "", as_json: Json = False) -> None:
    """Have a series prepared anew by the rules as they are now; `serve` draws it. What was made of it is dropped."""
    from workstation.preparation.working import make_anew

    site = open_here()
    rows = [_row(each, site) for each in make_anew(series, site, rule)]
    show(as_json, rows, "\n".join(f"{row['rule']} waits to be prepared anew." for row in rows))


@example("workstation prepare cancel 1.2.840.113619.2.1")
def cancel(series: SeriesArgument, rule: RuleOption = "", as_json: Json = False) -> None:
    """Cancel what is prepared of a series. What was made is dropped; `again` makes it anew."""
    from workstation.preparation import working

    site = open_here()
    ended = working.cancel(series, site, rule)
    rows = [{**_row(each, site), "state": "cancelled"} for each in ended]
    show(as_json, rows, "\n".join(f"{row['rule']} is cancelled." for row in rows))


@example("workstation prepare try --rules sample_data/prepare.toml sample_data/ct_head")
def try_rules(
    path: Annotated[Path | None, typer.Argument(help="A file or a folder in place of the archive.")] = None,
    rules: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML with [[prepare]] in place of the settings'.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which rule each series of the archive would meet, and what would be made of it. Draws nothing."""
    from dataclasses import replace

    from dicom_io.files.series import open_series
    from workstation.preparation.working import plan_of
    from workstation.preparing import rules_in

    site = open_here()
    if rules is not None:
        given = rules_in(rules)
        site = replace(site, config=replace(site.config, prepare=given.prepare, preparation=given.preparation))
    found: Iterable[Series]
    if path is not None:
        found = open_series(path)
    else:
        found = (site.archive.series(one.series_uid) for one in site.archive.summaries() if one.is_image)
    rows = [_plan_row(plan_of(series, site), series.uid, series.description) for series in found]
    columns = ["modality", "images", "description", "rules", "makes", "reason"]
    show(as_json, rows, table([[_cell(row[c]) for c in columns] for row in rows], columns))


def _plan_row(plan: "SeriesPlan", series_uid: str, description: str) -> dict[str, Any]:
    rules, traits = plan.matched.rules, plan.traits
    return {
        "series_uid": series_uid,
        "modality": traits.modality,
        "images": traits.images,
        "description": description,
        "rules": [rule.name for rule in rules],
        "makes": list(dict.fromkeys(what for rule in rules for what in _makes(rule))),
        "volumes": [n for rule in rules for n in rule.volumes_of(traits)],
        "urgent": plan.ordered.urgent,
        "reason": "" if rules else plan.reason or "there are no rules",
    }


def _makes(rule: "PrepareRule") -> list[str]:
    return [what for what in (rule.protocol, *rule.tools, "prior" if rule.prior else "") if what]


def _row(each: "Preparation", site: "Site") -> dict[str, Any]:
    zone = site.clock().tzinfo
    return {
        "series_uid": each.series_uid,
        "rule": each.rule,
        "accession": each.accession,
        "state": each.state,
        "urgent": each.urgent,
        "priority": each.priority,
        "revision": each.revision,
        "attempts": each.attempts,
        "changed": datetime.fromtimestamp(each.changed_s, zone).isoformat(),
        "progress": each.progress,
        "reason": each.reason,
        "bytes": each.size,
    }


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return ("yes" if value else "") if isinstance(value, bool) else str(value)[:100]
