"""How many units of a code are out for a patient on a day, which is what CMS's unit edits (MUE) speak of."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from workstation.billing.charged_line import read_billed
from workstation.billing.reconcile import LIVE
from workstation.site import Site
from workstation.store.messages import Known


@dataclass(frozen=True, slots=True)
class UnitsOf:
    """What an MUE limits: units of one code, for one patient on one day, of one part (professional, technical …)."""

    patient_id: str
    day: date
    code: str
    entity: str


def units_out(site: Site) -> Mapping[UnitsOf, list[tuple[Known, int]]]:
    """Return the charges that are out with their units, the oldest first."""
    found: dict[UnitsOf, list[tuple[Known, int]]] = defaultdict(list)
    for known in sorted(site.outbox.charges(), key=lambda known: (known.queued_at, known.charge.key)):
        if known.state in LIVE and known.charge.billed:
            billed = read_billed(known.charge.billed)
            line, subject = billed.line, billed.subject
            of = UnitsOf(subject.patient_id, subject.date_of_service, line.code, line.entity)
            found[of].append((known, line.units))
    return found
