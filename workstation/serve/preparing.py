"""The role `run_preparer`: what the site's rules want prepared is planned when a series is complete, and drawn."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor

from workstation.preparation.proposals import sweep
from workstation.preparation.working import Preparer, SeriesPlan, plan_all, plan_series, see_urgency
from workstation.serve.role import TellEvent, WorkerSettings, WorkerSignals
from workstation.site import Site
from workstation.store.outbox import DatabaseFailed
from workstation.store.preparation_rows import Preparation

# How often orders that became urgent and folders left behind are looked for, and how often series that nobody told of.
_LOOK_S, _PLAN_S = 60.0, 600.0


def _preparer(site: Site, stop: threading.Event, told: Callable[[Preparation, str], None]) -> Preparer:
    """One slot: it draws in a process of its own, or on the farm."""
    if not site.config.farm:
        return Preparer(site, stop, told)
    # Loaded only where there is one.
    from workstation.farm import Farm, make_on_farm

    def alive(executor: Executor) -> bool:
        return isinstance(executor, Farm) and executor.alive

    return Preparer(site, stop, told, make_on_farm, lambda: Farm(site.config, site.root), alive)


def run_preparer(
    site: Site, worker: WorkerSettings, events: WorkerSignals, say: TellEvent, commands: deque[str]
) -> None:
    """Plans and draws until told to stop. Each slot is a thread with a process of its own that draws.

    commands : they only wake it: what has become complete stands in the database, whichever process has found it so.
    """
    work = threading.Event()

    def told(preparation: Preparation, state: str) -> None:
        # The reason may quote what a header says; `workstation prepare list` shows it.
        say({"event": "preparation", "series": preparation.series_uid, "rule": preparation.rule, "state": state})

    def keep_working() -> None:
        preparer = _preparer(site, events.stop, told)
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
    looked_at, planned_at, through = -math.inf, -math.inf, 0
    try:
        while not events.stop.is_set():
            events.work.clear()
            commands.clear()
            try:
                planned: list[SeriesPlan | None] = []
                now = time.monotonic()
                if now - planned_at >= _PLAN_S:
                    through = site.arrivals.last_place()
                    planned += plan_all(site)
                    planned_at = now
                last, completions = site.arrivals.since(through)
                planned += [plan_series(each, site) for each in completions]
                through = last  # only now: what was not planned is found again
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
