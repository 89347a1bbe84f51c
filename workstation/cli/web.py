"""`workstation web`."""

import json
import signal
import threading
from datetime import datetime
from typing import Annotated, Any

import typer

from workstation.cli.shared import Json, example, root


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(web)


@example("workstation web --port 8443")
def web(
    host: Annotated[str | None, typer.Option(help="Address to listen on; the settings' by default.")] = None,
    port: Annotated[int | None, typer.Option(help="0 lets the system choose.", min=0, max=65535)] = None,
    as_json: Json = False,
) -> None:
    """Serve the console until SIGTERM or Ctrl-C: pages for coders, physicians, compliance and administrators.

    `serve` does the same as its role `web`, where the settings have a [console]. People sign in with their ID and
    password of `workstation people`.
    """
    from dataclasses import replace

    from workstation.listening import ConsoleSettings
    from workstation.serve.logs import tell_logs
    from workstation.site import open_site
    from workstation.web.serving import ConsoleServer, listen_for_browsers

    def tell(event: dict[str, Any]) -> None:
        if as_json:
            typer.echo(json.dumps({"at": datetime.now().astimezone().isoformat(timespec="milliseconds"), **event}))
        else:
            typer.echo(" ".join(f"{k}={v}" for k, v in event.items()))

    site = open_site(root())
    settings = site.config.console or ConsoleSettings()
    if host is not None:
        settings = replace(settings, host=host)
        site = replace(site, config=replace(site.config, console=settings))
    tell_logs(tell, "web")
    with listen_for_browsers(settings.host, settings.port if port is None else port) as at:
        name, number = at.getsockname()[:2]
        scheme = "https" if settings.speaks_tls else "http"
        address = f"{scheme}://{name}:{number}"
        server = ConsoleServer(site, at, lambda: tell({"event": "listening", "address": address, "port": number}))
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: server.end())
        # In a thread: in the main one it would take the signals, and end the process by them.
        thread = threading.Thread(target=server.run, name="console")
        thread.start()
        thread.join()
    tell({"event": "stopped"})
