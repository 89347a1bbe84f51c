"""Evidence: all that charging, auditing and re-making a picture may rest on. It travels in a DICOM SR."""

import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Literal, cast, get_args

import numpy as np
from pydantic import ConfigDict

from render.geometry import Vector, View, leaves_plane, vector

# An administrator runs the machines, and is in no record of a session.
Role = Literal[
    "physician",
    "qualified_professional",
    "resident",
    "technologist",
    "coder",
    "compliance",
    "administrator",
    "automatic",
]

# Of a region that has two; empty where it has none or it is not known.
Side = Literal["L", "R", ""]


@dataclass(frozen=True, slots=True)
class Person:
    """A person who acted. id : one word. name : as DICOM writes it, Family^Given (PS3.5 6.2.1)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    id: str
    name: str
    role: Role

    def __post_init__(self) -> None:
        if not self.id or any(c.isspace() for c in self.id):
            raise ValueError(f"Person ID {self.id!r} must be one word: it is written into records between spaces.")


def checked_role(word: str) -> Role:
    """Returns `word` as a role. Raises ValueError when there is no such role."""
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
    """The supervising physician's statements about the session; None means 'not stated'."""

    physician: Person
    at: datetime
    text: str
    concurrent_supervision: bool | None
    independent_workstation_required: bool | None


