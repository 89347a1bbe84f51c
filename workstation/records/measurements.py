"""Measurements for the record, computed from the recorded values alone, so that every reader gets the same numbers."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict

from dicom_io.evidence import Measurement, MeasurementKind, Quantity, Unit
from render.curved_area import OutlineKind, area_within, outline_on
from render.curved_surface import CurvedShape
from render.errors import RenderError
from render.geometry import Vector, View
from render.mask import Mask
from render.mask_steps import MaskStep, StepError
from render.measure import Statistics, angle_deg, axes, cobb_deg, distance_mm, ellipse, polyline_mm, within
from render.segment import LesionMeasures, made, measure_lesion, volume_ml
from render.trajectory import AvoidedRegion, TrajectoryMeasures, measure_trajectory
from render.vessels.centreline import follow, follow_by_hand
from render.vessels.measures import stenosis, widest
from render.volume import Volume
from workstation.case import CaseError, MeasureRequest
from workstation.records import recist
from workstation.strict import adapter
from workstation.text_table import csv_line


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A mask as a measurement records it."""

    label: int
    steps: tuple[MaskStep, ...]


# What tools find is rounded, so that a last bit that another processor computes otherwise changes no record.
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class _DrawnOutline:
    """An outline on a curved surface as a measurement records it. corners_mm : as in `render.curved_area`."""

    outline: OutlineKind
    corners_mm: tuple[Vector, ...]
    surface: CurvedShape


@dataclass(frozen=True, slots=True)
class AvoidedSegments:
    """What trajectories have to avoid. steps : that make a mask. segments : name and label of each in it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)
    steps: tuple[MaskStep, ...] = ()
    segments: tuple[tuple[str, int], ...] = ()


# How the line of a vessel was made, where a person laid it and it was not followed.
LINE_BY_HAND = '{"line":"by hand"}'

DrawnKind = Literal["distance", "length", "angle", "cobb", "ellipse", "polygon"]


def measure(
    name: str, kind: DrawnKind, points_mm: Sequence[Vector], view: View, volume: Volume, finding: str = ""
) -> Measurement:
    """Measures a drawn distance, length, angle or outline.

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


def measure_outline(
    name: str,
    outline: OutlineKind,
    corners_mm: tuple[Vector, ...],
    surface: CurvedShape,
    volume: Volume,
    finding: str = "",
) -> Measurement:
    """Measures the area of a curved surface within an outline, and the values there. corners_mm : as in
    `render.curved_area.outline_on`.

    Raises ValueError as `area_within` does.
    """
    written = json.dumps(asdict(_DrawnOutline(outline, corners_mm, surface)), separators=(",", ":"))
    places, frame = outline_on(surface, outline, corners_mm), volume.frame_of_reference
    quantities = _on_surface(written, volume)
    return Measurement(name, "area", places, "", frame, volume.digest, quantities, finding, written)


def outline_of(measurement: Measurement) -> tuple[OutlineKind, tuple[Vector, ...], CurvedShape]:
    """Returns how an area was drawn: the kind of its outline, its corners, LPS mm, and the surface that it is of.

    Raises ValueError where that is not what the record says.
    """
    drawn = adapter(_DrawnOutline).validate_json(measurement.steps)
    return drawn.outline, drawn.corners_mm, drawn.surface


def measure_way(name: str, entry_mm: Vector, target_mm: Vector, avoid: AvoidedSegments, volume: Volume) -> Measurement:
    """Measures a trajectory: its length and angles, and how far its axis stays from segments. Those without a voxel are
    left out. What is nearest is said in words, too.

    Raises TrajectoryError where it is impossible.
    """
    mask = made(volume, avoid.steps) if avoid.segments else None
    if mask is not None:
        avoid = replace(avoid, segments=tuple(each for each in avoid.segments if mask.counts[each[1]]))
    avoid = avoid if avoid.segments else AvoidedSegments()
    written = json.dumps(asdict(avoid), separators=(",", ":")) if avoid.segments else ""
    points, nothing = (entry_mm, target_mm), (Quantity("length", 0.0, "mm"),)
    frame = volume.frame_of_reference
    blank = Measurement(name, "trajectory", points, "", frame, volume.digest, nothing, "", written)
    found = _way_measured(blank.points_mm, avoid, volume)
    return replace(blank, quantities=_way_numbers(found), finding="; ".join(clearances_in_words(found)))


def avoided_regions(avoid: AvoidedSegments, mask: Mask, volume: Volume) -> dict[str, AvoidedRegion]:
    """Returns the region of each segment of a mask that its steps have made, by its name."""
    return {name: AvoidedRegion(mask.labels == label, volume.affine) for name, label in avoid.segments}


def clearances_in_words(found: TrajectoryMeasures) -> list[str]:
    """Returns how far a trajectory stays from each region, a line for each; the nearest first."""
    said = []
    for name, one in sorted(found.clearances.items(), key=lambda item: item[1].least_mm):
        if one.through_mm > 0.0:
            said.append(f"{name}: goes through over {one.through_mm:.1f} mm, from {one.depth_mm:.0f} mm deep")
        elif not one.empty:
            said.append(f"{name}: {one.least_mm:.1f} mm away, {one.depth_mm:.0f} mm deep")
    return said


