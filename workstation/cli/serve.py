"""`workstation serve` and `workstation doctor`."""

import json
from datetime import datetime
from typing import Annotated, Any

import typer

from workstation.cli.shared import Json, ae_title, example, root, show


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(serve)
    app.command()(doctor)


@example("workstation serve --port 11112 -aet WORKSTATION")
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; the settings' by default.")] = None,
    port: Annotated[int | None, typer.Option(help="0 lets the system choose.", min=0, max=65535)] = None,
    ae_title: Annotated[str | None, typer.Option("-aet", help="Our AE title.", callback=ae_title)] = None,
    interval_s: Annotated[float, typer.Option(help="Pause between two tries of the outbox.", min=0.1)] = 10.0,
    hl7_port: Annotated[
        int | None, typer.Option(help="Where to listen for HL7; the settings' port by default.", min=0, max=65535)
    ] = None,
    monitor_port: Annotated[
        int | None, typer.Option(help="Where health and metrics are, on this machine alone.", min=0, max=65535)
    ] = None,
    as_json: Json = False,
) -> None:
    """Receive DICOM and HL7, decide, deliver the outbox, and prepare what rules want, until SIGTERM or Ctrl-C.

    A line on stdout for each event, warnings and errors included, with UIDs and accessions and no other patient data.
    """
    from workstation.serve.fork_server import start_fork_server

    start_fork_server()
    from workstation.administration import preflight
    from workstation.serve.supervisor import serve as serve_until_stopped
    from workstation.site import open_site

    def tell(event: dict[str, Any]) -> None:
        """A line for each event; as JSON with the time, since not every log adds one."""
        if as_json:
            typer.echo(json.dumps({"at": datetime.now().astimezone().isoformat(timespec="milliseconds"), **event}))
        else:
            typer.echo(" ".join(f"{k}={v}" for k, v in event.items()))

    site = open_site(root())
    for words in preflight.check_settings(site):
        if as_json:
            tell({"event": "warning", "detail": words})
        else:
            typer.echo(f"warning: {words}", err=True)
    serve_until_stopped(
        site,
        host,
        port,
        ae_title,
        interval_s,
        tell,
        hl7_port,
        monitor_port,
    )


@example("workstation doctor --site")
def doctor(
    site: Annotated[
        bool, typer.Option("--site", help="Check settings, folder, certificates, database, destinations and peers.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what this machine has (cores, memory, disk, OpenGL, peers) and what is missing; or check the site.

    With --site each line is ok, a warning or a fault, with what to do. It sends nothing but greetings. Exit 1 where
    there is a fault.
    """
    if site:
        from dataclasses import asdict

        from workstation.administration.site_check import check_site

        findings = list(check_site(root()))
        lines = [f"{f.state:8} {f.what:12} {f.words}" + (f" -> {f.todo}" if f.todo else "") for f in findings]
        show(as_json, [asdict(finding) for finding in findings], "\n".join(lines))
        if any(finding.state == "fault" for finding in findings):
            raise typer.Exit(1)
        return
    from workstation.cli.doctor import examine

    found = examine(root())
    show(as_json, found, "\n".join(f"{key:20} {value}" for key, value in found.items()))
