"""Collects the contents of a printed report besides its SR: the physician's report, and the stored key pictures."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_io import codes as c
from dicom_io.archive import Archive
from dicom_io.codes import OWN_SCHEME, code_of
from dicom_io.errors import NotFound
from dicom_io.evidence import Evidence, ImageReference, Product
from dicom_io.files.series import Instance, scan
from dicom_io.objects.presentation_reading import drawings_of
from dicom_io.objects.presentation_state import PICTURE_STATES, mark_of
from dicom_io.sr import content as sr
from dicom_io.sr.report_sr import BASIC_TEXT_SR, read_report
from render.engine.framing import views
from render.geometry import Plane, vector
from render.marks import PixelDrawing, with_drawings, with_marks, with_sides
from render.picture import window_8bit
from render.recipe import Projection, RecipeError, read_recipe

# Heading and texts of each section of a report.
ReportSections = tuple[tuple[str, tuple[str, ...]], ...]
# The headings of a report's SR, as a reader knows them, in the order of a radiology report.
HEADINGS = {
    c.INDICATIONS.meaning: "Indication",
    c.FINDINGS.meaning: "Findings",
    c.IMPRESSIONS.meaning: "Impression",
    c.CONCLUSIONS.meaning: "On the 3D work",
}


@dataclass(frozen=True, slots=True)
class SignedReport:
    """A signed report. sections : heading and texts, in its order. key_images : SOP Instance UIDs. amends : the SOP
    Instance UID of the report before it, empty for none."""

    signed_by: str
    signed_at: str
    sections: ReportSections
    key_images: tuple[str, ...]
    sop_instance_uid: str = ""
    amends: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A picture to print. pixels : (rows, columns, 3) uint8."""

    title: str
    pixels: NDArray[np.uint8]


def report_for(evidence: Evidence, place: Path | Archive) -> SignedReport | None:
    """Returns the newest signed report of the study that the workstation wrote; None when there is none."""
    if isinstance(place, Archive):
        found = place.instances_of(BASIC_TEXT_SR, evidence.accession)
    else:
        found = tuple(_below(place, BASIC_TEXT_SR))
    reports = [
        ds for ds in (dcmread(instance.path) for instance in found) if ds.get("StudyInstanceUID") == evidence.study_uid
    ]
    signed = [ds for ds in reports if ds.get("VerificationFlag") == "VERIFIED" and ds.get("VerifyingObserverSequence")]
    if not signed:
        return None
    newest = max(signed, key=lambda ds: str(ds.VerifyingObserverSequence[0].VerificationDateTime))
    return as_signed(newest)


def as_signed(ds: Dataset) -> SignedReport:
    """Returns what a signed report's SR says. Raises NotReadable for one that nobody verified."""
    told = read_report(ds)
    return SignedReport(
        told.signed_by,
        str(ds.VerifyingObserverSequence[0].VerificationDateTime),
        tuple(_sections(ds)),
        tuple(_images(ds)),
        told.sop_instance_uid,
        told.predecessor,
    )


def divided(report: SignedReport | None) -> tuple[ReportSections, ReportSections, ReportSections, ReportSections]:
    """Returns the sections before the technique, before the measures, after them, and the others."""
    sections = report.sections if report is not None else ()
    known = (c.INDICATIONS.meaning, c.FINDINGS.meaning, c.IMPRESSIONS.meaning)
    first, second, third = (tuple(each for each in sections if each[0] == name) for name in known)
    said = [text for _, texts in second for text in texts]
    others = (  # what was said under the findings is not said again
        (name, tuple(text for text in texts if not any(text.endswith(f": {each}") for each in said)))
        for name, texts in sections
        if name not in known
    )
    return first, second, third, tuple(each for each in others if each[1])


def _below(folder: Path, sop_class_uid: str) -> Iterator[Instance]:
    for series in scan(folder).series:
        yield from (instance for instance in series.instances if instance.sop_class_uid == sop_class_uid)


def _sections(ds: Dataset) -> Iterator[tuple[str, tuple[str, ...]]]:
    for container in sr.children(ds, value_type="CONTAINER"):
        texts = tuple(_text(item) for item in sr.children(container, value_type="TEXT"))
        if texts:
            yield str(container.ConceptNameCodeSequence[0].CodeMeaning), texts


def _text(item: Dataset) -> str:
    """Returns a text; one of our own concepts with its meaning in front, which a standard heading already gives."""
    concept = code_of(item.ConceptNameCodeSequence[0])
    return f"{concept.meaning}: {item.TextValue}" if concept.scheme == OWN_SCHEME else str(item.TextValue)


def _images(ds: Dataset) -> Iterator[str]:
    for container in sr.children(ds, value_type="CONTAINER"):
        for item in sr.children(container, value_type="IMAGE"):
            yield str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


