"""Measurements for the record, computed from the recorded values alone, so that every reader gets the same numbers."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from dicom_io.evidence import Measurement, MeasurementKind, Quantity, Unit
from render.geometry import Vector, View
from render.mask_steps import MaskStep
from render.measure import angle_deg, axes, cobb_deg, distance_mm, ellipse, within
from render.segment import made, volume_ml
from render.volume import Volume
from workstation.strict import adapter


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A mask as a measurement records it."""

    label: int
    steps: tuple[MaskStep, ...]


DrawnKind = Literal["distance", "angle", "cobb", "ellipse", "polygon"]


def measure(
    name: str, kind: DrawnKind, points_mm: Sequence[Vector], view: View, volume: Volume, finding: str = ""
) -> Measurement:
    """Measures a drawn distance, angle or outline.

    points_mm : as in `Measurement`; an ellipse may also be given by two opposite corners of the rectangle around it,
    whose sides run along the picture. view : of the picture that it was drawn on.

    Raises ValueError for points that measure nothing: too few, or all in one place.
    """
    # Rounded to thousandths of a degree, the precision of a view in words.
    words = View(round(view.azimuth_deg, 3), round(view.elevation_deg, 3), round(view.roll_deg, 3)).words
    points = tuple(points_mm)
    if kind == "ellipse" and len(points) == 2:
        points = axes(points[0], points[1], View.parse(words))
    nothing = (Quantity("length", 0.0, "mm"),)
    return again(
        Measurement(name, kind, points, words, volume.frame_of_reference, volume.digest, nothing, finding), volume
    )


def measure_mask(name: str, steps: tuple[MaskStep, ...], label: int, volume: Volume, finding: str = "") -> Measurement:
    """Measures the volume of one label of the mask that these steps make, in whole voxels.

    Raises StepError as `render.segment.made` does.
    """
    written = json.dumps({"label": label, "steps": [asdict(step) for step in steps]}, separators=(",", ":"))
    nothing = (Quantity("volume", 0.0, "mm3"),)
    return again(Measurement(name, "volume", (), "", "", volume.digest, nothing, finding, written), volume)


def again(measurement: Measurement, volume: Volume) -> Measurement:
    """Measures a recorded measurement again.

    Raises ValueError as `measure` and `measure_mask` do.
    """
    kind, points = measurement.kind, measurement.points_mm
    quantities: tuple[Quantity, ...]
    if kind == "volume":
        wanted = adapter(_Wanted).validate_json(measurement.steps)
        found = (made(volume, wanted.steps).labels == wanted.label).view(np.uint8)
        quantities = (Quantity("volume", volume_ml(volume, found) * 1000.0, "mm3"),)
    elif kind == "distance":
        quantities = (Quantity("length", distance_mm(points[0], points[1]), "mm"),)
    elif kind == "angle":
        quantities = (Quantity("angle", angle_deg(points[0], points[1], points[2]), "deg"),)
    elif kind == "cobb":
        quantities = (Quantity("cobb_angle", cobb_deg(*points), "deg"),)
    else:
        quantities = _within(kind, points, View.parse(measurement.view), volume)
    return replace(measurement, volume_digest=volume.digest, quantities=quantities)


def _within(kind: MeasurementKind, points: Sequence[Vector], view: View, volume: Volume) -> tuple[Quantity, ...]:
    found = within(volume, ellipse(points) if kind == "ellipse" else points, view)
    unit: Unit = "[hnsf'U]" if volume.unit == "HU" else "1"
    return (
        Quantity("area", found.area_mm2, "mm2"),
        Quantity("mean", found.mean, unit),
        Quantity("deviation", found.deviation, unit),
        Quantity("least", found.least, unit),
        Quantity("greatest", found.greatest, unit),
    )
