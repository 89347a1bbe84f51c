"""Writes measurements as measurement groups of the SR, and reads them back.

Outlines are planar regions of interest (TID 1410), the rest are measurement groups (TID 1501); every number refers to
its place in patient space. The measurement method names the kind, and sets these groups apart from products.
Sources: PS3.16 TID 1410, 1501, 300, 320, 1419; PS3.3 C.18.9 (SCOORD3D).
"""

from collections.abc import Iterable
from typing import cast, get_args

from pydicom.dataset import Dataset

from dicom_io import codes as c
from dicom_io.errors import NotReadable
from dicom_io.evidence import Measurement, MeasurementKind, Quantity, QuantityName, Unit
from dicom_io.sr import content as sr
from render.geometry import Vector

_OUTLINES = {"ellipse": "ELLIPSE", "polygon": "POLYGON"}


def measurement_group(measurement: Measurement, tracking_uid: str) -> Dataset:
    """Makes the measurement group of a measurement."""
    kind, contains = measurement.kind, "CONTAINS"
    outline = kind in _OUTLINES
    rows = [
        sr.text("HAS OBS CONTEXT", c.TRACKING_IDENTIFIER, measurement.name),
        sr.uid_reference("HAS OBS CONTEXT", c.TRACKING_UID, tracking_uid),
        sr.code("HAS CONCEPT MOD", c.MEASUREMENT_METHOD, c.MEASURE_METHODS[kind]),
    ]
    if measurement.steps:
        rows.append(sr.text("HAS CONCEPT MOD", c.ALGORITHM_PARAMETERS, measurement.steps))
    if outline:
        rows += _places(contains, c.IMAGE_REGION, measurement)
    for quantity in measurement.quantities:
        derivation = c.STATISTICS.get(quantity.name)
        below = [sr.code("HAS CONCEPT MOD", c.DERIVATION, derivation)] if derivation else []
        below += [] if outline else _places("INFERRED FROM", None, measurement)
        rows.append(sr.number(contains, _concept(quantity), quantity.value, c.UNITS[quantity.unit], *below))
    for name, value in (
        (c.MEASURE_VIEW, measurement.view),
        (c.SOURCE_VOLUME_DIGEST, measurement.volume_digest),
        (c.COMMENT, measurement.finding),
    ):
        if value:
            rows.append(sr.text(contains, name, value))
    return sr.container(contains, c.MEASUREMENT_GROUP, *rows, template="1410" if outline else "1501")


def _concept(quantity: Quantity) -> c.Code:
    return c.SIZES.get(quantity.name) or (c.ATTENUATION if quantity.unit == "[hnsf'U]" else c.INTENSITY)


def _places(relationship: str, name: c.Code | None, measurement: Measurement) -> list[Dataset]:
    """Makes graphics of the points: two lines for Cobb's angle, a polygon closed by its first corner."""
    points, frame = measurement.points_mm, measurement.frame_of_reference
    lines: tuple[tuple[Vector, ...], ...] = (points,) if points else ()
    if measurement.kind == "cobb":
        lines = (points[:2], points[2:])
    elif measurement.kind == "polygon":
        lines = ((*points, points[0]),)
    graphic = _OUTLINES.get(measurement.kind, "POLYLINE")
    return [sr.places(relationship, name, graphic, line, frame) for line in lines]


def is_measurement(group: Dataset) -> bool:
    """Whether a measurement group holds a measurement, not a product."""
    return sr.first(group, c.MEASUREMENT_METHOD) is not None


def read_measurement(group: Dataset) -> Measurement:
    """Reads a measurement. Raises NotReadable for a method or a number of unknown kind, ValueError for a wrong number
    of points."""
    method = sr.code_value(group, c.MEASUREMENT_METHOD)
    kind = next((kind for kind, code in c.MEASURE_METHODS.items() if method and code.value == method.value), None)
    if kind is None:
        raise NotReadable(f"The SR holds a measurement of unknown kind {method.value if method else ''!r}.")
    numbers = list(sr.children(group, value_type="NUM"))
    graphics = list(sr.children(group, value_type="SCOORD3D"))
    if not graphics and numbers:
        graphics = list(sr.children(numbers[0], value_type="SCOORD3D"))
    points = tuple(point for graphic in graphics for point in _points(graphic.GraphicData))
    return Measurement(
        name=sr.text_of(group, c.TRACKING_IDENTIFIER),
        kind=cast(MeasurementKind, kind),
        points_mm=points[:-1] if kind == "polygon" else points,
        view=sr.text_of(group, c.MEASURE_VIEW),
        frame_of_reference=str(graphics[0].ReferencedFrameOfReferenceUID) if graphics else "",
        volume_digest=sr.text_of(group, c.SOURCE_VOLUME_DIGEST),
        quantities=tuple(_quantity(number) for number in numbers),
        finding=sr.text_of(group, c.COMMENT),
        steps=sr.text_of(group, c.ALGORITHM_PARAMETERS),
    )


def _points(data: Iterable[float]) -> Iterable[Vector]:
    values = [float(v) for v in data]
    return zip(values[0::3], values[1::3], values[2::3], strict=True)


def _quantity(number: Dataset) -> Quantity:
    concept = c.code_of(number.ConceptNameCodeSequence[0])
    derivation = sr.code_value(number, c.DERIVATION)
    known, wanted = (c.STATISTICS, derivation) if derivation else (c.SIZES, concept)
    name = next((word for word, code in known.items() if code.value == wanted.value), "")
    measured = number.MeasuredValueSequence[0]
    unit = c.code_of(measured.MeasurementUnitsCodeSequence[0]).value
    if name not in get_args(QuantityName) or unit not in get_args(Unit):
        raise NotReadable(f"The SR holds a number of unknown kind: {wanted.meaning!r} in {unit!r}.")
    return Quantity(cast(QuantityName, name), float(measured.FloatingPointValue), cast(Unit, unit))
