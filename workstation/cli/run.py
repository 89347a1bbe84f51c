"""The commands of the story: `import`, `list`, `run`, `papers`, `demo`."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workstation.cli.clinical import measure_request
from workstation.cli.pictures import BridgeGaps, _burn_in
from workstation.cli.shared import Json, account, example, progress_bar, root, show, signing
from workstation.text_table import table

if TYPE_CHECKING:
    from dicom_io.evidence import Person
    from workstation.site import Site
    from workstation.store.papers import Papers


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("import")(import_)
    app.command("list")(list_)
    app.command()(run)
    app.command()(papers)
    app.command()(demo)


@example("workstation import /media/cd")
def import_(path: Annotated[Path, typer.Argument(help="A file or a folder.")], as_json: Json = False) -> None:
    """Copy every DICOM instance below PATH into the archive. Importing again changes nothing."""
    from workstation.export.inspect import NothingFound
    from workstation.site import open_site
    from workstation.storage import take_in

    if not path.exists():
        raise NothingFound(f"{path}: no such file or folder.")
    site, progress = open_site(root()), progress_bar()
    found = take_in(site, path, account(), lambda count: progress(f"reading file {count}", 0.0))
    taken = sum(len(s.instances) for s in found.series)
    result = {
        "instances": taken,
        "series": [s.uid for s in found.series],
        "refused": [{"path": u.path, "reason": u.reason} for u in found.unreadable],
    }
    text = [f"{taken} instances of {len(found.series)} series are in the archive {site.root}."]
    text += [f"refused: {u.reason}" for u in found.unreadable]
    show(as_json, result, "\n".join(text))
    if not taken:
        raise typer.Exit(1)


@example("workstation list")
def list_(as_json: Json = False) -> None:
    """List the series in the archive, with what is prepared of them: `ready` is a proposal that waits for a reader."""
    from workstation.site import open_site

    site = open_site(root())
    found = site.archive.summaries()
    standing = site.arrivals.standing(found, site.clock().timestamp())
    of_series = ("modality", "accession", "study_date", "instances", "description", "series_uid", "study_uid")
    prepared = site.preparations.states()
    rows = [
        {
            **{name: getattr(s, name) for name in of_series},
            **asdict(standing[s.series_uid]),
            "prepared": prepared.get(s.series_uid, "") if standing[s.series_uid].stage != "reopened" else "",
        }
        for s in found
    ]
    columns = ["modality", "accession", "study_date", "instances", "stage", "revision", "description", "series_uid"]
    if any(row["prepared"] for row in rows):
        columns.insert(-2, "prepared")
    show(as_json, rows, table([[str(r[c]) for c in columns] for r in rows], columns))


@example("workstation run 1.2.840.113619.2.1 --protocol ct_head_trauma --papers papers.json")
def run(
    series: Annotated[str, typer.Argument(metavar="SERIES", help="A Series Instance UID in the archive.")],
    protocol: Annotated[str, typer.Option(help="Its name, from the list that `protocols` prints.")],
    papers: Annotated[
        Path | None, typer.Option(help="JSON file: who worked, supervised and attests; order and report.")
    ] = None,
    volume: Annotated[int | None, typer.Option(help="Which volume, where the series holds several.")] = None,
    fuse: Annotated[
        str, typer.Option(metavar="SERIES", help="A second series of the study, in colour over the reformats.")
    ] = "",
    measure: Annotated[
        list[str],
        typer.Option(
            metavar="'KIND P …'",
            help="A measure for the record: 'lesion P', 'vessel P P … / REFERENCE …', 'volume lungs', 'distance P P', "
            "'length P P …', 'angle P P P', 'cobb P P P P'; P is X,Y,Z in LPS mm. After a colon, what it is of.",
        ),
    ] = [],  # noqa: B006
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Segments in colour in the renderings: SEG, NIfTI, NRRD.")
    ] = None,
    bridge_gaps: BridgeGaps = False,
    region: Annotated[str, typer.Option(help="Body region as billed, where neither protocol nor series says it.")] = "",
    burn_in: Annotated[
        str, typer.Option(help="none, letters, view or patient: burned into captures. Default: settings.")
    ] = "",
    pin_fd: Annotated[
        int | None,
        typer.Option(metavar="N", help="File descriptor to read the supervisor's PIN or password from.", min=0),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do nothing; say what would be drawn and sent.")] = False,
    as_json: Json = False,
) -> None:
    """Run the whole story on a series: pictures, DICOM objects, SR, decision, messages in the outbox.

    Without --papers nobody is on record, and unattended work is never charged. Papers that are to be signed ask their
    supervisor, a person of the register, for PIN or password; without it the SR is not verified, and the case waits.
    """
    from dataclasses import replace

    from render.protocols import load_protocol
    from workstation import pipeline
    from workstation.case import Case, session_of
    from workstation.cli import words
    from workstation.site import open_site
    from workstation.store.papers import PapersError, read_papers

    requests = tuple(measure_request(text) for text in measure)
    site, choice = open_site(root()), _burn_in(burn_in)
    if choice is not None:
        site = replace(site, config=replace(site.config, burn_in=choice))
    given = read_papers(papers) if papers else None
    if given and given.on_file and not dry_run and not site.config.believe_papers:
        raise PapersError(_NO_PAPERS)
    accession = site.archive.series(series).first.accession
    unsigned = session_of(given, accession)
    signer = None if dry_run or given is None else _signer(given, site, pin_fd)
    session = unsigned if signer is None else session_of(given, accession, signer)
    case = Case(series, load_protocol(protocol), volume, region, session, bridge_gaps, (), requests, fuse, labels)
    if dry_run:
        plan = words.plan(case, site)
        show(as_json, plan, "\n".join(f"{key}: {value}" for key, value in plan.items()))
        return
    if papers and given and given.on_file:
        site.casebook.touch(given.accession, f"papers {papers.name}")
        site.papers.put(given.accession, given.on_file, site.clock())
    outcome = pipeline.run(case, site, progress_bar())
    show(as_json, words.outcome_json(outcome), words.outcome(outcome))


def _signer(given: "Papers", site: "Site", pin_fd: int | None) -> "Person | None":
    """The supervisor, where the papers are to be signed and the secret was shown; None for an unsigned run.

    Raises PeopleError for a wrong secret, or somebody who is not in the register.
    """
    session = given.session
    if session is None or session.supervisor is None or session.attestation is None or not session.attestation.signed:
        return None
    if pin_fd is None and not sys.stdin.isatty():
        name = session.supervisor.id
        typer.echo(f"{name} is asked to sign and showed no secret (--pin-fd): the SR is not verified.", err=True)
        return None
    return signing(site, session.supervisor.id, pin_fd)


@example("workstation papers sample_data/papers/documented.json")
def papers(
    file: Annotated[Path, typer.Argument(help="A papers file with an `on_file` part: docs/papers.md.")],
    as_json: Json = False,
) -> None:
    """Put on file what order, report and payer say about an accession, and decide its recorded cases anew."""
    from workstation.billing.filing import file_new_records
    from workstation.billing.settle import settle_accession
    from workstation.charge import decision_to_json
    from workstation.cli import words
    from workstation.site import open_site
    from workstation.store.papers import PapersError, read_papers

    given, site = read_papers(file), open_site(root())
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
    show(as_json, result, "\n".join([*text, f"{len(result['queued'])} new messages in the outbox."]))


_NO_PAPERS = (
    "This site's settings believe no papers from files (believe_papers): orders and reports come by HL7, answers by "
    "`workstation charge answer`. Nothing was filed."
)


@example("workstation demo -o demo-output")
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where everything goes.")] = Path(
        "demo-output"
    ),
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of sample data, where it is not the one we came with."),
    ] = None,
    as_json: Json = False,
) -> None:
    """The whole story on the sample CT, once documented and once with a statement missing."""
    from workstation.cli.demo import demo as run_demo

    result = run_demo(output, data, (lambda line: typer.echo(line, err=True)) if as_json else typer.echo)
    if as_json:
        show(True, result, "")
