"""Who a message is of: patient identifiers with their assigning authority, within which alone they are unique.

Source: HL7 v2.5.1 2.A.14 (CX), 2.A.36 (HD), table 0203; PS3.3 C.7.1.1 (Issuer of Patient ID).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.dataset import Dataset

from dicom_io.objects.inherit import issuer_of_patient_id
from workstation.hl7.reader import Segment
from workstation.reading import Reading

# HL7 table 0203: what identifies a person at an organisation, rather than an account, a visit or a document.
_OF_PERSONS = ("", "MR", "MRT", "PI", "PT", "PN", "U")


@dataclass(frozen=True, slots=True)
class PatientIdentifier:
    """A number with its assigning authority; an empty authority is not known, and then the number alone compares."""

    number: str
    authority: str = ""

    @property
    def text(self) -> str:
        """As a CX, for people."""
        return f"{self.number}^^^{self.authority}" if self.authority else self.number

    def same(self, other: "PatientIdentifier") -> bool:
        """Whether both are of one patient."""
        known = self.authority and other.authority
        return self.number == other.number and (not known or self.authority == other.authority)


def identifiers_in(segment: Segment | None, field: int, reading: Reading) -> tuple[PatientIdentifier, ...]:
    """Return the patient identifiers of all repetitions of a CX field, medical record numbers (MR) first."""
    if segment is None:
        return ()
    found: list[tuple[str, PatientIdentifier]] = []
    for each in segment.repetitions(field):
        number = segment.text(field, 1, of=each)
        namespace, universal = (segment.text(field, 4, of=each, subcomponent=place) for place in (1, 2))
        if number:
            identifier = PatientIdentifier(number, authority_of(namespace, universal, reading))
            found.append((segment.text(field, 5, of=each), identifier))
    # A message that has no number of a person by its types is taken by its word for the first field.
    persons = [each for each in found if each[0] in _OF_PERSONS] or found
    return tuple(dict.fromkeys(identifier for _, identifier in sorted(persons, key=lambda each: each[0] != "MR")))


def authority_of(namespace: str, universal: str, reading: Reading) -> str:
    """Return the one name of an assigning authority: the site's for an alias, the site's own where none is named."""
    named = next((each for each in (namespace, universal) if each in reading.authority_aliases), "")
    return reading.authority_aliases.get(named, namespace or universal or reading.assigning_authority)


def identifier_of_object(ds: Dataset, reading: Reading) -> PatientIdentifier:
    """Return the patient of a DICOM object: Patient ID with its issuer."""
    authority = authority_of(issuer_of_patient_id(ds), "", reading)
    return PatientIdentifier(str(ds.get("PatientID") or ""), authority)


def survivor_of(prior: PatientIdentifier, survivors: Iterable[PatientIdentifier]) -> PatientIdentifier | None:
    """Return what a prior identifier becomes: the survivor's of the same authority, else the survivor's first."""
    known = tuple(survivors)
    return next((each for each in known if each.authority == prior.authority), next(iter(known), None))
