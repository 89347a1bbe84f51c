"""Frames of archived images as PNG and JPEG, shown through their own window, with sides and measures on planes."""

import io
import struct
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.pixels import pixel_array

from dicom_io.errors import NotReadable
from dicom_io.files.instance import Frame
from render.geometry import Plane, vector
from render.marks import DrawnMark, with_drawings, with_marks, with_sides
from render.picture import window_8bit
from workstation.results.contents import ShownFrame

ImageForm = Literal["png", "jpg"]
MEDIA: dict[ImageForm, str] = {"png": "image/png", "jpg": "image/jpeg"}
_QUALITY = 90
# Of the larger side of a preview.
PREVIEW_PX = 720


def frame_pixels(shown: ShownFrame, marks: Sequence[DrawnMark] = ()) -> NDArray[np.uint8]:
    """Returns (rows, columns, 3) uint8 of a frame. marks : measures, drawn where they lie on its plane, beside
    what its presentation states draw.

    Raises NotReadable.
    """
    instance = shown.file.instance
    try:
        # Of many frames, only this one is read.
        values = np.asarray(pixel_array(instance.path, index=shown.number, raw=False))
    except Exception as error:  # a damaged object fails anywhere
        raise NotReadable(
            f"Instance {instance.sop_instance_uid}: frame {shown.number + 1} cannot be read ({error})."
        ) from error
    if instance.samples == 3:
        return with_drawings(np.asarray(values, dtype=np.uint8), shown.drawings)
    frame = instance.frames[min(shown.number, len(instance.frames) - 1)]
    if frame.window is not None:
        values = window_8bit(values.astype(np.float32) * frame.slope + frame.intercept, *frame.window)
    pixels = np.repeat(np.asarray(values, dtype=np.uint8)[..., None], 3, axis=-1)
    plane = _plane(frame)
    if plane is not None:
        pixels = with_marks(with_sides(pixels, plane), plane, marks)
    elif shown.sides is not None:
        pixels = with_sides(pixels, shown.sides)
    return with_drawings(pixels, shown.drawings)


def encoded(pixels: NDArray[np.uint8], form: ImageForm, most_px: int = 0) -> bytes:
    """Returns a picture as a file. form : `png` keeps every value; `jpg` is smaller and does not. most_px : larger
    pictures are made smaller, 0 for none."""
    image = Image.fromarray(pixels)
    if most_px and max(image.size) > most_px:
        image.thumbnail((most_px, most_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if form == "png":
        image.save(buffer, "PNG", compress_level=3)
    else:
        image.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return buffer.getvalue()


def framed(frames: Sequence[ShownFrame], marks: Sequence[DrawnMark] = ()) -> Iterator[bytes]:
    """Yields all frames of a rotation or stack, compressed: number and length of each as 32 bits, little endian, then
    its JPEG. Every eighth comes first, so that it can be turned before all of them are there. Raises NotReadable."""
    for n in dict.fromkeys(n for step in (8, 4, 2, 1) for n in range(0, len(frames), step)):
        content = encoded(frame_pixels(frames[n], marks), "jpg")
        yield struct.pack("<II", n, len(content)) + content


def _plane(frame: Frame) -> Plane | None:
    """Where a CT or MR image lies; None for a capture. Source: PS3.3 C.7.6.2.1.1."""
    if frame.position_mm is None or frame.orientation is None or frame.spacing_mm is None:
        return None
    (down, right), ways = frame.spacing_mm, frame.orientation
    origin = vector(frame.position_mm)
    return Plane(origin, vector([right * v for v in ways[:3]]), vector([down * v for v in ways[3:]]))
