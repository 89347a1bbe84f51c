"""Stored pixel values of an instance, whatever the transfer syntax."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from dicom_io.capabilities import DEFLATED, EXPLICIT_BIG, NATIVE_SYNTAXES, TRANSFER_SYNTAXES
from dicom_io.errors import NotReadable
from dicom_io.series import Instance

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
        raise NotReadable(
            f"Instance {instance.sop_instance_uid}: its {name} pixel data cannot be decoded "
            f"({str(error).splitlines()[0][:200]}). Ask the sender for it again, uncompressed if possible."
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
    values, _ = get_decoder(UID(instance.transfer_syntax_uid)).as_array(
        data,
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
    return np.asarray(values).reshape(len(instance.frames), instance.rows, instance.columns)


def _significant_bits(values: NDArray[Any], instance: Instance) -> NDArray[Any]:
    """Overlays in unused bits and missing sign extension are things of the past that still arrive."""
    spare = values.dtype.itemsize * 8 - instance.bits_stored
    if values.dtype.kind not in "iu" or spare <= 0 or instance.bits_stored < 1:
        return values
    if instance.signed:
        signed = values.view(np.dtype(f"i{values.dtype.itemsize}"))
        return (signed << spare) >> spare
    return values & ((1 << instance.bits_stored) - 1)
