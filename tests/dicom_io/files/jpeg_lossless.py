"""JPEG Lossless decoded by the letter of ISO 10918-1 Annex H, slowly: what a fast decoder is held against."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def decode(stream: bytes) -> NDArray[Any]:
    """(rows, columns) uint16 of a stream with one component and no restarts."""
    tables: dict[int, dict[tuple[int, int], int]] = {}
    at, rows, columns, precision = 2, 0, 0, 0
    while stream[at + 1] != 0xDA:
        marker, length = stream[at + 1], int.from_bytes(stream[at + 2 : at + 4], "big")
        body = stream[at + 4 : at + 2 + length]
        if marker == 0xC3:
            precision, rows, columns = body[0], int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
        elif marker == 0xC4:
            while body:
                counts, used = body[1:17], 17 + sum(body[1:17])
                tables[body[0] & 15] = dict(_codes(counts, body[17:used]))
                body = body[used:]
        at += 2 + length
    length = int.from_bytes(stream[at + 2 : at + 4], "big")
    scan = stream[at + 4 : at + 2 + length]
    table, predictor, shift = tables[scan[2] >> 4], scan[3], scan[5] & 15
    bits = _bits(stream[at + 2 + length :])
    out = np.zeros((rows, columns), np.int64)
    for y in range(rows):
        for x in range(columns):
            a, b, c = (int(out[y, x - 1]), int(out[y - 1, x]), int(out[y - 1, x - 1]))
            if y == 0:
                guess = 1 << (precision - shift - 1) if x == 0 else a
            elif x == 0:
                guess = b
            else:  # Table H.1
                guess = (0, a, b, c, a + b - c, a + ((b - c) >> 1), b + ((a - c) >> 1), (a + b) >> 1)[predictor]
            out[y, x] = (guess + _difference(table, bits)) & 0xFFFF  # H.1.2.1: modulo 2^16
    return (out << shift).astype(np.uint16)


def _codes(counts: bytes, values: bytes) -> Iterator[tuple[tuple[int, int], int]]:
    """((length, code), value), the codes of each length counting on. Source: Annex C."""
    code, n = 0, 0
    for length, count in enumerate(counts, start=1):
        for _ in range(count):
            yield (length, code), values[n]
            code, n = code + 1, n + 1
        code <<= 1


def _bits(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        byte = data[at]
        at += 2 if byte == 0xFF else 1  # a stuffed zero follows
        for n in range(7, -1, -1):
            yield byte >> n & 1


def _difference(table: dict[tuple[int, int], int], bits: Iterator[int]) -> int:
    """Source: H.1.2.2 with Table H.2: category 16 is 32768 and has no further bits."""
    code, length = 0, 0
    while (length, code) not in table or length == 0:
        code, length = code << 1 | next(bits), length + 1
        assert length <= 16
    size = table[length, code]
    if size in (0, 16):
        return 32768 if size else 0
    value = 0
    for _ in range(size):
        value = value << 1 | next(bits)
    return value if value >> (size - 1) else value - (1 << size) + 1