def _way(points_mm: Sequence[Vector], steps: str, volume: Volume) -> tuple[Quantity, ...]:
    avoid = adapter(AvoidedSegments).validate_json(steps) if steps else AvoidedSegments()
    return _way_numbers(_way_measured(points_mm, avoid, volume))


def _way_measured(points_mm: Sequence[Vector], avoid: AvoidedSegments, volume: Volume) -> TrajectoryMeasures:
    regions = avoided_regions(avoid, made(volume, avoid.steps), volume) if avoid.segments else {}
    return measure_trajectory(volume, points_mm[0], points_mm[1], regions)


def _way_numbers(found: TrajectoryMeasures) -> tuple[Quantity, ...]:
    numbers = [
        Quantity("length", found.length_mm, "mm"),
        Quantity("coronal_angle", found.coronal_deg, "deg"),
        Quantity("sagittal_angle", found.sagittal_deg, "deg"),
    ]
    for one in found.clearances.values():
        numbers += [Quantity("clearance", one.least_mm, "mm"), Quantity("clearance_depth", one.depth_mm, "mm")]
        numbers.append(Quantity("through", one.through_mm, "mm"))
    return tuple(replace(number, value=round(number.value, _DECIMALS)) for number in numbers)


def measure_mask(name: str, steps: tuple[MaskStep, ...], label: int, volume: Volume, finding: str = "") -> Measurement:
    """Measures the volume of one label of the mask that these steps make, in whole voxels.

    Raises StepError as `render.segment.made` does.
    """
    written = json.dumps({"label": label, "steps": [asdict(step) for step in steps]}, separators=(",", ":"))
    nothing = (Quantity("volume", 0.0, "mm3"),)
    return again(Measurement(name, "volume", (), "", "", volume.digest, nothing, finding, written), volume)


def measure_requested(
    requests: Iterable[MeasureRequest], volume: Volume, taken: Sequence[Measurement] = ()
) -> tuple[Measurement, ...]:
    """Measures what a case asks for, after what was `taken` before; named by kind and number.

    Raises CaseError where something cannot be measured, with what and why.
    """
    found = list(taken)
    for request in requests:
        name = f"{request.kind} {1 + sum(earlier.kind == request.kind for earlier in found)}"
        try:
            found.append(_requested(name, request, volume))
        except (RenderError, ValueError) as error:
            raise CaseError(f"Measurement {name!r} cannot be made: {error} Nothing was drawn.") from error
    return tuple(found)


def _requested(name: str, request: MeasureRequest, volume: Volume) -> Measurement:
    kind, points, finding = request.kind, request.points_mm, request.finding
    if request.step is not None:
        return measure_mask(name, (request.step,), 1, volume, finding)
    nothing, frame = (Quantity("length", 0.0, "mm"),), volume.frame_of_reference
    steps = LINE_BY_HAND if request.by_hand else ""
    blank = Measurement(name, kind, points, "", frame, volume.digest, nothing, finding, steps, request.references_mm)
    return again(blank, volume)


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
    elif kind == "length":
        quantities = (Quantity("length", polyline_mm(points), "mm"),)
    elif kind == "angle":
        quantities = (Quantity("angle", angle_deg(points[0], points[1], points[2]), "deg"),)
    elif kind == "cobb":
        quantities = (Quantity("cobb_angle", cobb_deg(*points), "deg"),)
    elif kind == "lesion":
        quantities = _lesion(points[0], volume)
        prior = next((q.value for q in measurement.quantities if q.name == "prior_long_axis"), None)
        quantities += _change(quantities, prior) if prior is not None else ()
    elif kind == "targets":
        return _targets(measurement, recist.read(measurement.steps), volume)
    elif kind == "vessel":
        quantities = _vessel(points, measurement.references_mm, volume, measurement.steps == LINE_BY_HAND)
    elif kind == "trajectory":
        quantities = _way(points, measurement.steps, volume)
    elif kind == "area":
        quantities = _on_surface(measurement.steps, volume)
    else:
        quantities = _within(kind, points, View.parse(measurement.view), volume)
    return replace(measurement, volume_digest=volume.digest, quantities=quantities)


def _within(kind: MeasurementKind, points: Sequence[Vector], view: View, volume: Volume) -> tuple[Quantity, ...]:
    return _statistics(within(volume, ellipse(points) if kind == "ellipse" else points, view), volume)


def _on_surface(steps: str, volume: Volume) -> tuple[Quantity, ...]:
    drawn = adapter(_DrawnOutline).validate_json(steps)
    numbers = _statistics(area_within(volume, drawn.surface, drawn.outline, drawn.corners_mm), volume)
    return tuple(replace(number, value=round(number.value, _DECIMALS)) for number in numbers)


def _statistics(found: Statistics, volume: Volume) -> tuple[Quantity, ...]:
    unit = _unit(volume)
    return (
        Quantity("area", found.area_mm2, "mm2"),
        Quantity("mean", found.mean, unit),
        Quantity("deviation", found.deviation, unit),
        Quantity("least", found.least, unit),
        Quantity("greatest", found.greatest, unit),
    )


