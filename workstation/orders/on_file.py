"""What is on file for a case, folded from every paper, message and answer: pure.

Everything is put in the order of its own time (MSH-7 of a message, filing or acting for the rest), never in that of its
arrival. So messages that come late, twice or in any order leave the same on file.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, get_args

from workstation.charge.facts import BaseProcedure, BaseStatus, Order, Payer, Report
from workstation.config import PayerRule, ReportFact
from workstation.orders.statements import Demographics, Merged, Ordered, OrderItem, Reported, Stated, Updated
from workstation.store.papers import NOTHING, OnFile

# The facts of a report that stand under `report`; the others of a report's facts stand under `order`.
_IN_REPORT = ("three_d_findings", "workstation_statement", "medical_necessity", "clinical_utility")
_IN_ORDER = tuple(fact for fact in get_args(ReportFact) if fact not in _IN_REPORT)


@dataclass(frozen=True, slots=True)
class Filed:
    """A papers file, filed at `at`; `place` orders those of one time."""

    at: datetime
    place: int
    papers: OnFile


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer of a member of the staff: facts by their path, as `worklist.ANSWERS` allows them.

    at : when it was given, or the time of the newest message known then, whichever is later.
    """

    at: datetime
    place: int
    facts: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class CaseOnFile:
    """What is on file for a case.

    patient_id : the patient's identifier after all merges. required : the physician's later word on the requirement of
    an independent workstation, None where the SR's stands. demographics : of the survivor of a merge.
    strangers : messages of this accession that are of another patient, and count for nothing.
    """

    papers: OnFile
    patient_id: str
    required: bool | None
    demographics: Demographics | None
    strangers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Merges:
    """Which identifier of a patient, and which account, has become which."""

    patients: Mapping[str, tuple[Stated, Merged]]
    accounts: Mapping[str, tuple[Stated, Merged]]

    def patient(self, identifier: str) -> tuple[str, Demographics | None]:
        """Return the identifier that counts now, with the demographics of its merge if there was one."""
        survivor, merge = _followed(identifier, self.patients, lambda merged: merged.survivor)
        return survivor, merge.demographics if merge and merge.demographics.name else None

    def account(self, number: str) -> str:
        """Return the account that counts now."""
        return _followed(number, self.accounts, lambda merged: merged.account)[0]


def merges_of(stated: Iterable[Stated]) -> Merges:
    """Return the merges among the statements; for a prior identifier the newest counts."""
    patients: dict[str, tuple[Stated, Merged]] = {}
    accounts: dict[str, tuple[Stated, Merged]] = {}
    for each in sorted(stated, key=lambda one: one.order):
        merge = each.statement
        if isinstance(merge, Merged):
            if merge.prior != merge.survivor:
                patients[merge.prior] = each, merge
            if merge.prior_account and merge.account and merge.prior_account != merge.account:
                accounts[merge.prior_account] = each, merge
    return Merges(patients, accounts)


def _followed(
    start: str, table: Mapping[str, tuple[Stated, Merged]], target: Callable[[Merged], str]
) -> tuple[str, Merged | None]:
    way: list[tuple[Stated, Merged]] = []
    seen = [start]
    while seen[-1] in table:
        way.append(table[seen[-1]])
        now = target(way[-1][1])
        if now in seen:
            # Merged there and back: the newest of the circle says who is left.
            circle = way[seen.index(now) :]
            newest = max(circle, key=lambda step: step[0].order)[1]
            return target(newest), newest
        seen.append(now)
    return seen[-1], way[-1][1] if way else None


def case_on_file(
    own_patient: str,
    study_uid: str,
    stated: Sequence[Stated],
    merges: Merges,
    filed: Sequence[Filed] = (),
    answered: Sequence[Answered] = (),
    payers: Mapping[str, PayerRule] | None = None,
    is_procedure: Callable[[str], bool] = lambda code: False,
) -> CaseOnFile:
    """Return what is on file for a case of the patient and study of its SR.

    stated : the statements of its accession and, for accounts, of its visit. is_procedure : tells whether a code is of
    a procedure rather than of an imaging base.
    """
    patient, demographics = merges.patient(own_patient)
    events: list[tuple[datetime, int, str, Stated | Filed | Answered]] = [
        *((each.stated_at, 1, each.order[1], each) for each in stated),
        *((each.at, 0, f"{each.place:020}", each) for each in filed),
        *((each.at, 2, f"{each.place:020}", each) for each in answered),
    ]
    events.sort(key=lambda event: event[:3])
    state = _State(is_procedure, study_uid, payers or {})
    strangers: list[str] = []
    for _, _, _, event in events:
        if isinstance(event, Filed):
            state.file(event.papers)
        elif isinstance(event, Answered):
            state.answer(dict(event.facts))
        elif isinstance(event.statement, Ordered):
            if merges.patient(event.statement.patient_id)[0] != patient:
                strangers.append(event.source)
            else:
                state.order(event.statement)
        elif isinstance(event.statement, Reported):
            # A report of another patient is kept in: identity is the first of the rules, and it has to see it.
            state.report(event.statement, merges.patient(event.statement.patient_id)[0])
    papers = state.papers()
    # Accounts belong to a visit, which an order may name only after its account has changed.
    for _, _, _, event in events:
        if isinstance(event, Stated) and isinstance(event.statement, Updated):
            update = event.statement
            known = merges.patient(update.patient_id)[0] == patient
            if known and papers.visit_number and update.visit == papers.visit_number:
                papers = replace(papers, account_number=update.account)
    papers = replace(
        papers,
        account_number=merges.account(papers.account_number),
        report=replace(papers.report, patient_id=_merged(papers.report.patient_id, merges)),
    )
    return CaseOnFile(
        papers, patient, state.required, demographics if patient != own_patient else None, tuple(strangers)
    )


