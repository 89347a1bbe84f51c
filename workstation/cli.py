"""The `workstation` command. Exit 0: done; 1: refused, with the reason on stderr; 2: misuse."""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workstation import cli_charge, cli_desktop, cli_peers, cli_record, cli_storage
from workstation.cli_shared import Json
from workstation.cli_shared import account as _account
from workstation.cli_shared import ae_title as _ae_title
from workstation.cli_shared import example as _example
from workstation.cli_shared import exporting as _exporting
from workstation.cli_shared import progress_bar as _progress
from workstation.cli_shared import show as _show
from workstation.cli_shared import table as _table

if TYPE_CHECKING:
    from dicom_io.banner import BurnIn

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="An independent 3D workstation: DICOM series to 3D pictures, a DICOM SR and the 76376 / 76377 charge.\n\n"
    "Not cleared for diagnosis.",
)
charge_app = typer.Typer(no_args_is_help=True, help="Decide and explain charges.")
outbox_app = typer.Typer(no_args_is_help=True, help="See and deliver what has to leave this machine.")
cli_charge.add_to(charge_app)
people_app = typer.Typer(no_args_is_help=True, help="Who may sign in at the desktop.")
app.add_typer(people_app, name="people")
cli_desktop.add_to(app, people_app)
cli_peers.add_to(app)
cli_storage.add_to(app)
cli_record.add_to(app)
app.add_typer(charge_app, name="charge")
app.add_typer(outbox_app, name="outbox")


BridgeGaps = Annotated[
    bool, typer.Option("--bridge-gaps", help="Interpolate missing slices; a warning goes into every record.")
]
_root = Path()


@app.callback()
def _global(
    root: Annotated[
        Path, typer.Option("--root", envvar="WORKSTATION_ROOT", help="The state folder.", metavar="DIR")
    ] = Path("~/.local/share/workstation"),
) -> None:
    global _root
    _root = root.expanduser()


def _burn_in(text: str) -> "BurnIn | None":
    """The choice in words, None where nothing was said and the settings hold."""
    from dicom_io.banner import BURN_IN

    if not text:
        return None
    for choice in BURN_IN:
        if text == choice:
            return choice
    raise typer.BadParameter(f"{text!r} is not one of {', '.join(BURN_IN)}", param_hint="--burn-in")


@app.command()
@_example("workstation inspect sample_data/ct_head --thumbnails thumbnails")
def inspect(
    source: Annotated[str, typer.Argument(metavar="SERIES|PATH", help="A file, a folder or a Series Instance UID.")],
    thumbnails: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder that gets a small PNG of each volume's middle planes.")
    ] = None,
    bridge_gaps: BridgeGaps = False,
    as_json: Json = False,
) -> None:
    """Show every series below a path, the volumes it makes, or the reason why it makes none."""
    from workstation import inspection

    found = inspection.found_at(source, _root)
    for item in (*found.unreadable, *found.repeated):
        typer.echo(f"passed over: {item.reason}", err=True)
    if not found.series:
        raise inspection.NothingFound(f"{source}: no DICOM series found.")
    seen = [inspection.describe(s, bridge_gaps=bridge_gaps, thumbnails=thumbnails) for s in found.series]
    _show(as_json, seen, "\n\n".join(inspection.in_words(s) for s in seen))


@app.command("import")
@_example("workstation import /media/cd")
def import_(path: Path, as_json: Json = False) -> None:
    """Copy every DICOM instance below PATH into the archive. Importing again changes nothing."""
    from workstation.inspection import NothingFound
    from workstation.site import open_site
    from workstation.storage import take_in

    if not path.exists():
        raise NothingFound(f"{path}: no such file or folder.")
    site, progress = open_site(_root), _progress()
    found = take_in(site, path, _account(), lambda count: progress(f"reading file {count}", 0.0))
    taken = sum(len(s.instances) for s in found.series)
    result = {
        "instances": taken,
        "series": [s.uid for s in found.series],
        "refused": [{"path": u.path, "reason": u.reason} for u in found.unreadable],
    }
    text = [f"{taken} instances of {len(found.series)} series are in the archive {site.root}."]
    text += [f"refused: {u.reason}" for u in found.unreadable]
    _show(as_json, result, "\n".join(text))
    if not taken:
        raise typer.Exit(1)