@dataclass(frozen=True, slots=True)
class ImageReference:
    """A stored instance of a product or a source. digest : its `digests.file_digest`, empty where it is not known."""

    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """One drawn recipe and the instances it was stored as.

    technique, region, purpose, base_procedure : named as in the charge facts; base_procedure may be empty.
    laterality : empty where the region has no side, or the images do not tell it. prepared : made unattended, and not
    adjusted by a person since.
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
    laterality: Side = ""
    prepared: bool = False

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("A product needs a name: it is its tracking identifier in the SR.")


MeasurementKind = Literal[
    "distance",
    "length",
    "angle",
    "cobb",
    "ellipse",
    "polygon",
    "area",
    "volume",
    "lesion",
    "vessel",
    "trajectory",
    "targets",
]
# By RECIST 1.1: complete or partial response, stable or progressive disease; NN for neither CR nor PD.
Response = Literal[
    "target CR",
    "target PR",
    "target SD",
    "target PD",
    "non-target CR",
    "non-target NN",
    "non-target PD",
    "overall CR",
    "overall PR",
    "overall SD",
    "overall PD",
]
QuantityName = Literal[
    "length",
    "angle",
    "cobb_angle",
    "area",
    "volume",
    "mean",
    "deviation",
    "least",
    "greatest",
    "longest_diameter",
    "long_axis",
    "short_axis",
    "solid_volume",
    "solid_axis",
    "prior_long_axis",
    "long_axis_change",
    "target_sum",
    "prior_target_sum",
    "prior_target_change",
    "baseline_target_sum",
    "baseline_target_change",
    "nadir_target_sum",
    "nadir_target_change",
    "least_diameter",
    "greatest_diameter",
    "reference_diameter",
    "nascet",
    "ecst",
    "area_stenosis",
    "tortuosity",
    "coronal_angle",
    "sagittal_angle",
    "clearance",
    "clearance_depth",
    "through",
]
# UCUM: [hnsf'U] is the Hounsfield unit, 1 no unit at all.
Unit = Literal["mm", "deg", "mm2", "mm3", "[hnsf'U]", "%", "1"]
# How many points each kind has at least and at most.
PLACES: dict[MeasurementKind, tuple[int, float]] = {
    "distance": (2, 2),
    "length": (2, math.inf),
    "angle": (3, 3),
    "cobb": (4, 4),
    "ellipse": (4, 4),
    "polygon": (3, math.inf),
    "area": (3, math.inf),
    "volume": (0, 0),
    "lesion": (1, 1),
    "vessel": (2, math.inf),
    "trajectory": (2, 2),
    "targets": (0, 0),
}


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of a measurement. unit : UCUM."""

    name: QuantityName
    value: float
    unit: Unit

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"Quantity {self.name!r}: {self.value} is not a number that can be recorded.")


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measurement in patient space.

    name : its name in the record, e.g. `distance 1`. finding : in the reader's words, may be empty.
    points_mm : LPS mm, rounded to the single precision that an SR keeps. The ends of a distance; the places that a
        length goes through, straight from each to the next; an angle's vertex second; the ends of Cobb's first line,
        then of the second; the ends of an ellipse's longer axis, then of the shorter; the corners of a polygon, and the
        places that an outline on a curved surface goes through, the first not repeated; none for a volume; the click in
        a lesion; the points in a vessel in order; entry and target of a trajectory.
    view : from which side an outline was drawn, in words of `render.geometry.View`; empty for what a tool found.
    frame_of_reference : UID; empty only where there are no points.
    volume_digest : of the volume that it was measured in. steps : for a volume, how its mask is made, and for an area,
        of which curved surface it is and how it was drawn there, as JSON; for a vessel whose line a person laid through
        its points, that this is so; for a trajectory what it has to avoid, as JSON, in the order of its clearances; for
        target lesions, which they are and what the reader says of the course of treatment, as JSON.
    finding : in the reader's words; of a lesion with a `prior_long_axis` it names the earlier study.
    responses : of target lesions, other lesions and all together, by RECIST 1.1, as far as they are told; none for
        anything else.
    references_mm : LPS mm, points beside healthy parts of a vessel, rounded likewise; none for anything else.
    Source: PS3.3 C.18.9 (3D Spatial Coordinates).
    """

    name: str
    kind: MeasurementKind
    points_mm: tuple[Vector, ...]
    view: str
    frame_of_reference: str
    volume_digest: str
    quantities: tuple[Quantity, ...]
    finding: str = ""
    steps: str = ""
    references_mm: tuple[Vector, ...] = ()
    responses: tuple[Response, ...] = ()

    def __post_init__(self) -> None:
        (least, most), count = PLACES[self.kind], len(self.points_mm)
        if not least <= count <= most:
            raise ValueError(f"Measurement {self.name!r}: a {self.kind} of {count} points.")
        if self.references_mm and self.kind != "vessel":
            raise ValueError(f"Measurement {self.name!r}: a {self.kind} has no healthy parts to refer to.")
        if not self.name or not self.quantities:
            raise ValueError(f"Measurement {self.name!r} needs a name and a number.")
        if self.points_mm and not self.frame_of_reference:
            raise ValueError(f"Measurement {self.name!r}: points without a frame of reference are nowhere.")
        for field, places in (("points_mm", self.points_mm), ("references_mm", self.references_mm)):
            points = np.asarray(places, dtype=np.float32).reshape(-1, 3)
            if not np.isfinite(points).all():
                raise ValueError(f"Measurement {self.name!r}: {places} are no places.")
            object.__setattr__(self, field, tuple(vector(point) for point in points))

    @property
    def in_space(self) -> bool:
        """Whether it lies in no plane, and is drawn over renderings and projections too: a length, a trajectory, an
        area of a curved surface, an angle whose points are on no one plane of its view."""
        if self.kind in ("angle", "cobb"):
            return leaves_plane(self.points_mm, View.parse(self.view)) if self.view else False
        return self.kind in ("length", "area", "trajectory")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A finalised session as its SR records it.

    verified_by : name of the verifying physician, empty when the SR is not verified.
    device_uid, independent : the workstation, and whether it is independent of the scanner.
    objects : the objects stored beside the pictures: segmentations, presentation states, surfaces.
    predecessor : the record that this one amends.
    patient_id_issuer : Issuer of Patient ID (0010,0021), else the universal one (0010,0024); empty where none is named.
    session_uid, journal_head : the session of these acts in the journal, and the hash of the last act; empty in records
        from before journals were chained.
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
    measurements: tuple[Measurement, ...] = ()
    session_uid: str = ""
    journal_head: str = ""
    objects: tuple[ImageReference, ...] = ()
    predecessor: ImageReference | None = None
    patient_id_issuer: str = ""

    @property
    def verified(self) -> bool:
        return bool(self.verified_by)

    def signed(self, name: str) -> "Evidence":
        """Returns the same session, verified by the named physician."""
        return replace(self, verified_by=name)
