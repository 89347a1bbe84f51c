"""What a report still lacks before it can be signed, and where. Knows no Qt."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from dicom_io.evidence import Person
from dicom_io.person_names import first_group
from workstation.config import ReportField
from workstation.desktop.model.session import Draft, ReadingSession

# The fields of a report as people call them, in the order in which they are read.
FIELD_TITLES: dict[ReportField, str] = {
    "indication": "Indication",
    "findings": "Findings, 3D findings included",
    "impression": "Impression",
    "necessity": "Medical necessity",
    "utility": "Clinical utility",
    "workstation": "Independent workstation",
}
# The regions that charges know, as people call them.
REGION_TITLES: dict[str, str] = {
    "HEAD": "Head",
    "ORBIT": "Orbit",
    "FACE": "Face",
    "NECK": "Neck",
    "CHEST": "Chest",
    "HEART": "Heart",
    "BREAST": "Breast",
    "ABDOMEN": "Abdomen",
    "PELVIS": "Pelvis",
    "ABDOMEN_PELVIS": "Abdomen and pelvis",
    "CSPINE": "Cervical spine",
    "TSPINE": "Thoracic spine",
    "LSPINE": "Lumbar spine",
    "UPPER_EXTREMITY": "Upper extremity",
    "LOWER_EXTREMITY": "Lower extremity",
    "EXTREMITY": "Extremity",
}
NOBODY_SIGNED_IN = "Nobody is signed in. A physician signs in to sign."
NOT_A_PHYSICIAN = "Only a physician can sign and attest; {name} is signed in as {role}."
NO_PICTURE = "No picture is captured yet; a report without pictures charges nothing."
NO_REGION = (
    "The body region of this series is not known (body part: {part}), so that nothing can be stored or charged. "
    "Choose it on the Report tab to sign."
)
UNFINISHED = "{field} is not finished: there is still “{mark}” in it. Write it out, or take it away."
EMPTY = "{field} says nothing yet. This site signs no report without it."
# What a window has to be able to say in another language.
OBSTACLES = (NOBODY_SIGNED_IN, NOT_A_PHYSICIAN, NO_PICTURE, NO_REGION, UNFINISHED, EMPTY)
# What templates leave to be written.
_OPEN = re.compile(r"…|\.\.\.")


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A reason why a report cannot be signed now.

    sentence : one of OBSTACLES. values : for its {places}; `field` and `role` are words of the window. report_field :
    the field that is to be mended, None where it is no field. start, end : the place in its text.
    """

    sentence: str
    values: dict[str, str] = field(default_factory=dict)
    report_field: ReportField | None = None
    start: int = 0
    end: int = 0

    def __str__(self) -> str:
        return self.sentence.format_map(self.values)


def obstacle_to_signing(
    person: Person | None, session: ReadingSession, required: Sequence[ReportField]
) -> Obstacle | None:
    """Returns why this person cannot sign now; None when signing is possible.

    required : the fields that a report of this site has to have.
    """
    if person is None:
        return Obstacle(NOBODY_SIGNED_IN)
    if person.role != "physician":
        return Obstacle(NOT_A_PHYSICIAN, {"name": first_group(person.name).family, "role": person.role})
    if not session.screen.captures:
        return Obstacle(NO_PICTURE)
    return unfinished_field(session.draft) or empty_field(session.draft, required)


def unfinished_field(draft: Draft) -> Obstacle | None:
    """Returns the first place that a template left open; None for none."""
    for name, title in FIELD_TITLES.items():
        found = _OPEN.search(getattr(draft, name))
        if found is not None:
            return Obstacle(UNFINISHED, {"field": title, "mark": found[0]}, name, found.start(), found.end())
    return None


def empty_field(draft: Draft, required: Sequence[ReportField]) -> Obstacle | None:
    """Returns the first required field without a letter: dashes and question marks say nothing; None for none."""
    for name, title in FIELD_TITLES.items():
        text = getattr(draft, name)
        if name in required and not any(letter.isalpha() for letter in text):
            return Obstacle(EMPTY, {"field": title}, name, 0, len(text))
    return None
