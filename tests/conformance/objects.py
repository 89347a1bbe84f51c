"""Series, pictures, derived objects and SRs for the validators: small, and awkward where hospitals are."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone

from pydicom.dataset import Dataset

from dicom_io.evidence import Act, Attestation, Evidence, ImageReference, Measurement, Person, Product, Quantity
from dicom_io.files.series import Series, read_dataset
from dicom_io.objects.burn_in import Burned
from dicom_io.objects.derived import derive, products
from dicom_io.objects.encapsulated_obj import model_object
from dicom_io.objects.encapsulated_stl import surface_object
from dicom_io.objects.presentation_state import PictureNote, presentation_state
from dicom_io.objects.segmentation import segmentation
from dicom_io.objects.spatial_registration import spatial_registration
from dicom_io.objects.volumetric_state import volumetric_state
from dicom_io.sr.evidence_sr import write_sr
from dicom_io.sr.key_objects import write_key_objects
from dicom_io.sr.report_sr import WrittenReport, write_report
from dicom_io.stamp import Stamp
from dicom_io.volumes import build_volume
from render import segment
from render.curved_surface import CurvedShape, surfaces
from render.draw import draw
from render.geometry import Vector, View, point, vector
from render.mask import Mask
from render.mask_steps import MaskStep, Scissors, Values
from render.picture import Picture
from render.recipe import (
    ControlPoint,
    CurvedReformat,
    Projection,
    Recipe,
    Reformat,
    Rotation,
    TransferFunction,
    VolumeRendering,
    Window,
)
from render.registration import Registration
from render.surface import surface
from render.surface_model import SurfaceModel, SurfacePart, make_surfaces
from render.volume import Volume
from tests.render.heads import matrix_of, move_of
from workstation.records.measurements import (
    LINE_BY_HAND,
    AvoidedSegments,
    measure,
    measure_mask,
    measure_outline,
    measure_targets,
    measure_way,
)
from workstation.records.recist import TargetLesion, TargetLesions, TreatmentCourse

STAMP = Stamp(
    at=datetime(2026, 3, 2, 16, 5, 7, tzinfo=timezone(timedelta(hours=1))),
    session="1.2.3.4",
    station_name="WS-1",
    device_uid="2.25.81985529216486895",
    software_versions=("0.1.0",),
    institution="Sample Hospital",
)
PHYSICIAN = Person("meier", "Meier^Anna^^Dr.", "physician")
TECHNOLOGIST = Person("okafor", "Okafor^Chidi", "technologist")


def recipes(volume: Volume) -> tuple[Recipe, ...]:
    """One of each kind, with the volume's unit and a window over its values."""
    low, high = float(volume.voxels.min()), float(volume.voxels.max())
    window = Window((low + high) / 2, max(high - low, 1.0))
    transfer = TransferFunction(
        "plain",
        volume.unit,
        (
            ControlPoint(low, 0, 0, 0, 0),
            ControlPoint((low + high) / 2, 1, 0.8, 0.6, 0.1),
            ControlPoint(high, 1, 1, 1, 1),
        ),
    )
    view = View.parse("anterior, 20 towards left, 10 up")
    drawn: tuple[Recipe, ...] = (
        Reformat(window, View.parse("left"), count=3, spacing_mm=2.5, name="sagittal reformat"),
        Reformat(window, view, thickness_mm=5.0, name="oblique slab"),
        Projection("mip", window, view, name="MIP"),
        Projection("average", window, rotation=Rotation(2), name="turning average"),
        VolumeRendering(transfer, view, name="rendering"),
        VolumeRendering(transfer, rotation=Rotation(2), name="turning rendering"),
        CurvedReformat(window, path(volume), name="curved"),
        CurvedReformat(window, path(volume), count=2, name="curved and turned"),
    )
    return tuple(replace(recipe, rows=64, columns=64) for recipe in drawn)


def path(volume: Volume) -> tuple[Vector, ...]:
    """A path through the middle of a volume, from one end to the other."""
    k, j, i = volume.shape
    return tuple(point(volume.affine, (z * (k - 1), j / 2 + (z - 0.5) * j / 3, i / 2)) for z in (0.1, 0.4, 0.6, 0.9))


@dataclass(frozen=True, slots=True)
class Made:
    """A series gone through everything below the workstation.

    groups : the data sets of each picture. marked : the same pictures with who and what burned in. beside : all other
    objects, by what they are. steps, mask : those of the segmentation.
    """

    volume: Volume
    pictures: tuple[Picture, ...]
    groups: list[list[Dataset]]
    evidence: Evidence
    sr: Dataset
    marked: list[Dataset]
    report: Dataset
    beside: dict[str, Dataset]
    steps: tuple[MaskStep, ...]
    mask: Mask

    @property
    def datasets(self) -> list[Dataset]:
        return [ds for group in self.groups for ds in group]


