"""Whose pictures they are, and of what: as the panes, the title and the signature say it. Knows no Qt."""

import unicodedata
from dataclasses import dataclass

from pydicom import Dataset

from dicom_io.person_names import listed

# Marks, embeddings, overrides and isolates of direction. Source: Unicode Standard Annex 9.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def day(date: str) -> str:
    """Writes a DA as people do; any other text stays unchanged. Source: PS3.5 6.2."""
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 and date.isdigit() else date


@dataclass(frozen=True, slots=True)
class SeriesIdentity:
    """Patient, study and series in words; what the header lacks is empty. thickness_mm : as acquired, 0 if unknown.
    contrast : the agent."""

    patient: str = ""
    patient_id: str = ""
    birth_date: str = ""
    sex: str = ""
    study_date: str = ""
    study: str = ""
    accession: str = ""
    series_number: str = ""
    series: str = ""
    series_date: str = ""
    modality: str = ""
    institution: str = ""
    body_part: str = ""
    thickness_mm: float = 0.0
    protocol: str = ""
    contrast: str = ""

    @property
    def described(self) -> str:
        """All words that say what was examined, and how."""
        return " ".join((self.body_part, self.study, self.series, self.protocol))

    @property
    def person(self) -> str:
        """The patient in one line: name, ID, birth date and sex."""
        return "  ".join(part for part in (self.patient, self.patient_id, self.birth_date, self.sex) if part)

    @property
    def title(self) -> str:
        """The patient, and what was examined when."""
        done = " ".join(part for part in (self.study_date, self.modality, self.series or self.study) if part)
        return " — ".join(part for part in (self.person, done) if part)

    def differs_from(self, other: "SeriesIdentity") -> tuple[str, ...]:
        """Names what tells this patient from another; what one of them lacks tells nothing."""
        pairs = (
            ("name", self.patient, other.patient),
            ("ID", self.patient_id, other.patient_id),
            ("birth date", self.birth_date, other.birth_date),
            ("sex", self.sex, other.sex),
        )
        return tuple(name for name, a, b in pairs if a and b and a.casefold() != b.casefold())


UNKNOWN = SeriesIdentity()


def identity_of(ds: Dataset) -> SeriesIdentity:
    """Reads who and what from the header of an instance. Source: PS3.3 C.7.1.1, C.7.2.1, C.7.3.1."""
    thickness = _text(ds, "SliceThickness")
    return SeriesIdentity(
        listed(_text(ds, "PatientName")),
        _text(ds, "PatientID"),
        day(_text(ds, "PatientBirthDate")),
        _text(ds, "PatientSex"),
        day(_text(ds, "StudyDate")),
        _text(ds, "StudyDescription"),
        _text(ds, "AccessionNumber"),
        _text(ds, "SeriesNumber"),
        _text(ds, "SeriesDescription"),
        day(_text(ds, "SeriesDate") or _text(ds, "AcquisitionDate")),
        _text(ds, "Modality"),
        _text(ds, "InstitutionName"),
        _text(ds, "BodyPartExamined"),
        float(thickness) if thickness.replace(".", "", 1).isdigit() else 0.0,
        _text(ds, "ProtocolName"),
        _text(ds, "ContrastBolusAgent"),
    )


def _text(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword)
    return "" if value is None else as_words(str(value))


def as_words(text: str) -> str:
    """Returns a header's text as it can be shown in a line: blanks for line ends and tabs, and no characters that
    control a terminal, or that turn round the direction of what stands after them, such as an ID after a name."""
    plain = "".join(c for c in text if c.isspace() or (unicodedata.category(c) != "Cc" and c not in _TURNING))
    return " ".join(plain.split())
