"""Acts, decisions and accesses in one list, searched by person, case, kind and time, in pages."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any, Literal

from workstation.audit.reading import AuditEntry, entries
from workstation.audit.trail import trail_of
from workstation.site import Site
from workstation.store.case_search import CaseRows, CaseSearch, SearchedCases

AuditSource = Literal["act", "decision", "access"]
SOURCES: tuple[AuditSource, ...] = ("act", "decision", "access")
# So many accesses are read at most: a trail of years is searched by days.
MOST_ACCESSES = 20_000


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What is searched for; what is empty does not matter.

    case : an accession, a session or an SR's UID. kind : of an act, the state of a decision, a part of the name of an
    event. source : one of `SOURCES`. since, until : days, both included.
    """

    person: str = ""
    case: str = ""
    kind: str = ""
    source: str = ""
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One act, decision or access.

    kind : of the act, state of the decision, name of the event. person, role : empty for a decision, which nobody
    makes. text : the reason of an act; cause and reasons of a decision; the outcome of an access that failed. detail :
    what else an act says, JSON-ready.
    """

    at: datetime
    source: AuditSource
    kind: str
    person: str
    role: str
    accession: str
    session: str
    text: str
    detail: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "at": self.at.isoformat()}


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some rows, the newest first. number : from 1. total : on all pages. partial : there are more accesses than were
    read; name a time or a person."""

    rows: tuple[AuditRow, ...]
    number: int
    size: int
    total: int
    partial: bool

    @property
    def pages(self) -> int:
        """How many pages there are, one at least."""
        return max(-(-self.total // self.size), 1)


def search(site: Site, wanted: AuditFilter, number: int = 1, size: int = 50) -> AuditPage:
    """Return one page of what is searched for; one beyond the last is the last."""
    found, partial = _found(site, wanted)
    last = max(-(-len(found) // size), 1)
    number = min(max(number, 1), last)
    rows = tuple(_rows(site, found[(number - 1) * size : number * size]))
    return AuditPage(rows, number, size, len(found), partial)


def everything(site: Site, wanted: AuditFilter) -> tuple[AuditRow, ...]:
    """Return all rows of what is searched for, the newest first."""
    return tuple(_rows(site, _found(site, wanted)[0]))


# A row that was found: when, of which source, in which place, and an access itself.
_Found = tuple[datetime, AuditSource, int, AuditEntry | None]


def _found(site: Site, wanted: AuditFilter) -> tuple[list[_Found], bool]:
    search, cases = CaseSearch(site.ledger.engine), None
    accession = wanted.case
    if wanted.case:
        named = site.casebook.sessions(wanted.case)
        cases = [session for session, _ in named]
        accession = next((each for _, each in named), wanted.case)
    kinds = (wanted.kind,) if wanted.kind else ()
    asked = SearchedCases(wanted.person, cases, kinds, wanted.since, wanted.until)
    found: list[_Found] = []
    told_of: tuple[CaseRows, ...] = ("decision", "act")
    for source in told_of:
        if wanted.source in ("", source):
            found += [(at, source, place, None) for at, place in search.places(source, asked)]
    partial = False
    if wanted.source in ("", "access"):
        trail = trail_of(site.config, site.root)
        told = entries(trail, wanted.person, accession, wanted.since, wanted.until)
        accesses = list(islice(_of_kind(told, wanted.kind), MOST_ACCESSES + 1))
        partial = len(accesses) > MOST_ACCESSES
        found += [(each.at, "access", -n, each) for n, each in enumerate(accesses[:MOST_ACCESSES])]
    found.sort(key=lambda each: (each[0], each[1] == "act", each[2]), reverse=True)
    return found, partial


def _of_kind(told: Iterable[AuditEntry], kind: str) -> Iterator[AuditEntry]:
    return (each for each in told if kind.casefold() in each.event.casefold())


def _rows(site: Site, found: Sequence[_Found]) -> Iterator[AuditRow]:
    search = CaseSearch(site.ledger.engine)
    acts = search.rows("act", [place for _, source, place, _ in found if source == "act"])
    decisions = search.rows("decision", [place for _, source, place, _ in found if source == "decision"])
    for at, source, place, entry in found:
        if entry is not None:
            yield AuditRow(
                at, source, entry.event, entry.person, "", ", ".join(entry.accessions), "", entry.outcome, {}
            )
        elif source == "act":
            row = acts[place]
            detail = json.loads(row["detail"])
            yield AuditRow(
                at,
                source,
                row["kind"],
                row["person"],
                row["role"],
                row["accession"],
                row["session"],
                row["why"],
                detail,
            )
        else:
            row = decisions[place]
            content = json.loads(row["content"])
            reasons = ", ".join(content["reasons"])
            text = f"{row['cause']}: {reasons}" if reasons else row["cause"]
            detail = {"policy": content["policy"], "edition": content["edition"], "changed": content["changed"]}
            yield AuditRow(at, source, row["state"], "", "", row["accession"], row["session"], text, detail)
