"""A mask: which segment each voxel of a volume belongs to."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from render.geometry import GeometryError


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """A mask. labels : (K, J, I) uint8, read-only, on the grid of its volume. The caller gives labels their meaning; by
    custom, 0 is no segment.

    Raises GeometryError for a wrong shape or dtype.
    """

    labels: NDArray[np.uint8]
    _digest: list[str] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.labels.ndim != 3 or self.labels.dtype != np.uint8:
            raise GeometryError(f"Labels are {self.labels.dtype} with {self.labels.ndim} axes; uint8 (K, J, I) needed.")
        labels = np.ascontiguousarray(self.labels).view()
        labels.setflags(write=False)
        object.__setattr__(self, "labels", labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        k, j, i = self.labels.shape
        return (k, j, i)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(256,) int64, how many voxels have each label. Slice by slice: all at once would hold other threads up."""
        found = np.zeros(256, dtype=np.int64)
        for labels in self.labels:
            found += np.bincount(labels.reshape(-1), minlength=256)
        return found

    @property
    def digest(self) -> str:
        """sha256 of shape and labels."""
        if not self._digest:
            h = hashlib.sha256(f"{self.shape}".encode())
            h.update(self.labels.data)
            self._digest.append(h.hexdigest())
        return self._digest[0]
