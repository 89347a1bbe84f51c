"""The coder's queue: every case as one row, kept in memory by a process that lives long, and brought up to date with
each request.

Nothing is stored, and the meaning of a row is that of `work_list`: a row is made of the same values. What is new is
found by `store.changes`; only the accessions that have changed are read again.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from dicom_io.files.scanning import batches
from workstation.coder.queue_names import CaseName, fold, name_in
from workstation.coder.queue_rows import (
    FACETS,
    NOBODY,
    STILL_TO_FILE,
    QueueFilter,
    QueuePage,
    QueueRow,
    case_key,
    day_of_facts,
    month_bounds,
    open_queries,
    owner_of,
    releaser_of,
)
from workstation.coder.site_amounts import SiteAmounts, version_of_fees
from workstation.coder.work_list import WorkError, WorkItem, items_of
from workstation.site import Site
from workstation.store.cases import CaseAct, FiledSr
from workstation.store.changes import CaseChanges

# So many accessions are read together.
_TOGETHER = 400


@dataclass(frozen=True, slots=True)
class _Case:
    """A row without what depends on the clock and on the SR's file; compact, since there may be many."""

    row: QueueRow
    path: str
    words: str


class Queue:
    """The queue of a site. Several threads may use one."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._changes = CaseChanges(site.ledger.engine)
        self._lock = threading.Lock()
        self._cases: dict[str, _Case] = {}
        self._accessions: dict[str, set[str]] = {}
        self._sessions: dict[str, str] = {}
        self._names: dict[str, CaseName] = {}
        self._order: tuple[_Case, ...] = ()
        self._fees: tuple[int, int] | None = None
        self._begun = False
        self._amounts: SiteAmounts | None = None

    def refresh(self) -> int:
        """Bring the queue up to date: the first time by reading all. Returns how many accessions were read."""
        with self._lock:
            fees = version_of_fees(self._site)
            if not self._begun or fees != self._fees:
                self._changes.begin()
                self._fees, self._amounts = fees, SiteAmounts(self._site)
                self._cases, self._accessions, self._sessions = {}, {}, {}
                wanted: Collection[str] = self._site.casebook.accessions()
                self._begun = True
            else:
                wanted = self._changes.look() - {""}
            try:
                for some in batches(sorted(wanted), _TOGETHER):
                    self._read(some)
            except BaseException:
                # What was looked at and not read would be missing: the next time all is read.
                self._begun = False
                raise
            if wanted:
                order = sorted(self._cases.values(), key=lambda case: _since(case.row))
                self._order = tuple(order)
            return len(wanted)

    def warm(self) -> None:
        """Read all that a first page and a first search by name would have to wait for."""
        self.refresh()
        for case in self._order:
            self._name(case)

    def page(
        self, wanted: QueueFilter = QueueFilter(), sort: str = "since", number: int = 1, size: int = 50
    ) -> QueuePage:
        """Return one page. sort : a key of `SORTS`, with `-` before it from the highest on; equal ones are by age.

        A page beyond the last is the last. Raises WorkError for what cannot be sorted by, and a month that is none.
        """
        self.refresh()
        found, counts = self._chosen(wanted, sort)
        last = max(-(-len(found) // size), 1)
        number = min(max(number, 1), last)
        rows = tuple(self._row(case) for case in found[(number - 1) * size : number * size])
        return QueuePage(rows, number, size, len(found), counts)

    def rows(
        self, wanted: QueueFilter = QueueFilter(), sort: str = "since", named: bool = True
    ) -> tuple[QueueRow, ...]:
        """Return all rows of a filter, as `page` has them. named : with patients' names, which are read from files."""
        self.refresh()
        found, _ = self._chosen(wanted, sort)
        return tuple(self._row(case) if named else case.row for case in found)

    def find(self, key: str) -> QueueRow:
        """Return the row of a `case_key`. Raises WorkError when there is none."""
        self.refresh()
        with self._lock:
            case = self._cases.get(self._sessions.get(key, ""))
        if case is None:
            raise WorkError("No case has this address; it may be of another site. Look for it in the queue.")
        return self._row(case)

    def session_of(self, key: str) -> str:
        """Return the session of a `case_key`. Raises WorkError when there is none."""
        return self.find(key).session

    # Reading

    def _read(self, accessions: Sequence[str]) -> None:
        """Read these accessions anew."""
        site = self._site
        under = site.casebook.cases_under(accessions)
        charges = site.outbox.charges(*accessions)
        sessions = {uid: sr.session for uid, sr in under.srs.items()}
        acts: dict[str, list[CaseAct]] = {}
        for act in under.acts:
            acts.setdefault(act.session, []).append(act)
        for accession in accessions:
            for session in self._accessions.pop(accession, ()):
                self._cases.pop(session, None)
        for item in items_of(under.rulings, under.acts, charges, sessions, site.clock()):
            case = self._case(item, acts.get(item.session, ()), under.srs.get(item.sr_uid))
            self._cases[item.session] = case
            self._accessions.setdefault(item.accession, set()).add(item.session)
            self._sessions[case.row.key] = item.session

    def _case(self, item: WorkItem, acts: Sequence[CaseAct], sr: FiledSr | None) -> _Case:
        assert self._amounts is not None, "made when the queue is read"
        content, facts = item.ruling.content, json.loads(item.ruling.facts)
        day = day_of_facts(facts)
        config = self._amounts.config_on(day)
        bases = [each["code"] for each in facts.get("base_procedures", ()) if each["status"] == "performed"]
        bases = bases or [each["code"] for each in facts.get("base_procedures", ())]
        payer: str = content["payer"]
        rule = config.payers.get(payer)
        limit = rule.timely_filing_days if rule is not None else None
        lines = content["lines"] or content["proposed"]
        patient_id: str = facts.get("patient_id") or (sr.patient_id if sr is not None else "")
        row = QueueRow(
            key=case_key(item.session),
            session=item.session,
            accession=item.accession,
            sr_uid=item.sr_uid,
            patient="",
            patient_id=patient_id,
            day=day,
            examination=", ".join(bases),
            bases=tuple(dict.fromkeys(bases)),
            payer=payer,
            codes=tuple(filter(None, item.code.split(", "))),
            expected=self._amounts.of(lines, payer, day),
            reasons=item.reasons,
            who=item.who,
            state=item.state,
            since=item.since,
            age_days=item.age_days,
            file_until=day + timedelta(days=limit) if day is not None and limit is not None else None,
            days_left=None,
            owner=owner_of(acts),
            techniques=tuple(content["techniques"]),
            physician=content["physician"],
            asked=tuple(dict.fromkeys(act.detail["to"] for act in open_queries(acts))),
            modality=content["modality"],
            released_by=releaser_of(acts),
        )
        words = fold(f"{patient_id} {sr.patient_id if sr is not None else ''} {item.accession}")
        return _Case(row, sr.path if sr is not None else "", words)

    # What depends on the clock and on files

    def _row(self, case: _Case) -> QueueRow:
        now, row, name = self._site.clock(), case.row, self._name(case)
        left = (row.file_until - now.date()).days if row.file_until and row.state in STILL_TO_FILE else None
        return replace(
            row,
            patient=name.patient,
            examination=name.examination or row.examination,
            age_days=max((now - row.since).days, 0),
            days_left=left,
        )

    def _name(self, case: _Case) -> CaseName:
        found = self._names.get(case.row.sr_uid)
        if found is None:
            found = name_in(self._site.archive.root / case.path) if case.path else CaseName()
            if found.patient:  # else its file may be there the next time
                self._names[case.row.sr_uid] = found
        return found

    # Filtering and sorting

    def _chosen(self, wanted: QueueFilter, sort: str) -> tuple[list[_Case], dict[str, dict[str, int]]]:
        """The cases of a filter in order, and the counts of the facets, by one look at each case."""
        key = _sort_key(sort, self._name)
        rest = tuple(self._others(wanted))
        facets: tuple[tuple[str, Callable[[QueueRow], Collection[str]]], ...] = (
            (wanted.state, lambda row: (row.state,)),
            (wanted.reason, lambda row: row.reasons),
            (wanted.owner, lambda row: (row.owner or NOBODY,)),
            (wanted.payer, lambda row: (row.payer,)),
        )
        counts: list[Counter[str]] = [Counter() for _ in FACETS]
        found: list[_Case] = []
        for case in self._order:
            if not all(test(case) for test in rest):
                continue
            values = [of(case.row) for _, of in facets]
            misses = [n for n, (value, _) in enumerate(facets) if value and value not in values[n]]
            if not misses:
                found.append(case)
                for count, each in zip(counts, values, strict=True):
                    count.update(each)
            elif len(misses) == 1:
                counts[misses[0]].update(values[misses[0]])
        if key is not None:
            found.sort(key=key, reverse=sort.startswith("-"))
        elif sort.startswith("-"):
            found.reverse()
        ordered = {name: dict(count.most_common()) for name, count in zip(FACETS, counts, strict=True)}
        return found, ordered

    def _others(self, wanted: QueueFilter) -> Iterator[Callable[[_Case], bool]]:
        """What a filter asks beside the facets, the cheapest first."""
        now = self._site.clock()
        if wanted.open_only:
            yield lambda case: case.row.is_open
        if wanted.who:
            yield lambda case: wanted.who in case.row.who
        if wanted.physician:
            yield lambda case: case.row.physician == wanted.physician
        if wanted.technique:
            yield lambda case: wanted.technique in case.row.techniques
        if wanted.base:
            yield lambda case: wanted.base in case.row.bases
        if wanted.month:
            first, end = month_bounds(wanted.month)
            yield lambda case: case.row.day is not None and first <= case.row.day < end
        if wanted.older_than_days:
            before = now - timedelta(days=wanted.older_than_days + 1)
            yield lambda case: case.row.since <= before
        if (within := wanted.due_within_days) is not None:
            until = now.date() + timedelta(days=within)
            yield (
                lambda case: (
                    case.row.file_until is not None and case.row.file_until <= until and case.row.state in STILL_TO_FILE
                )
            )
        if words := fold(wanted.text).split():
            yield lambda case: all(word in case.words or word in self._name(case).words for word in words)


