"""Stored pixel values of an instance in any transfer syntax: all at once, or frame by frame from many threads."""

import sys
from collections.abc import Callable
from functools import partial
from io import FileIO
from pathlib import Path
from struct import error as StructError  # noqa: N812 - a class, in spite of its name
from struct import unpack_from
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import generate_frames

from dicom_io.capabilities import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    NATIVE_SYNTAXES,
    TRANSFER_SYNTAXES,
)
from dicom_io.errors import NotReadable
from dicom_io.files.codecs import RLE, decode
from dicom_io.files.instance import Instance

_INTEGERS = {8: ("u1", "i1"), 16: ("u2", "i2"), 32: ("u4", "i4")}
_FLOATS = {"FloatPixelData": (32, "f4"), "DoubleFloatPixelData": (64, "f8")}

# Returns a frame's stored values by its number; several threads may call it at once.
Reader = Callable[[int], NDArray[Any]]


def stored_values(instance: Instance) -> NDArray[Any]:
    """Returns (F, rows, columns) stored values as integers (or floats for float pixel data), before rescale.

    Unused high bits are cleared or sign-extended. Source: PS3.5 8.1.1 and 8.2.

    Raises NotReadable when the pixels are cut short or the stream cannot be decoded.
    """
    read = open_pixels(instance)
    return np.stack([read(n) for n in range(len(instance.frames))])


def stored_pixels(instance: Instance) -> bytes:
    """Returns the pixel data of a compressed instance as native little endian, padded to an even length.

    A mosaic is not unfolded. Raises NotReadable. Source: PS3.5 8.2 and A.2.
    """
    read: Reader = with_our_errors(instance, lambda: _whole(instance))

    def frame_bytes(n: int) -> bytes:
        frame = read(n)
        return bytes(frame.astype(frame.dtype.newbyteorder("<"), copy=False).tobytes())

    data = b"".join(with_our_errors(instance, partial(frame_bytes, n)) for n in range(instance.stored_frames))
    return data + b"\0" * (len(data) % 2)


def open_pixels(instance: Instance) -> Reader:
    """Finds the frames of an instance in its file; each call of the returned reader reads and decodes one of them.

    Raises NotReadable, here or when a frame is read.
    """
    read = with_our_errors(instance, lambda: _open(instance))
    return lambda n: with_our_errors(instance, lambda: read(n))


def read_into(instance: Instance, n: int, target: NDArray[np.int16]) -> NDArray[Any] | None:
    """Reads frame `n` of plain 16-bit pixel data straight into the memory of `target` (rows, columns), and returns that
    memory with the type of the stored values. Most series are encoded so, and this saves a copy. Returns None for every
    other encoding, which `open_pixels` reads.

    Raises NotReadable.
    """
    plain = instance.transfer_syntax_uid in (IMPLICIT_LITTLE, EXPLICIT_LITTLE) and instance.pixel_keyword == "PixelData"
    if not plain or instance.bits_allocated != 16 or instance.mosaic or sys.byteorder != "little":
        return None

    def read() -> NDArray[Any]:
        place = _reach(instance, n)
        with FileIO(instance.path) as file:
            file.seek(instance.pixel_offset + place.start)
            got = file.readinto(target.data.cast("B")) or 0
        if got != place.stop - place.start:
            raise _short(instance, got)
        return _significant(target.view(_INTEGERS[16][instance.signed]), instance)

    values: NDArray[Any] = with_our_errors(instance, read)
    return values


def with_our_errors(instance: Instance, read: Callable[[], Any]) -> Any:
    """Returns the result of `read`; turns every error into NotReadable with our message."""
    try:
        return read()
    except NotReadable:
        raise
    except OSError as error:
        raise NotReadable(f"{instance.path}: cannot be read ({error.strerror}).") from error
    except MemoryError:
        raise
    except Exception as error:
        name = TRANSFER_SYNTAXES.get(instance.transfer_syntax_uid, instance.transfer_syntax_uid)
        why = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise NotReadable(
            f"Instance {instance.sop_instance_uid}: its {name} pixel data cannot be decoded ({why}). Ask the sender "
            "for it again, uncompressed if possible."
        ) from error


def _open(instance: Instance) -> Reader:
    if instance.mosaic:
        whole, rows, columns = _significant(_whole(instance)(0), instance), *instance.plane

        def tile(n: int) -> NDArray[Any]:
            down, along = divmod(n, instance.mosaic)
            return whole[down * rows : (down + 1) * rows, along * columns : (along + 1) * columns]

        return tile
    read = _whole(instance)
    return lambda n: _significant(read(n), instance)


def _whole(instance: Instance) -> Reader:
    """Returns a reader of frames of (rows, columns) as they are in the file; a mosaic is one frame."""
    if instance.transfer_syntax_uid == DEFLATED:
        ds = pydicom.dcmread(instance.path)
        data = bytes(ds[instance.pixel_keyword].value)
        return lambda n: _native(data[_reach(instance, n)], instance)
    if instance.transfer_syntax_uid in NATIVE_SYNTAXES:
        return lambda n: _native(_bytes_at(instance, _reach(instance, n)), instance)
    with Path(instance.path).open("rb") as file:
        file.seek(instance.pixel_offset)
        data = file.read()
    frames = fragments_of(data, instance.stored_frames)
    return lambda n: _as_header_says(decode(frames[n], instance), instance)


