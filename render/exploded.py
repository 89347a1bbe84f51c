"""Exploded views: the parts of a mask drawn away from their common middle, so that each is seen whole."""

from collections.abc import Sequence

import numpy as np

from render.geometry import Vector, point
from render.mask import Mask
from render.recipe import Move
from render.volume import Volume


def exploded(
    volume: Volume, mask: Mask, labels: Sequence[int], spread: float = 0.5, staying: int | None = None
) -> tuple[Move, ...]:
    """Returns a move for each label that holds a voxel: away from the middle of all by `spread` times the way to its
    own middle. staying : this label stays where it is, and the others move away from its middle."""
    middles: dict[int, Vector] = {}
    counts = mask.counts
    for label in labels:
        if counts[label]:
            k, j, i = (int(places.sum()) / len(places) for places in np.nonzero(mask.labels == label))
            middles[label] = point(volume.affine, (k, j, i))
    if not middles:
        return ()
    fixed = middles.get(staying) if staying is not None else None
    common = fixed or _mean(list(middles.values()))
    moves = []
    for label, middle in middles.items():
        if label != staying:
            x, y, z = (round(spread * (m - c), 1) + 0.0 for m, c in zip(middle, common, strict=True))
            rows = ((1.0, 0.0, 0.0, x), (0.0, 1.0, 0.0, y), (0.0, 0.0, 1.0, z), (0.0, 0.0, 0.0, 1.0))
            moves.append(Move(label, rows))
    return tuple(moves)


def _mean(places: Sequence[Vector]) -> Vector:
    x, y, z = (sum(place[axis] for place in places) / len(places) for axis in range(3))
    return (x, y, z)
