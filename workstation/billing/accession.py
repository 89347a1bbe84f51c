"""Everything that is on file for an accession: messages, report SRs, papers, merges, charges, read together."""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from dicom_io.errors import NotReadable
from workstation.billing.belief import why_no_report
from workstation.charge.policy import Policy
from workstation.config import Config
from workstation.hl7.syntax import Hl7Error
from workstation.orders.merges import Merges, merges_of
from workstation.orders.on_file import Answered, CaseOnFile, Filed, case_on_file
from workstation.orders.patients import PatientIdentifier, authority_of
from workstation.orders.sr_reports import REPORT_CLASSES, read_report, report_in
from workstation.orders.stated import MessageRefused, Ordered, Reported, Stated
from workstation.orders.statements import statements_of
from workstation.reading import Reading
from workstation.site import Site
from workstation.store.cases import CaseAct, EarlierCharges, Received, Record, Snapshot
from workstation.store.messages import Known


@dataclass(frozen=True, slots=True)
class AccessionOnFile:
    """An accession read and folded: what `settle_accession` decides on.

    reading : how its messages were read. known : its charges. patients : the records of its patients, under whichever
    accession; all_known : the charges of all of these, oldest first. beside : the same, to be compared when it is
    written.
    """

    snapshot: Snapshot
    reading: Reading
    stated: tuple[Stated, ...]
    merges: Merges
    known: tuple[Known, ...]
    patients: tuple[Record, ...]
    all_known: tuple[Known, ...]
    beside: EarlierCharges


def read(accession: str, site: Site, record: Record | None = None) -> AccessionOnFile:
    """Read an accession with the messages, merges and charges that concern it, as its first record's day has it."""
    snapshot = site.casebook.read(accession)
    if record is not None and all(each.sr_uid != record.sr_uid for each in snapshot.records):
        snapshot = replace(snapshot, records=(*snapshot.records, record))
    return _folded(snapshot, site.on(snapshot.records[0].date_of_service if snapshot.records else None))


def read_with(accession: str, site: Site, act: CaseAct) -> AccessionOnFile:
    """Read an accession as it would be with an act on it that nobody has done yet."""
    snapshot = site.casebook.read(accession)
    snapshot = replace(snapshot, acts=(*snapshot.acts, act))
    return _folded(snapshot, site.on(snapshot.records[0].date_of_service if snapshot.records else None))


def as_on_its_day(view: AccessionOnFile, record: Record, site: Site) -> AccessionOnFile:
    """Return the accession as the settings of a record's date of service have it read."""
    dated = site.on(record.date_of_service)
    return view if dated.config.reading == view.reading else _folded(view.snapshot, dated)


