"""A presentation state for a picture: the window of a grey one, and the measurements drawn on it.

Sources: PS3.3 A.33.1 and A.33.2 (Grayscale and Color Softcopy Presentation State IOD), C.10.4 to C.10.7, C.11.8 to
C.11.11, C.11.15; PS3.4 N.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from dicom_io.evidence import Measurement
from dicom_io.files.digests import seal
from dicom_io.objects.colour_profile import srgb
from dicom_io.objects.common import body_part, decimal, new_object, new_series
from dicom_io.stamp import Stamp
from render.curved_surface import NEAR_MM, CurvedSurface
from render.geometry import Plane, Vector
from render.marks import DrawnMark, ShownSurface, pixel_of, shown_by
from render.measure import ellipse
from render.picture import Picture
from render.recipe import Solid, VolumeRendering, Window

GRAYSCALE_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
COLOUR_STATE = "1.2.840.10008.5.1.4.1.1.11.2"
PICTURE_STATES = (GRAYSCALE_STATE, COLOUR_STATE)
_LAYER = "MEASUREMENTS"
_BY_POINTS = ("angle", "cobb")  # on a curved picture where their points are; between them drawn straight
_HEAD_PX = 12.0  # of an arrow
_WORDS = {"length": "", "angle": "", "cobb_angle": "Cobb ", "area": "area ", "mean": "mean ", "deviation": "SD "}
# UCUM units as people write them.
UNITS_IN_WORDS = {"deg": "°", "mm2": "mm²", "mm3": "mm³", "[hnsf'U]": "HU", "1": ""}


@dataclass(frozen=True, slots=True)
class PictureNote:
    """Words on a picture, with no number. points_mm : LPS; one for words alone, or tip and end of an arrow."""

    points_mm: tuple[Vector, ...]
    text: str


def presentation_state(
    picture: Picture,
    images: Sequence[Dataset],
    measurements: Sequence[Measurement],
    source: Dataset,
    stamp: Stamp,
    number: int = 1,
    notes: Sequence[PictureNote] = (),
) -> Dataset | None:
    """Makes the state of the images that `derive` made of a picture; None for one in colour with nothing to draw on it.

    measurements, notes : those on one of its planes, or on its curved surface, are drawn there; on renderings and
    projections what lies in space. number : of the instance in the series of states. The same arguments give the same
    bytes.
    """
    first, in_colour = images[0], images[0].PhotometricInterpretation == "RGB"
    ds = new_object(COLOUR_STATE if in_colour else GRAYSCALE_STATE, "", source, stamp)
    name = picture.recipe.name or "picture"
    new_series(ds, "PR", 9600, "3D workstation: presentation states", stamp, "PR")
    body_part(ds, source)
    ds.InstanceNumber = number
    ds.PresentationCreationDate, ds.PresentationCreationTime = stamp.date, stamp.time
    ds.ContentLabel, ds.ContentDescription, ds.ContentCreatorName = "WINDOW", name[:64], None
    series = Dataset()
    series.SeriesInstanceUID = first.SeriesInstanceUID
    series.ReferencedImageSequence = DicomSequence(_reference(image) for image in images)
    ds.ReferencedSeriesSequence = DicomSequence([series])
    if in_colour:
        ds.ICCProfile = srgb()
    else:
        assert not isinstance(picture.recipe, VolumeRendering)
        _show_values(ds, first, picture.recipe.window)
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [first.Columns, first.Rows]
    area.PresentationSizeMode = "SCALE TO FIT"
    if picture.planes:
        area.PresentationPixelSpacing = [decimal(v) for v in picture.planes[0].pixel_spacing_mm]
    else:
        area.PresentationPixelAspectRatio = [1, 1]
    ds.DisplayedAreaSelectionSequence = DicomSequence([area])
    _annotate(ds, picture, images, (*measurements, *notes))
    if in_colour and "GraphicAnnotationSequence" not in ds:
        return None
    seal(ds)
    return ds


def _show_values(ds: Dataset, first: Dataset, window: Window) -> None:
    """Sets how stored values are shown. Without slope and intercept a viewer would use the stored values. Source: PS3.3
    C.11.1, PS3.4 N.2.1."""
    groups = first.get("SharedFunctionalGroupsSequence")
    rescale = groups[0].PixelValueTransformationSequence[0] if groups else first
    for keyword in ("RescaleIntercept", "RescaleSlope", "RescaleType"):
        setattr(ds, keyword, rescale.get(keyword))
    voi = Dataset()
    stored = "FrameTime" in first and first.BitsAllocated == 8  # windowed already
    voi.WindowCenter, voi.WindowWidth = ("128", "256") if stored else (f"{window.centre:g}", f"{window.width:g}")
    ds.SoftcopyVOILUTSequence = DicomSequence([voi])
    ds.PresentationLUTShape = "IDENTITY"


def _reference(image: Dataset, frame: int | None = None) -> Dataset:
    ds = Dataset()
    ds.ReferencedSOPClassUID, ds.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    if frame is not None:
        ds.ReferencedFrameNumber = frame
    return ds


def _annotate(
    ds: Dataset, picture: Picture, images: Sequence[Dataset], measurements: Sequence[Measurement | PictureNote]
) -> None:
    annotations, shown = [], shown_by(picture)
    drawn: dict[int, list[Measurement | PictureNote]] = {}
    for measurement in measurements:
        if measurement.points_mm:
            for number in _frames_of(measurement, picture, shown):
                if _fits(shown[number], measurement.points_mm, images[0]):
                    drawn.setdefault(number, []).append(measurement)
    for number, here in sorted(drawn.items()):
        # One image for each frame, or one image with all frames.
        image = images[number if len(images) > 1 else 0]
        reference = _reference(image, number + 1 if len(shown) > len(images) else None)
        annotations.append(_annotation(reference, shown[number], here))
    if annotations:
        ds.GraphicAnnotationSequence = DicomSequence(annotations)
        layer = Dataset()
        layer.GraphicLayer, layer.GraphicLayerOrder = _LAYER, 1
        ds.GraphicLayerSequence = DicomSequence([layer])


def _frames_of(measurement: Measurement | PictureNote, picture: Picture, shown: Sequence[ShownSurface]) -> list[int]:
    """Returns the frames of a picture that a measurement belongs on: of a stack the nearest plane, of two equally near
    ones the first; of renderings and projections every one for what lies in space; of curved pictures those on whose
    surface it lies."""
    points = measurement.points_mm
    if isinstance(picture.recipe, Solid) and not isinstance(measurement, PictureNote) and measurement.in_space:
        return list(range(len(shown)))
    bent = [each for each in shown if isinstance(each, CurvedSurface)]
    if bent:
        whole = isinstance(measurement, Measurement) and measurement.kind not in _BY_POINTS
        parts = [points] if whole else [(at,) for at in points]
        return [n for n, each in enumerate(bent) if all(each.shows(part, NEAR_MM) for part in parts)]
    if isinstance(picture.recipe, VolumeRendering) or not picture.planes:
        return []
    planes = picture.planes
    near = max(0.5, math.dist(planes[0].origin_mm, planes[1].origin_mm) / 2.0) if len(planes) > 1 else 0.5
    number = min(range(len(planes)), key=lambda n: round(_depth(planes[n], points), 6))
    return [number] if _depth(planes[number], points) <= near + 1e-6 else []


def _depth(plane: Plane, points: Sequence[Vector]) -> float:
    """Returns the distance in mm from a plane to the farthest of the points."""
    origin, normal = plane.origin_mm, plane.normal
    return max(abs(sum((a - o) * n for a, o, n in zip(at, origin, normal, strict=True))) for at in points)


def _fits(shown: ShownSurface, points: Sequence[Vector], image: Dataset) -> bool:
    places = [pixel_of(shown, at) for at in points]
    return all(-0.5 <= row <= image.Rows - 0.5 and -0.5 <= column <= image.Columns - 0.5 for row, column in places)


def _annotation(reference: Dataset, shown: ShownSurface, measurements: Sequence[Measurement | PictureNote]) -> Dataset:
    ds = Dataset()
    ds.ReferencedImageSequence = DicomSequence([reference])
    ds.GraphicLayer = _LAYER
    graphics, texts = [], []
    for measurement in measurements:
        places = [_pixel(shown, at) for at in measurement.points_mm]
        if isinstance(measurement, PictureNote):
            graphics += [_graphic("POLYLINE", line) for line in _arrow(places)]
        elif measurement.kind == "cobb":
            graphics += [_graphic("POLYLINE", line) for line in (places[:2], places[2:])]
        elif len(places) == 1:
            graphics.append(_graphic("POINT", places))
        else:
            line = [*places, places[0]] if measurement.kind in ("polygon", "area") else places
            graphics.append(_graphic("ELLIPSE" if measurement.kind == "ellipse" else "POLYLINE", line))
        said = measurement.text if isinstance(measurement, PictureNote) else in_words(measurement)
        if said:
            text = Dataset()
            text.AnchorPointAnnotationUnits = "PIXEL"
            text.AnchorPoint, text.AnchorPointVisibility = list(places[-1]), "N"
            text.UnformattedTextValue = said
            texts.append(text)
    if graphics:
        ds.GraphicObjectSequence = DicomSequence(graphics)
    if texts:
        ds.TextObjectSequence = DicomSequence(texts)
    return ds


def _arrow(places: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Returns shaft and head of an arrow from its tip and its end, in pixels; nothing for words alone."""
    if len(places) != 2:
        return []
    (x, y), (end_x, end_y) = places
    long = math.hypot(end_x - x, end_y - y)
    if long == 0.0:
        return []
    size = min(_HEAD_PX, long / 2.0)
    u, v = (end_x - x) / long * size, (end_y - y) / long * size
    return [[(end_x, end_y), (x, y)], [(x + u - v / 2.0, y + v + u / 2.0), (x, y), (x + u + v / 2.0, y + v - u / 2.0)]]