def make(series: Series, *, bare: bool = False) -> Made:
    """Draws, derives and records. `bare`: an SR with nothing optional in it."""
    volume = build_volume(series)
    pictures = tuple(draw(volume, recipe) for recipe in recipes(volume))
    datasets = derive(pictures, series, STAMP)
    recorded = evidence(series, products(pictures, datasets, "head"), bare=bare)
    if not bare:
        recorded = replace(recorded, measurements=measurements(volume), products=sided_and_prepared(recorded.products))
    by_uid = {str(ds.SOPInstanceUID): ds for ds in datasets}
    groups = [[by_uid[image.sop_instance_uid] for image in product.images] for product in recorded.products]
    larger = [draw(volume, replace(picture.recipe, rows=160, columns=160)) for picture in pictures]
    marked = derive(larger, series, STAMP, Burned(("Doe, Jane", "ID 4711")))
    sr = write_sr(recorded, read_dataset(series.first.path), STAMP)
    steps = (Values(float(volume.voxels.mean()), float(volume.voxels.max())), scissors(volume))
    mask = segment.made(volume, steps)
    beside = _beside(series, volume, pictures, groups, recorded, mask, steps)
    return Made(
        volume, pictures, groups, recorded, sr, marked, report(series, recorded, bare=bare), beside, steps, mask
    )


def sided_and_prepared(made_products: tuple[Product, ...]) -> tuple[Product, ...]:
    """A side for the first picture, and that the second was made unattended: contents that few records have."""
    first, second, *others = made_products
    return (replace(first, laterality="L"), replace(second, prepared=True), *others)


def scissors(volume: Volume) -> Scissors:
    """A triangle about the middle, seen from the feet."""
    x, y, z = volume.centre_mm
    r = volume.spacing_mm[1] * volume.shape[1] / 4.0
    return Scissors(((x - r, y - r, z), (x + r, y - r, z), (x, y + r, z)), View.parse("foot"), label=7)


def _beside(
    series: Series,
    volume: Volume,
    pictures: tuple[Picture, ...],
    groups: list[list[Dataset]],
    recorded: Evidence,
    mask: Mask,
    steps: tuple[MaskStep, ...],
) -> dict[str, Dataset]:
    source = read_dataset(series.first.path)
    found: dict[str, Dataset] = {}
    segmented = segmentation(mask, steps, volume, series, STAMP)
    assert segmented is not None
    found["segmentation"] = segmented
    shape = surface(mask, 7, volume)
    assert shape is not None
    found["surface"] = surface_object(shape, "label 7", volume, series, STAMP)
    parts = make_surfaces(volume, SurfaceModel((SurfacePart(7, "Außenteil", (0.9, 0.2, 0.1)),), closed=False), mask)
    found["surface model"] = model_object(parts, "label 7 in colour", volume, series, STAMP)
    turned = Registration(matrix_of(move_of((6.0, -8.0, 10.0), (12.0, -7.0, 15.0))), "rigid", 0.81, 0.97, 0.6)
    found["registration"] = spatial_registration(turned, (volume, series), (volume, series), STAMP)
    keys = [image for product in recorded.products for image in product.images]
    found["key objects"] = write_key_objects(keys, PHYSICIAN, source, series.first.study_uid, STAMP)
    stack = [p for p in pictures if isinstance(p.recipe, Reformat)] if series.modality in ("CT", "MR") else []
    for ds in derive(stack, series, STAMP, multiframe=True):
        found[f"enhanced {ds.ImageComments}"] = ds
    for number, (picture, group) in enumerate(zip(pictures, groups, strict=True), start=1):
        middle = picture.planes[0].at(20.0, 20.0) if picture.planes else volume.centre_mm
        end = picture.planes[0].at(40.0, 30.0) if picture.planes else volume.centre_mm
        taken = recorded.measurements
        if isinstance(picture.recipe, CurvedReformat):
            way = surfaces(picture.recipe)[0].way((10.0, 20.0), (50.0, 40.0))
            assert way is not None
            taken = (*taken, measure("length 2", "length", way, View(), volume))
        notes = (PictureNote((middle, end), "Pfeil"), PictureNote((middle,), "Worte"), PictureNote((end, middle), ""))
        state = presentation_state(picture, group, taken, source, STAMP, number, notes)
        if state is not None:
            found[f"presentation of {picture.recipe.name}"] = state
        view = volumetric_state(picture, group, series, STAMP, number)
        if view is not None:
            found[f"view of {picture.recipe.name}"] = view
    return found


