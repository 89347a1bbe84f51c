"""The values of the coder's queue: a row, a filter, a page, and what a row takes from the acts on its case."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from workstation.coder.expected_amount import ExpectedAmount
from workstation.coder.work_list import WorkError
from workstation.store.cases import CaseAct

NOBODY = "nobody"
# Years that questions may be about: days around theirs can be reckoned with.
YEARS = range(1900, 2200)
# States in which a charge can still be late: nothing of it has left, or billing refuses it.
STILL_TO_FILE = ("held", "correction", "operator", "queued")
WAITING = ("held", "correction", "operator")
FACETS = ("state", "reason", "owner", "payer")


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which rows are wanted; what is empty does not matter.

    owner : an ID, or `nobody`. older_than_days : in their state for more days. month : of service, YYYY-MM.
    text : words of patient's name, patient's number and accession, each as the beginning or a part of them.
    due_within_days : the payer's limit for filing is at most so many days away, or past. open_only : only what
    waits for a person.
    """

    state: str = ""
    reason: str = ""
    who: str = ""
    payer: str = ""
    owner: str = ""
    physician: str = ""
    technique: str = ""
    base: str = ""
    older_than_days: int = 0
    month: str = ""
    text: str = ""
    due_within_days: int | None = None
    open_only: bool = False


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One case.

    key : `case_key` of its session. patient : name as DICOM writes it. patient_id : after merges. day : date of
    service, None where it is not known. examination : description of the study, else the base codes. codes : charged or
    proposed. expected : what they may bring, None where that is not known or nothing is to come. reasons, who, state,
    since, age_days : as `work_list.WorkItem`. file_until, days_left : the payer's limit for filing where one is set,
    and the days until then where the charge has not left; negative when it is past. owner : empty for nobody.
    asked : IDs of physicians who have not answered a query. physician : ID of the supervising one. modality : of the
    study. released_by : who released it by hand, empty where the rules did or nobody.
    """

    key: str
    session: str
    accession: str
    sr_uid: str
    patient: str
    patient_id: str
    day: date | None
    examination: str
    bases: tuple[str, ...]
    payer: str
    codes: tuple[str, ...]
    expected: ExpectedAmount | None
    reasons: tuple[str, ...]
    who: tuple[str, ...]
    state: str
    since: datetime
    age_days: int
    file_until: date | None
    days_left: int | None
    owner: str
    techniques: tuple[str, ...]
    physician: str
    asked: tuple[str, ...]
    modality: str
    released_by: str

    @property
    def is_open(self) -> bool:
        """Whether it waits for a person: one who decides, supplies what is missing, or mends its message."""
        return self.state in WAITING or "EDIT_FORBIDS" in self.reasons

    def as_json(self) -> dict[str, Any]:
        """JSON-ready; dollars as text with cents."""
        money = self.expected
        return {
            **asdict(self),
            "day": self.day.isoformat() if self.day else "",
            "since": self.since.isoformat(),
            "file_until": self.file_until.isoformat() if self.file_until else "",
            "expected": {"low": f"{money.low:.2f}", "high": f"{money.high:.2f}", "basis": money.basis}
            if money
            else None,
        }


@dataclass(frozen=True, slots=True)
class QueuePage:
    """Some rows of a filtered and sorted queue. number : from 1. total : rows on all pages.

    counts : for each facet (`FACETS`) how many rows each of its values has under the filter without that facet.
    """

    rows: tuple[QueueRow, ...]
    number: int
    size: int
    total: int
    counts: Mapping[str, Mapping[str, int]]

    @property
    def pages(self) -> int:
        """How many pages there are, one at least."""
        return max(-(-self.total // self.size), 1)


def case_key(session: str) -> str:
    """Return the name of a case in addresses: it tells nothing of the patient."""
    return hashlib.sha256(session.encode()).hexdigest()[:20]


def owner_of(acts: Iterable[CaseAct]) -> str:
    """Return whose work a case is, by the last assignment; empty for nobody."""
    owner = ""
    for act in acts:
        if act.kind == "assign":
            owner = act.detail["to"]
    return owner


def open_queries(acts: Iterable[CaseAct]) -> list[CaseAct]:
    """Return the queries on a case that have no reply, oldest first."""
    asked: dict[int, CaseAct] = {}
    for act in acts:
        if act.kind == "query":
            asked[act.place] = act
        elif act.kind in ("reply", "answer"):
            asked.pop(act.detail.get("query", 0), None)
    return list(asked.values())


def releaser_of(acts: Iterable[CaseAct]) -> str:
    """Return who released a case by hand, where that release stands; empty where nobody did."""
    decisive = [act for act in acts if act.kind in ("release", "deny", "reopen", "credit")]
    return decisive[-1].person if decisive and decisive[-1].kind == "release" else ""


def month_bounds(month: str) -> tuple[date, date]:
    """Return the first day of a month YYYY-MM and of the next one. Raises WorkError when it is none."""
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise WorkError(f"{month!r} is not a month written as YYYY-MM.") from None
    if first.year not in YEARS:
        raise WorkError(f"{month} has no examinations: months are of {YEARS.start} to {YEARS.stop - 1}.")
    return first, (first + timedelta(days=31)).replace(day=1)


def day_of_facts(facts: Mapping[str, Any]) -> date | None:
    """Return the date of service of facts in JSON; None where they have none."""
    try:
        return date.fromisoformat(facts.get("date_of_service", ""))
    except ValueError:
        return None
