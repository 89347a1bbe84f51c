"""The labels of a mask where a plane cuts them, for what is drawn over a picture."""

import numpy as np
from numpy.typing import NDArray

from render.geometry import Plane, direction, point
from render.mask import Mask
from render.volume import Volume


def labels_on(mask: Mask, volume: Volume, plane: Plane, rows: int, columns: int) -> NDArray[np.uint8]:
    """Returns (rows, columns) uint8: the label of the voxel that is nearest to each pixel; 0 outside the volume."""
    to_index = volume.to_index
    start = np.array(point(to_index, plane.origin_mm), dtype=np.float32)
    down = np.array(direction(to_index, plane.down_mm), dtype=np.float32)
    right = np.array(direction(to_index, plane.right_mm), dtype=np.float32)
    row, column = np.arange(rows, dtype=np.float32)[:, None], np.arange(columns, dtype=np.float32)[None, :]
    inside, places = np.ones((rows, columns), dtype=bool), []
    for axis in range(3):
        at = np.rint(start[axis] + row * down[axis] + column * right[axis]).astype(np.int32)
        inside &= (at >= 0) & (at < volume.shape[axis])
        places.append(np.clip(at, 0, volume.shape[axis] - 1))
    found = np.asarray(mask.labels[places[0], places[1], places[2]])
    found[~inside] = 0
    return found


def outlines_of(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Returns (rows, columns) bool: the pixels at the edge of their label, within it."""
    edge = np.zeros(labels.shape, dtype=bool)
    down, along = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= along
    edge[:, :-1] |= along
    return np.asarray(edge & (labels != 0))
