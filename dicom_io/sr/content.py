"""Makes and finds SR content items. Source: PS3.3 C.17.3 (SR Document Content)."""

from collections.abc import Iterable, Iterator

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import format_number_as_ds

from dicom_io.codes import Code, code_of
from render.geometry import Vector


def item(relationship: str, value_type: str, name: Code | None, *children: Dataset) -> Dataset:
    """Makes a content item, still without a value."""
    ds = Dataset()
    if relationship:
        ds.RelationshipType = relationship
    ds.ValueType = value_type
    if name is not None:
        ds.ConceptNameCodeSequence = name.sequence()
    if children:
        ds.ContentSequence = Sequence(children)
    return ds


def container(relationship: str, name: Code, *children: Dataset, template: str = "") -> Dataset:
    """Makes a CONTAINER, SEPARATE. template : the TID of PS3.16 that it follows (PS3.3 C.18.8)."""
    ds = item(relationship, "CONTAINER", name, *children)
    ds.ContinuityOfContent = "SEPARATE"
    if template:
        used = Dataset()
        used.MappingResource = "DCMR"
        used.TemplateIdentifier = template
        ds.ContentTemplateSequence = Sequence([used])
    return ds


def code(relationship: str, name: Code, value: Code, *children: Dataset) -> Dataset:
    ds = item(relationship, "CODE", name, *children)
    ds.ConceptCodeSequence = value.sequence()
    return ds


def text(relationship: str, name: Code, value: str, *children: Dataset) -> Dataset:
    ds = item(relationship, "TEXT", name, *children)
    ds.TextValue = value
    return ds


def uid_reference(relationship: str, name: Code, value: str) -> Dataset:
    ds = item(relationship, "UIDREF", name)
    ds.UID = value
    return ds


def person_name(relationship: str, name: Code, value: str) -> Dataset:
    ds = item(relationship, "PNAME", name)
    ds.PersonName = value
    return ds


def date_time(relationship: str, name: Code, value: str) -> Dataset:
    """Makes a DATETIME. value : DT with offset."""
    ds = item(relationship, "DATETIME", name)
    ds.DateTime = value
    return ds


def image(
    relationship: str, name: Code | None, sop_class_uid: str, sop_instance_uid: str, frames: Iterable[int] = ()
) -> Dataset:
    """Makes an IMAGE. frames : numbers from 1, of a multi-frame image; empty for all of them."""
    ds = item(relationship, "IMAGE", name)
    referenced = Dataset()
    referenced.ReferencedSOPClassUID = sop_class_uid
    referenced.ReferencedSOPInstanceUID = sop_instance_uid
    if numbers := sorted(frames):
        referenced.ReferencedFrameNumber = numbers
    ds.ReferencedSOPSequence = Sequence([referenced])
    return ds


def number(relationship: str, name: Code, value: float, unit: Code, *children: Dataset) -> Dataset:
    """Makes a NUM; besides the decimal string of 16 characters it holds the exact value as a double. Source: PS3.3
    C.18.1."""
    measured = Dataset()
    measured.NumericValue = format_number_as_ds(value)
    measured.FloatingPointValue = value
    measured.MeasurementUnitsCodeSequence = unit.sequence()
    ds = item(relationship, "NUM", name, *children)
    ds.MeasuredValueSequence = Sequence([measured])
    return ds


def places(
    relationship: str, name: Code | None, graphic: str, points_mm: Iterable[Vector], frame_of_reference: str
) -> Dataset:
    """Makes a SCOORD3D in LPS mm. graphic : POLYLINE, POLYGON, ELLIPSE … Source: PS3.3 C.18.9."""
    ds = item(relationship, "SCOORD3D", name)
    ds.GraphicData = [value for point in points_mm for value in point]
    ds.GraphicType = graphic
    ds.ReferencedFrameOfReferenceUID = frame_of_reference
    return ds


def children(ds: Dataset, name: Code | None = None, value_type: str = "") -> Iterator[Dataset]:
    """Yields the content items directly below `ds`, of a concept and value type if given."""
    for child in ds.get("ContentSequence", ()):
        if value_type and child.get("ValueType") != value_type:
            continue
        if name is not None:
            named = child.get("ConceptNameCodeSequence")
            if not (named and name.matches(named[0])):
                continue
        yield child


def first(ds: Dataset, name: Code, value_type: str = "") -> Dataset | None:
    return next(children(ds, name, value_type), None)


def text_of(ds: Dataset, name: Code) -> str:
    """Returns the text, person name, UID or date-time of the first child of a concept; empty when there is none."""
    found = first(ds, name)
    if found is None:
        return ""
    for keyword in ("TextValue", "PersonName", "UID", "DateTime"):
        if keyword in found:
            return str(found.get(keyword))
    return ""


def code_value(ds: Dataset, name: Code) -> Code | None:
    """Returns the coded value of the first child of a concept."""
    found = first(ds, name, "CODE")
    return code_of(found.ConceptCodeSequence[0]) if found is not None else None
