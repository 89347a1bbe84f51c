"""Samples that compliance reviews: drawn at random, and again the same from the seed that is written down."""

import random
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from dicom_io.evidence import Person
from workstation.coder.acts import may
from workstation.coder.queue import Queue
from workstation.coder.queue_rows import QueueFilter, QueueRow, case_key, month_bounds
from workstation.coder.work_list import WorkError, find
from workstation.site import Site
from workstation.store.cases import CaseAct

Per = Literal["", "physician", "reason"]
ReviewFinding = Literal["agreed", "disagreed", "unclear"]
FINDINGS: tuple[ReviewFinding, ...] = ("agreed", "disagreed", "unclear")
_NONE = "(none)"


@dataclass(frozen=True, slots=True)
class DrawnSample:
    """A sample. number : of its act. per : of each physician or reason so many, else of all together. seed : draws the
    same again from the same cases. state : of which cases alone, empty for all. population : how many there were."""

    number: int
    at: datetime
    person: str
    why: str
    month: str
    count: int
    per: Per
    seed: int
    state: str
    population: int
    sessions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorksheetRow:
    """A case of a sample as it is reviewed. finding, text, reviewer, reviewed_at : of the last review, else empty."""

    row: QueueRow
    finding: str
    text: str
    reviewer: str
    reviewed_at: str

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**self.row.as_json(), **{k: v for k, v in asdict(self).items() if k != "row"}}


def draw(
    site: Site,
    by: Person,
    why: str,
    month: str,
    count: int,
    per: Per = "",
    state: str = "",
    seed: int | None = None,
    queue: Queue | None = None,
) -> DrawnSample:
    """Draw a sample of the cases of a month of service, and write it down as an act.

    seed : any number; without one it is drawn. queue : the process's own; without one all cases are read.

    Raises WorkError when this person may not, or there is nothing to draw from.
    """
    who = may(by, "sample", why)
    month_bounds(month)
    if count < 1:
        raise WorkError("A sample has one case at least.")
    if per not in ("", "physician", "reason"):
        raise WorkError(f"{per!r}: a sample is drawn by physician, by reason, or of all together.")
    rows = (queue or Queue(site)).rows(QueueFilter(month=month, state=state), named=False)
    if not rows:
        raise WorkError(f"There is no case of {month}{f' that is {state}' if state else ''} to draw from.")
    seed = secrets.randbits(32) if seed is None else seed
    sessions = chosen(rows, count, per, seed)
    detail = {
        "month": month, "count": count, "per": per, "seed": seed, "state": state, "population": len(rows),
        "sessions": list(sessions),
    }  # fmt: skip
    number = site.casebook.act("", "", site.clock(), who.id, who.role, "sample", why, detail, due=False)
    return sample(site, number)


def chosen(rows: Sequence[QueueRow], count: int, per: Per, seed: int) -> tuple[str, ...]:
    """Return the sessions that a seed draws from these cases, whatever their order: `count` of each physician or
    reason, or of all. A case of several reasons may be drawn for each of them, and is reviewed once."""
    strata: dict[str, set[str]] = {}
    for row in rows:
        values = {"": ("",), "physician": (row.physician or _NONE,), "reason": row.reasons or (_NONE,)}[per]
        for value in values:
            strata.setdefault(value, set()).add(row.session)
    chance = random.Random(seed)
    found: dict[str, None] = {}
    for _, sessions in sorted(strata.items()):
        found |= dict.fromkeys(chance.sample(sorted(sessions), min(count, len(sessions))))
    return tuple(found)


def samples(site: Site) -> tuple[DrawnSample, ...]:
    """Return all samples, the newest first."""
    return tuple(_sample(act) for act in reversed(site.casebook.acts(kinds={"sample"})))


def sample(site: Site, number: int) -> DrawnSample:
    """Return a sample by its number. Raises WorkError when there is none."""
    for each in samples(site):
        if each.number == number:
            return each
    raise WorkError(f"There is no sample {number}; `workstation compliance samples` lists them.")


def review(site: Site, number: int, word: str, by: Person, finding: str, text: str) -> None:
    """Write down what a review of a case of a sample has found; a later one stands in the place of an earlier one.

    Raises WorkError when this person may not, the case is not in the sample, or the finding is none.
    """
    who = may(by, "review", text)
    drawn, ruling = sample(site, number), find(site, word)
    if finding not in FINDINGS:
        raise WorkError(f"{finding!r}: a review finds one of {', '.join(FINDINGS)}.")
    if ruling.session not in drawn.sessions:
        raise WorkError(f"{word}: the case is not in sample {number}. Nothing was written.")
    detail = {"sample": number, "finding": finding}
    at = site.clock()
    site.casebook.act(ruling.session, ruling.accession, at, who.id, who.role, "review", text, detail, due=False)


def worksheet(site: Site, number: int, queue: Queue | None = None) -> tuple[WorksheetRow, ...]:
    """Return the cases of a sample with their last review, in the order in which they were drawn."""
    drawn = sample(site, number)
    rows, reviews = queue or Queue(site), _reviews(site, number)
    return tuple(
        WorksheetRow(row, "", "", "", "")
        if (act := reviews.get(row.session)) is None
        else WorksheetRow(row, act.detail["finding"], act.why, act.person, act.at.isoformat())
        for row in (rows.find(case_key(session)) for session in drawn.sessions)
    )


def reviewed(site: Site) -> dict[int, int]:
    """Return how many cases of each sample have a review, by the sample's number."""
    done = {(int(act.detail["sample"]), act.session) for act in site.casebook.acts(kinds={"review"})}
    return dict(Counter(number for number, _ in done))


def _reviews(site: Site, number: int) -> Mapping[str, CaseAct]:
    acts = site.casebook.acts(kinds={"review"})
    return {act.session: act for act in acts if act.detail["sample"] == number}


def _sample(act: CaseAct) -> DrawnSample:
    said = act.detail
    return DrawnSample(
        act.place, act.at, act.person, act.why, said["month"], said["count"], said["per"], said["seed"], said["state"],
        said["population"], tuple(said["sessions"]),
    )  # fmt: skip
