"""`workstation peers …`, `workstation query`, `workstation retrieve` and `workstation send`."""

from typing import Annotated, Any, Literal

import typer

from workstation.cli.shared import Json, account, ae_title, example, note_change, progress_bar, root, show
from workstation.text_table import table

PeerArgument = Annotated[
    str, typer.Argument(metavar="PEER", help="The name of a peer, as `workstation peers list` shows it.")
]

_WAYS: dict[str, Literal["get", "move", "web"]] = {"get": "get", "move": "move", "web": "web"}


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    peers = typer.Typer(no_args_is_help=True, help="The DICOM nodes that this site works with.")
    app.add_typer(peers, name="peers")
    peers.command("list")(list_peers)
    peers.command("add")(add)
    peers.command("remove")(remove)
    peers.command("echo")(echo)
    app.command()(query)
    app.command()(retrieve)
    app.command()(send)


@example("workstation peers list")
def list_peers(as_json: Json = False) -> None:
    """List the peers and how each is reached."""
    from dataclasses import asdict

    from workstation.peers.known import load_peers

    rows = [asdict(peer) for peer in load_peers(root())]
    columns = ["name", "ae_title", "host", "port", "retrieve", "tls", "addresses", "url"]
    show(as_json, rows, table([[_cell(row[c]) for c in columns] for row in rows], columns))


@example("workstation peers add pacs 10.0.0.5 104 -aec ARCHIVE --retrieve move")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One word; a known one is changed.")],
    host: Annotated[str, typer.Argument(metavar="HOST", help="Its name in the network, or its address.")],
    port: Annotated[int, typer.Argument(metavar="PORT", min=1, max=65535, help="The port that it listens on.")],
    called: Annotated[str, typer.Option("-aec", help="Its AE title.", callback=ae_title)],
    how: Annotated[str, typer.Option("--retrieve", help="How it gives what it has: get, move or web.")] = "get",
    address: Annotated[
        list[str] | None, typer.Option(help="From where it calls us, an address or a network; may be given again.")
    ] = None,
    url: Annotated[str, typer.Option(help="Root of its DICOMweb services.")] = "",
    tls: Annotated[bool, typer.Option("--tls", help="Call it by TLS.")] = False,
    authority: Annotated[
        str,
        typer.Option(
            help="PEM file, in the state folder or absolute, of who signed its certificate; the system's if empty."
        ),
    ] = "",
    certificate: Annotated[str, typer.Option(help="PEM file of our own certificate, where it wants one.")] = "",
    key: Annotated[str, typer.Option(help="PEM file of its key.")] = "",
    as_json: Json = False,
) -> None:
    """Add a peer, or change it."""
    from dataclasses import asdict

    from workstation.administration.preflight import tls_faults_of
    from workstation.peers.known import KnownPeer, PeersError, add_peer

    if how not in _WAYS:
        raise typer.BadParameter(f"{how!r} is not one of {', '.join(_WAYS)}", param_hint="--retrieve")
    try:
        peer = KnownPeer(
            name=name,
            host=host,
            port=port,
            ae_title=called,
            retrieve=_WAYS[how],
            addresses=tuple(address or ()),
            url=url,
            tls=tls,
            certificate_authority=authority,
            certificate=certificate,
            key=key,
        )
    except ValueError as error:
        raise PeersError(f"{error}.") from error
    for words in tls_faults_of(root(), peer):
        raise PeersError(f"{words} Names of files that are relative lie in the state folder {root()}.")
    note = note_change("peers", name)
    add_peer(root(), peer)
    where = f"{peer.at(root())}, retrieve by {peer.retrieve}, calls from {', '.join(peer.addresses) or peer.host}"
    note(f"added or changed: {where}")
    show(as_json, asdict(peer), f"{name}: {peer.at(root())}.")


@example("workstation peers remove pacs")
def remove(name: PeerArgument, as_json: Json = False) -> None:
    """Forget a peer."""
    from workstation.peers.known import remove_peer

    note = note_change("peers", name)
    remove_peer(root(), name)
    note("removed")
    show(as_json, {"name": name}, f"{name} is forgotten.")


