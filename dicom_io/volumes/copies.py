"""Finds slices that came twice: the same pixels at the same place under another SOP Instance UID."""

from collections.abc import Sequence

import numpy as np

from dicom_io.errors import NotReadable
from dicom_io.files.decode import open_pixels
from dicom_io.volumes.slices import Slice, by_place


def without_copies(group: Sequence[Slice]) -> tuple[list[Slice], str]:
    """Returns (the slices without copies, a note), or (all of them, nothing) unless every image that shares its place
    is a copy of the one there.

    Pixels are read for places that several images have, up to the first two that differ.
    """
    kept: list[Slice] = []
    copies = 0
    for place in by_place(group):
        first, *others = sorted(place, key=lambda s: (s.instance.instance_number, s.instance.sop_instance_uid, s.index))
        if not all(_same(first, other) for other in others):
            return list(group), ""
        kept.append(first)
        copies += len(others)
    if not copies:
        return kept, ""
    images = "1 image is" if copies == 1 else f"{copies} images are"
    return kept, f"{images} there twice, with the same pixels under another UID; one of each was taken."


def _same(one: Slice, other: Slice) -> bool:
    a, b = one.frame, other.frame
    if (a.slope, a.intercept, one.instance.padding) != (b.slope, b.intercept, other.instance.padding):
        return False
    try:
        return np.array_equal(open_pixels(one.instance)(one.index), open_pixels(other.instance)(other.index))
    except NotReadable:
        return False