def _merged(identifier: str | None, merges: Merges) -> str | None:
    return None if identifier is None else merges.patient(identifier)[0]


class _State:
    """The file while it is folded: papers, with the order items that messages keep apart."""

    def __init__(self, is_procedure: Callable[[str], bool], study_uid: str, payers: Mapping[str, PayerRule]) -> None:
        self._papers = NOTHING
        # By number and code: several procedures may be ordered under one number.
        self._items: dict[tuple[str, str], OrderItem] = {}
        self._before_cancelled: dict[tuple[str, str], BaseStatus | None] = {}
        self._spoken: frozenset[str] = frozenset()
        self._documented = False
        self._is_procedure = is_procedure
        self._study = study_uid
        self._payers = payers
        self.required: bool | None = None

    def file(self, papers: OnFile) -> None:
        """A papers file says all, so it puts all that came before aside."""
        self._papers, self._items = papers, {}
        self._spoken, self._documented = frozenset(), False

    def order(self, said: Ordered) -> None:
        papers, order = self._papers, self._papers.order
        for item in said.items:
            self._take(item)
        self._documented = self._documented or bool(said.urgent_documented)
        payer = papers.payer
        if said.payer is not None and said.payer != payer.id:
            payer = Payer(said.payer, False, None, None)
        if said.authorization is not None:
            payer = replace(payer, prior_authorization=said.authorization)
        self._papers = replace(
            papers,
            order=replace(order, urgent=order.urgent if said.urgent is None else said.urgent),
            payer=payer,
            diagnoses=papers.diagnoses if said.diagnoses is None else said.diagnoses,
            account_number=papers.account_number if said.account is None else said.account,
            visit_number=papers.visit_number if said.visit is None else said.visit,
            ordering_physician_id=(
                papers.ordering_physician_id if said.ordering_physician is None else said.ordering_physician
            ),
        )

    def _take(self, item: OrderItem) -> None:
        """One item of an order: a new one, or what became of one. What it does not say stays as it was."""
        key = (item.number, item.code)
        of_number = [
            each for each, old in self._items.items() if each[0] == item.number and old.three_d == item.three_d
        ]
        known = self._items.get(key)
        if known is None and item.changes:
            for each in of_number:
                known = self._items.pop(each)
        elif known is None and item.status == "cancelled":
            for each in of_number:  # an order is cancelled by its number, whatever the message calls its procedure
                self._take(replace(self._items[each], status="cancelled"))
            if of_number:
                return
        status = item.status if item.status is not None else known.status if known is not None else "scheduled"
        if item.restores and key in self._before_cancelled:
            status = self._before_cancelled.pop(key)
        elif status == "cancelled" and known is not None and known.status != "cancelled":
            self._before_cancelled[key] = known.status
        study = item.study_uid or (known.study_uid if known is not None else "")
        self._items[key] = replace(item, status=status, study_uid=study)

    def report(self, said: Reported, patient: str) -> None:
        none = said.status == "none"
        self._papers = replace(
            self._papers,
            report=Report(
                said.status,
                None if none else patient,
                **{fact: fact in said.stated and not none for fact in _IN_REPORT},
            ),
        )
        # A draft is nobody's word yet.
        self._spoken = frozenset(said.stated) & frozenset(_IN_ORDER) if said.status == "final" else frozenset()

    def answer(self, facts: Mapping[str, Any]) -> None:
        for path, value in facts.items():
            table, _, key = path.partition(".")
            if path == "independent_workstation_required":
                self.required = value
            elif path == "diagnoses":
                self._papers = replace(self._papers, diagnoses=tuple(value))
            elif path == "base_procedures":
                # A coder's finding stands beside what orders say, whatever becomes of those.
                self._items["answer", value] = OrderItem("", value, "performed", self._study, False)
            else:
                self._papers = replace(self._papers, **{table: replace(getattr(self._papers, table), **{key: value})})

    def papers(self) -> OnFile:
        papers = self._papers
        items = list(self._items.values())
        bases = [
            BaseProcedure(item.code, item.status or "scheduled", item.study_uid or self._study)
            for item in items
            if not item.three_d and not self._is_procedure(item.code)
        ]
        procedures = [
            item.code
            for item in items
            if not item.three_d and item.status == "performed" and self._is_procedure(item.code)
        ]
        order = papers.order
        payer = papers.payer
        rule = self._payers.get(payer.id)
        if rule is not None:
            payer = replace(
                payer,
                prior_authorization_required=rule.prior_authorization_required,
                covered_diagnoses=rule.covered_diagnoses,
            )
        return replace(
            papers,
            base_procedures=_united(papers.base_procedures, bases),
            other_procedures=tuple(dict.fromkeys((*papers.other_procedures, *procedures))),
            order=Order(
                three_d_ordered=order.three_d_ordered
                or any(item.three_d and item.status != "cancelled" for item in items),
                radiologist_rationale=order.radiologist_rationale or "radiologist_rationale" in self._spoken,
                urgent=order.urgent,
                urgent_documented=(order.urgent_documented or self._documented or "urgent_documented" in self._spoken),
            ),
            payer=payer,
        )


def _united(papers: Sequence[BaseProcedure], ordered: Sequence[BaseProcedure]) -> tuple[BaseProcedure, ...]:
    """The bases of the papers, then those of orders, which are newer; one code of one study once."""
    found = {(base.code, base.study_instance_uid): base for base in papers}
    said: dict[tuple[str, str], BaseProcedure] = {}
    for base in ordered:
        key = base.code, base.study_instance_uid
        # Of two orders of one examination, one cancelled and one performed, it was performed.
        if key not in said or base.status == "performed":
            said[key] = base
    return tuple((found | said).values())
