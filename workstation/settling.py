"""Deciding an accession: what is on file becomes decisions, and decisions become messages, in one transaction.

What ought to be out is compared with what is. Nothing out and something due: it is queued. The same: nothing happens.
Something else: what is out is a correction, which a coder makes, or the site's settings. So deciding again is always
harmless, and a crash anywhere is repaired by deciding again.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from pydicom.dataset import Dataset

from dicom_io.errors import NotFound
from dicom_io.evidence import Evidence, ImageReference
from dicom_io.series import read_dataset
from workstation.address import charge_messages
from workstation.billed import Billed, read_billed
from workstation.casebook import Act, CaseState, Overtaken, Received, Record, Ruling, Snapshot
from workstation.charge import Decision, Facts, Line, Reason, decide, decision_to_json, facts_to_json
from workstation.charge.facts import PreviousCharge
from workstation.charge.policy import Policy
from workstation.config import Config
from workstation.context import decide_case, site_policy
from workstation.fhir import FhirError
from workstation.fold import Answered, File, Filed, Merges, fold, merges_of
from workstation.hl7 import ChargeSubject, Hl7Error
from workstation.outbox import Known, Message
from workstation.overlay import overlaid
from workstation.recheck import DECIDED
from workstation.report_sr import REPORT_CLASSES, read_report
from workstation.site import Site
from workstation.statements import Ordered, Refused, Reported, Stated, statements_of

# Out, or on its way out.
_LIVE = ("queued", "sent", "acknowledged")
# These say that our own record or rules are wanting, not that the charge was wrong: no reason to take it back unasked.
_OURS = {"FACT_MISSING", "NOT_ARCHIVED", "PACK_NOT_EFFECTIVE", "MESSAGE_NOT_BUILT"}
# Two processes may decide an accession at once; each time one of them gets on.
_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class Settled:
    """What was decided for a case, and the messages that follow; queued : keys of those that were new.

    state : what the case is now. record : the SR that counts. file : what is on file for it.
    """

    record: Record
    decision: Decision
    state: CaseState
    file: File
    messages: tuple[Message, ...]
    queued: tuple[str, ...]

    @property
    def evidence(self) -> Evidence:
        """What the SR says."""
        return self.record.evidence


@dataclass(frozen=True, slots=True)
class View:
    """An accession read and folded: what `settle_accession` decides on."""

    snapshot: Snapshot
    stated: tuple[Stated, ...]
    merges: Merges
    known: tuple[Known, ...]


def settle_accession(
    accession: str,
    site: Site,
    cause: str,
    record: Record | None = None,
    messages: Sequence[Message] = (),
) -> list[Settled]:
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
        if len(done) > 1 and any(m.concerns_money for each in settled for m in each.messages):
            # What one session has charged or credited, another session of the accession has to know.
            settle_accession(accession, site, cause)
        return done
    raise Overtaken(f"Accession {accession} was decided by others {_ATTEMPTS} times over; try again.")


def settle_due(
    site: Site,
    tell: Callable[[Settled], None] = lambda settled: None,
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
    settle_accession(accession, site, "")


def read(accession: str, site: Site, record: Record | None = None) -> View:
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
            with suppress(Refused, Hl7Error):
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
    for sop_class in REPORT_CLASSES if accession else ():
        for instance in site.archive.instances_of(sop_class, accession):
            report = None if instance.sop_instance_uid in ours else read_report(instance, site.config.reading, zone)
            own += [report] if report is not None else []
    orders = [each.statement for each in own if isinstance(each.statement, Ordered)]
    papers = site.papers.get(accession)
    visits = {o.visit for o in orders if o.visit} | ({papers.visit_number} if papers.visit_number else set())
    updates = stated(book.messages("visit", visits))
    patients = {s.statement.patient_id for s in (*own, *updates) if isinstance(s.statement, Ordered | Reported)}
    patients |= {each.evidence.patient_id for each in snapshot.records}
    patients |= {papers.report.patient_id} if papers.report.patient_id else set()
    accounts = {o.account for o in orders if o.account} | {papers.account_number}
    accounts |= {getattr(each.statement, "account", "") for each in updates}
    merges = [*stated(book.merges("patient", patients)), *stated(book.merges("account", accounts))]
    # A message of several accessions or merges comes with all of them, and from both sides.
    once = {(each.digest, repr(each.statement)): each for each in merges}
    return View(snapshot, (*own, *updates), merges_of(once.values()), site.outbox.charges(accession))


def file_of(view: View, record: Record, site: Site, policy: Policy) -> File:
    """What is on file for a case."""
    snapshot = view.snapshot
    newest = site.papers.newest(snapshot.accession)
    answered = [
        Answered(datetime.fromisoformat(act.detail["after"]), act.place, tuple(act.detail["facts"].items()))
        for act in snapshot.acts
        if act.kind == "answer" and act.session == record.session
    ]
    day = _date(record.evidence.study_date)

    def is_procedure(code: str) -> bool:
        entry = policy.codes.lookup(code, day) if day else None
        return entry is not None and entry.code_class == "procedure_includes_3d"

    return fold(
        record.evidence.patient_id,
        record.evidence.study_uid,
        view.stated,
        view.merges,
        [Filed(*newest)] if newest else [],
        answered,
        site.config.payers,
        is_procedure,
    )


def counted(records: Sequence[Record]) -> dict[str, Record]:
    """Return the record that counts of each session, oldest session first: verified before not, then the newest."""
    found: dict[str, Record] = {}
    for record in records:
        best = found.get(record.session)
        if best is None or _weight(record) > _weight(best):
            found[record.session] = record
    return found


def _weight(record: Record) -> tuple[bool, datetime, str]:
    return record.evidence.verified, record.at, record.sr_uid


def decide_record(
    record: Record, view: View, site: Site, policy: Policy, previous: Sequence[PreviousCharge]
) -> tuple[Decision, Facts | None, File]:
    """The rules' decision for a case. previous : the charges of the accession that are not its own."""
    file = file_of(view, record, site, policy)

    def archived(image: ImageReference) -> bool:
        try:
            site.archive.instance(image.sop_instance_uid)
        except NotFound:
            return False
        return True

    decision, facts = decide_case(
        record.evidence, file.papers, previous, archived, site.config, policy, file.patient_id, file.required
    )
    return decision, facts, file


