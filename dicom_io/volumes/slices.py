"""What a series is sorted into: slices, the stacks that make volumes, and images that make none."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicom_io.files.instance import Frame, Instance
from dicom_io.volumes.spacing import Hints, Spacing, spacing_of
from render.geometry import cross, unit_vector

# Slices nearer to each other than this lie at one place.
ONE_PLACE_MM = 0.01


@dataclass(frozen=True, slots=True)
class Slice:
    """One frame of one instance."""

    instance: Instance
    index: int

    @property
    def frame(self) -> Frame:
        return self.instance.frames[self.index]

    def trait(self, name: str) -> str:
        """Returns the value of a trait of its frame, empty where it has none."""
        return next((value for known, value in self.frame.traits if known == name), "")


@dataclass(frozen=True, slots=True)
class Stack:
    """Slices of one volume in ascending order along their normal (row × column).

    label : what sets it apart from the other volumes of its series. reason : why the series was split, in a sentence.
    uneven : the spacing in words where it is uneven, so that the slices have to be resampled; else empty.
    notes : sentences about it that every record keeps.
    """

    slices: tuple[Slice, ...]
    label: str
    reason: str = ""
    uneven: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RefusedImages:
    """Images of a series that make no volume, and why. bridgeable : they would make one if their gaps were bridged."""

    count: int
    label: str
    reason: str
    bridgeable: bool = False


def normal_of(item: Slice) -> tuple[float, float, float]:
    orientation = item.frame.orientation
    assert orientation
    return unit_vector(cross(orientation[:3], orientation[3:]))


def positions_of(slices: Sequence[Slice]) -> NDArray[np.float64]:
    return np.array([s.frame.position_mm for s in slices], dtype=np.float64)


def places_along(slices: Sequence[Slice]) -> NDArray[np.float64]:
    """Returns the distance of each slice along the common normal in mm."""
    return np.asarray(positions_of(slices) @ np.array(normal_of(slices[0])), dtype=np.float64)


def in_order(slices: Sequence[Slice]) -> list[Slice]:
    """Returns the slices by their place along the normal."""
    return [slices[n] for n in np.argsort(places_along(slices), kind="stable")]


def by_place(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Groups slices that lie at one place, in order along the normal."""
    along, ordered = np.sort(places_along(slices)), in_order(slices)
    places: list[list[Slice]] = []
    for n, item in enumerate(ordered):
        if n == 0 or along[n] - along[n - 1] >= ONE_PLACE_MM:
            places.append([])
        places[-1].append(item)
    return places


def count_duplicates(slices: Sequence[Slice]) -> int:
    """Counts the slices that lie where another one lies already."""
    return int((np.diff(np.sort(places_along(slices))) < ONE_PLACE_MM).sum())


def find_spacing(slices: Sequence[Slice]) -> Spacing:
    """Returns the spacing of the slices. slices : at least two, at different places, in any order."""
    ordered = in_order(slices)
    frames = [s.frame for s in ordered]

    def stated(values: Sequence[float | None]) -> NDArray[np.float64]:
        return np.array([np.nan if v is None or v <= 0.0 else v for v in values], dtype=np.float64)

    # One number for many frames counts nothing.
    own_file = len({s.instance.sop_instance_uid for s in ordered}) == len(ordered)
    hints = Hints(
        thickness=stated([f.thickness_mm for f in frames]),
        between=stated([f.between_mm for f in frames]),
        in_stack=np.array([f.in_stack for f in frames]),
        numbers=np.array([s.instance.instance_number if own_file else 0 for s in ordered]),
    )
    return spacing_of(positions_of(ordered), np.array(normal_of(ordered[0])), hints)
