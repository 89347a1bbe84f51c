"""What compliance watches over a month: rates of 3D by physician and modality, releases by hand, charges by person."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from workstation.coder.messages_read import read_once
from workstation.coder.month_report import performed_in
from workstation.coder.queue import Queue
from workstation.coder.queue_rows import QueueFilter, QueueRow, month_bounds
from workstation.hl7.reader import Incoming, read_message
from workstation.hl7.syntax import Hl7Error
from workstation.orders.stated import MessageRefused, Reported
from workstation.orders.statements import DOCUMENTS, RESULTS, statements_of
from workstation.site import Site
from workstation.store.case_search import CaseSearch, SearchedCases
from workstation.store.cases import CaseActKind, Received

CHARGED = ("queued", "sent", "acknowledged", "operator")
# Acts by which a person decides in the place of the rules.
BY_HAND: tuple[CaseActKind, ...] = ("release", "deny", "reopen", "credit", "correct", "keep")
_NOBODY = "(none)"


@dataclass(frozen=True, slots=True)
class RateRow:
    """How often examinations of a modality had a charge of 3D.

    physician : who supervised the 3D; empty for all together. charges : accessions with a charge that is out.
    examinations : accessions that orders say were performed; of a physician, those among them whose report names them
    as its interpreter (OBR-32, TXA-22). None where none is known, and then there is no rate.
    """

    modality: str
    physician: str
    charges: int
    examinations: int | None
    rate: float | None
    limit: float
    flagged: bool

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class HandRow:
    """An act by which a person decided in the place of the rules. called : another word for it, as `write-off`."""

    at: datetime
    person: str
    role: str
    kind: str
    called: str
    accession: str
    session: str
    why: str

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "at": self.at.isoformat()}


@dataclass(frozen=True, slots=True)
class PersonRow:
    """Cases with a charge that is out, and what is expected of them, by who supervised or who released them.

    capacity : `supervised` or `released`. person : an ID; for what the rules released, `the rules`. unknown : cases
    whose amount is not known, which is in no sum.
    """

    capacity: str
    person: str
    cases: int
    expected_low: Decimal
    expected_high: Decimal
    unknown: int

    def as_json(self) -> dict[str, Any]:
        """JSON-ready; dollars as text with cents."""
        return {
            **asdict(self),
            "expected_low": f"{self.expected_low:.2f}",
            "expected_high": f"{self.expected_high:.2f}",
        }


def rates(site: Site, month: str, queue: Queue | None = None) -> tuple[RateRow, ...]:
    """Return the rates of a month of service: each modality, and in it each physician, those of most charges first.

    queue : the process's own; without one all cases are read. Raises WorkError when it is no month.
    """
    rows = [row for row in (queue or Queue(site)).rows(QueueFilter(month=month), named=False) if row.state in CHARGED]
    performed, read_by = performed_in(site, month), interpreters_in(site, month)
    charged: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        for physician in ("", row.physician or _NOBODY):
            charged[row.modality, physician].add(row.accession)
    for modality in performed:
        charged.setdefault((modality, ""), set())
        for physician, accessions in read_by.items():
            if accessions & performed[modality]:
                charged.setdefault((modality, physician), set())

    def rate_row(modality: str, physician: str) -> RateRow:
        with_charge = charged[modality, physician]
        known = performed.get(modality, set())
        examined = known & read_by.get(physician, set()) if physician else known
        # What was charged was examined, whether or not anybody sent the order or named the reader.
        counted = len(examined | with_charge) if examined else None
        rate = len(with_charge) / counted if counted else None
        limit = site.config.compliance.rate_limits.get(modality, site.config.share_limit)  # type: ignore[call-overload]
        flagged = rate is not None and rate > limit and (counted or 0) >= site.config.compliance.rate_least
        return RateRow(
            modality, physician, len(with_charge), counted, None if rate is None else round(rate, 4), limit, flagged
        )

    found = [rate_row(*key) for key in charged]
    return tuple(sorted(found, key=lambda row: (row.modality, row.physician != "", -row.charges, row.physician)))


def interpreters_in(site: Site, month: str) -> dict[str, set[str]]:
    """Return the accessions whose final reports name a physician as interpreter, by the physician's ID: OBR-32 of
    results, TXA-22 of documents, else TXA-9. Reports count that came since the month began.

    Source: HL7 v2.5.1 7.4.1.32, 9.7.1.9 and 9.7.1.22. Raises WorkError when it is no month.
    """
    first, _ = month_bounds(month)
    zone = site.clock().tzinfo
    assert zone is not None, "a site's clock knows its offset"
    processing_id = site.config.listener.processing_id if site.config.listener is not None else "P"

    def read(received: Received) -> tuple[tuple[str, str], ...]:
        """Who read what: IDs with accessions."""
        said: list[tuple[str, str]] = []
        with suppress(MessageRefused, Hl7Error):
            reading = site.config.on(received.at.date()).reading
            readers = set(_readers(read_message(received.body, reading.character_set)))
            for each in statements_of(received.body, reading, zone, processing_id) if readers else ():
                if isinstance(each.statement, Reported) and each.statement.status == "final":
                    said += [(reader, each.statement.accession) for reader in readers]
        return tuple(said)

    found: dict[str, set[str]] = defaultdict(set)
    for said in read_once(site, "read by", (*RESULTS, *DOCUMENTS), first, site.clock().date(), read):
        for reader, accession in said:
            found[reader].add(accession)
    return found


def _readers(message: Incoming) -> Iterable[str]:
    """The IDs of who read what a message reports: the first part of a name with its number (NDL, PPN, XCN)."""
    for obr in message.all("OBR"):
        yield from _identity(obr.raw(32))
    for txa in message.all("TXA"):
        yield from _identity(txa.raw(22) or txa.raw(9))


def _identity(field: str) -> Iterable[str]:
    identity = re.split(r"[&^~]", field)[0].strip()
    return (identity,) if identity else ()


def by_hand(site: Site, since: date | None = None, until: date | None = None, person: str = "") -> tuple[HandRow, ...]:
    """Return the acts by which people decided in the place of the rules, the newest first. since, until : days, both
    included."""
    search = CaseSearch(site.ledger.engine)
    places = [place for _, place in search.places("act", SearchedCases(person, None, BY_HAND, since, until))]
    found = search.rows("act", places)
    return tuple(_hand_row(found[place]) for place in reversed(places))


def _hand_row(row: Mapping[str, Any]) -> HandRow:
    called = str(json.loads(row["detail"]).get("called", ""))
    at = datetime.fromisoformat(row["at"])
    return HandRow(at, row["person"], row["role"], row["kind"], called, row["accession"], row["session"], row["why"])


def charges_by_person(site: Site, month: str, queue: Queue | None = None) -> tuple[PersonRow, ...]:
    """Return the cases of a month of service with a charge that is out, by who supervised and by who released them,
    those of most cases first. Raises WorkError when it is no month."""
    rows = [row for row in (queue or Queue(site)).rows(QueueFilter(month=month), named=False) if row.state in CHARGED]
    groups: dict[tuple[str, str], list[QueueRow]] = defaultdict(list)
    for row in rows:
        groups["supervised", row.physician or _NOBODY].append(row)
        groups["released", row.released_by or "the rules"].append(row)
    found = [_person_row(capacity, person, own) for (capacity, person), own in groups.items()]
    return tuple(sorted(found, key=lambda row: (row.capacity != "supervised", -row.cases, row.person)))


def _person_row(capacity: str, person: str, rows: Sequence[QueueRow]) -> PersonRow:
    known = [row.expected for row in rows if row.expected is not None]
    low, high = (sum((getattr(each, end) for each in known), Decimal(0)) for end in ("low", "high"))
    return PersonRow(capacity, person, len(rows), low, high, len(rows) - len(known))
