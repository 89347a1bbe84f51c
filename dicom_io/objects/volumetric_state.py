"""Volumetric presentation states: they tell another workstation how to draw a view of a volume.

They hold what the standard can express. Without the rest (table removal, gradient opacity, occlusion) another
workstation draws a different picture; masks, averages and perspective are not expressed at all. The SR holds all of it.
Sources: PS3.3 A.80 (Volumetric Presentation State IODs), C.11.22 to C.11.32; PS3.4 FF.2.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from dicom_io.files.digests import seal
from dicom_io.files.series import Series, read_dataset
from dicom_io.objects import functional_groups as groups_of
from dicom_io.objects.colour_profile import srgb
from dicom_io.objects.common import inherit_laterality, new_object, new_series
from dicom_io.stamp import Stamp
from render.geometry import Plane, Vector, unit_vector
from render.picture import Picture
from render.recipe import Projection, Reformat, Solid, TransferFunction, VolumeRendering

PLANAR_MPR_STATE = "1.2.840.10008.5.1.4.1.1.11.6"
VOLUME_RENDERING_STATE = "1.2.840.10008.5.1.4.1.1.11.9"
_METHODS = {"mip": "MAXIMUM_IP", "minip": "MINIMUM_IP", "average": "AVERAGE_IP"}
_ENTRIES = 4096


def volumetric_state(
    picture: Picture, images: Sequence[Dataset], series: Series, stamp: Stamp, number: int = 1
) -> Dataset | None:
    """Makes the state of a reformat (its middle plane), rendering or projection (its first view); None for a picture
    that no state can express.

    images : the instances that `derive` made of the picture; the state refers to them as the look of the view. The same
    arguments give the same bytes.
    """
    recipe = picture.recipe
    if not isinstance(recipe, Reformat | Projection | VolumeRendering) or not picture.planes:
        return None  # curved, or in perspective
    if isinstance(recipe, Reformat | VolumeRendering) and recipe.fusion is not None:
        return None  # these states have one input
    if isinstance(recipe, Solid) and (recipe.masking or getattr(recipe, "mode", "") == "average"):
        return None
    source = read_dataset(series.first.path)
    sop_class = PLANAR_MPR_STATE if isinstance(recipe, Reformat) else VOLUME_RENDERING_STATE
    ds = new_object(sop_class, "", source, stamp)
    name = recipe.name or "view"
    identity = str(images[0].SeriesInstanceUID)
    new_series(ds, "PR", 9800, "3D workstation: views", stamp, "volumetric")
    ds.InstanceNumber = number
    ds.ContentLabel, ds.ContentDescription = "VIEW", name[:64]
    ds.PresentationCreationDate, ds.PresentationCreationTime = stamp.date, stamp.time
    volume = picture.provenance.volume
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = volume.frame_of_reference, ""
    ds.AnatomicRegionSequence, ds.ViewCodeSequence = DicomSequence(), DicomSequence()
    ds.ImageLaterality = inherit_laterality(source)
    _inputs(ds, picture, series, stamp.uid("input set", str(images[0].SOPInstanceUID)))
    if isinstance(recipe, Reformat):
        _plane(ds, picture, recipe)
    else:
        _view(ds, picture, recipe)
    first = images[len(images) // 2]
    looks = groups_of.one(ReferencedSOPClassUID=first.SOPClassUID, ReferencedSOPInstanceUID=first.SOPInstanceUID)
    if int(first.get("NumberOfFrames") or 1) > 1:
        looks[0].ReferencedFrameNumber = len(picture.planes) // 2 + 1 if isinstance(recipe, Reformat) else 1
    ds.RenderedImageReferenceSequence = looks
    ds.ReferencedSeriesSequence = DicomSequence(
        [
            *groups_of.referenced_series(series.uid, _classes(picture, series)),
            *groups_of.referenced_series(identity, [(str(first.SOPInstanceUID), str(first.SOPClassUID))]),
        ]
    )
    seal(ds)
    return ds


def _classes(picture: Picture, series: Series) -> list[tuple[str, str]]:
    classes = {i.sop_instance_uid: i.sop_class_uid for i in series.instances}
    return [(uid, classes[uid]) for uid in picture.provenance.source_uids]


def _inputs(ds: Dataset, picture: Picture, series: Series, set_uid: str) -> None:
    """Adds one volume as input, cropped as in the recipe. Sources: PS3.3 C.11.23, C.11.24."""
    recipe = picture.recipe
    images = (
        groups_of.one(ReferencedSOPClassUID=kind, ReferencedSOPInstanceUID=uid)[0]
        for uid, kind in _classes(picture, series)
    )
    ds.VolumetricPresentationInputSetSequence = groups_of.one(
        VolumetricPresentationInputSetUID=set_uid,
        PresentationInputType="VOLUME",
        ReferencedImageSequence=DicomSequence(images),
    )
    centre, width = _window(picture)
    entry = groups_of.one(
        VolumetricPresentationInputNumber=1,
        VolumetricPresentationInputSetUID=set_uid,
        WindowCenter=f"{centre:.10g}"[:16],
        WindowWidth=f"{width:.10g}"[:16],
        Crop="NO",
    )
    if isinstance(recipe, Reformat) and recipe.thickness_mm > 0.0:
        entry[0].RenderingMethod = _METHODS[recipe.mode]
    ds.VolumetricPresentationStateInputSequence = entry
    planes = _cuts(recipe) if isinstance(recipe, Solid) else []
    ds.GlobalCrop = "YES" if planes else "NO"
    if planes:
        ds.GlobalCroppingSpecificationIndex = 1
        ds.VolumeCroppingSequence = groups_of.one(
            CroppingSpecificationNumber=1,
            VolumeCroppingMethod="OBLIQUE_PLANES",
            ObliqueCroppingPlaneSequence=DicomSequence(_cut(at, normal) for at, normal in planes),
        )


def _window(picture: Picture) -> tuple[float, float]:
    """Returns centre and width of the window, or of the range of values that a transfer function distinguishes."""
    recipe = picture.recipe
    if isinstance(recipe, VolumeRendering):
        values = [point.value for point in recipe.transfer.points]
        return (values[0] + values[-1]) / 2.0, max(values[-1] - values[0], 1.0)
    return recipe.window.centre, recipe.window.width


def _cuts(recipe: Solid) -> list[tuple[Vector, Vector]]:
    """Returns the cropping planes, the sides of the crop box and the clips, each by a point and the direction that is
    cut away."""
    planes = [(clip.point_mm, unit_vector(clip.normal)) for clip in recipe.clips]
    if recipe.crop is not None:
        for axis in range(3):
            for corner, sign in ((recipe.crop.lower_mm, -1.0), (recipe.crop.upper_mm, 1.0)):
                x, y, z = (sign * float(axis == n) for n in range(3))
                planes.append((corner, (x, y, z)))
    return planes


def _cut(at: Vector, normal: Vector) -> Dataset:
    """Makes a cropping plane, Ax + By + Cz + D = 0 with the normal pointing outwards. Source: PS3.3 C.11.24 (Oblique
    Cropping Plane Sequence)."""
    distance = -sum(a * n for a, n in zip(at, normal, strict=True))
    return groups_of.one(Plane=[*normal, distance], PlaneNormal=list(normal))[0]


def _corner(plane: Plane) -> Vector:
    """Returns the outer corner of the first pixel."""
    x, y, z = (o - r / 2.0 - d / 2.0 for o, r, d in zip(plane.origin_mm, plane.right_mm, plane.down_mm, strict=True))
    return (x, y, z)


def _size_mm(picture: Picture, plane: Plane) -> tuple[float, float]:
    """Returns width and height in mm."""
    down, right = plane.pixel_spacing_mm
    rows, columns = picture.pixels.shape[1:3]
    return columns * right, rows * down


def _plane(ds: Dataset, picture: Picture, recipe: Reformat) -> None:
    """Sources: PS3.3 C.11.26 (Multi-Planar Reconstruction Geometry), C.11.27 (MPR Display)."""
    plane = picture.planes[len(picture.planes) // 2]
    width, height = _size_mm(picture, plane)
    ds.MultiPlanarReconstructionStyle = "PLANAR"
    ds.MPRThicknessType = "SLAB" if recipe.thickness_mm > 0.0 else "THIN"
    if recipe.thickness_mm > 0.0:
        ds.MPRSlabThickness = recipe.thickness_mm
    ds.MPRTopLeftHandCorner = list(_corner(plane))
    ds.MPRViewWidthDirection, ds.MPRViewWidth = list(unit_vector(plane.right_mm)), width
    ds.MPRViewHeightDirection, ds.MPRViewHeight = list(unit_vector(plane.down_mm)), height
    ds.PixelPresentation, ds.PresentationLUTShape = "MONOCHROME", "IDENTITY"


def _view(ds: Dataset, picture: Picture, recipe: Projection | VolumeRendering) -> None:
    """Sources: PS3.3 C.11.30 (Volume Render Geometry), C.11.31 (Render Shading), C.11.32 (Render Display)."""
    plane, volume = picture.planes[0], picture.provenance.volume
    width, height = _size_mm(picture, plane)
    rows, columns = picture.pixels.shape[1:3]
    middle = plane.at((rows - 1) / 2.0, (columns - 1) / 2.0)
    # Far enough that the whole volume lies in front of the observer, wherever in it the picture's middle is.
    reach = math.hypot(*(n * s for n, s in zip(volume.shape, volume.spacing_mm, strict=True)))
    slab = getattr(recipe, "slab_mm", None) or 2.0 * reach - 2.0
    ds.RenderingMethod = "VOLUME_RENDERED" if isinstance(recipe, VolumeRendering) else _METHODS[recipe.mode]
    ds.RenderProjection = "ORTHOGRAPHIC"
    ds.ViewpointPosition = [m - reach * n for m, n in zip(middle, plane.normal, strict=True)]
    ds.ViewpointLookAtPoint = list(middle)
    ds.ViewpointUpDirection = [-v for v in unit_vector(plane.down_mm)]
    half_w, half_h = width / 2.0, height / 2.0
    ds.RenderFieldOfView = [-half_w, half_w, half_h, -half_h, reach - slab / 2.0, reach + slab / 2.0]
    step = recipe.step_voxels * min(volume.spacing_mm)
    ds.SamplingStepSize = step
    component = Dataset()
    component.ComponentType = "ONE_TO_RGBA"
    component.ComponentInputSequence = groups_of.one(VolumetricPresentationInputIndex=1)
    if isinstance(recipe, VolumeRendering):
        _palette(component, recipe.transfer, step)
        _shading(ds, recipe, plane)
    else:
        component.RGBLUTTransferFunction, component.AlphaLUTTransferFunction = "EQUAL_RGB", "IDENTITY"
    ds.PixelPresentation = "TRUE_COLOR"
    ds.VolumeStreamSequence = groups_of.one(
        VolumetricPresentationInputSetUID=ds.VolumetricPresentationInputSetSequence[
            0
        ].VolumetricPresentationInputSetUID,
        PresentationStateClassificationComponentSequence=DicomSequence([component]),
    )
    ds.PresentationStateCompositorComponentSequence = DicomSequence()
    ds.ICCProfile, ds.ColorSpace = srgb(), "SRGB"


def _palette(component: Dataset, transfer: TransferFunction, step_mm: float) -> None:
    """Writes colour and opacity of a sample as 16-bit palettes over the window. Source: PS3.3 C.7.9, C.11.27.1."""
    points = transfer.points
    at = np.linspace(points[0].value, points[-1].value, _ENTRIES)
    values = [point.value for point in points]
    opacity = np.interp(at, values, [point.opacity for point in points])
    alpha = 1.0 - (1.0 - opacity) ** (step_mm / transfer.opacity_unit_mm)
    channels = {name: np.interp(at, values, [getattr(p, name) for p in points]) for name in ("red", "green", "blue")}
    component.RGBLUTTransferFunction = component.AlphaLUTTransferFunction = "TABLE"
    for name, channel in {**channels, "alpha": alpha}.items():
        words = f"{name.capitalize()}PaletteColorLookupTable"
        setattr(component, f"{words}Descriptor", [_ENTRIES, 0, 16])
        setattr(component, f"{words}Data", _words(channel))


def _words(values: NDArray[np.float64]) -> bytes:
    return np.rint(np.clip(values, 0.0, 1.0) * 65535.0).astype("<u2").tobytes()


def _shading(ds: Dataset, recipe: VolumeRendering, plane: Plane) -> None:
    """Adds the shading; nothing for an unshaded rendering. The light's direction points away from its position."""
    shading = recipe.transfer.shading
    if shading is None:
        return
    away = plane.normal if recipe.light is None else tuple(-v for v in recipe.light.towards_observer)
    ds.ShadingStyle = "DOUBLESIDED"
    ds.AmbientReflectionIntensity = min(shading.ambient, 1.0)
    ds.DiffuseReflectionIntensity = min(shading.diffuse, 1.0)
    ds.SpecularReflectionIntensity = min(shading.specular, 1.0)
    ds.Shininess = math.log2(shading.specular_power) / 6.0  # 0…1 over the powers that a recipe can have
    ds.LightDirection = list(away)
