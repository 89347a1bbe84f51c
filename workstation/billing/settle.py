"""Deciding an accession: what is on file becomes decisions, and decisions become messages, in one transaction.

What follows from a decision stands in `reconcile.py`. Deciding again is always harmless, and a crash anywhere is
repaired by deciding again.
"""

from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial

from pydicom.dataset import Dataset

from dicom_io.dates import day_of
from dicom_io.errors import NotFound, NotReadable
from dicom_io.evidence import Evidence, ImageReference
from dicom_io.files.series import read_dataset
from workstation.billing.belief import made_by_us, why_no_report
from workstation.billing.earlier_charges import earlier_charges, own_charges
from workstation.billing.gather_facts import decide_case, site_policy
from workstation.billing.human_decisions import overlaid
from workstation.billing.mpps import source_of, step_messages
from workstation.billing.reconcile import LIVE, ruling_of, step_of
from workstation.charge import Decision, Facts, decide
from workstation.charge.facts import PreviousCharge, Report
from workstation.charge.policy import Policy
from workstation.config import Config
from workstation.hl7.syntax import Hl7Error
from workstation.orders.merges import Merges, merges_of
from workstation.orders.on_file import Answered, CaseOnFile, Filed, case_on_file
from workstation.orders.patients import PatientIdentifier, authority_of
from workstation.orders.sr_reports import REPORT_CLASSES, read_report, report_in
from workstation.orders.stated import MessageRefused, Ordered, Reported, Stated
from workstation.orders.statements import statements_of
from workstation.peers.commitment import taken_over
from workstation.site import Site
from workstation.store.cases import CaseState, Overtaken, Received, Record, Ruling, Snapshot, counted
from workstation.store.journal import doubt, doubt_of_chain
from workstation.store.messages import Known, Message

# Two processes may decide an accession at once; each time one of them gets on.
_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class SettledCase:
    """What was decided for a case, and the messages that follow; queued : keys of those that were new.

    state : what the case is now. record : the SR that counts. file : what is on file for it.
    """

    record: Record
    decision: Decision
    state: CaseState
    file: CaseOnFile
    messages: tuple[Message, ...]
    queued: tuple[str, ...]

    @property
    def evidence(self) -> Evidence:
        """What the SR says."""
        return self.record.evidence


@dataclass(frozen=True, slots=True)
class AccessionOnFile:
    """An accession read and folded: what `settle_accession` decides on.

    known : its charges. patients : the records of its patients, under whichever accession; all_known : the charges of
    all of these, oldest first.
    """

    snapshot: Snapshot
    stated: tuple[Stated, ...]
    merges: Merges
    known: tuple[Known, ...]
    patients: tuple[Record, ...]
    all_known: tuple[Known, ...]


def settle_accession(
    accession: str,
    site: Site,
    cause: str,
    record: Record | None = None,
    messages: Sequence[Message] = (),
) -> list[SettledCase]:
    """Decide every case of an accession and queue what follows, durable when this returns.

    record : an SR that is not in the casebook yet; it is filed in the same transaction. messages : what else is to be
    queued with the decision, before any charge. cause : why, for the casebook, beside what was due.

    Raises OutboxError when a message is in the outbox with other content.
    """
    policy = site_policy(site.config, site.root)
    for _ in range(_ATTEMPTS):
        view = read(accession, site, record)
        settled, rulings = _plan(view, site, policy, cause)
        wanted = (*messages, *(message for each in settled for message in each.messages))
        try:
            queued = site.casebook.commit(view.snapshot, rulings, wanted, site.clock(), record)
        except Overtaken:
            continue
        done = []
        for each in settled:
            own = (*messages, *each.messages) if record and each.record.session == record.session else each.messages
            done.append(replace(each, messages=own, queued=tuple(m.key for m in own if m.key in queued)))
        if any(m.key in queued and m.concerns_money for each in settled for m in each.messages):
            touch_same_day(view, site)
        if len(done) > 1 and any(m.concerns_money for each in settled for m in each.messages):
            # What one session has charged or credited, another session of the accession has to know.
            settle_accession(accession, site, cause)
        return done
    raise Overtaken(f"Accession {accession} was decided by others {_ATTEMPTS} times over; try again.")


