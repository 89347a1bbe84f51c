"""What is about to be signed, in words: whose it is, what it says and shows, and what follows for the charge.

Knows no Qt.
"""

from collections.abc import Callable
from dataclasses import dataclass

from dicom_io.files.series import read_dataset
from dicom_io.person_names import listed
from workstation.desktop.model.identity import day
from workstation.desktop.model.report_check import FIELD_TITLES, REGION_TITLES
from workstation.desktop.model.screen import Capture, Measure
from workstation.desktop.model.session import Draft
from workstation.desktop.model.studies import Opened
from workstation.desktop.model.verdicts import Verdict

# The words before what a header says of the patient and the study.
PATIENT_TITLES = ("Patient", "ID", "Birth date", "Sex")
STUDY_TITLES = ("Study", "Date", "Accession", "Modality", "Series", "Body region")
# The values of Patient's Sex. Source: PS3.3 C.7.1.1.
SEXES = {"M": "male", "F": "female", "O": "other"}


@dataclass(frozen=True, slots=True)
class SigningSummary:
    """What is signed. patient, study : title and value, empty ones left out. sections : title of a field and its text.
    answers : question and answer. measures : kind and numbers in words. verdict : what the charge will do."""

    patient: tuple[tuple[str, str], ...]
    study: tuple[tuple[str, str], ...]
    sections: tuple[tuple[str, str], ...]
    answers: tuple[tuple[str, bool | None], ...]
    captures: tuple[Capture, ...]
    measures: tuple[tuple[str, str], ...]
    verdict: Verdict


REQUIRED, CONCURRENT = "An independent workstation was required", "I supervised the work while it was done"


def summary_of(opened: Opened, verdict: Verdict, said_of: Callable[[Measure], str]) -> SigningSummary:
    """Says what would be signed now. said_of : a measure in words, its numbers with their unit."""
    header, draft = read_dataset(str(opened.series.first.path)), opened.session.draft
    born, sex = str(header.get("PatientBirthDate") or ""), str(header.get("PatientSex") or "")
    patient = (
        listed(str(header.get("PatientName") or "")), str(header.get("PatientID") or ""), day(born),
        SEXES.get(sex, sex),
    )  # fmt: skip
    first = opened.series.first
    # What the panes call it says that gaps were bridged.
    series = opened.identity.series if opened.session.bridged else opened.series.description
    study = (
        str(header.get("StudyDescription") or ""), day(first.study_date), first.accession, opened.series.modality,
        series, REGION_TITLES.get(draft.region, ""),
    )  # fmt: skip
    screen = opened.session.screen
    return SigningSummary(
        tuple(pair for pair in zip(PATIENT_TITLES, patient, strict=True) if pair[1]),
        tuple(pair for pair in zip(STUDY_TITLES, study, strict=True) if pair[1]),
        sections_of(draft),
        ((REQUIRED, draft.required), (CONCURRENT, draft.concurrent)),
        screen.captures,
        tuple((measure.kind, said_of(measure).replace("\n", ", ")) for measure in screen.measures),
        verdict,
    )


def sections_of(draft: Draft) -> tuple[tuple[str, str], ...]:
    """Returns title and text of each field that says something."""
    texts = ((title, getattr(draft, name)) for name, title in FIELD_TITLES.items())
    return tuple((title, text) for title, text in texts if text.strip())
