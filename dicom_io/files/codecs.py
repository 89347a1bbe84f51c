"""Decodes one compressed frame into an array. Every decoder here releases the GIL and raises an error for damage.

Which library, and why no other: docs/decisions/0040-one-decoder.md.
"""

from collections.abc import Callable
from struct import unpack
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from dicom_io.errors import NotReadable
from dicom_io.files.instance import Instance

RLE = "1.2.840.10008.1.2.5"
Decoder = Callable[[bytes], NDArray[Any]]

_DECODERS: dict[str, Decoder] = {
    "1.2.840.10008.1.2.4.50": imagecodecs.jpeg8_decode,
    "1.2.840.10008.1.2.4.51": imagecodecs.jpeg8_decode,
    "1.2.840.10008.1.2.4.57": imagecodecs.jpeg8_decode,
    "1.2.840.10008.1.2.4.70": imagecodecs.jpeg8_decode,
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_decode,
    "1.2.840.10008.1.2.4.81": imagecodecs.jpegls_decode,
    "1.2.840.10008.1.2.4.90": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.91": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.201": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.202": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.203": imagecodecs.jpeg2k_decode,
}


def decode(frame: bytes, instance: Instance) -> NDArray[Any]:
    """Returns (rows, columns) integers as the stream holds them; the caller corrects their sign and unused bits.

    Raises NotReadable for a stream of another size than the header; for damage, any exception of the decoder's.
    """
    if instance.transfer_syntax_uid == RLE:
        return _rle(frame, instance)
    return _checked(frame, instance, (instance.rows, instance.columns), None)


def colour_stream(frame: bytes, instance: Instance, decoder: Decoder | None = None) -> NDArray[Any]:
    """Returns (rows, columns, 3) integers of a stream of three colours, which are red, green and blue where the stream
    itself says how they were transformed. decoder : another one than that of the transfer syntax. Raises as `decode`
    does."""
    return _checked(frame, instance, (instance.rows, instance.columns, 3), decoder)


def _checked(frame: bytes, instance: Instance, shape: tuple[int, ...], decoder: Decoder | None) -> NDArray[Any]:
    size, known = shape[:2], _DECODERS.get(instance.transfer_syntax_uid)
    is_jpeg = known is imagecodecs.jpeg8_decode
    decoder = decoder or known
    if decoder is None:
        raise ValueError("no decoder for this transfer syntax")
    # Decoders trust the size in the stream: one flipped bit there makes them reserve gigabytes and work for minutes.
    found = _stream_size(frame)
    if found is None:
        raise ValueError("the stream does not begin as its transfer syntax says")
    if found != size:
        raise NotReadable(
            f"Instance {instance.sop_instance_uid}: the compressed stream says {found[0]} x {found[1]} pixels, the "
            f"header {instance.rows} x {instance.columns}. Ask the sender for it again."
        )
    # libjpeg silently fills a truncated stream up with grey; the other decoders report it.
    if is_jpeg and b"\xff\xd9" not in frame.rstrip(b"\0")[-16:]:
        raise ValueError("the stream breaks off without its end marker")
    values: NDArray[Any] = decoder(frame)
    if values.shape != shape or values.dtype.kind not in "iu":
        raise ValueError(f"the stream holds {values.shape} values of type {values.dtype}")
    return values


def _stream_size(frame: bytes) -> tuple[int, int] | None:
    """Returns the (rows, columns) that a JPEG, JPEG-LS or JPEG 2000 stream states; None where it states none.

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


def _rle(frame: bytes, instance: Instance) -> NDArray[Any]:
    """Decodes PackBits segments, one for each byte of a value, the most significant first. Source: PS3.5 G.3 to G.5."""
    width = instance.bits_allocated // 8
    count, *starts = unpack("<16L", frame[:64])
    if instance.bits_allocated % 8 or width not in (1, 2, 4) or count != width:
        raise ValueError(f"{count} RLE segments for values of {instance.bits_allocated} bits")
    ends = [*starts[1:count], len(frame)]
    size = instance.rows * instance.columns
    values = np.empty((size, width), np.uint8)
    for n, (start, end) in enumerate(zip(starts, ends, strict=False)):
        if not 64 <= start < end <= len(frame):
            raise ValueError("RLE segments that lie outside the frame")
        segment = np.frombuffer(imagecodecs.packbits_decode(frame[start:end]), np.uint8)
        if segment.size < size:
            raise ValueError(f"an RLE segment of {segment.size} of {size} bytes")
        values[:, width - 1 - n] = segment[:size]
    return values.view(f"<u{width}").reshape(instance.rows, instance.columns)