def _lesion(at_mm: Vector, volume: Volume) -> tuple[Quantity, ...]:
    found, unit = measure_lesion(volume, at_mm), _unit(volume)
    if found.declined:
        raise StepError(found.declined)
    numbers = (
        Quantity("volume", found.volume_ml * 1000.0, "mm3"),
        Quantity("longest_diameter", found.longest_mm, "mm"),
        Quantity("long_axis", found.recist_mm, "mm"),
        Quantity("short_axis", found.short_axis_mm, "mm"),
        *_solid(found),
        Quantity("mean", found.mean, unit),
        Quantity("deviation", found.sd, unit),
        Quantity("least", found.minimum, unit),
        Quantity("greatest", found.maximum, unit),
    )
    return tuple(replace(number, value=round(number.value, _DECIMALS)) for number in numbers)


def with_prior(measurement: Measurement, prior_mm: float, of: str) -> Measurement:
    """Returns a lesion's measurement with its earlier longest diameter in the scan plane, and the change since. of :
    names the earlier study."""
    prior = round(prior_mm, _DECIMALS)
    quantities = (*measurement.quantities, *_change(measurement.quantities, prior))
    return replace(measurement, quantities=quantities, finding=of)


def measure_targets(name: str, lesions: recist.TargetLesions, volume: Volume) -> Measurement:
    """Measures the sum of target lesions. Raises ValueError where it is not known."""
    nothing = (Quantity("target_sum", 0.0, "mm"),)
    blank = Measurement(name, "targets", (), "", "", volume.digest, nothing, steps=recist.written(lesions))
    return _targets(blank, lesions, volume)


def _targets(measurement: Measurement, lesions: recist.TargetLesions, volume: Volume) -> Measurement:
    """Everything that the record says of target lesions follows from which they are and what was said of before."""
    return replace(
        measurement,
        volume_digest=volume.digest,
        quantities=recist.quantities(lesions),
        finding="; ".join(recist.in_words(lesions)),
        responses=lesions.responses,
    )


def _change(now: Sequence[Quantity], prior_mm: float) -> tuple[Quantity, ...]:
    """Source: Eisenhauer et al. 2009, RECIST 1.1 (relative change of a longest diameter)."""
    axis = next(quantity.value for quantity in now if quantity.name == "long_axis")
    change = round(100.0 * (axis / prior_mm - 1.0), _DECIMALS)
    return Quantity("prior_long_axis", prior_mm, "mm"), Quantity("long_axis_change", change, "%")


def _solid(found: LesionMeasures) -> tuple[Quantity, ...]:
    if found.density != "part-solid":
        return ()
    return Quantity("solid_volume", found.solid_ml * 1000.0, "mm3"), Quantity("solid_axis", found.solid_mm, "mm")


def _vessel(
    through_mm: Sequence[Vector], references_mm: Sequence[Vector], volume: Volume, by_hand: bool
) -> tuple[Quantity, ...]:
    vessel = follow_by_hand(volume, through_mm) if by_hand else follow(volume, through_mm)
    narrow, wide = stenosis(vessel, vessel.places_of(references_mm)), widest(vessel)
    numbers = (
        Quantity("length", vessel.length_mm, "mm"),
        Quantity("tortuosity", vessel.tortuosity, "1"),
        Quantity("least_diameter", narrow.least_mm, "mm"),
        Quantity("reference_diameter", narrow.reference_mm, "mm"),
        Quantity("nascet", narrow.nascet_percent, "%"),
        Quantity("ecst", narrow.ecst_percent, "%"),
        Quantity("area_stenosis", narrow.area_percent, "%"),
        Quantity("greatest_diameter", wide.diameter_mm, "mm"),
    )
    return tuple(replace(number, value=round(number.value, _DECIMALS)) for number in numbers)


def _unit(volume: Volume) -> Unit:
    return "[hnsf'U]" if volume.unit == "HU" else "1"


def as_rows(measurements: Iterable[Measurement]) -> list[dict[str, Any]]:
    """Returns a row for each number. places_mm : LPS mm, `x y z; x y z`, those beside healthy parts after a slash."""
    return [
        {
            "name": one.name,
            "kind": one.kind,
            "finding": one.finding,
            "number": number.name,
            "value": number.value,
            "unit": number.unit,
            "places_mm": " / ".join(filter(None, (_in_text(one.points_mm), _in_text(one.references_mm)))),
            "frame_of_reference": one.frame_of_reference,
        }
        for one in measurements
        for number in one.quantities
    ]


def csv_of(rows: Sequence[dict[str, Any]]) -> bytes:
    """Returns rows of `as_rows` as CSV with a heading."""
    columns = ("name", "kind", "finding", "number", "value", "unit", "places_mm", "frame_of_reference")
    return b"".join([csv_line(columns), *(csv_line(row[column] for column in columns) for row in rows)])


def _in_text(points: Iterable[Vector]) -> str:
    return "; ".join(" ".join(f"{value:g}" for value in point) for point in points)
