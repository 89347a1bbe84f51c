"""Evidence: all that a charge, an auditor and the re-making of a picture may know. It travels in a DICOM SR."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Literal, cast, get_args

from pydantic import ConfigDict

Role = Literal["physician", "resident", "technologist", "coder", "automatic"]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who acted. id : one word. name : as DICOM writes it, Family^Given (PS3.5 6.2.1)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    id: str
    name: str
    role: Role

    def __post_init__(self) -> None:
        if not self.id or any(c.isspace() for c in self.id):
            raise ValueError(f"Person ID {self.id!r} must be one word: it is written into records between spaces.")


def checked_role(word: str) -> Role:
    """Raises ValueError for a role there is not."""
    if word not in get_args(Role):
        raise ValueError(f"Role {word!r} is not one of {', '.join(get_args(Role))}.")
    return cast(Role, word)


@dataclass(frozen=True, slots=True)
class Act:
    """Who did what when, from the journal. `kind` is one word, e.g. `image_selection`; `detail` one line."""

    at: datetime
    person_id: str
    role: str
    kind: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Attestation:
    """What the supervising physician states about the session. None stands for 'not stated'."""

    physician: Person
    at: datetime
    text: str
    concurrent_supervision: bool | None
    independent_workstation_required: bool | None


@dataclass(frozen=True, slots=True)
class ImageReference:
    """A stored instance of a product or a source."""

    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str


@dataclass(frozen=True, slots=True)
class Product:
    """One drawn recipe and the instances it was stored as.

    technique, region, purpose, base_procedure : in the words of the charge facts; base_procedure may be empty.
    recipe : canonical JSON. recipe_digest, pixel_digest, volume_digest : sha256, hex.
    """

    technique: str
    region: str
    purpose: str
    base_procedure: str
    name: str
    recipe: str
    recipe_digest: str
    pixel_digest: str
    volume_digest: str
    engine: str
    engine_version: str
    graphics_device: str
    performed_here: bool
    images: tuple[ImageReference, ...]
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("A product needs a name: it is its tracking identifier in the SR.")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A finalised session as its SR tells it.

    verified_by : name of the verifying physician, empty when the SR is not verified.
    device_uid, independent : the workstation, and whether it is independent of the scanner.
    """

    sop_instance_uid: str
    verified_by: str
    patient_id: str
    accession: str
    study_uid: str
    study_date: str
    modality: str
    device_uid: str
    station_name: str
    independent: bool
    operator: Person
    supervisor: Person | None
    acts: tuple[Act, ...]
    attestation: Attestation | None
    products: tuple[Product, ...]
    sources: tuple[ImageReference, ...]

    @property
    def verified(self) -> bool:
        return bool(self.verified_by)

    def signed(self, name: str) -> "Evidence":
        """The same session, verified by the named physician."""
        return replace(self, verified_by=name)