def _folded(snapshot: Snapshot, site: Site) -> AccessionOnFile:
    accession = snapshot.accession
    zone = site.clock().tzinfo
    assert zone is not None, "a site's clock knows its offset"

    def stated(received: Iterable[Received]) -> list[Stated]:
        found: list[Stated] = []
        for each in received:
            # What was taken may have become unreadable by other settings. It is kept, and read again when they change.
            with suppress(MessageRefused, Hl7Error):
                # A time without an offset is of the day on which it came, in summer as in winter.
                here = each.at.tzinfo or zone
                found += statements_of(each.body, site.config.reading, here, _processing_id(site.config))
        return found

    book = site.casebook
    attached = attached_now(book.acts(kinds={"attach", "detach"})).values()
    # A message that a person attached to a case is read for that accession, and no longer for the one that it names.
    away = {act.detail["sha256"] for act in attached if act.detail["accession"] == accession}
    heard = [each for each in book.messages("accession", {accession}) if digest_of_body(each.body) not in away]
    own = [
        each
        for each in stated(heard)
        if isinstance(each.statement, Ordered | Reported) and each.statement.accession == accession
    ]
    for act in attached_now(snapshot.acts).values():
        # The act is chained and names the digest: the message is read as the person saw it, or not at all.
        kept = [
            each for each in book.message(act.detail["message"]) if digest_of_body(each.body) == act.detail["sha256"]
        ]
        own += [
            replace(each, statement=replace(each.statement, accession=accession))
            for each in stated(kept)
            if isinstance(each.statement, Ordered | Reported) and each.statement.accession == act.detail["accession"]
        ]
    ours = {each.sr_uid for each in snapshot.records}
    sessions = {each.evidence.session_uid for each in snapshot.records}
    for sop_class in REPORT_CLASSES if accession else ():
        for instance in site.archive.instances_of(sop_class, accession):
            # One whose file is gone states nothing; `charge unmatched` says so.
            with suppress(NotReadable):
                ds = None if instance.sop_instance_uid in ours else report_in(instance)
                if ds is not None and not why_no_report(ds, instance, sessions, site):
                    report = read_report(ds, site.config.reading, zone)
                    own += [report] if report is not None else []
    orders = [each.statement for each in own if isinstance(each.statement, Ordered)]
    papers = site.papers.get(accession)
    visits = {o.visit for o in orders if o.visit} | ({papers.visit_number} if papers.visit_number else set())
    updates = stated(book.messages("visit", visits))
    named = [each.statement.patients for each in own if isinstance(each.statement, Ordered | Reported)]
    patients = {identifier.number for patients in named for identifier in patients}
    patients |= {each.evidence.patient_id for each in snapshot.records}
    patients |= {papers.report.patient_id} if papers.report.patient_id else set()
    accounts = {o.account for o in orders if o.account} | {papers.account_number}
    accounts |= {getattr(each.statement, "account", "") for each in updates}
    linked = book.records_of_patients(patients)
    patients |= {each.evidence.patient_id for each in linked}
    merges = [*stated(book.merges("patient", patients)), *stated(book.merges("account", accounts))]
    # A message of several accessions or merges comes with all of them, and from both sides.
    once = {(each.digest, repr(each.statement)): each for each in merges}
    charges = site.outbox.charges(accession, *{each.accession for each in linked})
    return AccessionOnFile(
        snapshot=snapshot,
        reading=site.config.reading,
        stated=(*own, *updates),
        merges=merges_of(once.values()),
        known=tuple(each for each in charges if each.charge.accession == accession),
        patients=linked,
        all_known=charges,
        beside=EarlierCharges(frozenset(patients), frozenset(each.charge.key for each in charges if each.is_out)),
    )


def file_of(view: AccessionOnFile, record: Record, site: Site, policy: Policy) -> CaseOnFile:
    """What is on file for a case."""
    snapshot, config = view.snapshot, site.config.on(record.date_of_service)
    newest = site.papers.newest(snapshot.accession)
    answered = [
        Answered(datetime.fromisoformat(act.detail["after"]), act.place, tuple(act.detail["facts"].items()))
        for act in snapshot.acts
        if act.kind == "answer" and act.session == record.session
    ]
    day = record.date_of_service

    def is_procedure(code: str) -> bool:
        entry = policy.codes.lookup(code, day) if day else None
        return entry is not None and entry.code_class == "procedure_includes_3d"

    return case_on_file(
        identifier_of(record, site),
        record.evidence.study_uid,
        view.stated,
        view.merges,
        [Filed(*newest)] if newest else [],
        answered,
        config.payers,
        is_procedure,
        config.reading.assigning_authority,
    )


def identifier_of(record: Record, site: Site) -> PatientIdentifier:
    """The patient of a record, before merges."""
    evidence = record.evidence
    return PatientIdentifier(evidence.patient_id, authority_of(evidence.patient_id_issuer, "", site.config.reading))


def attached_now(acts: Iterable[CaseAct]) -> dict[str, CaseAct]:
    """Return the attachments of messages that stand, by the row of the list that was attached."""
    found: dict[str, CaseAct] = {}
    for act in acts:
        if act.kind == "attach":
            found[act.detail["row"]] = act
        elif act.kind == "detach":
            found.pop(act.detail["row"], None)
    return found


def digest_of_body(body: bytes) -> str:
    """Return the sha256 of a message, in hexadecimal: what an act that attaches it names it by."""
    return hashlib.sha256(body).hexdigest()


def _processing_id(config: Config) -> str:
    return config.listener.processing_id if config.listener is not None else "P"
