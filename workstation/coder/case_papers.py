"""What is on file for a case beside its decision: the reports with the sentences that count, the order, the visit, and
what was made."""

from dataclasses import dataclass
from datetime import datetime

from dicom_io.evidence import Evidence
from workstation.billing.accession import as_on_its_day, file_of, read
from workstation.billing.gather_facts import site_policy
from workstation.orders.on_file import CaseOnFile
from workstation.orders.report_on_file import ReportOnFile
from workstation.orders.sentences import MarkedPart, marked_parts
from workstation.orders.stated import Ordered, Reported, Stated
from workstation.site import Site
from workstation.store.cases import Ruling


@dataclass(frozen=True, slots=True)
class ReportDocument:
    """A report or addendum as it came. in_force : it counts now. source : which message or SR it is. parts : its text,
    with what each part states. coded : facts that it states by codes, not by words."""

    at: datetime
    source: str
    status: str
    addendum: bool
    in_force: bool
    patients: tuple[str, ...]
    parts: tuple[MarkedPart, ...]
    coded: tuple[str, ...]
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrderLine:
    """An order message: when, which, and what it orders in words."""

    at: datetime
    source: str
    items: tuple[str, ...]
    diagnoses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CasePapers:
    """Everything of a case that a coder reads beside the decision. evidence : of the record that counts."""

    evidence: Evidence
    on_file: CaseOnFile
    reports: tuple[ReportDocument, ...]
    orders: tuple[OrderLine, ...]


def case_papers(site: Site, ruling: Ruling) -> CasePapers:
    """Return what is on file for a case, newest reports and orders first."""
    record = next(each for each in site.casebook.records_of(ruling.session) if each.sr_uid == ruling.sr_uid)
    view = as_on_its_day(read(ruling.accession, site), record, site)
    dated = site.on(record.date_of_service)
    told = sorted(view.stated, key=lambda each: each.order)
    reports = [each for each in told if isinstance(each.statement, Reported)]
    orders = [each for each in told if isinstance(each.statement, Ordered)]
    in_force = _in_force(reports)
    return CasePapers(
        record.evidence,
        file_of(view, record, site, site_policy(dated.config, site.root)),
        tuple(_document(each, in_force, dated) for each in reversed(reports)),
        tuple(_order(each) for each in reversed(orders)),
    )


def _in_force(reports: list[Stated]) -> list[Reported]:
    """The reports that count of all that came, without a look at whose they are."""
    folded = ReportOnFile()
    for each in reports:
        assert isinstance(each.statement, Reported)
        folded = folded.with_newer(each.statement, "")
    return [said for said, _ in folded.parts]


def _document(one: Stated, in_force: list[Reported], site: Site) -> ReportDocument:
    said = one.statement
    assert isinstance(said, Reported)
    parts = marked_parts(said.text, site.config.reading)
    by_words = {each.fact for part in parts for each in part.sentences if each.counts}
    return ReportDocument(
        one.stated_at,
        one.source,
        said.status,
        said.addendum,
        any(each.text == said.text and each.status == said.status for each in in_force),
        tuple(each.text for each in said.patients),
        parts,
        tuple(sorted(said.stated - by_words)),
        said.unread,
    )


def _order(one: Stated) -> OrderLine:
    said = one.statement
    assert isinstance(said, Ordered)
    items = tuple(f"{each.code} {each.status or ''}{', 3D' if each.three_d else ''}".strip() for each in said.items)
    return OrderLine(one.stated_at, one.source, items, said.diagnoses or ())
