"""Stored pixel values of an instance, whatever the transfer syntax."""

from pathlib import Path
from struct import unpack
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from dicom_io.capabilities import DEFLATED, EXPLICIT_BIG, NATIVE_SYNTAXES, TRANSFER_SYNTAXES
from dicom_io.errors import NotReadable
from dicom_io.series import Instance

# pydicom's decoders by transfer syntax, in the order in which they are tried. Always in the same order: lossy decoders
# differ in the last bit, and a picture must come out the same everywhere.
_PLUGINS: dict[str, tuple[str, ...]] = {
    "1.2.840.10008.1.2.4.80": ("pyjpegls", "pylibjpeg"),
    "1.2.840.10008.1.2.4.81": ("pyjpegls", "pylibjpeg"),
    "1.2.840.10008.1.2.4.90": ("pylibjpeg",),
    "1.2.840.10008.1.2.4.91": ("pylibjpeg",),
    "1.2.840.10008.1.2.4.70": ("pylibjpeg", "gdcm"),
    "1.2.840.10008.1.2.4.57": ("pylibjpeg", "gdcm"),
    "1.2.840.10008.1.2.4.50": ("pillow",),
    "1.2.840.10008.1.2.4.51": ("pillow", "pylibjpeg"),
    "1.2.840.10008.1.2.4.201": ("pylibjpeg",),
    "1.2.840.10008.1.2.4.202": ("pylibjpeg",),
    "1.2.840.10008.1.2.4.203": ("pylibjpeg",),
    "1.2.840.10008.1.2.5": ("pydicom",),
}
# Damaged JPEG makes GDCM abort the whole process, so it is asked only where nobody else can decode.
_LAST_RESORT = "gdcm"
_NATIVE_TYPES = {8: ("u1", "i1"), 16: ("u2", "i2"), 32: ("u4", "i4")}


def stored_values(instance: Instance) -> NDArray[Any]:
    """(F, rows, columns) stored values as integers (or floats for float pixel data), before rescale.

    Unused high bits are cleared or sign-extended. Source: PS3.5 8.1.1 and 8.2.

    Raises NotReadable when the pixels are cut short or the stream cannot be decoded.
    """
    try:
        if instance.transfer_syntax_uid == DEFLATED:
            values = pydicom.dcmread(instance.path).pixel_array
            values = values.reshape(len(instance.frames), instance.rows, instance.columns)
        elif instance.transfer_syntax_uid in NATIVE_SYNTAXES:
            values = _native(instance)
        else:
            values = _decoded(instance)
    except NotReadable:
        raise
    except OSError as error:
        raise NotReadable(f"{instance.path}: cannot be read ({error.strerror}).") from error
    except Exception as error:
        name = TRANSFER_SYNTAXES.get(instance.transfer_syntax_uid, instance.transfer_syntax_uid)
        why = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise NotReadable(
            f"Instance {instance.sop_instance_uid}: its {name} pixel data cannot be decoded ({why}). Ask the sender "
            "for it again, uncompressed if possible."
        ) from error
    return _significant_bits(values, instance)


def _native(instance: Instance) -> NDArray[Any]:
    shape = (len(instance.frames), instance.rows, instance.columns)
    order = ">" if instance.transfer_syntax_uid == EXPLICIT_BIG else "<"
    if instance.pixel_keyword == "FloatPixelData":
        code = "f4"
    elif instance.bits_allocated in _NATIVE_TYPES:
        code = _NATIVE_TYPES[instance.bits_allocated][instance.signed]
    else:
        raise NotReadable(
            f"Instance {instance.sop_instance_uid}: {instance.bits_allocated} bits allocated; 8, 16 and 32 are known."
        )
    count = shape[0] * shape[1] * shape[2]
    with Path(instance.path).open("rb") as file:
        file.seek(instance.pixel_offset)
        values = np.fromfile(file, dtype=np.dtype(order + code), count=count)
    if values.size != count:
        raise NotReadable(f"Instance {instance.sop_instance_uid}: {values.size} of {count} pixels on disk.")
    return values.reshape(shape).astype(values.dtype.newbyteorder("="), copy=False)


def _decoded(instance: Instance) -> NDArray[Any]:
    with Path(instance.path).open("rb") as file:
        file.seek(instance.pixel_offset)
        data = file.read()
    _check_sizes(data, instance)
    decoder = get_decoder(UID(instance.transfer_syntax_uid))
    plugins = [p for p in _PLUGINS[instance.transfer_syntax_uid] if p in decoder.available_plugins]
    problems = []
    for plugin in [p for p in plugins if p != _LAST_RESORT] or plugins:
        try:
            values, _ = decoder.as_array(
                data,
                decoding_plugin=plugin,
                raw=True,
                rows=instance.rows,
                columns=instance.columns,
                number_of_frames=len(instance.frames),
                samples_per_pixel=instance.samples,
                photometric_interpretation=instance.photometric,
                pixel_representation=int(instance.signed),
                bits_allocated=instance.bits_allocated,
                bits_stored=instance.bits_stored,
                pixel_keyword=instance.pixel_keyword,
            )
            break
        except RuntimeError as error:  # what pydicom makes of a decoder's own errors; the last line is theirs
            problems.append(str(error).splitlines()[-1].strip())
    else:
        raise ValueError("; ".join(problems) or "no decoder is installed")
    return np.asarray(values).reshape(len(instance.frames), instance.rows, instance.columns)


def _check_sizes(data: bytes, instance: Instance) -> None:
    """Raises NotReadable for a frame whose stream says another size than the header.

    Decoders believe their stream: a flipped bit there makes them reserve gigabytes and work for minutes.
    """
    for frame in generate_frames(data, number_of_frames=len(instance.frames)):
        found = _stream_size(frame)
        if found is not None and found != (instance.rows, instance.columns):
            raise NotReadable(
                f"Instance {instance.sop_instance_uid}: the compressed stream says {found[0]} x {found[1]} pixels, the "
                f"header {instance.rows} x {instance.columns}. Ask the sender for it again."
            )


def _stream_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) that a JPEG, JPEG-LS or JPEG 2000 stream says; None for RLE, or where none is said.

    Sources: ISO 15444-1 A.5.1 (SIZ follows SOC), ISO 10918-1 B.2.2 (SOF), ISO 14495-1 C.2.2 (SOF55).
    """
    if frame[:4] == b"\xff\x4f\xff\x51" and len(frame) >= 40:
        width, height, left, top, tile_width, tile_height = unpack(">6L", frame[8:32])
        if tile_width == 0 or tile_height == 0 or (width // tile_width + 1) * (height // tile_height + 1) > 65535:
            return (0, 0)
        return (height - top, width - left)
    at = 2
    while frame[:2] == b"\xff\xd8" and at + 9 <= len(frame) and frame[at] == 0xFF:
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4], "big")
        if marker == 0xFF:
            at += 1  # a fill byte
        elif marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return (int.from_bytes(frame[at + 5 : at + 7], "big"), int.from_bytes(frame[at + 7 : at + 9], "big"))
        else:
            at += 2 + length
    return None


def _significant_bits(values: NDArray[Any], instance: Instance) -> NDArray[Any]:
    """Overlays in unused bits and missing sign extension are things of the past that still arrive."""
    spare = values.dtype.itemsize * 8 - instance.bits_stored
    if values.dtype.kind not in "iu" or spare <= 0 or instance.bits_stored < 1:
        return values
    if instance.signed:
        signed = values.view(np.dtype(f"i{values.dtype.itemsize}"))
        return (signed << spare) >> spare
    return values & ((1 << instance.bits_stored) - 1)