def key_pictures(evidence: Evidence, chosen: Sequence[str], place: Path | Archive) -> tuple[Shown, ...]:
    """Returns one stored picture of each product with key images; of every product where none were chosen.

    Of a stack it is the middle one. A plane has the letters of its sides drawn on it, a projection in grey those of its
    view, and both what the stored presentation states draw: measures, arrows and words of the reader. Pictures that are
    not there are left out.
    """
    there = _instances(evidence, place)
    drawings = _drawings(evidence, there)
    # Records from before presentation states were always stored have their measures drawn from the record.
    marks = [] if drawings else [mark for mark in map(mark_of, evidence.measurements) if mark is not None]
    shown = []
    for product in evidence.products:
        keys = [image for image in product.images if image.sop_instance_uid in chosen]
        images: Sequence[ImageReference] = keys if chosen else product.images
        paths = [there[image.sop_instance_uid].path for image in images if image.sop_instance_uid in there]
        if paths:
            ds = dcmread(paths[len(paths) // 2])
            pixels, plane, frame = pixels_of(ds), _plane_of(ds), int(ds.get("NumberOfFrames") or 1) // 2
            if plane is not None:
                pixels = with_marks(with_sides(pixels, plane), plane, marks)
            elif ds.SamplesPerPixel == 1 and (sides := sides_of(product, frame)) is not None:
                pixels = with_sides(pixels, sides)
            pixels = with_drawings(pixels, drawings.get((str(ds.SOPInstanceUID), frame), ()))
            shown.append(Shown(product.name, pixels))
    return tuple(shown)


def sides_of(product: Product, frame: int) -> Plane | None:
    """Returns a plane that lies as a frame of a projection is seen, by its recipe; None for all other pictures, and for
    a recipe that cannot be read."""
    try:
        recipe = read_recipe(product.recipe)
    except RecipeError:
        return None
    seen = views(recipe) if isinstance(recipe, Projection) else ()
    if frame >= len(seen):
        return None
    up = seen[frame].up
    return Plane((0.0, 0.0, 0.0), seen[frame].right, (-up[0], -up[1], -up[2]))


def _drawings(evidence: Evidence, there: Mapping[str, Instance]) -> dict[tuple[str, int], tuple[PixelDrawing, ...]]:
    found: dict[tuple[str, int], tuple[PixelDrawing, ...]] = {}
    for image in evidence.objects:
        if image.sop_class_uid in PICTURE_STATES and image.sop_instance_uid in there:
            for place, drawings in drawings_of(dcmread(there[image.sop_instance_uid].path)).items():
                found[place] = (*found.get(place, ()), *drawings)
    return found


def _plane_of(ds: Dataset) -> Plane | None:
    """Returns where a CT or MR image lies; None for a capture. Source: PS3.3 C.7.6.2.1.1."""
    if not all(ds.get(keyword) for keyword in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing")):
        return None
    ways, (down, right) = [float(v) for v in ds.ImageOrientationPatient], map(float, ds.PixelSpacing)
    origin = vector([float(v) for v in ds.ImagePositionPatient])
    return Plane(origin, vector([right * v for v in ways[:3]]), vector([down * v for v in ways[3:]]))


def _instances(evidence: Evidence, place: Path | Archive) -> dict[str, Instance]:
    uids = {image.sop_instance_uid for product in evidence.products for image in product.images}
    uids |= {image.sop_instance_uid for image in evidence.objects if image.sop_class_uid in PICTURE_STATES}
    found: dict[str, Instance] = {}
    if isinstance(place, Archive):
        for uid in uids:
            with suppress(NotFound):
                found[uid] = place.instance(uid)
    else:
        found = {i.sop_instance_uid: i for series in scan(place).series for i in series.instances}
    return {uid: found[uid] for uid in uids if uid in found}


def pixels_of(ds: Dataset) -> NDArray[np.uint8]:
    """Returns (rows, columns, 3) uint8 of one of our images, through its window; of several frames the middle one."""
    values = np.asarray(ds.pixel_array)
    if int(ds.get("NumberOfFrames") or 1) > 1:
        values = values[len(values) // 2]
    if ds.SamplesPerPixel == 3:
        return np.asarray(values, dtype=np.uint8)
    groups = ds.get("SharedFunctionalGroupsSequence")
    rescale = groups[0].PixelValueTransformationSequence[0] if groups else ds
    voi = groups[0].FrameVOILUTSequence[0] if groups else ds
    if "WindowCenter" in voi:
        values = values.astype(np.float32) * float(rescale.RescaleSlope) + float(rescale.RescaleIntercept)
        values = window_8bit(values, float(voi.WindowCenter), float(voi.WindowWidth))
    return np.repeat(np.asarray(values, dtype=np.uint8)[..., None], 3, axis=-1)