@app.command("list")
@_example("workstation list")
def list_(as_json: Json = False) -> None:
    """List the series in the archive."""
    from workstation.site import open_site

    site = open_site(_root)
    found = site.archive.summaries()
    standing = site.arrivals.standing(found, time.time())
    of_series = ("modality", "accession", "study_date", "instances", "description", "series_uid", "study_uid")
    rows = [{**{name: getattr(s, name) for name in of_series}, **asdict(standing[s.series_uid])} for s in found]
    columns = ["modality", "accession", "study_date", "instances", "stage", "revision", "description", "series_uid"]
    _show(as_json, rows, _table([[str(r[c]) for c in columns] for r in rows], columns))


@app.command()
@_example("workstation render sample_data/ct_head --protocol ct_head_trauma -o pictures")
def render(
    source: Annotated[
        str, typer.Argument(metavar="SERIES|PATH", help="A Series Instance UID, a file or folder, or an SR of ours.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where the files go.")],
    protocol: Annotated[str, typer.Option(help="See `workstation protocols`. For an SR: instead of its own.")] = "",
    recipe: Annotated[Path | None, typer.Option(help="A JSON file with one recipe, instead of a protocol.")] = None,
    sources: Annotated[
        Path | None, typer.Option(help="For an SR: where its sources lie, if not in the archive.")
    ] = None,
    volume: Annotated[int | None, typer.Option(help="Which volume, where the series holds several.")] = None,
    bridge_gaps: BridgeGaps = False,
    annotate: Annotated[
        bool, typer.Option("--annotate", help="Letters, cube, scale and view on PNG, GIF and MP4 files.")
    ] = False,
    banner: Annotated[
        bool, typer.Option("--banner", help="As --annotate, with patient and study: the files then say who it is.")
    ] = False,
    gif: Annotated[bool, typer.Option("--gif", help="Also an animated GIF of each rotation and stack.")] = False,
    mp4: Annotated[
        bool, typer.Option("--mp4", help="Also an MP4 (H.264) of each rotation and stack; needs the extra `video`.")
    ] = False,
    dicom: Annotated[bool, typer.Option("--dicom", help="Also DICOM files, as `run` would store them.")] = False,
    burn_in: Annotated[str, typer.Option(help="none, view or patient: burned into DICOM captures.")] = "",
    as_json: Json = False,
) -> None:
    """Draw a protocol, a recipe, or the pictures of an SR as PNG files and a contact sheet. Nothing is stored."""
    from workstation import rendering

    if (not rendering.is_sr(source) or protocol) and bool(protocol) == (recipe is not None):
        raise typer.BadParameter("say what to draw: either --protocol NAME or --recipe FILE", param_hint="--protocol")
    files = rendering.Files(annotate, banner, gif, mp4, dicom, _burn_in(burn_in))
    rendering.check(files)
    progress = _progress()
    drawn = rendering.render(source, _root, rendering.Wanted(protocol, recipe, sources, volume, bridge_gaps), progress)
    with _exporting(drawn.series.instances, output):
        result = rendering.write(drawn, output, files, _root, progress)
    text = [f"{len(drawn.pictures)} pictures, {len(result['files'])} files; overview: {result['contact_sheet']}"]
    _show(as_json, result, "\n".join([*text, *(f"warning: {w}" for w in result["warnings"])]))


