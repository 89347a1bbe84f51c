"""What is out at billing against what ought to be: pure.

Nothing out and something due: it is charged. The same: nothing happens. Something else: what is out is a correction,
which a coder makes, or the site's settings. So asking again is always harmless.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, cast

from pydicom.dataset import Dataset

from dicom_io.dates import day_of
from dicom_io.errors import NotReadable
from dicom_io.evidence import Evidence
from workstation.billing.address import charge_messages
from workstation.billing.charged_line import Billed, read_billed
from workstation.billing.dft import ChargeSubject, SiteCodes
from workstation.billing.fhir import FhirError
from workstation.billing.human_decisions import held
from workstation.charge import (
    Decision,
    Facts,
    Line,
    decision_to_json,
    facts_to_json,
)
from workstation.charge.facts import PreviousCharge, Region, as_first_edition
from workstation.charge.reasons import hold
from workstation.config import Config
from workstation.hl7.names import Physician, pn_of_xpn
from workstation.hl7.syntax import Hl7Error
from workstation.orders.on_file import CaseOnFile
from workstation.store.cases import CaseAct, CaseState, Record, Ruling, Snapshot
from workstation.store.messages import Known, Message
from workstation.store.papers import NOTHING

# Out, or on its way out.
LIVE = ("queued", "sent", "acknowledged")
# What makes two decisions the same one. By which edition it was decided is recorded with it, and changes nothing.
DECIDED = ("disposition", "reasons", "lines", "proposed")


@dataclass(frozen=True, slots=True)
class ChargeStep:
    """What follows from a decision: messages to queue, and what is charged and credited by them.

    decision : as it was given, or a hold where its message cannot be built. stale : keys of charges that are out, ought
    not to be, and wait for a coder.
    """

    decision: Decision
    state: CaseState
    messages: tuple[Message, ...]
    charged: tuple[PreviousCharge, ...]
    credited: frozenset[str]
    stale: tuple[str, ...]


def step_of(
    record: Record,
    decision: Decision,
    facts: Facts | None,
    file: CaseOnFile,
    own: Sequence[Known],
    known: Sequence[Known],
    acts: Sequence[CaseAct],
    last: Ruling | None,
    config: Config,
    now: datetime,
    header: Callable[[], Dataset],
    npi_of: Callable[[str], str] = lambda identity: "",
) -> ChargeStep:
    """Return what a decision on a case makes happen.

    own, known : the charges of the case, and of the whole accession. acts : what people did to the case. last : its
    newest ruling. header : the SR's data set, read only where a charge is built, for the patient's name. npi_of : of
    somebody in the register.
    """
    live = [each for each in own if each.state in LIVE]
    try:
        wanted = billed_of(record, decision.lines, file, known, config)
        stale, missing = _difference(wanted, live)
        credit = _creditable(stale, decision, facts, file, acts, last, config)
        messages = _credits(credit, record, config, now)
        left = [each for each in stale if each not in credit]
        # What the payer turned down still stands as a debit. It is taken back before it is charged anew, and where a
        # coder writes it off.
        standing = [each for each in own if each.stands_at_billing]
        written_off = {key for act in acts if act.kind == "credit" for key in act.detail["keys"]}
        again = bool(not left and missing)
        turned_down = [each for each in standing if again or each.charge.key in written_off]
        messages += _credits(turned_down, record, config, now)
        credit = [*credit, *turned_down]
        if not left and missing:
            missing = _with_demographics(missing, file, header(), npi_of)
            # Made now, as a credit is: a replacement is never older than what it replaces.
            messages += charge_messages(missing, record.sr_uid, now, config)
    except (Hl7Error, FhirError, NotReadable) as error:
        state: CaseState = "correction" if live else "held"
        return ChargeStep(_not_built(decision, str(error)), state, (), (), frozenset(), ())
    charged = missing if not left else []
    previous = tuple(
        PreviousCharge(
            key=each.key,
            code=each.line.code,
            accession=each.subject.accession,
            base=each.line.base,
            state="queued",
            sr_uid=record.sr_uid,
            date_of_service=each.subject.date_of_service,
            regions=regions_of(record),
        )
        for each in charged
    )
    if left:
        state = "correction"
    elif decision.disposition == "release":
        state = "charged"
    else:
        state = "held" if decision.disposition == "hold" else "denied"
    return ChargeStep(
        decision,
        state,
        messages,
        previous,
        frozenset(each.charge.key for each in credit),
        tuple(each.charge.key for each in left),
    )


def regions_of(record: Record) -> tuple[Region, ...]:
    """Return the regions that a record's charges are for."""
    return cast(tuple[Region, ...], tuple(dict.fromkeys(product.region for product in record.evidence.products)))


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
    file: CaseOnFile,
    acts: Sequence[CaseAct],
    last: Ruling | None,
    config: Config,
) -> list[Known]:
    """Those that a coder has said to take back; all, where the site has it done without one and the facts changed."""
    said = {key for act in acts if act.kind in ("credit", "correct") for key in act.detail["keys"]}
    if (
        config.corrections == "automatic"
        and last is not None
        and facts is not None
        and not any(reason.kind.ours for reason in decision.reasons)
        # A new edition or setting is no change of a fact: whether it reaches back to what is out is for a coder.
        and _told(json.loads(last.facts), last.content["account"])
        != _told(_comparable(facts, last), file.papers.account_number)
    ):
        return list(stale)
    return [known for known in stale if known.charge.key in said]


