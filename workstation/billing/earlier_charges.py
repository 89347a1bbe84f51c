"""What was charged for a patient before, under whichever accession, as the charge facts have it: pure."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date

from dicom_io.dates import day_of
from workstation.billing.charged_line import read_billed
from workstation.billing.reconcile import LIVE, regions_of
from workstation.charge.facts import PreviousCharge
from workstation.orders.patients import PatientIdentifier
from workstation.store.cases import Record
from workstation.store.messages import Known


def own_charges(known: Iterable[Known], records: Iterable[Record], session: str) -> tuple[Known, ...]:
    """Return the charges of a session."""
    uids = {record.sr_uid for record in records if record.session == session}
    return tuple(each for each in known if each.charge.sr_uid in uids)


def earlier_charges(
    known: Sequence[Known],
    own: Sequence[Known],
    records: Iterable[Record],
    record: Record,
    patient_of: Callable[[Record], PatientIdentifier],
) -> tuple[PreviousCharge, ...]:
    """Return the earlier charges of a case.

    known : charges, oldest first, among them all of its accession and its patient. own : those of its session; while
    one is out, what was charged after the first of them is no earlier charge. records : those that charges rest on.
    patient_of : whose record it is after merges.
    """
    by_uid = {each.sr_uid: each for each in records}
    found: list[PreviousCharge] = []
    for each in known:
        if each in own:
            if any(mine.state in LIVE for mine in own):
                break
            continue
        charged = by_uid.get(each.charge.sr_uid)
        theirs = charged is not None and patient_of(charged).same(patient_of(record))
        if each.charge.accession == record.accession or theirs:
            found.append(_as_fact(each, charged, record))
    return tuple(found)


def _as_fact(known: Known, charged: Record | None, record: Record) -> PreviousCharge:
    """A charge as the facts have it. What no record tells is taken for the worst: the same day, regions unknown."""
    day = read_billed(known.charge.billed).subject.date_of_service if known.charge.billed else None
    day = day or day_of((charged or record).evidence.study_date)
    charge = known.charge
    return PreviousCharge(
        key=charge.key,
        code=charge.code,
        accession=charge.accession,
        base=charge.base,
        state=known.state,
        sr_uid=charge.sr_uid,
        date_of_service=day or date.min,
        regions=regions_of(charged) if charged is not None else (),
    )
