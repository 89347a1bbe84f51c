"""A volume: voxels, their place in the patient, and their unit."""

import hashlib
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from render.geometry import Affine, GeometryError, inverse, point

Voxels = NDArray[np.int16] | NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Volume:
    """A regular grid of values in patient space.

    voxels : (K, J, I) int16 or float32, read-only, k from slice to slice, j down a column, i along a row.
    affine : (4, 4) float64. Maps homogeneous (k, j, i) voxel indices to LPS mm, voxel centres. May be sheared
        (gantry tilt). Source: PS3.3 C.7.6.2.1.1.
    unit : of a value, e.g. `HU`; `1` when it is not known.
    frame_of_reference : Frame of Reference UID (0020,0052), derived from the series where the source has none; empty
        for a volume that comes from no series.
    source_uids : SOP Instance UIDs of the voxels' sources, in k order.
    warnings : faults of the source that were corrected, in sentences; carried into provenance.

    Raises GeometryError for a wrong shape or dtype, or an affine that cannot be inverted.
    """

    voxels: Voxels
    affine: Affine
    unit: str
    frame_of_reference: str = ""
    source_uids: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    _digest: list[str] = field(default_factory=list, init=False, repr=False)
    _ends: list[tuple[float, float]] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3 or self.voxels.dtype not in (np.int16, np.float32):
            raise GeometryError(
                f"Voxels are {self.voxels.dtype} with {self.voxels.ndim} axes; int16 or float32 (K, J, I) needed."
            )
        if min(self.voxels.shape) < 2:
            raise GeometryError(f"A grid of {self.voxels.shape} voxels is flat; at least 2 along each axis.")
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or abs(float(np.linalg.det(affine[:3, :3]))) < 1e-9:
            raise GeometryError(f"The affine cannot be inverted: {affine.tolist()}.")
        affine.setflags(write=False)
        voxels = np.ascontiguousarray(self.voxels).view()
        voxels.setflags(write=False)
        object.__setattr__(self, "voxels", voxels)
        object.__setattr__(self, "affine", affine)

    @property
    def shape(self) -> tuple[int, int, int]:
        k, j, i = self.voxels.shape
        return (k, j, i)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """The length of one step along k, j, i in mm."""
        # Not math.hypot: its last bit differs between Python versions, and the steps along rays depend on it.
        k, j, i = (math.sqrt(x * x + y * y + z * z) for x, y, z in self.affine[:3, :3].T.tolist())
        return (k, j, i)

    @property
    def centre_mm(self) -> tuple[float, float, float]:
        """The middle of the grid, LPS mm."""
        middle = tuple((n - 1) / 2.0 for n in self.shape)
        return point(self.affine, middle)

    @property
    def to_index(self) -> Affine:
        """The (4, 4) float64 map of LPS mm to (k, j, i): the inverse of `affine`."""
        return inverse(self.affine)

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value of all voxels. They are looked for once."""
        if not self._ends:
            self._ends.append((float(self.voxels.min()), float(self.voxels.max())))
        return self._ends[0]

    @property
    def digest(self) -> str:
        """The sha256 of grid, affine, unit and voxels: volumes with the same digest give the same pictures."""
        if not self._digest:
            h = hashlib.sha256(f"{self.shape} {self.voxels.dtype.str} {self.unit}".encode())
            h.update(self.affine.tobytes())
            h.update(self.voxels.tobytes() if not self.voxels.flags.c_contiguous else self.voxels.data)
            self._digest.append(h.hexdigest())
        return self._digest[0]