def settle_due(
    site: Site,
    tell: Callable[[SettledCase], None] = lambda settled: None,
    failed: Callable[[str, Exception], None] | None = None,
) -> int:
    """Decide every accession that is due. Returns how many were decided.

    failed : is told of an accession that cannot be decided, which stays due; without it the error passes through.
    """
    done = 0
    for accession in site.casebook.due():
        try:
            found = settle_accession(accession, site, "")
        except Exception as error:
            if failed is None:
                raise
            failed(accession, error)
            continue
        done += 1
        for settled in found:
            tell(settled)
    return done


def withdraw(site: Site, key: str, why: str) -> None:
    """Give up a message that waits for an operator, and decide its accession anew.

    Raises OutboxError when there is no such message, or it does not wait.
    """
    accession = site.outbox.entry(key).message.accession
    # Due first: whatever happens after the message is withdrawn, it is decided on.
    site.casebook.touch(accession, f"message {key[:12]} withdrawn: {why}")
    site.outbox.withdraw(key, site.clock(), why)
    touch_same_day(read(accession, site), site)
    settle_accession(accession, site, "")


def touch_same_day(view: AccessionOnFile, site: Site) -> None:
    """Have the patient's other accessions of the day decided again: charges and credits here bear on them."""
    accession = view.snapshot.accession
    days = {each.evidence.study_date for each in view.snapshot.records}
    others = {each.accession for each in view.patients if each.evidence.study_date in days} - {accession}
    for other in sorted(others):
        site.casebook.touch(other, f"charges of accession {accession}")


def read(accession: str, site: Site, record: Record | None = None) -> AccessionOnFile:
    """Read an accession with the messages, merges and charges that concern it."""
    snapshot = site.casebook.read(accession)
    if record is not None and all(each.sr_uid != record.sr_uid for each in snapshot.records):
        snapshot = replace(snapshot, records=(*snapshot.records, record))
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
    own = [
        each
        for each in stated(book.messages("accession", {accession}))
        if isinstance(each.statement, Ordered | Reported) and each.statement.accession == accession
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
        stated=(*own, *updates),
        merges=merges_of(once.values()),
        known=tuple(each for each in charges if each.charge.accession == accession),
        patients=linked,
        all_known=charges,
    )


def file_of(view: AccessionOnFile, record: Record, site: Site, policy: Policy) -> CaseOnFile:
    """What is on file for a case."""
    snapshot = view.snapshot
    newest = site.papers.newest(snapshot.accession)
    answered = [
        Answered(datetime.fromisoformat(act.detail["after"]), act.place, tuple(act.detail["facts"].items()))
        for act in snapshot.acts
        if act.kind == "answer" and act.session == record.session
    ]
    day = day_of(record.evidence.study_date)

    def is_procedure(code: str) -> bool:
        entry = policy.codes.lookup(code, day) if day else None
        return entry is not None and entry.code_class == "procedure_includes_3d"

    return case_on_file(
        _identifier(record, site),
        record.evidence.study_uid,
        view.stated,
        view.merges,
        [Filed(*newest)] if newest else [],
        answered,
        site.config.payers,
        is_procedure,
        site.config.reading.assigning_authority,
    )


def _identifier(record: Record, site: Site) -> PatientIdentifier:
    """The patient of a record, before merges."""
    evidence = record.evidence
    return PatientIdentifier(evidence.patient_id, authority_of(evidence.patient_id_issuer, "", site.config.reading))


@dataclass(frozen=True, slots=True)
class DecidedRecord:
    """What a case comes to. facts : None where the record lacks what they want. file : what is on file for it.

    rules : what the rules say. decision : the same with what people decided laid over it. own : the charges of its
    session.
    """

    rules: Decision
    decision: Decision
    facts: Facts | None
    file: CaseOnFile
    own: tuple[Known, ...]


def decide_record(
    record: Record,
    view: AccessionOnFile,
    site: Site,
    policy: Policy,
    *,
    fresh: Sequence[PreviousCharge] = (),
    gone: Container[str] = (),
) -> DecidedRecord:
    """Decide a case of an accession by what is on file and what people did.

    fresh : what other sessions of the accession are being charged now. gone : keys of charges that are being credited.
    """
    file = file_of(view, record, site, policy)

    def archived(image: ImageReference) -> bool:
        try:
            site.archive.instance(image.sop_instance_uid)
        except NotFound:
            return False
        return _taken_over(site, image.sop_instance_uid)

    doubted = doubt(record.evidence, site.journal, site.config.device) or _changed_by_hand(record, site)
    return _decided(record, view, site, policy, file, archived, doubted, fresh, gone)


