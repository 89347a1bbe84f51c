"""The role `run_deliverer`: drains the outbox and ships the audit trail."""

import time
from contextlib import suppress

from workstation.audit import syslog
from workstation.audit.trail import late, trail_of
from workstation.certificates import tls_to_call
from workstation.peers.commitment import ask_for_commitment
from workstation.serve.role import TellEvent, WorkerSettings, WorkerSignals
from workstation.site import Site
from workstation.store.outbox import DatabaseFailed
from workstation.transports.deliver import drain

# How often a deliverer looks for instances that were not committed in time.
_ASK_S = 30.0


def run_deliverer(site: Site, worker: WorkerSettings, events: WorkerSignals, say: TellEvent) -> None:
    """Delivers queued messages until told to stop. Reports `idle` when every accession is decided and every message
    that can be delivered is."""
    say({"event": "ready"})
    idle, look_at = True, 0.0
    while not events.stop.is_set():
        try:
            tried = drain(site, at_once=False, tell=say)
        except Exception as error:  # noqa: BLE001 - any error is reported, and the next try may succeed
            say({"event": "undelivered", "detail": type(error).__name__})
            events.stop.wait(worker.interval_s)
            continue
        for message, delivery in tried:
            say(
                {
                    "event": delivery.outcome,
                    "destination": message.destination,
                    "identity": message.identity,
                    "detail": delivery.detail,
                }
            )
        if time.monotonic() >= look_at:
            look_at = time.monotonic() + _ASK_S
            with suppress(DatabaseFailed):
                ask_for_commitment(site, say)
            _ship_audit(site, say)
        idle = idle and not tried
        if not any(delivery.outcome == "acknowledged" for _, delivery in tried):
            quiet = not site.casebook.due() and not site.outbox.pending()
            if quiet and not idle:
                say({"event": "idle"})
            idle = quiet
            # A short wait while there is work; `stop` ends either wait at once.
            events.stop.wait(worker.interval_s if quiet else min(worker.interval_s, 0.2))


def _ship_audit(site: Site, say: TellEvent) -> None:
    audit, trail = site.config.audit, trail_of(site.config, site.root)
    if audit is None or trail.file is None:
        return
    with late(say):
        trail.file.catch_up()
    if not audit.host:
        return
    tls = tls_to_call(audit, site.root)
    try:
        syslog.ship(trail.file, audit.host, audit.port, tls, site.config.station_name, site.clock())
    except OSError as error:
        say({"event": "audit not sent", "detail": getattr(error, "reason", None) or error.strerror or str(error)})
