"""Reads what a presentation state draws on images: lines, points, ellipses and words.

Sources: PS3.3 C.10.5 (Graphic Annotation), C.10.5.1.2 (units: the corner of the first pixel is at 0, 0).
"""

import math
from collections.abc import Iterator

from pydicom.dataset import Dataset

from render.marks import PixelDrawing

_POINT_PX = 3.0
_Line = tuple[tuple[float, float], ...]


def drawings_of(ds: Dataset) -> dict[tuple[str, int], tuple[PixelDrawing, ...]]:
    """Returns what a state draws, by SOP Instance UID and frame (from 0) of each image.

    What is given in parts of the displayed area, and not in pixels, is left out: ours never is.
    """
    found: dict[tuple[str, int], list[PixelDrawing]] = {}
    for annotation in ds.get("GraphicAnnotationSequence") or ():
        drawn = [*_graphics(annotation), *_words(annotation)]
        for image in annotation.get("ReferencedImageSequence") or ():
            uid, numbers = str(image.ReferencedSOPInstanceUID), image.get("ReferencedFrameNumber")
            frames = [1] if numbers is None else [int(numbers)] if isinstance(numbers, int) else map(int, numbers)
            for number in frames:
                found.setdefault((uid, number - 1), []).extend(drawn)
    return {place: tuple(drawings) for place, drawings in found.items()}


def _graphics(annotation: Dataset) -> Iterator[PixelDrawing]:
    for graphic in annotation.get("GraphicObjectSequence") or ():
        if graphic.GraphicAnnotationUnits != "PIXEL":
            continue
        values = [float(value) - 0.5 for value in graphic.GraphicData]
        line = _line(str(graphic.GraphicType), tuple(zip(values[::2], values[1::2], strict=True)))
        yield PixelDrawing((line,), (), line[-1])


def _line(kind: str, points: _Line) -> _Line:
    """Returns a graphic as a line that is drawn. Source: PS3.3 C.10.5.1.2 (Graphic Type)."""
    if kind == "POINT":
        (x, y), far = points[0], _POINT_PX
        return ((x - far, y), (x + far, y), (x, y), (x, y - far), (x, y + far))
    if kind == "CIRCLE":
        (x, y), edge = points[0], math.dist(points[0], points[1])
        return _around((x, y), (edge, 0.0), (0.0, edge))
    if kind == "ELLIPSE":
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = points
        long, short = ((bx - ax) / 2, (by - ay) / 2), ((dx - cx) / 2, (dy - cy) / 2)
        return _around(((ax + bx) / 2, (ay + by) / 2), long, short)
    return points


def _around(middle: tuple[float, float], long: tuple[float, float], short: tuple[float, float]) -> _Line:
    angles = [2.0 * math.pi * n / 72 for n in range(73)]
    return tuple(
        (
            middle[0] + long[0] * math.cos(a) + short[0] * math.sin(a),
            middle[1] + long[1] * math.cos(a) + short[1] * math.sin(a),
        )
        for a in angles
    )


def _words(annotation: Dataset) -> Iterator[PixelDrawing]:
    for text in annotation.get("TextObjectSequence") or ():
        anchored = text.get("AnchorPointAnnotationUnits") == "PIXEL" and text.get("AnchorPoint")
        boxed = text.get("BoundingBoxAnnotationUnits") == "PIXEL" and text.get("BoundingBoxTopLeftHandCorner")
        place = text.AnchorPoint if anchored else text.BoundingBoxTopLeftHandCorner if boxed else None
        if place is not None:
            at = (float(place[0]) - 0.5, float(place[1]) - 0.5)
            yield PixelDrawing((), tuple(str(text.UnformattedTextValue).splitlines()), at)