def own_charges(view: View, session: str, records: Sequence[Record]) -> tuple[tuple[Known, ...], tuple[Known, ...]]:
    """Return the charges of a session, and those of the accession that are not."""
    uids = {record.sr_uid for record in records if record.session == session}
    own = tuple(known for known in view.known if known.charge.sr_uid in uids)
    return own, tuple(known for known in view.known if known.charge.sr_uid not in uids)


def previous_of(others: Sequence[Known]) -> tuple[PreviousCharge, ...]:
    """Return charges as the facts have them."""
    return tuple(
        PreviousCharge(c.key, c.code, c.accession, c.base, known.state, c.sr_uid)
        for known in others
        for c in (known.charge,)
    )


# The plan


def _plan(view: View, site: Site, policy: Policy, cause: str) -> tuple[list[Settled], list[Ruling]]:
    settled: list[Settled] = []
    rulings: list[Ruling] = []
    records = view.snapshot.records
    fresh: list[PreviousCharge] = []
    gone: set[str] = set()
    for session, record in counted(records).items():
        own, others = own_charges(view, session, records)
        previous = [
            replace(charge, state="credited") if charge.key in gone else charge for charge in previous_of(others)
        ]
        decision, facts, file = decide_record(record, view, site, policy, [*previous, *fresh])
        final = overlaid(decision, facts, session, view.known, view.snapshot.acts)
        acts = [act for act in view.snapshot.acts if act.session == session]
        step = _step(record, final, facts, file, own, acts, view, site)
        fresh += step.charged
        gone |= step.credited
        settled.append(Settled(record, step.decision, step.state, file, step.messages, ()))
        rules = decide(replace(facts, previous_charges=()), policy) if facts is not None else decision
        ruling = _ruling(view.snapshot, record, step, rules, facts, file, cause, site.clock())
        if ruling is not None:
            rulings.append(ruling)
    return settled, rulings


@dataclass(frozen=True, slots=True)
class _Step:
    decision: Decision
    state: CaseState
    messages: tuple[Message, ...]
    charged: tuple[PreviousCharge, ...]
    credited: frozenset[str]
    stale: tuple[str, ...]


def _step(
    record: Record,
    decision: Decision,
    facts: Facts | None,
    file: File,
    own: Sequence[Known],
    acts: Sequence[Act],
    view: View,
    site: Site,
) -> _Step:
    live = [known for known in own if known.state in _LIVE]
    try:
        wanted = _billed(record, decision.lines, file, view.known, site.config)
        stale, missing = _difference(wanted, live)
        credit = _creditable(stale, decision, facts, file, acts, view, record, site.config)
        messages = _credits(credit, record, site)
        left = [known for known in stale if known not in credit]
        if not left and missing:
            missing = _with_demographics(missing, record, file, site)
            messages += charge_messages(missing, record.sr_uid, _signed_at(record.evidence), site.config)
    except (Hl7Error, FhirError) as error:
        held = _not_built(decision, str(error))
        state: CaseState = "correction" if live else "held"
        return _Step(held, state, (), (), frozenset(), ())
    charged = missing if not left else []
    previous = tuple(
        PreviousCharge(each.key, each.line.code, each.subject.accession, each.line.base, "queued", record.sr_uid)
        for each in charged
    )
    if left:
        state = "correction"
    elif decision.disposition == "release":
        state = "charged"
    else:
        state = "held" if decision.disposition == "hold" else "denied"
    return _Step(
        decision,
        state,
        messages,
        previous,
        frozenset(known.charge.key for known in credit),
        tuple(known.charge.key for known in left),
    )


