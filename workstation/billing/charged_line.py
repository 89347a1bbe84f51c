"""What a charge says to billing, kept word for word with the charge: so it can be compared, and taken back, later."""

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

from workstation.billing.dft import ChargeSubject, SiteCodes, charge_key
from workstation.charge import Line
from workstation.strict import adapter


@dataclass(frozen=True, slots=True)
class Billed:
    """One charge line, whose it is, and which time it is charged (see `hl7.charge_key`).

    The subject's receiving side is empty: it is filled in for each destination. codes : the site's own for the line.
    """

    line: Line
    subject: ChargeSubject
    occurrence: int
    codes: SiteCodes = field(default=SiteCodes())

    @property
    def key(self) -> str:
        """FT1-2."""
        return charge_key(self.line, self.subject, self.occurrence)

    @property
    def essence(self) -> tuple[Any, ...]:
        """What a biller and a payer see. Where this differs, a charge that is out is no longer the right one.

        The names of patient and physicians are not in it: a charge is not taken back for a corrected spelling. Nor is
        what only travels with it, such as the visit's location or the site's codes.
        """
        subject = self.subject
        return (
            *(self.line.code, self.line.modifiers, self.line.units, self.line.base, self.line.entity),
            *(subject.patient_id, subject.account_number, subject.accession, subject.date_of_service),
            subject.diagnoses,
        )

    def to_text(self) -> str:
        """Return it as canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True, default=date.isoformat)


def read_billed(text: str) -> Billed:
    """Read what `to_text` wrote."""
    return adapter(Billed).validate_json(text)


def for_receiver(subject: ChargeSubject, application: str, facility: str, issuer: str) -> ChargeSubject:
    """Return the subject as one receiver is told of it."""
    return replace(subject, receiving_application=application, receiving_facility=facility, patient_id_issuer=issuer)