@app.command()
@_example("workstation export sample_data/ct_head -o head.nrrd")
def export(
    series: Annotated[str, typer.Argument(metavar="SERIES|PATH", help="A Series Instance UID, a file or a folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help=".nrrd, .mha, .nii or .nii.gz")],
    volume: Annotated[int | None, typer.Option(help="Which volume, where the series holds several.")] = None,
    bridge_gaps: BridgeGaps = False,
    as_json: Json = False,
) -> None:
    """Write a volume with its geometry for Slicer, ITK-SNAP and others."""
    from dicom_io.build_volume import build_volume
    from workstation import inspection
    from workstation.export import export as write

    found = inspection.one_series(series, _root)
    built = build_volume(found, volume, bridge_gaps=bridge_gaps)
    with _exporting(found.instances, output):
        write(built, output)
    text = [f"{output}: {' x '.join(map(str, built.shape))} voxels in {built.unit}"]
    result = {"file": str(output), **inspection.geometry(built)}
    _show(as_json, result, "\n".join([*text, *(f"warning: {w}" for w in built.warnings)]))


@app.command()
@_example("workstation run 1.2.840.113619.2.1 --protocol ct_head_trauma --papers papers.json")
def run(
    series: Annotated[str, typer.Argument(metavar="SERIES", help="A Series Instance UID in the archive.")],
    protocol: Annotated[str, typer.Option(help="See `workstation protocols`.")],
    papers: Annotated[
        Path | None, typer.Option(help="JSON file: who worked, supervised and attests; order and report.")
    ] = None,
    volume: Annotated[int | None, typer.Option(help="Which volume, where the series holds several.")] = None,
    bridge_gaps: BridgeGaps = False,
    region: Annotated[str, typer.Option(help="Body region as billed, where neither protocol nor series says it.")] = "",
    burn_in: Annotated[str, typer.Option(help="none, view or patient: burned into captures. Default: settings.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do nothing; say what would be drawn and sent.")] = False,
    as_json: Json = False,
) -> None:
    """Run the whole story on a series: pictures, DICOM objects, SR, decision, messages in the outbox.

    Without --papers nobody is on record, and unattended work is never charged.
    """
    from dataclasses import replace

    from render.protocols import load_protocol
    from workstation import pipeline, words
    from workstation.case import Case, session_of
    from workstation.papers import PapersError, read_papers
    from workstation.site import open_site

    site, choice = open_site(_root), _burn_in(burn_in)
    if choice is not None:
        site = replace(site, config=replace(site.config, burn_in=choice))
    given = read_papers(papers) if papers else None
    session = session_of(given, site.archive.series(series).first.accession)
    case = Case(series, load_protocol(protocol), volume, region, session, bridge_gaps)
    if dry_run:
        plan = words.plan(case, site)
        _show(as_json, plan, "\n".join(f"{key}: {value}" for key, value in plan.items()))
        return
    if papers and given and given.on_file:
        if not site.config.believe_papers:
            raise PapersError(_NO_PAPERS)
        site.casebook.touch(given.accession, f"papers {papers.name}")
        site.papers.put(given.accession, given.on_file, site.clock())
    outcome = pipeline.run(case, site, _progress())
    _show(as_json, words.outcome_json(outcome), words.outcome(outcome))


@app.command()
@_example("workstation papers sample_data/papers/documented.json")
def papers(file: Path, as_json: Json = False) -> None:
    """Put on file what order, report and payer say about an accession, and decide its recorded cases anew."""
    from workstation import words
    from workstation.charge import decision_to_json
    from workstation.papers import PapersError, read_papers
    from workstation.pipeline import file_new_records
    from workstation.settling import settle_accession
    from workstation.site import open_site

    given, site = read_papers(file), open_site(_root)
    if not site.config.believe_papers:
        raise PapersError(_NO_PAPERS)
    if given.on_file is None:
        raise PapersError(f"{file}: has no `on_file` part, so there is nothing to put on file.")
    # Due first: whatever happens after the papers are on file, they are decided on.
    site.casebook.touch(given.accession, f"papers {file.name}")
    site.papers.put(given.accession, given.on_file, site.clock())
    file_new_records(site)
    settled = settle_accession(given.accession, site, "")
    result = {
        "accession": given.accession,
        "decisions": [{"sr": s.evidence.sop_instance_uid, **decision_to_json(s.decision)} for s in settled],
        "queued": [key for s in settled for key in s.queued],
    }
    text = [f"Papers for accession {given.accession} are on file."]
    for one in settled:
        text += [f"SR {one.evidence.sop_instance_uid}: {words.decision(one.decision)}"]
    _show(as_json, result, "\n".join([*text, f"{len(result['queued'])} new messages in the outbox."]))


_NO_PAPERS = (
    "This site's settings believe no papers from files (believe_papers): orders and reports come by HL7, answers by "
    "`workstation charge answer`. Nothing was filed."
)


@charge_app.command()
@_example("workstation charge decide facts.json --policy cpt --json")
def decide(
    file: Annotated[Path, typer.Argument(metavar="FACTS.json", help="One facts object, or a list of them.")],
    policy: Annotated[str, typer.Option(help="guide or cpt.")] = "guide",
    as_json: Json = False,
) -> None:
    """Decide a charge from a facts file: what if."""
    from workstation import words
    from workstation.charge import FactsError, decision_to_json, load_policy, read_facts
    from workstation.charge import decide as decide_facts

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
    _show(as_json, result if isinstance(facts, list) else result[0], "\n\n".join(words.decision(d) for d in decisions))


@charge_app.command()
@_example("workstation charge explain SR.dcm")
def explain(
    sr: Annotated[Path, typer.Argument(metavar="SR.dcm", help="A 3D post-processing SR of this workstation.")],
    as_json: Json = False,
) -> None:
    """Build the facts from an SR and what is on file for its accession, decide, and say why."""
    from dicom_io.series import read_instance
    from workstation import words
    from workstation.charge import decision_to_json
    from workstation.pipeline import explain as explain_sr
    from workstation.site import open_site

    evidence, decision = explain_sr(read_instance(sr), open_site(_root))
    _show(as_json, decision_to_json(decision), f"{words.evidence(evidence)}\n\n{words.decision(decision)}")


@charge_app.command()
@_example("workstation charge policies")
def policies(as_json: Json = False) -> None:
    """List the charge policies with their editions, from when they hold, and where they come from."""
    from typing import get_args

    from workstation.charge.policy import PolicyName, load_policy
    from workstation.config import load_config
    from workstation.context import site_policy

    config = load_config(_root)
    used = config.policy
    # The one that is used is shown with what the site has set, as it stands in recorded decisions.
    own = site_policy(config, _root)
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
    _show(as_json, rows, _table([[str(r[c]) for c in columns] for r in rows], columns))


def _table_of(entry: Any, table: Any) -> str:
    from workstation.context import SITE_CODES
    from workstation.imports import EDITS_FILE

    if entry is None:
        return ""
    if entry in table.imported_entries:
        return EDITS_FILE
    return SITE_CODES if entry in table.site_entries else "shipped"


@charge_app.command()
@_example("workstation charge codes 70450 --on 2026-03-02")
def codes(
    code: Annotated[str, typer.Argument(metavar="CODE", help="A procedure code.")],
    on: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Date of service; today if not given.")] = "",
    as_json: Json = False,
) -> None:
    """Show what we know of a procedure code: its class, from where, since when, and whether that is verified."""
    from datetime import date

    from workstation.config import load_config
    from workstation.context import site_policy
    from workstation.site import local_clock

    try:
        day = date.fromisoformat(on) if on else local_clock().date()
    except ValueError:
        raise typer.BadParameter(f"{on!r} is not a date written as YYYY-MM-DD", param_hint="--on") from None
    table = site_policy(load_config(_root), _root).codes
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
    _show(as_json, known, "\n".join(f"{key:9} {value}" for key, value in known.items()))


Key = Annotated[str, typer.Argument(metavar="KEY", help="The key of a message, as `outbox list --json` shows it.")]
Why = Annotated[str, typer.Option("--why", help="Who does this and why; kept with the message.")]


@outbox_app.command("list")
@_example("workstation outbox list --waiting")
def outbox_list(
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what waits for an operator.")] = False,
    as_json: Json = False,
) -> None:
    """List every message with its state, the number of tries, the last answer, and whether it is archived there."""
    from workstation.commit import archived_in_words
    from workstation.site import open_site

    site = open_site(_root)
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
        for e in site.outbox.list()
        if not waiting or e.state == "operator"
    ]
    columns = ["destination", "kind", "state", "tries", "accession", "identity", "answer", "archived"]
    _show(as_json, rows, _table([[str(r[c])[:70] for c in columns] for r in rows], columns))


@outbox_app.command("show")
@_example("workstation outbox show 3f0a…")
def outbox_show(key: Key, as_json: Json = False) -> None:
    """Show a message as it is sent, and what it charges or credits. It holds patient data."""
    from dicom_io.capabilities import EXPLICIT_LITTLE
    from dicom_io.dimse import decoded
    from workstation.commit import archived_in_words
    from workstation.site import open_site

    site = open_site(_root)
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
    _show(as_json, result, "\n".join([*lines, body]).rstrip())


@outbox_app.command("send")
@_example("workstation outbox send")
def outbox_send(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing; count what is due.")] = False,
    as_json: Json = False,
) -> None:
    """Try once to deliver everything that is due. Exit 1 when something is left."""
    from workstation.deliver import deliver_all
    from workstation.site import open_site

    site = open_site(_root)
    if dry_run:
        due = len(site.outbox.pending())
        _show(as_json, {"due": due}, f"{due} messages are due.")
        return
    tried = deliver_all(site)
    problems = [f"{m.destination} {m.identity}: {d.detail}" for m, d in tried if d.outcome != "acknowledged"]
    done, left = len(tried) - len(problems), sum(not e.done for e in site.outbox.list())
    result = {"acknowledged": done, "left": left, "problems": problems}
    _show(as_json, result, "\n".join([f"{done} acknowledged, {left} left.", *problems]))
    if left:
        raise typer.Exit(1)


@outbox_app.command("check")
@_example("workstation outbox check")
def outbox_check(as_json: Json = False) -> None:
    """Try to reach every destination of the settings, sending nothing. Exit 1 when one is not reached."""
    from workstation.deliver import check
    from workstation.site import open_site

    rows = check(open_site(_root))
    columns = ["destination", "kind", "state", "answer"]
    _show(as_json, rows, _table([[r[c] for c in columns] for r in rows], columns))
    if any(row["state"] != "reached" for row in rows):
        raise typer.Exit(1)


@outbox_app.command("retry")
@_example("workstation outbox retry 3f0a… --why 'billing mended its interface, jd'")
def outbox_retry(key: Key, why: Why, as_json: Json = False) -> None:
    """Let a message that waits for an operator be tried again, with the same bytes."""
    from workstation.site import open_site

    site = open_site(_root)
    site.outbox.requeue(key, site.clock(), why)
    _show(as_json, {"key": key, "state": "queued"}, f"Message {key} is due again.")


@outbox_app.command("withdraw")
@_example("workstation outbox withdraw 3f0a… --why 'sent by hand, jd'")
def outbox_withdraw(key: Key, why: Why, as_json: Json = False) -> None:
    """Give up a message that waits for an operator. Its charge counts as turned down; a coder decides what then."""
    from workstation.settling import withdraw
    from workstation.site import open_site

    withdraw(open_site(_root), key, why)
    _show(as_json, {"key": key, "state": "withdrawn"}, f"Message {key} is withdrawn.")


@app.command()
@_example("workstation presets")
def presets(as_json: Json = False) -> None:
    """List the transfer-function presets and the windows, with unit, key and source."""
    from render.presets import named_preset, preset_names, windows

    rows: list[dict[str, Any]] = []
    for name in preset_names():
        made = named_preset(name)
        known = {"kind": "preset", "key": "", "unit": made.transfer.unit, "title": made.title, "source": made.source}
        rows.append({"name": name, **known, "points": len(made.transfer.points)})
    for one in windows():
        known = {"kind": "window", "key": one.key, "unit": one.unit, "title": one.title, "source": one.source}
        rows.append({"name": one.name, **known, "centre": one.window.centre, "width": one.window.width})
    columns = ["kind", "name", "key", "unit", "title"]
    _show(as_json, rows, _table([[str(r[c]) for c in columns] for r in rows], columns))


@app.command()
@_example("workstation protocols")
def protocols(as_json: Json = False) -> None:
    """List the protocols: named lists of recipes for a clinical question."""
    from render.protocols import load_protocol, protocol_names

    loaded = [load_protocol(n) for n in protocol_names()]
    rows = [
        {
            "name": p.name,
            "region": p.region,
            "pictures": len(p.recipes),
            "title": p.title,
            "clinical_use": p.clinical_use,
            "recipes": [r.name for r in p.recipes],
        }
        for p in loaded
    ]
    columns = ["name", "region", "pictures", "title", "clinical_use"]
    _show(as_json, rows, _table([[str(r[c]) for c in columns] for r in rows], columns))


@app.command()
@_example("workstation serve --port 11112 -aet WORKSTATION")
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; the settings' by default.")] = None,
    port: Annotated[int | None, typer.Option(help="0 lets the system choose.", min=0, max=65535)] = None,
    ae_title: Annotated[str | None, typer.Option("-aet", help="Our AE title.", callback=_ae_title)] = None,
    interval_s: Annotated[float, typer.Option(help="Pause between two tries of the outbox.", min=0.1)] = 10.0,
    hl7_port: Annotated[
        int | None, typer.Option(help="Where to listen for HL7; the settings' port by default.", min=0, max=65535)
    ] = None,
    monitor_port: Annotated[
        int | None, typer.Option(help="Where health and metrics are, on this machine alone.", min=0, max=65535)
    ] = None,
    as_json: Json = False,
) -> None:
    """Receive DICOM and HL7, decide, and deliver the outbox until SIGTERM or Ctrl-C."""
    from workstation import preflight
    from workstation.serve import serve as serve_until_stopped
    from workstation.site import open_site

    site = open_site(_root)
    for words in preflight.check(site):
        typer.echo(f"warning: {words}", err=True)
    serve_until_stopped(
        site,
        host,
        port,
        ae_title,
        interval_s,
        lambda event: typer.echo(json.dumps(event) if as_json else " ".join(f"{k}={v}" for k, v in event.items())),
        hl7_port,
        monitor_port,
    )


