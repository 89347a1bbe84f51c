"""Deciding an accession: what is on file becomes decisions, and decisions become messages, in one transaction.

What follows from a decision stands in `reconcile.py`. Deciding again is always harmless, and a crash anywhere is
repaired by deciding again.
"""

from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial

from pydicom.dataset import Dataset

from dicom_io.errors import NotFound, NotReadable
from dicom_io.evidence import Evidence, ImageReference
from dicom_io.files.series import read_dataset
from workstation.billing.accession import AccessionOnFile, as_on_its_day, file_of, identifier_of, read
from workstation.billing.belief import made_by_us
from workstation.billing.earlier_charges import earlier_charges, own_charges
from workstation.billing.gather_facts import decide_case, site_policy
from workstation.billing.human_decisions import overlaid
from workstation.billing.mpps import source_of, step_messages
from workstation.billing.reconcile import LIVE, ruling_of, step_of
from workstation.charge import Decision, Facts, decide
from workstation.charge.facts import PreviousCharge, Report
from workstation.charge.policy import Policy
from workstation.orders.on_file import CaseOnFile
from workstation.peers.commitment import taken_over
from workstation.site import Site
from workstation.store.cases import CaseState, Overtaken, Record, Ruling, counted
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
    for _ in range(_ATTEMPTS):
        view = read(accession, site, record)
        settled, rulings = _plan(view, site, cause)
        wanted = (*messages, *(message for each in settled for message in each.messages))
        try:
            queued = site.casebook.commit(view.snapshot, rulings, wanted, site.clock(), record, view.beside)
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


@dataclass(frozen=True, slots=True)
class DecidedRecord:
    """What a case comes to. facts : None where the record lacks what they want. file : what is on file for it.

    policy : by which it was decided. rules : what the rules say. decision : the same with what people decided laid over
    it. own : the charges of its session.
    """

    policy: Policy
    rules: Decision
    decision: Decision
    facts: Facts | None
    file: CaseOnFile
    own: tuple[Known, ...]


def decide_record(
    record: Record,
    view: AccessionOnFile,
    site: Site,
    *,
    fresh: Sequence[PreviousCharge] = (),
    gone: Container[str] = (),
) -> DecidedRecord:
    """Decide a case of an accession by what is on file, what people did, and the settings for its date of service.

    fresh : what other sessions of the accession are being charged now. gone : keys of charges that are being credited.
    """
    view, site = as_on_its_day(view, record, site), site.on(record.date_of_service)
    policy = site_policy(site.config, site.root)
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
    view = as_on_its_day(read(record.accession, site, record), record, site)
    site = site.on(record.date_of_service)
    policy = site_policy(site.config, site.root)
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
            lambda each: view.merges.patient(identifier_of(each, site))[0],
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
    return DecidedRecord(policy, rules, decision, facts, file, own)


def _changed_by_hand(record: Record, site: Site) -> str:
    """Whether somebody wrote into the database what people and this workstation did on the case."""
    return site.ledger.doubt({record.accession, record.evidence.session_uid} - {""})


def _taken_over(site: Site, uid: str) -> bool:
    return all(taken_over(site, destination, uid) for destination in site.config.destinations)


# The plan


def _plan(view: AccessionOnFile, site: Site, cause: str) -> tuple[list[SettledCase], list[Ruling]]:
    settled: list[SettledCase] = []
    rulings: list[Ruling] = []
    records = view.snapshot.records
    fresh: list[PreviousCharge] = []
    gone: set[str] = set()
    for session, record in counted(records).items():
        decided = decide_record(record, view, site, fresh=fresh, gone=gone)
        facts, file = decided.facts, decided.file
        acts = [act for act in view.snapshot.acts if act.session == session]
        header = cache(partial(read_dataset, str(site.archive.root / record.path)))
        step = step_of(
            record,
            decided.decision,
            facts,
            file,
            decided.own,
            view.known,
            acts,
            view.snapshot.rulings.get(session),
            site.config.on(record.date_of_service),
            site.clock(),
            header,
            site.people.npi,
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
        rules = decide(replace(facts, previous_charges=()), decided.policy) if facts is not None else decided.rules
        ruling = ruling_of(view.snapshot, record, step, rules, facts, file, cause, site.clock())
        if ruling is not None:
            rulings.append(ruling)
    return settled, rulings


def _source(header: Dataset, site: Site) -> Dataset | None:
    with suppress(NotFound, NotReadable):
        return read_dataset(site.archive.instance(source_of(header)).path)
    return None
