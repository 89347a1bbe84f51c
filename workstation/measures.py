"""Measurements for the record: measured from what the record will say, so that whoever has it measures the same."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
from pydantic import TypeAdapter

from dicom_io.evidence import Measurement, MeasurementKind, Quantity, Unit
from render.geometry import Vector, View, vector
from render.measure import angle_deg, cobb_deg, distance_mm, within
from render.segment import made, volume_ml
from render.steps import MaskStep
from render.volume import Volume

# An ellipse as a polygon: its area is then exact to a thousandth.
_CORNERS = 96


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A mask as a measurement records it."""

    label: int
    steps: tuple[MaskStep, ...]


_MASK = TypeAdapter(_Wanted)
DrawnKind = Literal["distance", "angle", "cobb", "ellipse", "polygon"]


def measure(
    name: str, kind: DrawnKind, points_mm: Sequence[Vector], view: View, volume: Volume, finding: str = ""
) -> Measurement:
    """What was drawn, with its numbers.

    points_mm : as in `Measurement`; an ellipse may also be given by two opposite corners of the rectangle around it,
    whose sides run along the picture. view : of the picture it was drawn on.

    Raises ValueError for points that measure nothing: too few, or all in one place.
    """
    # Thousandths of a degree: what words can say.
    words = View(round(view.azimuth_deg, 3), round(view.elevation_deg, 3), round(view.roll_deg, 3)).words
    points = tuple(points_mm)
    if kind == "ellipse" and len(points) == 2:
        points = _axes(points[0], points[1], View.parse(words))
    nothing = (Quantity("length", 0.0, "mm"),)
    return again(
        Measurement(name, kind, points, words, volume.frame_of_reference, volume.digest, nothing, finding), volume
    )


def measure_mask(name: str, steps: tuple[MaskStep, ...], label: int, volume: Volume, finding: str = "") -> Measurement:
    """The volume of one label of the mask that these steps make: its voxels, each counted whole.

    Raises StepError as `render.segment.made` does.
    """
    written = json.dumps({"label": label, "steps": [asdict(step) for step in steps]}, separators=(",", ":"))
    nothing = (Quantity("volume", 0.0, "mm3"),)
    return again(Measurement(name, "volume", (), "", "", volume.digest, nothing, finding, written), volume)


def again(measurement: Measurement, volume: Volume) -> Measurement:
    """The same measurement, its numbers measured now.

    Raises ValueError as `measure` and `measure_mask` do.
    """
    kind, points = measurement.kind, measurement.points_mm
    quantities: tuple[Quantity, ...]
    if kind == "volume":
        wanted = _MASK.validate_json(measurement.steps)
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
    found = within(volume, _outline(points) if kind == "ellipse" else points, view)
    unit: Unit = "[hnsf'U]" if volume.unit == "HU" else "1"
    return (
        Quantity("area", found.area_mm2, "mm2"),
        Quantity("mean", found.mean, unit),
        Quantity("deviation", found.deviation, unit),
        Quantity("least", found.least, unit),
        Quantity("greatest", found.greatest, unit),
    )


def _axes(corner: Vector, opposite: Vector, view: View) -> tuple[Vector, ...]:
    """Ends of the longer, then of the shorter axis of the ellipse in that rectangle."""
    offset = [b - a for a, b in zip(corner, opposite, strict=True)]
    centre = [a + b / 2.0 for a, b in zip(corner, offset, strict=True)]
    # Both corners were set on one picture; what they differ by along the line of sight is rounding.
    deep = sum(o * v for o, v in zip(offset, view.towards_observer, strict=True)) / 2.0
    centre = [c - deep * v for c, v in zip(centre, view.towards_observer, strict=True)]
    halves = []
    for along in (view.right, view.up):
        length = abs(sum(o * a for o, a in zip(offset, along, strict=True))) / 2.0
        halves.append((length, along))
    halves.sort(key=lambda half: -half[0])
    return tuple(
        vector(c + sign * length * a for c, a in zip(centre, along, strict=True))
        for length, along in halves
        for sign in (-1.0, 1.0)
    )


def _outline(ends: Sequence[Vector]) -> tuple[Vector, ...]:
    """The outline of an ellipse by the ends of its axes."""
    a0, a1, b0, b1 = ends
    centre = [(p + q) / 2.0 for p, q in zip(a0, a1, strict=True)]
    u, v = ([(q - p) / 2.0 for p, q in zip(*pair, strict=True)] for pair in ((a0, a1), (b0, b1)))
    turns = (2.0 * math.pi * n / _CORNERS for n in range(_CORNERS))
    return tuple(
        vector(c + math.cos(t) * p + math.sin(t) * q for c, p, q in zip(centre, u, v, strict=True)) for t in turns
    )