@app.command()
@_example("workstation demo -o demo-output")
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR")] = Path("demo-output"),
    data: Annotated[Path, typer.Option(help="The folder of sample data.")] = Path("sample_data"),
    as_json: Json = False,
) -> None:
    """The whole story on the sample CT, once documented and once with a statement missing."""
    from workstation.demo import demo as run_demo

    result = run_demo(output, data, (lambda line: typer.echo(line, err=True)) if as_json else typer.echo)
    if as_json:
        _show(True, result, "")


@app.command()
@_example("workstation doctor")
def doctor(as_json: Json = False) -> None:
    """Show what this machine has (cores, memory, disk, OpenGL, peers) and what is missing."""
    from workstation.doctor import examine

    found = examine(_root)
    _show(as_json, found, "\n".join(f"{key:20} {value}" for key, value in found.items()))


@app.command()
@_example("workstation warm")
def warm(as_json: Json = False) -> None:
    """Compile the rendering kernels into the user's cache, so that the first picture does not wait."""
    from render.engine.cpu.frames import warm as compile_kernels

    seconds = compile_kernels()
    _show(as_json, {"seconds": round(seconds, 1)}, f"Rendering kernels are compiled ({seconds:.1f} s).")


_DAMAGED = (
    " It is damaged. Stop everything that uses it and put its newest backup in its place. Without one, move it away and"
    " run `workstation storage rebuild-index`: the index comes again from the files; cases and outbox are gone."
)


