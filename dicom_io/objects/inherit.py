"""Copies attributes from a source instance into our objects: valid values unchanged, invalid ones not at all.

Scanners send attributes that break the standard's rules every day. Copied, they would make our own object invalid, and
a strict archive would refuse it for the scanner's mistake. Attributes that identify patient and study never change.
"""

from typing import Any

from pydicom import config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.valuerep import validate_value

# Copied as they are. Sources: PS3.3 C.7.1.1 (Patient), C.7.2.1 (General Study), C.7.2.2 (Patient Study).
PATIENT_AND_STUDY = (
    "PatientName PatientID IssuerOfPatientID IssuerOfPatientIDQualifiersSequence PatientBirthDate PatientBirthTime "
    "PatientSex OtherPatientIDsSequence "
    "EthnicGroup PatientComments PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence "
    "StudyInstanceUID StudyDate StudyTime ReferringPhysicianName StudyID AccessionNumber "
    "IssuerOfAccessionNumberSequence StudyDescription ProcedureCodeSequence ReferencedStudySequence "
    "PhysiciansOfRecord PatientAge PatientSize PatientWeight LongitudinalTemporalInformationModified"
).split()
# Type 2 attributes of those modules, present even when the source left them out.
_TYPE_2 = (
    "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime ReferringPhysicianName StudyID "
    "AccessionNumber"
).split()
# Value representations that are checked. Texts and UIDs are not: a name that is too long is still the patient's name.
_CHECKED_VR = frozenset("AS CS DA DS IS TM".split())
# Enumerated values: PS3.3 C.7.1.1 (Patient's Sex), C.12.1.1.3, C.7.3.1 (Laterality), C.7.1.3 (Identity Removed),
# C.7.6.1 (Recognizable Visual Features).
_ENUMERATED = {
    "PatientSex": ("M", "F", "O"),
    "Laterality": ("R", "L"),
    "PatientIdentityRemoved": ("YES", "NO"),
    "RecognizableVisualFeatures": ("YES", "NO"),
    "LongitudinalTemporalInformationModified": ("UNMODIFIED", "MODIFIED", "REMOVED"),
}
# Type 1 attributes of items in sequences without codes: PS3.3 C.7.1.1, Table 10-17, Table 10-11.
_ITEM_NEEDS = {
    "OtherPatientIDsSequence": ("PatientID", "TypeOfPatientID"),
    "ReferencedStudySequence": ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID"),
}


def issuer_of_patient_id(ds: Dataset) -> str:
    """Returns who assigned the Patient ID: Issuer of Patient ID (0010,0021), else the Universal Entity ID of its
    qualifiers (0010,0024); empty where neither is named. Source: PS3.3 C.7.1.1, Table 10-18."""
    qualifiers = list(ds.get("IssuerOfPatientIDQualifiersSequence") or [])
    universal = qualifiers[0].get("UniversalEntityID") if qualifiers else None
    return str(ds.get("IssuerOfPatientID") or universal or "")


def copy_patient_and_study(source: Dataset) -> Dataset:
    """Makes a data set with the source's patient and study modules, in UTF-8 whatever the source's character set."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    for keyword in PATIENT_AND_STUDY:
        inherit(ds, source, keyword)
    for keyword in _TYPE_2:
        if keyword not in ds:
            setattr(ds, keyword, "")
    if ds.get("PatientIdentityRemoved") == "YES" and not (
        ds.get("DeidentificationMethod") or "DeidentificationMethodCodeSequence" in ds
    ):
        ds.DeidentificationMethod = "not stated"  # type 1C where the identity was removed, PS3.3 C.7.1.1
    return ds


def inherit(ds: Dataset, source: Dataset, keyword: str) -> None:
    """Copies one attribute if the source has it and it is valid; an invalid value counts as missing."""
    element = _element(source, keyword)
    if element is None:
        return
    vr = dictionary_VR(keyword)  # that of the source may be wrong
    if "SQ" in (vr, element.VR):
        items = [item for item in element.value or () if vr == element.VR and _valid_item(item, keyword)]
        if items:
            setattr(ds, keyword, Sequence(items))
        return
    values = _values(element.value)
    if vr == "PN":
        # Names keep the bytes of their old character set: taking the text encodes them anew.
        values = [str(v) for v in values]
    elif vr in _CHECKED_VR and not all(_valid(vr, keyword, v) for v in values):
        return
    setattr(ds, keyword, values if len(values) > 1 else "".join(values) if vr == "PN" else element.value)


def _element(source: Dataset, keyword: str) -> DataElement | None:
    """Returns the element; None where it is missing or unreadable: pydicom raises when it is accessed."""
    if keyword not in source:
        return None
    try:
        element: DataElement = source[keyword]
        if element.VR == "SQ":
            for item in element.value or ():
                item.decode()  # texts in items keep the bytes of the source's character set until then
    except (ArithmeticError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError):
        return None
    return element


def _values(value: Any) -> list[Any]:
    return list(value) if isinstance(value, MultiValue | list | tuple) else [] if value is None else [value]


def _valid(vr: str, keyword: str, value: Any) -> bool:
    text = str(value)
    try:
        validate_value(vr, text, config.RAISE)
    except ValueError:
        return False
    return not text or text in _ENUMERATED.get(keyword, (text,))


def _valid_item(item: Dataset, keyword: str) -> bool:
    """Whether an item has its type 1 attributes; a code needs a value of 16 characters at most, its scheme and its
    meaning. Source: PS3.3 Table 8.8-1."""
    if keyword in _ITEM_NEEDS:
        return all(item.get(needed) for needed in _ITEM_NEEDS[keyword])
    if not keyword.endswith("CodeSequence"):
        return len(item) > 0
    value = str(item.get("CodeValue") or "")
    coded = bool(item.get("CodingSchemeDesignator")) and (0 < len(value) <= 16 or bool(item.get("LongCodeValue")))
    return len(value) <= 16 and bool(item.get("CodeMeaning")) and (coded or bool(item.get("URNCodeValue")))
