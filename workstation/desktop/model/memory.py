"""How many series stay open at once: as many as the machine's memory has room for. Knows no Qt."""

import os
from collections.abc import Sequence

MOST_OPEN = 8
_PART = 4  # open series take up to this part of the memory; the rest is for drawing, tools and everybody else
_UNKNOWN = 8 << 30  # bytes, where the system does not say


def room_for_series() -> int:
    """Returns how many bytes the volumes of open series may take together."""
    try:
        return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) // _PART
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN // _PART


def how_many_stay(sizes: Sequence[int], room: int) -> int:
    """Returns how many series stay open. sizes : of their volumes in bytes, that used last first; it stays in any
    case."""
    taken = 0
    for number, size in enumerate(sizes[:MOST_OPEN]):
        taken += size
        if number and taken > room:
            return number
    return min(len(sizes), MOST_OPEN)
