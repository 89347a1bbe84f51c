"""Small made-up heads for registration: blobs in an ellipsoid, in two contrasts, anywhere in space."""

import functools

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from render.geometry import Affine, Matrix, affine_from
from render.volume import Volume

_EDGE, _STEP_MM = 48, 3.5


@functools.cache
def tissue(seed: int = 1) -> NDArray[np.float32]:
    """(48, 48, 48) float32: 0 outside an ellipsoid, and from 0.3 to 1 inside it, in blobs of about a centimetre."""
    noise = np.random.default_rng(seed).normal(size=(_EDGE,) * 3)
    blobs = ndimage.gaussian_filter(noise, 1.6)
    blobs = (blobs - blobs.min()) / np.ptp(blobs)
    k, j, i = (np.indices((_EDGE,) * 3) - (_EDGE - 1) / 2.0) / (_EDGE / 2.0)
    inside = np.clip((0.85 - np.sqrt(k**2 / 0.9 + j**2 + i**2 / 0.75)) * 8.0, 0.0, 1.0)
    return np.asarray(inside * (0.3 + 0.7 * blobs), dtype=np.float32)


@functools.cache
def anatomy(person: int) -> NDArray[np.float32]:
    """(48, 48, 48) float32: as `tissue`, large parts that all people have in the same place, and a person's own
    details."""
    large, own = (
        ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(_EDGE,) * 3), width)
        for seed, width in ((77, 4.0), (person, 1.0))
    )
    inside = np.clip(tissue() * 4.0, 0.0, 1.0)
    return np.asarray(inside * np.clip(0.6 + 0.12 * (large / large.std() + 0.3 * own / own.std()), 0.1, 1.2))


def move_of(angles_deg: tuple[float, float, float], shift_mm: tuple[float, float, float]) -> Affine:
    """(4, 4) float64: turns about x, then y, then z, then the shift."""
    made = np.eye(4)
    for axis, angle in enumerate(np.radians(angles_deg)):
        turn, (a, b) = np.eye(4), [n for n in range(3) if n != axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[b, a], turn[a, b] = np.sin(angle), -np.sin(angle)
        made = turn @ made
    made[:3, 3] = shift_mm
    return made


def matrix_of(move: Affine) -> Matrix:
    """The rows of a (4, 4) move as a record holds them."""
    one, two, three, four = ((a, b, c, d) for a, b, c, d in move.round(9).tolist())
    return (one, two, three, four)


def head(
    move: Affine | None = None, *, inverted: bool = False, seed: int = 1, frame: str = "", person: int = 0
) -> Volume:
    """A head on a grid of 3.5 mm about (5, −20, 100) mm. move : where it lies, sampled anew by splines, so that it is
    no copy. inverted : what was bright is dark inside, as in another modality. person : from 1 on, somebody whose large
    parts are those of all others."""
    affine = affine_from((0, 0, 0), (0, 0, _STEP_MM), (0, _STEP_MM, 0), (_STEP_MM, 0, 0))
    affine[:3, 3] = np.array([5.0, -20.0, 100.0]) - _STEP_MM * (_EDGE - 1) / 2.0
    values = anatomy(person) if person else tissue(seed)
    if inverted:
        values = np.where(values > 0.02, 1.35 - values, values)
    if move is not None:
        back = np.linalg.inv(affine) @ np.linalg.inv(move) @ affine
        values = ndimage.affine_transform(values, back[:3, :3], back[:3, 3], order=3)
    return Volume((1000.0 * values).astype(np.int16), affine, "1", frame)


def target_error_mm(volume: Volume, move: Affine, found: Affine) -> float:
    """The mean distance, over points all over the middle of the volume, between where a move takes them and back by
    what was found, and where they were."""
    parts = np.linspace(0.2, 0.8, 5)
    index = np.array([[k, j, i] for k in parts for j in parts for i in parts]) * (np.array(volume.shape) - 1)
    points = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    both = found @ move
    return float(np.linalg.norm(points @ both[:3, :3].T + both[:3, 3] - points, axis=1).mean())