def _since(row: QueueRow) -> tuple[datetime, str, str]:
    return row.since, row.accession, row.session


_KEYS: dict[str, Callable[[QueueRow], Any]] = {
    "accession": lambda row: row.accession,
    "day": lambda row: row.day or date.max,
    "payer": lambda row: row.payer,
    "expected": lambda row: row.expected.high if row.expected is not None else -1,
    "state": lambda row: row.state,
    "reason": lambda row: row.reasons,
    "owner": lambda row: row.owner,
    "physician": lambda row: row.physician,
    "filing": lambda row: row.file_until if row.file_until and row.state in STILL_TO_FILE else date.max,
}
# What a queue can be sorted by. `since` is its own order: the oldest first.
SORTS = ("since", "patient", "examination", *_KEYS)


def _sort_key(sort: str, name: Callable[[_Case], CaseName]) -> Callable[[_Case], Any] | None:
    """The key to sort cases with that stand by age; None where that is the order."""
    word = sort.removeprefix("-")
    if word not in SORTS:
        raise WorkError(f"A queue is not sorted by {word!r}; it is by one of {', '.join(SORTS)}.")
    if word == "since":
        return None
    if word == "patient":
        return lambda case: fold(name(case).patient)
    if word == "examination":
        return lambda case: fold(name(case).examination or case.row.examination)
    of = _KEYS[word]
    return lambda case: of(case.row)