def measurements(volume: Volume) -> tuple[Measurement, ...]:
    """One of each kind, about the middle of the volume."""
    middle, view = volume.centre_mm, View.parse("foot")
    a, b, c, d = (
        vector(m + e for m, e in zip(middle, by, strict=True)) for by in ((0, 0, 0), (5, 2, 0), (8, 6, 0), (1, 5, 0))
    )
    everything = Values(float(volume.voxels.mean()), float(volume.voxels.max()))
    return (
        measure("distance 1", "distance", (a, b), view, volume, "größter Durchmesser"),
        measure("length 1", "length", (a, b, (c[0], c[1], c[2] + 6.0)), view, volume, "way to the Läsion"),
        measure("angle 1", "angle", (a, b, c), view, volume),
        measure("Cobb 1", "cobb", (a, b, c, d), view, volume),
        measure("ellipse 1", "ellipse", (a, c), view, volume, "Lesion A"),
        measure("polygon 1", "polygon", (a, b, c, d), view, volume),
        measure_outline("ellipse 2", "ellipse", (a, c), CurvedShape((a, b, c), "stretched", view), volume),
        measure_way("trajectory 1", a, d, AvoidedSegments((everything,), (("Vein", 1),)), volume),
        measure_mask("mask 1", (everything,), 1, volume),
        # As tools find them; what validators read does not depend on there being a vessel in these voxels.
        Measurement(
            "vessel 1", "vessel", (a, c), "", volume.frame_of_reference, volume.digest, VESSEL, "", LINE_BY_HAND, (b, d)
        ),
        Measurement("lesion 1", "lesion", (a,), "", volume.frame_of_reference, volume.digest, LESION, "Läsion B"),
        measure_targets(
            "Target lesions",
            TargetLesions(
                (
                    TargetLesion("lesion 1", "Leber", a, False, 22.5, 31.0, "2025-03-01"),
                    TargetLesion("lesion 2", "", b, True, 9.0, 16.0, "2025-03-01"),
                ),
                TreatmentCourse(60.0, 47.0, "present", "Pleuraerguss", "none"),
            ),
            volume,
        ),
    )


VESSEL = (
    Quantity("length", 61.5, "mm"),
    Quantity("tortuosity", 1.07, "1"),
    Quantity("least_diameter", 1.9, "mm"),
    Quantity("reference_diameter", 5.0, "mm"),
    Quantity("nascet", 62.0, "%"),
    Quantity("ecst", 60.5, "%"),
    Quantity("area_stenosis", 85.6, "%"),
    Quantity("greatest_diameter", 6.1, "mm"),
)
LESION = (
    Quantity("volume", 6700.0, "mm3"),
    Quantity("longest_diameter", 31.0, "mm"),
    Quantity("long_axis", 28.0, "mm"),
    Quantity("short_axis", 21.0, "mm"),
    Quantity("solid_volume", 1200.0, "mm3"),
    Quantity("solid_axis", 11.0, "mm"),
    Quantity("prior_long_axis", 21.0, "mm"),
    Quantity("long_axis_change", 33.333, "%"),
)


def report(series: Series, recorded: Evidence, *, bare: bool) -> Dataset:
    """A signed report with key images; `bare`: findings alone."""
    keys = () if bare else tuple(image for product in recorded.products[:2] for image in product.images)
    facts = () if bare else (("medical_necessity", "Planning."), ("clinical_utility", "Shows the fragments: größer."))
    at = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)
    written = WrittenReport(PHYSICIAN, at, "" if bare else "Trauma.", "A fracture.", "", facts, keys)
    return write_report(written, read_dataset(series.first.path), series.first.study_uid, STAMP)


def evidence(series: Series, drawn: tuple[Product, ...], *, bare: bool) -> Evidence:
    first = series.first
    at = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    return Evidence(
        sop_instance_uid=STAMP.uid("SR", series.uid),
        verified_by="" if bare else PHYSICIAN.name,
        patient_id=first.patient_id,
        accession=first.accession,
        study_uid=first.study_uid,
        study_date=first.study_date,
        modality=series.modality,
        device_uid=STAMP.device_uid,
        station_name=STAMP.station_name,
        independent=True,
        operator=TECHNOLOGIST,
        supervisor=None if bare else PHYSICIAN,
        acts=() if bare else (Act(at, "okafor", "technologist", "opened", "protocol x"),),
        attestation=None if bare else Attestation(PHYSICIAN, at, "I supervised this concurrently.", True, None),
        products=drawn,
        sources=tuple(ImageReference(i.sop_class_uid, i.sop_instance_uid, i.series_uid) for i in series.instances),
    )