def _difference(wanted: Sequence[Billed], live: Sequence[Known]) -> tuple[list[Known], list[Billed]]:
    """What is out and ought not to be, and what ought to be and is not."""
    missing = list(wanted)
    stale = []
    for known in live:
        # A charge of an earlier version of this program does not say what it billed. It is believed by code and base.
        essence = read_billed(known.charge.billed).essence if known.charge.billed else None
        match = next(
            (
                each
                for each in missing
                if each.essence == essence
                or (essence is None and (each.line.code, each.line.base) == (known.charge.code, known.charge.base))
            ),
            None,
        )
        if match is None:
            stale.append(known)
        else:
            missing.remove(match)
    return stale, missing


def _creditable(
    stale: Sequence[Known],
    decision: Decision,
    facts: Facts | None,
    file: File,
    acts: Sequence[Act],
    view: View,
    record: Record,
    config: Config,
) -> list[Known]:
    """Those that a coder has said to take back; all, where the site has it done without one and the facts changed."""
    said = {key for act in acts if act.kind in ("credit", "correct") for key in act.detail["keys"]}
    last = view.snapshot.rulings.get(record.session)
    if (
        config.corrections == "automatic"
        and last is not None
        and facts is not None
        and not {reason.code for reason in decision.reasons} & _OURS
        # A new edition or setting is no change of a fact: whether it reaches back to what is out is for a coder.
        and _told(last.facts, last.content["account"]) != _told(json.dumps(_plain(facts)), file.papers.account_number)
    ):
        return list(stale)
    return [known for known in stale if known.charge.key in said]


def _told(facts: str, account: str) -> tuple[dict[str, Any], str]:
    """What the owners of the facts have told, without what the site's settings say."""
    found = json.loads(facts)
    payer = found.get("payer", {})
    return {
        **{key: value for key, value in found.items() if key != "setting"},
        "payer": [payer.get("id"), payer.get("prior_authorization")],
    }, account


def _credits(credit: Sequence[Known], record: Record, site: Site) -> tuple[Message, ...]:
    groups: dict[tuple[ChargeSubject, int], list[Known]] = {}
    for known in credit:
        if not known.charge.billed:
            raise Hl7Error(
                f"Charge {known.charge.key} does not say what it billed; credit it by hand at billing and withdraw it."
            )
        billed = read_billed(known.charge.billed)
        groups.setdefault((billed.subject, billed.occurrence), []).append(known)
    messages: tuple[Message, ...] = ()
    for group in groups.values():
        billed_lines = [read_billed(known.charge.billed) for known in group]
        messages += charge_messages(billed_lines, record.sr_uid, site.clock(), site.config, credit=True)
    return messages


def _not_built(decision: Decision, why: str) -> Decision:
    reason = Reason("MESSAGE_NOT_BUILT", why, "message", "technologist", "hold")
    return replace(
        decision,
        disposition="hold",
        lines=(),
        proposed=decision.lines or decision.proposed,
        reasons=(*decision.reasons, reason),
    )


def _ruling(
    snapshot: Snapshot,
    record: Record,
    step: _Step,
    rules: Decision,
    facts: Facts | None,
    file: File,
    cause: str,
    now: datetime,
) -> Ruling | None:
    """The ruling to write down; None where nothing has changed since the last one.

    rules : what the rules alone say of the case by itself, for `recheck.py`.
    """
    last = snapshot.rulings.get(record.session)
    plain = _plain(facts) if facts is not None else {}
    account = file.papers.account_number
    changed = changes(json.loads(last.facts), plain) if last is not None else []
    if last is not None and last.content["account"] != account:
        changed.append(f"account: {last.content['account'] or '(none)'} → {account or '(none)'}")
    content: dict[str, Any] = {
        **decision_to_json(step.decision),
        "rules": {key: decision_to_json(rules)[key] for key in DECIDED},
        "queued": [message.key for message in step.messages],
        "changed": changed,
        "stale": list(step.stale),
        "strangers": list(file.strangers),
        "physician": record.evidence.supervisor.id if record.evidence.supervisor else "",
        "techniques": sorted({product.technique for product in record.evidence.products}),
        "payer": file.papers.payer.id,
        "modality": record.evidence.modality,
        "account": account,
    }
    same = last is not None and last.state == step.state and _core(last.content) == _core(content)
    if last is not None and same and last.sr_uid == record.sr_uid and not step.messages and not changed:
        return None
    return Ruling(
        accession=snapshot.accession,
        session=record.session,
        sr_uid=record.sr_uid,
        at=now,
        since=last.since if same and last is not None else now,
        state=step.state,
        cause="; ".join(filter(None, (cause, *snapshot.causes))) or "first decision",
        content=content,
        facts=json.dumps(plain, sort_keys=True),
    )


