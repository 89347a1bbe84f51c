"""Receiving and delivering until told to stop."""

import signal
import threading
from collections.abc import Callable
from typing import Any

from dicom_io.archive import Kept
from dicom_io.receive import Receiver
from workstation.deliver import drain
from workstation.site import Site


def serve(
    site: Site,
    host: str | None,
    port: int | None,
    ae_title: str | None,
    interval_s: float,
    tell: Callable[[dict[str, Any]], None],
) -> None:
    """Blocks until SIGTERM or SIGINT. `tell` gets a dict for everything that happens; UIDs, no patient data.

    Raises PortInUse.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def kept(item: Kept) -> None:
        tell({"event": "received", "instance": item.instance.sop_instance_uid, "news": item.news})

    config = site.config
    with Receiver(
        site.archive,
        ae_title=ae_title or config.ae_title,
        host=config.host if host is None else host,
        port=config.port if port is None else port,
        on_kept=kept,
    ) as receiver:
        tell(
            {
                "event": "listening",
                "host": receiver.host,
                "port": receiver.port,
                "ae_title": ae_title or config.ae_title,
                "root": str(site.root),
            }
        )
        while not stop.is_set():
            for message, delivery in drain(site):
                tell(
                    {
                        "event": delivery.outcome,
                        "destination": message.destination,
                        "identity": message.identity,
                        "detail": delivery.detail,
                    }
                )
            stop.wait(interval_s)
    tell({"event": "stopped"})
