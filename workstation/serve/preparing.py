"""The role `run_preparer`: what the site's rules want prepared is planned when a series is complete, and drawn."""

import math
import threading
import time
from collections import deque

from workstation.preparation.proposals import sweep
from workstation.preparation.working import Preparer, SeriesPlan, plan_all, plan_series, see_urgency
from workstation.serve.role import TellEvent, WorkerSettings, WorkerSignals
from workstation.site import Site
from workstation.store.outbox import DatabaseFailed
from workstation.store.preparations import Preparation

# How often orders that became urgent and folders left behind are looked for, and how often series that nobody told of.
_LOOK_S, _PLAN_S = 60.0, 600.0


def run_preparer(
    site: Site, worker: WorkerSettings, events: WorkerSignals, say: TellEvent, commands: deque[str]
) -> None:
    """Plans and draws until told to stop. Each slot is a thread with a process of its own that draws.

    commands : `series UID` for a series that has become complete, an empty one to look at all of them.
    """
    work = threading.Event()

    def told(preparation: Preparation, state: str) -> None:
        # The reason may quote what a header says; `workstation prepare list` shows it.
        say({"event": "preparation", "series": preparation.series_uid, "rule": preparation.rule, "state": state})

    def keep_working() -> None:
        preparer = Preparer(site, events.stop, told)
        try:
            while not events.stop.is_set():
                try:
                    if preparer.work_one():
                        continue
                except Exception as error:  # noqa: BLE001 - its lease runs out, and it is tried again
                    say({"event": "unprepared", "detail": type(error).__name__})
                work.wait(worker.interval_s)
                work.clear()
        finally:
            preparer.close()

    slots = [threading.Thread(target=keep_working, name=f"slot {n}") for n in range(site.config.preparation.processes)]
    for slot in slots:
        slot.start()
    say({"event": "ready"})
    looked_at, planned_at = -math.inf, -math.inf
    try:
        while not events.stop.is_set():
            events.work.clear()
            try:
                planned: list[SeriesPlan | None] = []
                while commands:
                    uid = commands[0].removeprefix("series").strip()
                    completion = site.arrivals.last(uid) if uid else None
                    planned += [plan_series(completion, site)] if completion is not None else []
                    planned_at = planned_at if uid else -math.inf
                    commands.popleft()
                now = time.monotonic()
                if now - planned_at >= _PLAN_S:
                    planned += plan_all(site)
                    planned_at = now
                for plan in planned:
                    if plan is not None and plan.matched.rules:
                        rules = [rule.name for rule in plan.matched.rules]
                        say({"event": "to prepare", "series": plan.series_uid, "rules": rules})
                        work.set()
                if now - looked_at >= _LOOK_S:
                    looked_at = now
                    see_urgency(site)
                    sweep(site)
            except (DatabaseFailed, OSError) as error:  # locked, or the disk is full; the next look makes up for it
                say({"event": "unprepared", "detail": type(error).__name__})
            events.work.wait(min(worker.interval_s, _LOOK_S))
    finally:
        events.end()
        work.set()
        for slot in slots:
            slot.join()