def in_words(measurement: Measurement) -> str:
    """Returns the main numbers of a measurement as text for people, after the reader's words."""
    said = [
        f"{_WORDS[q.name]}{q.value:.1f} {UNITS_IN_WORDS.get(q.unit, q.unit)}".strip()
        for q in measurement.quantities
        if q.name in _WORDS
    ]
    if measurement.kind == "trajectory":
        return ", ".join(filter(None, (f"{said[0]} deep", measurement.finding)))
    return " ".join(filter(None, (measurement.finding, ", ".join(said)))) or measurement.name


def mark_of(measurement: Measurement) -> DrawnMark | None:
    """Returns a measurement as it is drawn on pictures; None for one without places, such as a volume."""
    points = measurement.points_mm
    if len(points) < 2 or measurement.kind in ("lesion", "vessel"):
        return None
    lines: tuple[tuple[Vector, ...], ...] = (points,)
    if measurement.kind == "cobb":
        lines = (points[:2], points[2:])
    elif measurement.kind in ("polygon", "ellipse", "area"):
        outline = ellipse(points) if measurement.kind == "ellipse" else points
        lines = ((*outline, outline[0]),)
    words = in_words(measurement).split(", ")
    by_points = measurement.kind in _BY_POINTS
    return DrawnMark(lines, tuple(words), in_space=measurement.in_space, by_points=by_points)


def mark_of_note(note: PictureNote) -> DrawnMark:
    """Returns words on a picture as they are drawn on copies; an arrow with its tip first."""
    return DrawnMark((note.points_mm,), (note.text,), arrow=len(note.points_mm) == 2, by_points=True)


def _pixel(shown: ShownSurface, at: Vector) -> tuple[float, float]:
    """Returns (column, row), with the corner of the first pixel at 0, 0. Source: PS3.3 C.10.5.1.2."""
    row, column = pixel_of(shown, at)
    return column + 0.5, row + 0.5


def _graphic(kind: str, places: Sequence[tuple[float, float]]) -> Dataset:
    ds = Dataset()
    ds.GraphicAnnotationUnits, ds.GraphicDimensions = "PIXEL", 2
    ds.NumberOfGraphicPoints = len(places)
    ds.GraphicData = [value for place in places for value in place]
    ds.GraphicType, ds.GraphicFilled = kind, "N"
    return ds
