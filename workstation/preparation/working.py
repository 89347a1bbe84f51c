"""Planning what is prepared, and working it off: each case is claimed, drawn in another process, put in its place."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from dicom_io.archive.arrivals import Completion
from dicom_io.errors import NotFound
from dicom_io.files.series import Series
from workstation.errors import WorkstationError
from workstation.preparation.making import PreparationMade, PreparationWork, make_proposal
from workstation.preparation.priors import FoundPrior, PriorMissing, find_prior
from workstation.preparation.processes import CaseProcess, end
from workstation.preparation.proposals import (
    drop,
    folder_of,
    give_name,
    make_room,
    part_of,
    progress_of,
    remove_folders,
)
from workstation.preparation.traits import OrderedExamination, order_of, traits_of
from workstation.preparing import Matched, PriorWanted, SeriesTraits, match_rules, rule_named
from workstation.site import Site
from workstation.store.outbox import DatabaseFailed
from workstation.store.preparation_rows import Preparation, PreparationProgress, WantedPreparation

# How often a case is looked at, and how often what its worker tells is noted.
_LOOK_S, _TELL_S = 0.2, 2.0
Maker = Callable[[PreparationWork], PreparationMade]
_Awaited = TypeVar("_Awaited")


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    """What would be prepared of a series, and why not."""

    series_uid: str
    traits: SeriesTraits
    ordered: OrderedExamination
    matched: Matched

    @property
    def reason(self) -> str:
        """Why nothing is prepared, or nothing by some of the rules, in words; empty where every rule fits."""
        if self.traits.refusal:
            return self.traits.refusal
        misfits = self.matched.misfits
        # Rules for another modality are told of only where there are no others.
        near = [each for each in misfits if not each[1].startswith("modality is ")] or misfits
        return "; ".join(f"{name}: {why}" for name, why in near)


def plan_of(series: Series, site: Site) -> SeriesPlan:
    """Asks the rules of the site about a series. Draws and notes nothing."""
    ordered = OrderedExamination()
    try:
        ordered = order_of(series.first.accession, site)
        traits = traits_of(series, ordered)
    except DatabaseFailed:
        raise
    except Exception as error:  # noqa: BLE001 - what arrives may be hostile, and stops nothing that comes after it
        reason = f"its headers or orders cannot be read ({type(error).__name__})"
        traits = SeriesTraits(series.modality, refusal=reason)
    return SeriesPlan(
        series.uid, traits, ordered, match_rules(site.config.prepare, traits, site.config.preparation.match)
    )


def plan_series(completion: Completion, site: Site, *, by_a_person: bool = False) -> SeriesPlan | None:
    """Notes what is to be prepared of a series that is complete, and drops what was made of it as it was. None where it
    is gone, has images that came since, or was fetched as a prior: each would have one fetched in turn.

    by_a_person : somebody wants it, whatever it was fetched for.
    """
    if not by_a_person and site.preparations.is_prior(completion.series_uid):
        return None
    try:
        series = site.archive.series(completion.series_uid)
    except NotFound:
        return None
    if len(series.instances) != completion.instances:
        return None  # its next completion comes
    plan = plan_of(series, site)
    wanted = [WantedPreparation(rule.name, rule.priority, plan.ordered.urgent) for rule in plan.matched.rules]
    drop(
        site,
        site.preparations.plan(
            series.uid,
            series.first.accession,
            completion.revision,
            wanted,
            completion.at.timestamp(),
            site.clock().timestamp(),
        ),
    )
    return plan


def plan_all(site: Site) -> list[SeriesPlan]:
    """Plans every series whose completion the rules were not asked about, such as after a start: not those of long
    ago. Returns the plans."""
    recent = site.arrivals.recent(site.clock() - timedelta(hours=site.config.preparation.look_back_h))
    asked = site.preparations.asked(recent)
    new = [each for each in recent.values() if asked.get(each.series_uid, 0) < each.revision]
    return [plan for each in new if (plan := plan_series(each, site)) is not None]


class NotPreparedError(WorkstationError):
    """Nothing is prepared of a series; the message says why."""


def make_anew(series_uid: str, site: Site, rule: str = "") -> tuple[Preparation, ...]:
    """Has a series prepared anew by the rules as they are now, or by one of them. What was made is dropped. Returns
    what waits then.

    Raises NotFound; NotPreparedError with the reason where no rule fits.
    """
    completion = site.arrivals.last(series_uid)
    series = site.archive.series(series_uid)
    plan = plan_series(completion, site, by_a_person=True) if completion is not None else None
    if plan is None:
        raise NotPreparedError(f"Series {series.uid} is not complete yet; it is prepared when it is.")
    rows = [row.place for row in _chosen(series_uid, site, rule) if row.rule in {r.name for r in plan.matched.rules}]
    if not rows:
        raise NotPreparedError(f"Series {series_uid} is not prepared{_by(rule)}: {_why_not(plan, rule)}.")
    drop(site, site.preparations.again(rows, site.clock().timestamp()))
    return tuple(row for row in site.preparations.of_series(series_uid) if row.place in rows)


def cancel(series_uid: str, site: Site, rule: str = "") -> tuple[Preparation, ...]:
    """Cancels what is prepared of a series, or what one rule wants; what was made is dropped. It stays so until
    somebody has it made anew. Returns what was cancelled, as it was.

    Raises NotPreparedError where there is nothing.
    """
    rows = [row.place for row in _chosen(series_uid, site, rule) if row.state not in ("cancelled", "taken")]
    if not rows:
        raise NotPreparedError(
            f"Series {series_uid}: nothing is prepared of it. `workstation prepare list` shows what is."
        )
    ended = site.preparations.end(rows, "cancelled", "A person cancelled it.", site.clock().timestamp())
    drop(site, ended)
    return ended


def _by(rule: str) -> str:
    return f" by rule {rule!r}" if rule else ""


def _why_not(plan: SeriesPlan, rule: str) -> str:
    """Why a series is prepared by no rule, or not by this one, in words."""
    misfits = dict(plan.matched.misfits)
    if plan.traits.refusal:
        return plan.traits.refusal.rstrip(".")
    if not rule:
        return plan.reason or "the settings have no rules"
    if rule in misfits:
        return misfits[rule]
    followed = ", ".join(each.name for each in plan.matched.rules)
    return f"{followed} is followed instead" if followed else "there is no such rule in the settings"


def _chosen(series_uid: str, site: Site, rule: str) -> tuple[Preparation, ...]:
    return tuple(row for row in site.preparations.of_series(series_uid) if rule in ("", row.rule))


def see_urgency(site: Site) -> None:
    """Looks whether orders of what waits have become urgent, or are so no more."""
    accessions = {row.accession for row in site.preparations.list("waiting") if row.accession}
    if accessions:
        site.preparations.hurry({accession: order_of(accession, site).urgent for accession in accessions})


@dataclass(slots=True)
class Preparer:
    """Works off what is waiting, one case at a time. One of each slot; any number of them, in any number of processes.

    tell : called with the preparation and what became of it. make, executor : what draws a case, and where; a process
    of its own by default. is_alive : whether an executor can still be used; one that cannot is made anew. tell_s : how
    often what its worker tells is noted.
    """

    site: Site
    stop: threading.Event
    tell: Callable[[Preparation, str], None] = lambda claimed, state: None
    make: Maker = make_proposal
    executor: Callable[[], Executor] | None = None
    is_alive: Callable[[Executor], bool] = lambda executor: True
    tell_s: float = _TELL_S
    _running: Executor | None = None

    def work_one(self) -> bool:
        """Claims and makes what is next. Returns False where nothing is due.

        Raises what the database raises; FarmError, before anything is claimed, where the farm does not answer.
        """
        if self._running is not None and not self.is_alive(self._running):
            self.close()
        if self._running is None:
            self._running = self._start()
        claimed = self.site.preparations.claim(self._now())
        if claimed is None:
            return False
        self.tell(claimed, "running")
        state = self._worked(claimed)
        self.tell(claimed, state)
        return True

    def close(self) -> None:
        """Ends the process that draws."""
        if self._running is not None:
            end(self._running)
            self._running = None

    def _worked(self, claimed: Preparation) -> str:
        """Works on a claim. Returns what became of it, `lost` where it is somebody else's now."""
        site, settings = self.site, self.site.config.preparation
        if claimed.attempts > settings.attempts:
            return self._failed(claimed, "The process that drew it died each time.")
        rule = rule_named(site.config.prepare, claimed.rule)
        if rule is None:
            return self._cancelled(claimed, f"There is no rule {claimed.rule!r} in the settings any more.")
        try:
            series = site.archive.series(claimed.series_uid)
        except NotFound:
            return self._cancelled(claimed, "The series is no longer in the archive.")
        traits = plan_of(series, site).traits
        if misfit := rule.misfit(traits):
            return self._failed(claimed, misfit)
        picked = rule.volumes_of(traits)[0] if len(traits.volumes) > 1 else None
        folder = str(folder_of(site.archive.root) / part_of(claimed))
        made: PreparationMade | None = None
        try:
            prior = self._prior(claimed, series, rule.prior) if rule.prior is not None else None
            if prior is not None or rule.prior is None:
                made = self._made(
                    claimed,
                    PreparationWork(series, rule, picked, claimed.revision, site.config.engine, folder, prior),
                )
        except PriorMissing as missing:
            return self._failed(claimed, str(missing))
        except Exception as error:  # noqa: BLE001 - one case's failure stops no other, and its row says what it was
            return self._later(claimed, _in_words(error))
        if made is None:
            self._remove(claimed)
            if self.stop.is_set() and site.preparations.give_back(claimed, self._now()):
                return "given back"
            return "lost"
        if made.refused:
            return self._failed(claimed, made.refused)
        return self._put_in_place(claimed, made)

    def _prior(self, claimed: Preparation, series: Series, wanted: PriorWanted) -> FoundPrior | None:
        """Finds the prior of a case, and fetches it. Returns None and raises as `_made`; PriorMissing."""
        given_up = threading.Event()

        def chosen(series_uid: str) -> None:
            if not self.site.preparations.note_prior(claimed, series_uid):
                given_up.set()

        with ThreadPoolExecutor(1) as asking:
            future = asking.submit(find_prior, series, wanted, self.site, given_up.is_set, chosen)
            return self._awaited(claimed, future, lambda: PreparationProgress("prior"), given_up.set)

    def _made(self, claimed: Preparation, work: PreparationWork) -> PreparationMade | None:
        """Has a case drawn. Returns None where the claim is lost, or we are to stop."""
        future = self._submitted(work)

        def give_up() -> None:
            future.cancel()
            self.close()

        try:
            return self._awaited(claimed, future, lambda: progress_of(Path(work.folder)), give_up)
        except BrokenExecutor:
            self.close()  # the process died; the next case gets another
            raise

    def _awaited(
        self,
        claimed: Preparation,
        future: "Future[_Awaited]",
        progress: Callable[[], PreparationProgress | None],
        give_up: Callable[[], None],
    ) -> "_Awaited | None":
        """Waits for a part of the work; renews the lease meanwhile, and notes how far it is. Returns None where the
        claim is lost, or we are to stop. give_up : ends the work that nobody waits for any more."""
        began = renewed = looked = time.monotonic()
        limit_s, renew_s = self.site.config.preparation.limit_s, self.site.preparations.renew_s
        told: PreparationProgress | None = None
        while not wait([future], min(_LOOK_S, self.tell_s, renew_s)).done:
            now = time.monotonic()
            if self.stop.is_set():
                give_up()
                return None
            if now - began > limit_s:
                give_up()
                raise TimeoutError(f"It took longer than {limit_s:g} s (limit_s).")
            news: PreparationProgress | None = None
            if now - looked >= self.tell_s:
                looked, seen = now, progress()
                news, told = (seen, seen) if seen != told else (None, told)
            if news is not None or now - renewed >= renew_s:
                renewed = now
                try:
                    kept = self.site.preparations.renew(claimed, self._now(), news)
                except DatabaseFailed:
                    give_up()  # nobody would take what it makes
                    raise
                if not kept:
                    give_up()
                    return None
        return future.result()

    def _submitted(self, work: PreparationWork) -> "Future[PreparationMade]":
        """Hands a case over; to another process where the one that waited for it has died meanwhile."""
        if self._running is None:
            self._running = self._start()  # the case before took it along
        try:
            return self._running.submit(self.make, work)
        except BrokenExecutor:
            self.close()
            self._running = self._start()
            return self._running.submit(self.make, work)

    def _start(self) -> Executor:
        if self.executor is not None:
            return self.executor()
        process = CaseProcess(self.site.config.preparation.memory_mb)
        process.start()
        return process

    def _put_in_place(self, claimed: Preparation, made: PreparationMade) -> str:
        site = self.site
        try:
            name = give_name(site.archive.root, claimed)
        except OSError as error:
            return self._later(claimed, _in_words(error))
        if not site.preparations.ready(claimed, name, made.size, self._now()):
            remove_folders(site.archive.root, (name,))
            return "lost"
        make_room(site)
        return "ready"

    def _later(self, claimed: Preparation, reason: str) -> str:
        settings, now_s = self.site.config.preparation, self._now()
        self._remove(claimed)
        if claimed.attempts >= settings.attempts:
            return self._failed(claimed, f"Tried {claimed.attempts} times. {reason}")
        pause_s = settings.pause_s(claimed.attempts)
        return "waiting" if self.site.preparations.again_later(claimed, reason, pause_s, now_s) else "lost"

    def _failed(self, claimed: Preparation, reason: str) -> str:
        self._remove(claimed)
        return "failed" if self.site.preparations.fail(claimed, reason, self._now()) else "lost"

    def _cancelled(self, claimed: Preparation, reason: str) -> str:
        drop(self.site, self.site.preparations.end([claimed.place], "cancelled", reason, self._now()))
        return "cancelled"

    def _remove(self, claimed: Preparation) -> None:
        remove_folders(self.site.archive.root, (part_of(claimed),))

    def _now(self) -> float:
        return self.site.clock().timestamp()


def _is_broken(error: BaseException | None) -> bool:
    return isinstance(error, BrokenExecutor)


def _in_words(error: Exception) -> str:
    if _is_broken(error):
        return "The process that drew it died, as it does when memory is short."
    if isinstance(error, MemoryError):
        return "It needs more memory than it may take (memory_mb)."
    if isinstance(error, OSError) and error.strerror:
        return f"A file could not be read or written: {error.strerror}."
    return f"{type(error).__name__}: {error}".rstrip(": ")
