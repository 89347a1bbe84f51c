"""What is on file for a case, folded from every paper, message and answer: pure.

Everything is put in the order of its own time (MSH-7 of a message, filing or acting for the rest), never in that of its
arrival. So messages that come late, twice or in any order leave the same on file.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from workstation.charge.facts import BaseProcedure, BaseStatus, Order, Payer
from workstation.charging import PayerRule
from workstation.orders.merges import Merges
from workstation.orders.patients import PatientIdentifier
from workstation.orders.report_on_file import ReportOnFile
from workstation.orders.stated import Demographics, Ordered, OrderItem, Reported, Stated, Updated, Visit
from workstation.store.papers import NOTHING, OnFile

# The authority of a number that messages of one accession give to several; no authority is called so.
_SEVERAL = "(several)"


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
    strangers : messages of this accession that are of another patient, and count for nothing. unread : parts of the
    report that could not be read as text. visit : what orders state for the messages to billing alone.
    """

    papers: OnFile
    patient_id: str
    required: bool | None
    demographics: Demographics | None
    strangers: tuple[str, ...]
    unread: tuple[str, ...] = ()
    visit: Visit = field(default=Visit())


def case_on_file(
    own: PatientIdentifier,
    study_uid: str,
    stated: Sequence[Stated],
    merges: Merges,
    filed: Sequence[Filed] = (),
    answered: Sequence[Answered] = (),
    payers: Mapping[str, PayerRule] | None = None,
    is_procedure: Callable[[str], bool] = lambda code: False,
    authority: str = "",
) -> CaseOnFile:
    """Return what is on file for a case of the patient and study of its SR.

    own : the patient of the SR. stated : the statements of its accession and, for accounts, of its visit.
    is_procedure : tells whether a code is of a procedure rather than of an imaging base. authority : whose the numbers
    in papers files are.
    """
    own = _with_authority(own, stated)
    patient, demographics = merges.patient(own)

    def name_of(identifiers: Sequence[PatientIdentifier]) -> str:
        """The case's patient by number; anybody else by what tells them apart."""
        now = [merges.patient(each)[0] for each in identifiers]
        if any(each.same(patient) for each in now):
            return patient.number
        return next((each.text if each.number == patient.number else each.number for each in now), "")

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
            reported = event.papers.report
            of = name_of([PatientIdentifier(reported.patient_id, authority)]) if reported.patient_id else None
            state.file(replace(event.papers, report=replace(reported, patient_id=of)))
        elif isinstance(event, Answered):
            state.answer(dict(event.facts))
        elif isinstance(event.statement, Ordered):
            if name_of(event.statement.patients) != patient.number:
                strangers.append(event.source)
            else:
                state.order(event.statement)
        elif isinstance(event.statement, Reported):
            # A report of another patient is kept in: identity is the first of the rules, and it has to see it.
            state.report(event.statement, name_of(event.statement.patients))
    papers = state.papers()
    # Accounts belong to a visit, which an order may name only after its account has changed.
    for _, _, _, event in events:
        if isinstance(event, Stated) and isinstance(event.statement, Updated):
            update = event.statement
            known = name_of(update.patients) == patient.number
            if known and papers.visit_number and update.visit == papers.visit_number:
                papers = replace(papers, account_number=update.account)
    papers = replace(papers, account_number=merges.account(papers.account_number))
    return CaseOnFile(
        papers,
        patient.number,
        state.required,
        demographics if not patient.same(own) else None,
        tuple(strangers),
        state.unread,
        state.visit,
    )


def is_of_patient(
    own: PatientIdentifier, stated: Sequence[Stated], merges: Merges, identifiers: Sequence[PatientIdentifier]
) -> bool:
    """Tell whether identifiers of one person name the patient of an SR, after merges, as `case_on_file` does."""
    patient, _ = merges.patient(_with_authority(own, stated))
    return any(merges.patient(each)[0].same(patient) for each in identifiers)


def _with_authority(own: PatientIdentifier, stated: Sequence[Stated]) -> PatientIdentifier:
    """The patient of an SR that names no issuer, with the authority that all messages of the accession give the number.

    Where they give it different ones, the number is of several people and nobody can tell which: then it is nobody's.
    """
    if own.authority:
        return own
    named = [each.statement.patients for each in stated if isinstance(each.statement, Ordered | Reported)]
    of_number = [[each for each in patients if each.number == own.number] for patients in named]
    sets = [
        {each.authority for each in patients if each.authority} for patients in (of_number if any(of_number) else named)
    ]
    sets = [each for each in sets if each]
    if not sets:
        return own
    common = set.intersection(*sets)
    if common:
        return replace(own, authority=min(common))
    return replace(own, authority=_SEVERAL) if any(of_number) else own


class _State:
    """The file while it is folded: papers, with the order items that messages keep apart."""

    def __init__(self, is_procedure: Callable[[str], bool], study_uid: str, payers: Mapping[str, PayerRule]) -> None:
        self._papers = NOTHING
        # By number and code: several procedures may be ordered under one number.
        self._items: dict[tuple[str, str], OrderItem] = {}
        self._before_cancelled: dict[tuple[str, str], BaseStatus | None] = {}
        self._report = ReportOnFile()
        self._documented = False
        self._is_procedure = is_procedure
        self._study = study_uid
        self._payers = payers
        self.required: bool | None = None
        self.visit = Visit()

    def file(self, papers: OnFile) -> None:
        """A papers file says all, so it puts all that came before aside."""
        self._papers, self._items, self.visit = papers, {}, Visit()
        self._report, self._documented = ReportOnFile.of_papers(papers.report), False

    def order(self, said: Ordered) -> None:
        papers, order = self._papers, self._papers.order
        for item in said.items:
            self._take(item)
        self._documented = self._documented or bool(said.urgent_documented)
        payer = papers.payer
        if said.payer is not None and said.payer != payer.id:
            payer = Payer(said.payer, False, None, None)
            self.visit = replace(self.visit, plan="")
        if said.visit is not None and said.visit != papers.visit_number:
            # Another visit: where the patient was, and whose patient it was, belongs to the one before.
            self.visit = replace(self.visit, patient_class="", location="", attending=None)
        self.visit = self.visit.with_newer(said.in_visit)
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
        self._report = self._report.with_newer(said, patient)
        self._papers = replace(self._papers, report=self._report.as_fact())

    @property
    def unread(self) -> tuple[str, ...]:
        """Parts of the report that stands which could not be read."""
        return self._report.unread

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
        order, spoken = papers.order, self._report.spoken
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
                radiologist_rationale=order.radiologist_rationale or "radiologist_rationale" in spoken,
                urgent=order.urgent,
                urgent_documented=(
                    order.urgent_documented or self._documented or "urgent_documented" in self._report.spoken
                ),
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