def _told(found: dict[str, Any], account: str) -> tuple[dict[str, Any], str]:
    """What the owners of the facts have told, without what the site's settings say."""
    payer = found.get("payer", {})
    return {
        **{key: value for key, value in found.items() if key != "setting"},
        "payer": [payer.get("id"), payer.get("prior_authorization")],
    }, account


def _credits(credit: Sequence[Known], record: Record, config: Config, now: datetime) -> tuple[Message, ...]:
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
        messages += charge_messages(billed_lines, record.sr_uid, now, config, credit=True)
    return messages


def _not_built(decision: Decision, why: str) -> Decision:
    return held(decision, hold("MESSAGE_NOT_BUILT", why, "message"))


def ruling_of(
    snapshot: Snapshot,
    record: Record,
    step: ChargeStep,
    rules: Decision,
    facts: Facts | None,
    file: CaseOnFile,
    cause: str,
    now: datetime,
) -> Ruling | None:
    """The ruling to write down; None where nothing has changed since the last one.

    rules : what the rules alone say of the case by itself, for `recheck.py`.
    """
    last = snapshot.rulings.get(record.session)
    plain = _plain(facts) if facts is not None else {}
    account = file.papers.account_number
    changed = changes(json.loads(last.facts), _comparable(facts, last)) if last is not None else []
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
        "contract": facts.contract if facts is not None else 2,
    }
    same = last is not None and last.state == step.state and _core(last.content) == _core(content)
    # A message of another patient changes nothing but the list of those, which people look at.
    listed = last is not None and last.content["strangers"] == content["strangers"]
    if last is not None and same and listed and last.sr_uid == record.sr_uid and not step.messages and not changed:
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


def _comparable(facts: Facts | None, last: Ruling) -> dict[str, Any]:
    """The facts with the keys that the last ruling's have: what a new edition asks for is no change of a fact."""
    plain = _plain(facts) if facts is not None else {}
    return plain if last.contract == 2 else as_first_edition(plain)


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


def billed_of(
    record: Record, lines: Sequence[Line], file: CaseOnFile, known: Sequence[Known], config: Config
) -> list[Billed]:
    """Return what the lines bill; still without the patient's name, which stands in the SR alone."""
    if not lines:
        return []
    # Another time is another charge with another key, so that it leaves at all.
    occurrence = 1 + max(_times(line, known) for line in lines)
    subject = _subject(record, file, config)
    return [Billed(line, subject, occurrence, _site_codes(line, config)) for line in lines]


def _site_codes(line: Line, config: Config) -> SiteCodes:
    def of(table: Mapping[Any, Mapping[str, str]]) -> str:
        return table.get(line.entity, {}).get(line.code, "")

    return SiteCodes(of(config.local_codes), of(config.revenue_codes))


def _times(line: Line, known: Sequence[Known]) -> int:
    """How often this line was charged before, in whichever session of the accession."""
    return sum(each.charge.code == line.code and each.charge.base == line.base for each in known)


def _with_demographics(
    billed: Sequence[Billed], file: CaseOnFile, header: Dataset, npi_of: Callable[[str], str]
) -> list[Billed]:
    name, birth_date, sex = _demographics(file, header)
    known: Any = sex if sex in ("M", "F", "O") else "U"
    performing = billed[0].subject.performing
    performing = replace(performing, npi=npi_of(performing.id)) if performing.id else performing
    return [
        replace(
            each,
            subject=replace(each.subject, patient_name=name, birth_date=birth_date, sex=known, performing=performing),
        )
        for each in billed
    ]


def _signed_at(evidence: Evidence) -> datetime:
    assert evidence.attestation is not None, "nothing is released without a signature"
    return evidence.attestation.at


def _subject(record: Record, file: CaseOnFile, config: Config) -> ChargeSubject:
    evidence, papers, visit = record.evidence, file.papers, file.visit
    supervisor = evidence.supervisor
    physician = Physician(supervisor.id, supervisor.name) if supervisor else Physician()
    attending = visit.attending or Physician()
    ordering = Physician(papers.ordering_physician_id)
    if visit.ordering is not None and visit.ordering.id == ordering.id:
        ordering = visit.ordering
    payer = papers.payer if papers.payer != NOTHING.payer else None
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
        performing_physician_id=physician.id,
        attending_physician_id=attending.id,
        date_of_service=day_of(evidence.study_date) or _signed_at(evidence).date(),
        diagnoses=papers.diagnoses,
        sending_application=config.ae_title,
        sending_facility=config.institution_code,
        receiving_application="",
        receiving_facility="",
        department=config.department,
        location=config.location,
        place_of_service=config.place_of_service,
        patient_class=visit.patient_class or "O",
        location_type=config.location_type,
        visit_location=visit.location,
        ordering=ordering,
        performing=physician,
        attending=attending,
        payer=payer.id if payer else "",
        plan=visit.plan,
        payer_name=visit.company if payer else "",
        prior_authorization=(payer.prior_authorization or "") if payer else "",
        regions=regions_of(record),
    )


def _demographics(file: CaseOnFile, source: Dataset) -> tuple[str, date | None, str]:
    merged = file.demographics
    if merged is not None:
        return pn_of_xpn(merged.name), day_of(merged.birth_date[:8]), merged.sex
    return (
        str(source.get("PatientName") or ""),
        day_of(str(source.get("PatientBirthDate") or "")),
        str(source.get("PatientSex") or "U"),
    )
