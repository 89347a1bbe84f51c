"""Labels that were made elsewhere, brought onto the grid of a volume and kept with it for the steps that name them."""

import threading
import weakref

import numpy as np
from numpy.typing import NDArray

from render.geometry import Affine
from render.mask import Mask
from render.mask_steps import Given, StepError
from render.segment.grid import VoxelMask
from render.volume import Volume

_given: "weakref.WeakKeyDictionary[Volume, dict[str, Mask]]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()
# Of a voxel: grids that differ by less are one grid.
_SAME = 0.01


def give(volume: Volume, mask: Mask) -> str:
    """Keeps a mask with its volume, for steps that name it by its digest. Returns the digest.

    Raises StepError where the mask is not on the grid of the volume.
    """
    if mask.shape != volume.shape:
        raise StepError(
            f"The mask has {mask.shape} voxels and the volume {volume.shape}. Bring it onto its grid first."
        )
    with _lock:
        _given.setdefault(volume, {})[mask.digest] = mask
    return mask.digest


def given_mask(volume: Volume, digest: str) -> Mask | None:
    """Returns the mask of a digest that was given for a volume."""
    with _lock:
        return _given.get(volume, {}).get(digest)


def given_region(volume: Volume, step: Given) -> VoxelMask:
    """Carries out the step. Raises StepError where no such mask was given."""
    mask = given_mask(volume, step.digest)
    if mask is None:
        raise StepError(
            f"The labels of {step.made_by} (mask sha256 {step.digest[:16]}…) are not here. Give the file they are in, "
            "or import the segmentation that was kept beside the record."
        )
    found = mask.labels != 0 if step.take == 0 else mask.labels == step.take
    return np.asarray(found.view(np.uint8))


def onto(volume: Volume, labels: NDArray[np.uint8], affine: Affine) -> Mask:
    """Returns labels on the grid of a volume: each voxel takes the label of the nearest voxel.

    labels : (K, J, I) uint8. affine : (4, 4) of (k, j, i) voxel centres to LPS mm, any orientation.

    Raises StepError where the two do not meet.
    """
    to_labels = np.linalg.inv(affine) @ volume.affine
    if labels.shape == volume.shape and _is_identity(to_labels, labels.shape):
        return Mask(np.ascontiguousarray(labels))
    shape = volume.shape
    found = np.zeros(shape, dtype=np.uint8)
    j, i = np.indices(shape[1:])
    plane = np.stack([j.ravel(), i.ravel()])
    met = False
    for k in range(shape[0]):
        index = to_labels[:3, 1:3] @ plane + (to_labels[:3, 0] * k + to_labels[:3, 3])[:, None]
        nearest = np.rint(index).astype(np.int64)
        inside = ((nearest >= 0) & (nearest < np.array(labels.shape)[:, None])).all(axis=0)
        met = met or bool(inside.any())
        a, b, c = nearest[:, inside]
        found[k].reshape(-1)[inside] = labels[a, b, c]
    if not met:
        raise StepError(
            "The labels lie beside the volume: no voxel of one is within the other. They are of another scan."
        )
    return Mask(found)


def _is_identity(to_labels: Affine, shape: tuple[int, ...]) -> bool:
    corners = np.array([[k, j, i, 1.0] for k in (0, shape[0]) for j in (0, shape[1]) for i in (0, shape[2])])
    return bool(np.abs(corners @ to_labels.T - corners).max() < _SAME)
