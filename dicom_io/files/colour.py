"""Colour pixels of an instance as red, green and blue, for reading in 2D. Volumes are never made of them."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import apply_color_lut, convert_color_space, pixel_array

from dicom_io.capabilities import NATIVE_SYNTAXES
from dicom_io.errors import NotReadable
from dicom_io.files.codecs import RLE, colour_stream
from dicom_io.files.decode import fragments_of, with_our_errors
from dicom_io.files.instance import Instance

_JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
_PALETTE = "PALETTE COLOR"


def why_no_colour(instance: Instance) -> str:
    """Returns why colour pixels cannot be shown, empty where they can."""
    if instance.photometric == _PALETTE:
        return "" if instance.samples == 1 and instance.bits_allocated in (8, 16) else "an unusual colour palette"
    if instance.samples != 3 or instance.bits_allocated != 8:
        return f"colour pixels of {instance.samples} x {instance.bits_allocated} bits"
    return ""


def colours(instance: Instance, n: int) -> NDArray[np.uint8]:
    """Returns (rows, columns, 3) uint8 red, green, blue of frame `n`. Source: PS3.3 C.7.6.3.1.2, C.7.9.

    Raises NotReadable where the pixels are damaged or of a kind that `why_no_colour` names.
    """
    if why := why_no_colour(instance):
        raise NotReadable(f"Instance {instance.sop_instance_uid}: {why}. Ask the sender for 8 bits a colour.")
    found: NDArray[np.uint8] = with_our_errors(instance, lambda: _colours(instance, n))
    return found


def _colours(instance: Instance, n: int) -> NDArray[np.uint8]:
    if instance.photometric == _PALETTE or instance.transfer_syntax_uid in (*NATIVE_SYNTAXES, RLE):
        values = _plain(instance, n)
    else:
        values = _decoded(instance, n)
    if values.shape != (instance.rows, instance.columns, 3) or values.dtype != np.uint8:
        raise ValueError(f"colours of shape {values.shape} and type {values.dtype}")
    return values


def _plain(instance: Instance, n: int) -> NDArray[Any]:
    """Returns the colours of pixels that pydicom unpacks by itself: planes, subsampled chroma and run lengths."""
    if instance.photometric != _PALETTE:
        return np.asarray(pixel_array(instance.path, index=n))
    ds = pydicom.dcmread(instance.path, defer_size=1024)
    seen = apply_color_lut(pixel_array(instance.path, index=n), ds)
    return np.asarray(seen >> 8 if seen.dtype == np.uint16 else seen, np.uint8)


def _decoded(instance: Instance, n: int) -> NDArray[Any]:
    with Path(instance.path).open("rb") as file:
        file.seek(instance.pixel_offset)
        frame = fragments_of(file.read(), instance.stored_frames)[n]
    syntax = instance.transfer_syntax_uid
    if syntax in _JPEG and instance.photometric == "RGB" and frame[2:4] != b"\xff\xe0" and b"Adobe" not in frame[:512]:
        # Nothing in the stream says that it holds red, green and blue, so libjpeg would take it for luma and chroma.
        return colour_stream(frame, instance, lambda data: imagecodecs.jpeg8_decode(data, colorspace="RGB"))
    values = colour_stream(frame, instance)
    if instance.photometric == "YBR_FULL" and syntax not in _JPEG:
        return np.asarray(convert_color_space(values, "YBR_FULL", "RGB"))
    return values