def preview(record: Record, report: Report, site: Site) -> Decision:
    """Decide a record that is not kept yet as it would be decided if it were kept and the report filed now: by what is
    on file, earlier charges, what people did, and the journal. Nothing is written.

    Its pictures count as archived only where no destination has to say so first.
    """
    policy = site_policy(site.config, site.root)
    view = read(record.accession, site, record)
    file = file_of(view, record, site, policy)
    file = replace(file, papers=replace(file.papers, report=replace(report, patient_id=file.patient_id or None)))
    doubted = doubt_of_chain(site.journal, record.evidence.session_uid) or _changed_by_hand(record, site)
    decided = _decided(
        record, view, site, policy, file, lambda image: _taken_over(site, image.sop_instance_uid), doubted
    )
    return decided.decision


def _decided(
    record: Record,
    view: AccessionOnFile,
    site: Site,
    policy: Policy,
    file: CaseOnFile,
    archived: Callable[[ImageReference], bool],
    doubted: str,
    fresh: Sequence[PreviousCharge] = (),
    gone: Container[str] = (),
) -> DecidedRecord:
    own = own_charges(view.known, view.snapshot.records, record.session)
    previous = [
        replace(each, state="credited") if each.key in gone else each
        for each in earlier_charges(
            view.all_known,
            own,
            (*view.patients, *view.snapshot.records),
            record,
            lambda each: view.merges.patient(_identifier(each, site))[0],
        )
    ]
    # A session that is charged is not held by what is charged after it.
    later = any(known.state in LIVE for known in own)
    rules, facts = decide_case(
        record.evidence,
        file.papers,
        previous if later else [*previous, *fresh],
        archived,
        site.config,
        policy,
        file.patient_id,
        file.required,
        doubted,
        made_by_us(record.evidence, site),
        file.unread,
    )
    decision = overlaid(rules, facts, record.session, view.known, view.snapshot.acts)
    return DecidedRecord(rules, decision, facts, file, own)


def _changed_by_hand(record: Record, site: Site) -> str:
    """Whether somebody wrote into the database what people and this workstation did on the case."""
    return site.ledger.doubt({record.accession, record.evidence.session_uid} - {""})


def _taken_over(site: Site, uid: str) -> bool:
    return all(taken_over(site, destination, uid) for destination in site.config.destinations)


# The plan


def _plan(view: AccessionOnFile, site: Site, policy: Policy, cause: str) -> tuple[list[SettledCase], list[Ruling]]:
    settled: list[SettledCase] = []
    rulings: list[Ruling] = []
    records = view.snapshot.records
    fresh: list[PreviousCharge] = []
    gone: set[str] = set()
    for session, record in counted(records).items():
        decided = decide_record(record, view, site, policy, fresh=fresh, gone=gone)
        facts, file = decided.facts, decided.file
        acts = [act for act in view.snapshot.acts if act.session == session]
        header = cache(partial(read_dataset, str(site.root / record.path)))
        step = step_of(
            record,
            decided.decision,
            facts,
            file,
            decided.own,
            view.known,
            acts,
            view.snapshot.rulings.get(session),
            site.config,
            site.clock(),
            header,
        )
        fresh += step.charged
        gone |= step.credited
        told = step_messages(
            record,
            step.decision,
            step.state,
            site.config,
            lambda key: bool(site.outbox.find(key)),
            header,
            lambda header: _source(header, site),
        )
        settled.append(SettledCase(record, step.decision, step.state, file, (*told, *step.messages), ()))
        rules = decide(replace(facts, previous_charges=()), policy) if facts is not None else decided.rules
        ruling = ruling_of(view.snapshot, record, step, rules, facts, file, cause, site.clock())
        if ruling is not None:
            rulings.append(ruling)
    return settled, rulings


def _source(header: Dataset, site: Site) -> Dataset | None:
    with suppress(NotFound, NotReadable):
        return read_dataset(site.archive.instance(source_of(header)).path)
    return None


def _processing_id(config: Config) -> str:
    return config.listener.processing_id if config.listener is not None else "P"
