"""Writes measurements as measurement groups of the SR, and reads them back.

Outlines are planar regions of interest (TID 1410), the rest are measurement groups (TID 1501), outlines on curved
surfaces too, as those lie in no plane; every number refers to
its place in patient space. The measurement method names the kind, and sets these groups apart from products.
Sources: PS3.16 TID 1410, 1501, 300, 320, 1419; PS3.3 C.18.9 (SCOORD3D).
"""

from collections.abc import Iterable
from typing import cast, get_args

from pydicom.dataset import Dataset

from dicom_io import codes as c
from dicom_io.errors import NotReadable
from dicom_io.evidence import Measurement, MeasurementKind, Quantity, QuantityName, Response, Unit
from dicom_io.sr import content as sr
from render.geometry import Vector

_OUTLINES = {"ellipse": "ELLIPSE", "polygon": "POLYGON"}
_CLOSED = ("polygon", "area")  # their first point is repeated as the last one
_REFERENCES = "MULTIPOINT"


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
        concept, derivation, method = _coded(quantity.name, quantity.unit)
        below = [sr.code("HAS CONCEPT MOD", c.MEASUREMENT_METHOD, method)] if method else []
        below += [sr.code("HAS CONCEPT MOD", c.DERIVATION, derivation)] if derivation else []
        below += [] if outline else _places("INFERRED FROM", None, measurement)
        rows.append(sr.number(contains, concept, quantity.value, c.UNITS[quantity.unit], *below))
    rows += [sr.code(contains, c.CURRENT_RESPONSE, c.RESPONSES[response]) for response in measurement.responses]
    for name, value in (
        (c.MEASURE_VIEW, measurement.view),
        (c.SOURCE_VOLUME_DIGEST, measurement.volume_digest),
        (c.COMMENT, measurement.finding),
    ):
        if value:
            rows.append(sr.text(contains, name, value))
    return sr.container(contains, c.MEASUREMENT_GROUP, *rows, template="1410" if outline else "1501")


def _coded(name: str, unit: str) -> tuple[c.Code, c.Code | None, c.Code | None]:
    """Returns how a number is called, its derivation and its method."""
    if derivation := c.STATISTICS.get(name):
        return (c.ATTENUATION if unit == "[hnsf'U]" else c.INTENSITY), derivation, None
    return c.SIZES[name]


def _places(relationship: str, name: c.Code | None, measurement: Measurement) -> list[Dataset]:
    """Makes graphics of the points: two lines for Cobb's angle, an outline closed by its first corner, a vessel's
    reference points after the line through it."""
    points, frame = measurement.points_mm, measurement.frame_of_reference
    lines: tuple[tuple[Vector, ...], ...] = (points,) if points else ()
    if measurement.kind == "cobb":
        lines = (points[:2], points[2:])
    elif measurement.kind in _CLOSED:
        lines = ((*points, points[0]),)
    graphic = {**_OUTLINES, "lesion": "POINT"}.get(measurement.kind, "POLYLINE")
    made = [sr.places(relationship, name, graphic, line, frame) for line in lines]
    if measurement.references_mm:
        made.append(sr.places(relationship, name, _REFERENCES, measurement.references_mm, frame))
    return made


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
    points, references = (
        tuple(p for g in graphics if (g.GraphicType == _REFERENCES) is healthy for p in _points(g.GraphicData))
        for healthy in (False, True)
    )
    return Measurement(
        name=sr.text_of(group, c.TRACKING_IDENTIFIER),
        kind=cast(MeasurementKind, kind),
        points_mm=points[:-1] if kind in _CLOSED else points,
        view=sr.text_of(group, c.MEASURE_VIEW),
        frame_of_reference=str(graphics[0].ReferencedFrameOfReferenceUID) if graphics else "",
        volume_digest=sr.text_of(group, c.SOURCE_VOLUME_DIGEST),
        quantities=tuple(_quantity(number) for number in numbers),
        finding=sr.text_of(group, c.COMMENT),
        steps=sr.text_of(group, c.ALGORITHM_PARAMETERS),
        references_mm=references,
        responses=_responses(group),
    )


def _responses(group: Dataset) -> tuple[Response, ...]:
    said = [c.code_of(item.ConceptCodeSequence[0]).value for item in sr.children(group, c.CURRENT_RESPONSE, "CODE")]
    return tuple(cast(Response, name) for name, code in c.RESPONSES.items() if code.value in said)


def _points(data: Iterable[float]) -> Iterable[Vector]:
    values = [float(v) for v in data]
    return zip(values[0::3], values[1::3], values[2::3], strict=True)


def _quantity(number: Dataset) -> Quantity:
    measured = number.MeasuredValueSequence[0]
    unit = c.code_of(measured.MeasurementUnitsCodeSequence[0]).value
    said = (
        c.code_of(number.ConceptNameCodeSequence[0]),
        sr.code_value(number, c.DERIVATION),
        sr.code_value(number, c.MEASUREMENT_METHOD),
    )
    name = next((n for n in get_args(QuantityName) if _values(_coded(n, unit)) == _values(said)), None)
    if name is None or unit not in get_args(Unit):
        words = " ".join(code.meaning for code in said if code)
        raise NotReadable(f"The SR holds a number of unknown kind: {words!r} in {unit!r}.")
    return Quantity(cast(QuantityName, name), float(measured.FloatingPointValue), cast(Unit, unit))


def _values(coded: Iterable[c.Code | None]) -> tuple[str | None, ...]:
    return tuple(code.value if code else None for code in coded)