def _core(content: dict[str, Any]) -> tuple[Any, ...]:
    keys = ("disposition", "reasons", "lines", "proposed", "edition", "stale")
    return tuple(json.dumps(content.get(key), sort_keys=True) for key in keys)


def _plain(facts: Facts) -> dict[str, Any]:
    # Charges change with what we send, which is no change of what we were told.
    return {key: value for key, value in facts_to_json(facts).items() if key != "previous_charges"}


def changes(before: Any, after: Any, path: str = "") -> list[str]:
    """Return what differs between two facts objects, one line a fact: `report.status: preliminary → final`."""
    if isinstance(before, dict) and isinstance(after, dict):
        found: list[str] = []
        for key in sorted({*before, *after}):
            found += changes(before.get(key), after.get(key), f"{path}.{key}" if path else key)
        return found
    return [] if before == after else [f"{path}: {_short(before)} → {_short(after)}"]


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# What is billed


def _billed(record: Record, lines: Sequence[Line], file: File, known: Sequence[Known], config: Config) -> list[Billed]:
    """What the lines bill; still without the patient's name, which stands in the SR alone."""
    if not lines:
        return []
    # Another time is another charge with another key, so that it leaves at all.
    occurrence = 1 + max(_times(line, known) for line in lines)
    subject = _subject(record, file, config)
    return [Billed(line, subject, occurrence) for line in lines]


def _times(line: Line, known: Sequence[Known]) -> int:
    """How often this line was charged before, in whichever session of the accession."""
    return sum(each.charge.code == line.code and each.charge.base == line.base for each in known)


def _with_demographics(billed: Sequence[Billed], record: Record, file: File, site: Site) -> list[Billed]:
    name, birth_date, sex = _demographics(file, read_dataset(str(site.root / record.path)))
    known = sex if sex in ("M", "F", "O") else "U"
    return [
        replace(
            each,
            subject=replace(each.subject, patient_name=name, birth_date=birth_date, sex=known),  # type: ignore[arg-type]
        )
        for each in billed
    ]


def _signed_at(evidence: Evidence) -> datetime:
    assert evidence.attestation is not None, "nothing is released without a signature"
    return evidence.attestation.at


def _subject(record: Record, file: File, config: Config) -> ChargeSubject:
    evidence, papers = record.evidence, file.papers
    physician = evidence.supervisor.id if evidence.supervisor else ""
    return ChargeSubject(
        patient_id=file.patient_id,
        patient_name="",
        birth_date=None,
        sex="U",
        account_number=papers.account_number,
        visit_number=papers.visit_number,
        accession=evidence.accession,
        study_instance_uid=evidence.study_uid,
        ordering_physician_id=papers.ordering_physician_id,
        performing_physician_id=physician,
        attending_physician_id=physician,
        date_of_service=_date(evidence.study_date) or _signed_at(evidence).date(),
        diagnoses=papers.diagnoses,
        sending_application=config.ae_title,
        sending_facility=config.institution_code,
        receiving_application="",
        receiving_facility="",
        department=config.department,
        location=config.location,
        place_of_service=config.place_of_service,
    )


def _demographics(file: File, source: Dataset) -> tuple[str, date | None, str]:
    merged = file.demographics
    if merged is not None:
        # XPN is family^given^middle^suffix^prefix, DICOM's PN has the last two the other way round.
        family, given, middle, suffix, prefix = (*merged.name.split("^"), "", "", "", "", "")[:5]
        name = "^".join((family.split("&")[0], given, middle, prefix, suffix)).rstrip("^")
        return name, _date(merged.birth_date[:8]), merged.sex
    return (
        str(source.get("PatientName") or ""),
        _date(str(source.get("PatientBirthDate") or "")),
        str(source.get("PatientSex") or "U"),
    )


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None


def _processing_id(config: Config) -> str:
    return config.listener.processing_id if config.listener is not None else "P"
