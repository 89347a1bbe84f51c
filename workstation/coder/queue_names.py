"""The patient's name and the description of the study, as the SR of a case has them: for lists that people read."""

import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag

# Patient's Name (0010,0010) is the last element that is wanted; an SR's content stands behind it.
_BEHIND = 0x00100011


@dataclass(frozen=True, slots=True)
class CaseName:
    """Whose case it is and what was examined; empty where the file does not say. words : both names, folded."""

    patient: str = ""
    examination: str = ""
    words: str = ""


def name_in(path: Path) -> CaseName:
    """Return what the header of an SR says; nothing where the file cannot be read."""
    with suppress(OSError, InvalidDicomError, ValueError, KeyError, AttributeError), path.open("rb") as file:
        ds = read_partial(file, stop_when=_is_behind)
        patient = str(ds.get("PatientName") or "")
        return CaseName(patient, str(ds.get("StudyDescription") or ""), fold(patient.replace("^", " ")))
    return CaseName()


def _is_behind(tag: BaseTag, vr: str | None, length: int) -> bool:
    return int(tag) >= _BEHIND


def fold(text: str) -> str:
    """Return text as it is searched: without regard to case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(each for each in plain if not unicodedata.combining(each))