@example("workstation peers echo pacs")
def echo(
    name: Annotated[str, typer.Argument(metavar="PEER", help="All peers if none is named.")] = "",
    as_json: Json = False,
) -> None:
    """Ask a peer, or every one, whether it is there (C-ECHO). Exit 1 when one is not."""
    from dataclasses import asdict

    from workstation.administration.peer_answers import ask_peers
    from workstation.config import load_config

    rows = [asdict(each) for each in ask_peers(root(), load_config(root()).ae_title, name)]
    show(as_json, rows, table([[*row.values()] for row in rows], ["name", "state", "answer"]))
    if any(row["state"] != "answered" for row in rows):
        raise typer.Exit(1)


def _dates(text: str) -> str:
    """An option's value if it is a date or a range of dates as DICOM has them (PS3.5 6.2, DA); misuse otherwise."""
    from dicom_io.dates import day_of

    days = [day for day in text.split("-") if day] if text.count("-") <= 1 else [text]
    if any(len(day) != 8 or day_of(day) is None for day in days):
        days = []
    if text and not days:
        raise typer.BadParameter(f"{text!r} is neither YYYYMMDD nor a range of these, as 20260101-20260131, 20260101-")
    return text


def _upper(text: str) -> str:
    """As code strings are written in DICOM (PS3.5 6.2, CS)."""
    return text.upper()


@example("workstation query pacs --patient-id 4711 --dates 20260101- --modality CT")
def query(
    name: PeerArgument,
    patient_id: Annotated[str, typer.Option(help="The patient's ID.")] = "",
    patient_name: Annotated[str, typer.Option(help="Family^Given, with * and ? for what is not known.")] = "",
    accession: Annotated[str, typer.Option(help="The accession number.")] = "",
    dates: Annotated[
        str, typer.Option(help="YYYYMMDD, or a range with a hyphen, open at either end.", callback=_dates)
    ] = "",
    modality: Annotated[str, typer.Option(help="Only studies with this modality.", callback=_upper)] = "",
    study: Annotated[str, typer.Option(metavar="UID", help="List the series of this study.")] = "",
    series: Annotated[str, typer.Option(metavar="UID", help="With --study: list the instances of this series.")] = "",
    worklist: Annotated[bool, typer.Option("--worklist", help="Ask for scheduled procedure steps instead.")] = False,
    as_json: Json = False,
) -> None:
    """Ask a peer what it has (C-FIND): studies, the series of a study, the instances of a series, or its worklist."""
    from dataclasses import asdict

    from workstation.config import load_config
    from workstation.peers.ask import questions_to
    from workstation.site import local_clock

    if series and not study:
        raise typer.BadParameter("a series is looked for in its study; give --study too", param_hint="--series")
    peer = questions_to(root(), load_config(root()), name, local_clock, person_id=account())
    found: list[Any]
    if worklist:
        found = peer.scheduled(dates=dates, modality=modality, accession=accession, patient_id=patient_id)
        columns = ["start_date", "start_time", "modality", "accession", "procedure_code", "procedure_description"]
    elif series:
        found, columns = peer.instances(study, series), ["number", "sop_instance_uid"]
    elif study:
        found = peer.series(study)
        columns = ["number", "modality", "description", "instances", "series_uid"]
    else:
        found = peer.studies(
            patient_id=patient_id, patient_name=patient_name, accession=accession, dates=dates, modality=modality
        )
        columns = ["study_date", "patient_id", "accession", "modalities", "description", "instances", "study_uid"]
    rows = [asdict(one) for one in found]
    show(as_json, rows, table([[_cell(row[c]) for c in columns] for row in rows], columns))


