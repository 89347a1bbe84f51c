"""The text burned into a stored picture: patient and study as lines.

The lines are meant for DICOM images only; no log and no error message may hold them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pydicom.dataset import Dataset

from dicom_io.errors import DicomIOError
from dicom_io.person_names import groups_of
from render import fonts
from render.recipe import Recipe, in_colour

# letters: orientation, scale, preset and view on pictures in colour of LETTERS_FROM_PX or more, which have no values to
# lose. view: the same and
# window and slab on projections too. patient: the same, with patient and study.
BurnIn = Literal["none", "letters", "view", "patient"]
BURN_IN: tuple[BurnIn, ...] = get_args(BurnIn)
LETTERS_FROM_PX = 128  # on smaller pictures letters would hide what they are about
_SIZE_PX = 14  # any size will do: only the existence of the glyphs is checked here


class BannerError(DicomIOError):
    """Patient or study cannot be written on a picture; the message names the attribute, never its value."""


@dataclass(frozen=True, slots=True)
class Burned:
    """The annotation to burn into the pixels of captures.

    banner : patient and study; empty where only the view is burned in. font : a font file to try first. in_colour :
    whether pictures in colour alone are written on, and grey ones keep their values.
    """

    banner: tuple[str, ...] = ()
    font: Path | None = None
    in_colour: bool = False


def burned(choice: BurnIn, source: Dataset, font: Path | None = None) -> Burned | None:
    """Returns the annotation that a choice means for a source instance; None for no annotation. Raises BannerError."""
    if choice == "none":
        return None
    return Burned(banner(source, font) if choice == "patient" else (), font, choice == "letters")


def on_picture(marks: Burned | None, recipe: Recipe) -> Burned | None:
    """Returns the annotation of one capture; None where it is not written on."""
    if marks is None or not marks.in_colour:
        return marks
    large = min(recipe.rows, recipe.columns) >= LETTERS_FROM_PX
    return marks if in_colour(recipe) and large else None


def banner(source: Dataset, font: Path | None = None) -> tuple[str, ...]:
    """Returns name, patient ID and study as lines: they make Burned In Annotation YES. Source: PS3.3 C.7.6.1.1.

    Attributes without a value are left out. Raises BannerError when neither name nor ID is given, and when a value has
    characters that no font of this machine can write.
    """
    if not (str(source.get("PatientName") or "").strip("^= ") or str(source.get("PatientID") or "").strip()):
        raise BannerError(
            "The source has neither Patient's Name (0010,0010) nor Patient ID (0010,0020), so its pictures cannot say "
            "whose they are. Nothing was burned in; mend the study, or choose `view` or `none`."
        )
    lines = banner_lines(source)
    for attribute, line in lines.items():
        try:
            fonts.runs(line, _SIZE_PX, font)
        except (fonts.FontError, OSError) as error:
            raise BannerError(f"{attribute} cannot be burned in: {error} Nothing was drawn.") from error
    return tuple(line for line in lines.values() if line)


def banner_lines(source: Dataset) -> dict[str, str]:
    """Returns the lines of a banner, by attribute, empty ones too: first those that name the patient."""
    born, sex = _date(source, "PatientBirthDate"), _text(source, "PatientSex")
    return {
        "Patient's Name (0010,0010)": _name(source),
        "Patient ID (0010,0020)": _titled("ID", source, "PatientID"),
        "Patient's Birth Date (0010,0030)": " ".join(part for part in (f"born {born}" if born else "", sex) if part),
        "Study Description (0008,1030)": _text(source, "StudyDescription"),
        "Study Date (0008,0020)": " ".join(part for part in (_date(source, "StudyDate"), _time(source)) if part),
        "Accession Number (0008,0050)": _titled("Acc", source, "AccessionNumber"),
    }


def _name(source: Dataset) -> str:
    """Returns `Family, Given`, then the same in the patient's own script. Source: PS3.5 6.2.1.1 (component groups)."""
    alphabetic, ideographic, _ = groups_of(str(source.get("PatientName") or ""))
    written = (alphabetic.listed, ideographic.listed.replace(", ", " "))
    return "  ".join(dict.fromkeys(filter(None, written)))


def _text(source: Dataset, keyword: str) -> str:
    """Returns a value on one line, without the padding and control characters that some systems send."""
    return " ".join("".join(c for c in str(source.get(keyword) or "") if c.isprintable() or c.isspace()).split())


def _titled(title: str, source: Dataset, keyword: str) -> str:
    value = _text(source, keyword)
    return f"{title} {value}" if value else ""


def _date(source: Dataset, keyword: str) -> str:
    """Returns YYYY-MM-DD. A malformed date is shown unchanged: a reader has to see what the study says."""
    value = _text(source, keyword)
    return f"{value[:4]}-{value[4:6]}-{value[6:8]}" if len(value) == 8 and value.isdigit() else value


def _time(source: Dataset) -> str:
    value = _text(source, "StudyTime")
    return f"{value[:2]}:{value[2:4]}" if len(value) >= 4 and value[:4].isdigit() else ""