def _reach(instance: Instance, n: int) -> slice:
    """Returns where frame `n` of native pixel data is, in bytes from its start; packed bits may begin within a byte."""
    bits = instance.rows * instance.columns * instance.bits_allocated
    return slice(n * bits // 8, ((n + 1) * bits + 7) // 8)


def _bytes_at(instance: Instance, place: slice) -> NDArray[np.uint8]:
    length = place.stop - place.start
    # Big endian words with packed bits are read whole.
    with Path(instance.path).open("rb") as file:
        file.seek(instance.pixel_offset + place.start)
        data = np.fromfile(file, np.uint8, length)
    if data.size != length:
        raise _short(instance, data.size)
    return data


def _short(instance: Instance, size: int) -> NotReadable:
    pixels = size * 8 // max(1, instance.bits_allocated)
    return NotReadable(
        f"Instance {instance.sop_instance_uid}: {pixels} of {instance.rows * instance.columns} pixels on disk."
    )


def _native(data: bytes | NDArray[np.uint8], instance: Instance) -> NDArray[Any]:
    """Source: PS3.5 8.1.1, 8.2 and Annex D (encoding of pixel cells)."""
    shape = (instance.rows, instance.columns)
    big = instance.transfer_syntax_uid == EXPLICIT_BIG
    if instance.pixel_keyword in _FLOATS:
        bits, code = _FLOATS[instance.pixel_keyword]
        if bits != instance.bits_allocated:
            raise ValueError(f"{instance.bits_allocated} bits allocated for {instance.pixel_keyword}")
    elif instance.bits_allocated == 12:
        return _packed(np.frombuffer(data, np.uint8), instance).reshape(shape)
    elif instance.bits_allocated in _INTEGERS:
        code = _INTEGERS[instance.bits_allocated][instance.signed]
    else:
        raise NotReadable(
            f"Instance {instance.sop_instance_uid}: {instance.bits_allocated} bits allocated; 8, 12, 16 and 32 are "
            "known. Ask the sender for another transfer syntax."
        )
    values = np.frombuffer(data, np.dtype((">" if big else "<") + code)).reshape(shape)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _packed(data: NDArray[np.uint8], instance: Instance) -> NDArray[np.uint16]:
    """Unpacks two values of 12 bits from three bytes, the first in the low bits. Source: PS3.5 D.1 (the least
    significant bit of a pixel cell follows the most significant one of the cell before)."""
    if instance.transfer_syntax_uid == EXPLICIT_BIG:
        raise NotReadable(
            f"Instance {instance.sop_instance_uid}: 12 bits packed in big endian words. Ask for little endian."
        )
    count = instance.rows * instance.columns
    if count % 2 and instance.stored_frames > 1:
        raise ValueError("frames that begin within a byte")
    three = np.zeros((count + 1) // 2 * 3, np.uint16)
    three[: data.size] = data[: three.size]
    low, middle, high = three[0::3], three[1::3], three[2::3]
    values = np.empty(low.size * 2, np.uint16)
    values[0::2] = low | (middle & 0x0F) << 8
    values[1::2] = middle >> 4 | high << 4
    return values[:count]


def fragments_of(data: bytes, count: int) -> list[bytes]:
    """Returns the frames of encapsulated pixel data that begins with the offset table's item. Source: PS3.5 A.4.

    With one fragment for each frame (always so with an extended offset table), the tables are not needed.
    """
    items: list[bytes] = []
    at = 0
    while at + 8 <= len(data):
        group_number, element, length = unpack_from("<HHL", data, at)
        if (group_number, element) != (0xFFFE, 0xE000):
            break
        items.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    fragments = items[1:]
    if len(fragments) == count:
        return fragments
    if count == 1 and fragments:
        return [b"".join(fragments)]
    try:
        frames = list(generate_frames(data, number_of_frames=count))
    except StructError as error:
        raise ValueError("a damaged offset table") from error
    if len(frames) != count:
        raise ValueError(f"{len(frames)} of {count} frames")
    return frames


def _as_header_says(values: NDArray[Any], instance: Instance) -> NDArray[Any]:
    """Returns a decoder's integers in the header's width and sign, bit for bit: the stream's sign may differ."""
    code = _INTEGERS[8 if instance.bits_allocated <= 8 else 16 if instance.bits_allocated <= 16 else 32]
    unsigned = values.astype(code[0], copy=False)
    return unsigned.view(code[1]) if instance.signed else unsigned


def _significant(values: NDArray[Any], instance: Instance) -> NDArray[Any]:
    """Removes overlays from unused bits, shifts values from the high bits and extends the sign: old encodings that
    still arrive. Source: PS3.5 8.1.1."""
    if values.dtype.kind not in "iu":
        return values
    width = values.dtype.itemsize * 8
    low = instance.high_bit + 1 - instance.bits_stored if instance.high_bit >= 0 else 0
    spare = width - instance.bits_stored
    if not 1 <= instance.bits_stored < width:
        return values
    if 0 < low <= spare and instance.transfer_syntax_uid in (*NATIVE_SYNTAXES, RLE):
        values = values >> low
    out: NDArray[Any] = values if values.flags.writeable else np.empty_like(values)
    if instance.signed:
        signed, out = (v.view(np.dtype(f"i{v.dtype.itemsize}")) for v in (values, out))
        np.left_shift(signed, spare, out=out)
        np.right_shift(out, spare, out=out)
    else:
        np.bitwise_and(values, values.dtype.type((1 << instance.bits_stored) - 1), out=out)
    return out