@example("workstation retrieve pacs 1.2.840.113619.2.1 --series 1.2.840.113619.2.1.3")
def retrieve(
    name: PeerArgument,
    study: Annotated[str, typer.Argument(metavar="STUDY", help="The Study Instance UID.")],
    series: Annotated[
        list[str] | None, typer.Option(metavar="UID", help="Only this series; may be given again.")
    ] = None,
    instance: Annotated[
        list[str] | None, typer.Option(metavar="UID", help="Only this instance of the one series; may be given again.")
    ] = None,
    how: Annotated[str, typer.Option("--how", help="get, move or web, instead of what the peer's entry says.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Fetch nothing; list what would come.")] = False,
    as_json: Json = False,
) -> None:
    """Fetch from a peer (C-GET, or C-MOVE to a running `serve`). Exit 1 when not all came, or there was nothing."""
    from dicom_io.errors import NotFound
    from workstation.peers.ask import questions_to
    from workstation.site import open_site

    if how and how not in _WAYS:
        raise typer.BadParameter(f"{how!r} is not one of {', '.join(_WAYS)}", param_hint="--how")
    site = open_site(root())
    peer = questions_to(root(), site.config, name, site.clock, way=_WAYS[how] if how else None, person_id=account())
    if dry_run:
        wanted = [s for s in peer.series(study) if not series or s.series_uid in series]
        rows = [{"series_uid": s.series_uid, "modality": s.modality, "instances": s.instances} for s in wanted]
        if not wanted:
            raise NotFound(_NOTHING.format(name=name, study=study))
        columns = ["series", "modality", "instances"]
        show(as_json, rows, table([[_cell(v) for v in row.values()] for row in rows], columns))
        return
    bar = progress_bar()

    def progress(done: int, of: int) -> None:
        bar(f"{done} of {of} instances", done / of)

    got = peer.fetch(site.archive, study, series or (), instance or (), progress=progress)
    if got.whole and not got.completed:
        raise NotFound(_NOTHING.format(name=name, study=study))
    if got.whole and not instance:
        site.arrivals.whole(series or site.archive.series_of(study), site.clock())
    result = {
        "completed": got.completed,
        "failed": got.failed,
        "warnings": got.warnings,
        "problems": list(got.problems),
    }
    text = [f"{got.completed} instances came, {got.failed} did not.", *got.problems]
    if got.failed and peer.way == "move":
        text.append(f"By C-MOVE they go where {name} believes {site.config.ae_title} is; `serve` has to run there.")
    show(as_json, result, "\n".join(text))
    if not got.whole:
        raise typer.Exit(1)


_NOTHING = "{name} has nothing of that in study {study}; `workstation query {name} --study {study}` lists what it has."


@example("workstation send sample_data/ct_head pacs")
def send(
    source: Annotated[str, typer.Argument(metavar="SERIES|PATH", help="A file, a folder or a Series Instance UID.")],
    to: Annotated[str, typer.Argument(metavar="PEER|HOST", help="The name of a peer; or a host, with its port.")],
    port: Annotated[
        int | None, typer.Argument(metavar="PORT", min=1, max=65535, help="Of a host; a peer has its own.")
    ] = None,
    calling: Annotated[
        str | None, typer.Option("-aet", help="Our AE title; the settings' by default.", callback=ae_title)
    ] = None,
    called: Annotated[
        str | None, typer.Option("-aec", help="The AE title of a host; ANY-SCP by default.", callback=ae_title)
    ] = None,
    associations: Annotated[int, typer.Option(min=1, max=16, help="So many at once.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing; count the instances.")] = False,
    as_json: Json = False,
) -> None:
    """Send DICOM instances by C-STORE to a peer, or to a host and port. Exit 1 when one was not accepted."""
    from workstation.audit.trail import trail_of
    from workstation.config import load_config
    from workstation.export.inspect import NothingFound, found_at
    from workstation.peers.ask import PeerQuestions
    from workstation.peers.known import KnownPeer, find_peer
    from workstation.site import local_clock

    if port is None and called is not None:
        raise typer.BadParameter("a peer has an AE title of its own; give host and port with -aec", param_hint="-aec")
    config = load_config(root())
    known = find_peer(root(), to) if port is None else KnownPeer("host", to, port, called or "ANY-SCP")
    instances = [i for series in found_at(source, root()).series for i in series.instances]
    if not instances:
        raise NothingFound(f"{source}: no DICOM instance found.")
    if dry_run:
        text = f"{len(instances)} instances would be sent to {known.at(root())}."
        show(as_json, {"instances": len(instances)}, text)
        return
    trail, bar, done = trail_of(config, root()), progress_bar(), iter(range(1, len(instances) + 1))
    peer = PeerQuestions(known, root(), calling or config.ae_title, known.retrieve, trail, local_clock, account())

    def progress(_: object) -> None:
        count = next(done)
        bar(f"{count} of {len(instances)} instances", count / len(instances))

    results = peer.give(instances, associations, progress)
    refused = [f"{r.sop_instance_uid}: {r.detail}" for r in results if not r.accepted]
    result = {"accepted": len(results) - len(refused), "refused": refused}
    show(as_json, result, "\n".join([f"{len(results) - len(refused)} instances accepted.", *refused]))
    if refused:
        raise typer.Exit(1)


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return "\\".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