def main() -> None:
    """Entry point: our own errors become one sentence and exit 1; a traceback is a defect of ours."""
    try:
        app()
    except Exception as error:
        from workstation.outbox import DatabaseFailed

        if isinstance(error, DatabaseFailed):
            # Without the statement and its values, which may be a patient's.
            said = str(error.orig)
            advice = _DAMAGED if "not a database" in said or "malformed" in said else ""
            typer.echo(f"error: the database {_root / 'workstation.db'}: {said}.{advice}", err=True)
        elif isinstance(error, _our_errors()):
            typer.echo(f"error: {error}", err=True)
        else:
            raise
        sys.exit(1)


def _our_errors() -> tuple[type[Exception], ...]:
    """Every error whose message is meant for people. Looked up only when one comes: imports take time."""
    from dicom_io.errors import DicomIOError
    from dicom_io.uids import UidError
    from render.annotate import AnnotationError
    from render.draw import DrawError
    from render.geometry import GeometryError
    from render.recipe import RecipeError
    from workstation.case import CaseError
    from workstation.charge import FactsError, PolicyError
    from workstation.charge.codes import CodesError
    from workstation.charge.edits import EditsError
    from workstation.config import ConfigError
    from workstation.demo import DemoError
    from workstation.export import ExportError
    from workstation.fhir import FhirError
    from workstation.hl7 import Hl7Error
    from workstation.inspection import NothingFound
    from workstation.movies import VideoError
    from workstation.outbox import OutboxError
    from workstation.papers import PapersError
    from workstation.peers import PeersError
    from workstation.people import PeopleError
    from workstation.worklist import WorkError

    return (
        DicomIOError, UidError, AnnotationError, DrawError, GeometryError, RecipeError, CaseError, CodesError,
        FactsError, PolicyError, ConfigError, DemoError, ExportError, Hl7Error, NothingFound, OutboxError, PapersError,
        VideoError, OSError, EditsError, FhirError, PeopleError, PeersError, WorkError,
    )  # fmt: skip
