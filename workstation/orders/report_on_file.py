"""The report that is on file for a case: what was reported last, with the addenda that stand beside it."""

from dataclasses import dataclass, replace
from typing import get_args

from workstation.charge.facts import Report, ReportStatus
from workstation.orders.stated import Reported
from workstation.reading import ReportFact

# The facts of a report that stand under `report`; the others of a report's facts stand under `order`.
IN_REPORT: tuple[ReportFact, ...] = (
    "three_d_findings",
    "workstation_statement",
    "medical_necessity",
    "clinical_utility",
)
IN_ORDER = frozenset(get_args(ReportFact)) - frozenset(IN_REPORT)


@dataclass(frozen=True, slots=True)
class ReportOnFile:
    """A report with its addenda, each with the patient it is of. main : None where only addenda have come."""

    main: tuple[Reported, str] | None = None
    addenda: tuple[tuple[Reported, str], ...] = ()

    def with_newer(self, said: Reported, patient: str) -> "ReportOnFile":
        """With another report: an addendum stands beside what there is; anything else is put in its place.

        What names an addendum by its document number (TXA-12, or TXA-13 of a replacement) is put in the place of that.
        """
        if said.addendum:
            others = (each for each in self.addenda if not said.document or each[0].document != said.document)
            return replace(self, addenda=(*others, (said, patient)))
        numbers = {number for number in (said.document, said.parent) if number}
        main_number = self.main[0].document if self.main is not None else ""
        if numbers & {each.document for each, _ in self.addenda} and said.document != main_number:
            others = (each for each in self.addenda if each[0].document not in numbers)
            return replace(self, addenda=(*others, (replace(said, addendum=True), patient)))
        return ReportOnFile((said, patient))

    @classmethod
    def of_papers(cls, report: Report) -> "ReportOnFile":
        """The report of a papers file."""
        if report.status == "none":
            return cls()
        stated = frozenset[ReportFact](fact for fact in IN_REPORT if getattr(report, fact))
        return cls((Reported("", (), report.status, stated), report.patient_id or ""))

    @property
    def parts(self) -> tuple[tuple[Reported, str], ...]:
        """What counts: a report that was withdrawn takes its addenda with it; a draft beside a report says nothing."""
        if self.main is None:
            signed = tuple(each for each in self.addenda if each[0].status == "final")
            return signed or tuple(each for each in self.addenda if each[0].status != "none")[-1:]
        if self.main[0].status == "none":
            return ()
        return (self.main, *(each for each in self.addenda if each[0].status == "final"))

    @property
    def status(self) -> ReportStatus:
        """Of the report; where only addenda have come, theirs."""
        return self.parts[0][0].status if self.parts else "none"

    @property
    def spoken(self) -> frozenset[str]:
        """What is signed and stands in the order's place. A draft is nobody's word yet."""
        return self._stated & IN_ORDER if self.status == "final" else frozenset()

    @property
    def unread(self) -> tuple[str, ...]:
        """What could not be read of it."""
        return tuple(dict.fromkeys(part for said, _ in self.parts for part in said.unread))

    def as_fact(self) -> Report:
        """As the charge facts have it. Its patient is another one if any part of it is."""
        of = list(dict.fromkeys(patient for _, patient in self.parts))
        return Report(
            self.status,
            (of[0] if len(of) == 1 else " and ".join(of)) if of else None,
            **{fact: fact in self._stated for fact in IN_REPORT},
        )

    @property
    def _stated(self) -> frozenset[str]:
        return frozenset[str]().union(*(said.stated for said, _ in self.parts))
