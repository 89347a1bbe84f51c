"""Registration: the move that brings one volume onto another, found by mutual information, or the reason why not.

Source: Mattes et al. 2003, 'PET-CT image registration in the chest using free-form deformations', for the metric; Haber
and Modersitzki 2006, 'Intensity gradient based registration and fusion of multi-modal images', for the quality figure.
"""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from render.geometry import IDENTITY, Affine, Matrix
from render.registration_grids import CoarseGrid, coarse_grid, coarser_grid
from render.volume import Volume

RegistrationModel = Literal["rigid", "affine"]
# Below this the edges inside the two bodies agree no better than those of a head and an abdomen do.
LEAST_QUALITY = 0.2
LEAST_OVERLAP = 0.25
# Of one patient edges agree less by 0.14 and more where the two are shifted a little; of two, by 0.05 at most. Another
# breath blurs that too, but edges of a patient's bones and of all that lies still agree better than those of any two.
LEAST_SHARPNESS, PLAIN_QUALITY = 0.1, 0.45
_BESIDE_MM = 4.0  # so far, and a voxel at least
_MOST_PLACES = 60000
_LEVELS_MM = (8.0, 4.0, 2.0)
_FINE_MM, _FINE_MM3 = 1.0, 12e6  # a last level for heads and the like, where it takes no long
_SAMPLES = {8.0: 6000, 4.0: 20000, 2.0: 40000, _FINE_MM: 40000}
_BINS = 32
_RATES = (0.5, 0.25, 0.12)  # first steps, as parts of the grid's
_ONE_AT_A_TIME = threading.Lock()  # ITK's number of threads is one for the whole process
_SEED = 20261127
_INNER_MM = 8.0  # the outline of a body fits that of any other: only what lies deeper is compared


@dataclass(frozen=True, slots=True)
class Registration:
    """How a moving volume lies on a fixed one.

    matrix : rows of the (4, 4) map of moving to fixed, LPS mm; rounded, so that a record holds it whole. The identity
        where it was declined.
    metric : mutual information of the two at the end, in nats; more is better, and 0 says nothing about each other.
    overlap : 0…1, the part of the smaller body that lies inside the other volume.
    quality : −0.5…1, how well edges inside the two bodies lie on each other; 0 is by chance.
    declined : why the move must not be used; empty where it may.
    sharpness : how much of the agreement of edges is lost 4 mm beside. Where nothing is, the two are alike and no more,
        as two people are.
    """

    matrix: Matrix
    model: RegistrationModel
    metric: float
    overlap: float
    quality: float
    declined: str = ""
    sharpness: float = 0.0

    @property
    def warning(self) -> str:
        """What has to be said of a move that may be used; empty where there is nothing."""
        if self.declined or self.sharpness >= LEAST_SHARPNESS:
            return ""
        return (
            f"Edges of the two agree hardly better here than {_BESIDE_MM:g} mm beside: much lies elsewhere, as with "
            "another breath, or these may not be the same patient. Look at both before it is used."
        )

    @property
    def affine(self) -> Affine:
        """(4, 4) float64, moving to fixed, LPS mm."""
        return np.array(self.matrix, dtype=np.float64)


_Pair = tuple[CoarseGrid, CoarseGrid]


def register(
    fixed: Volume,
    moving: Volume,
    *,
    model: RegistrationModel = "rigid",
    progress: Callable[[float], None] | None = None,
) -> Registration:
    """Finds the move of `moving` onto `fixed` that tells most of one from the other.

    Starts where the two lie if they share a frame of reference, else at centres, centres of mass and places along the
    patient. The same volumes give the same result, whatever the number of processors.

    progress : called with the part done, 0…1.
    """
    tell = progress or (lambda _: None)
    small = all(
        math.prod(n * step for n, step in zip(v.shape, v.spacing_mm, strict=True)) < _FINE_MM3 for v in (fixed, moving)
    )
    steps = (*_LEVELS_MM, _FINE_MM) if small else _LEVELS_MM
    finest = (coarse_grid(fixed, steps[-1]), coarse_grid(moving, steps[-1]))
    tell(0.2)
    if reason := _nothing_in(*finest):
        return Registration(IDENTITY, model, 0.0, 0.0, 0.0, reason)
    same_frame = bool(fixed.frame_of_reference) and fixed.frame_of_reference == moving.frame_of_reference
    levels = _levels(finest, steps)
    found = _start(*levels[0][1], same_frame)
    tell(0.4)
    for number, (step, pair) in enumerate(levels[1:], start=1):
        found, value = _improved(*pair, found, "rigid", step)
        tell(0.4 + 0.5 * number / len(levels))
    if model == "affine":
        found, value = _improved(*levels[-1][1], found, "affine", levels[-1][0])
    matrix = _rounded(found)
    move = np.array(matrix)
    coarse, fine = levels[1][1], levels[min(2, len(levels) - 1)][1]
    overlap, quality = overlapping(*coarse, move), agreement(*coarse, move)
    sharp = sharpness(coarse, fine, move)
    tell(1.0)
    reason = _reason(overlap, quality, sharp)
    figures = round(-value, 4), round(overlap, 3), round(quality, 3)
    return Registration(IDENTITY if reason else matrix, model, *figures, reason, round(sharp, 3))


def _levels(finest: _Pair, steps: Sequence[float]) -> list[tuple[float, _Pair]]:
    """Returns the grids of both volumes from coarse to fine, each with its step in mm: the first two always, a
    later one where it shows more than the one before."""
    levels: list[tuple[float, _Pair]] = []
    for step in steps:
        pair = finest if step == steps[-1] else (coarser_grid(finest[0], step), coarser_grid(finest[1], step))
        shapes = [grid.values.shape for grid in pair]
        if len(levels) < 2 or shapes != [grid.values.shape for grid in levels[-1][1]]:
            levels.append((step, pair))
    return levels


def _nothing_in(fixed: CoarseGrid, moving: CoarseGrid) -> str:
    for name, grid in (("fixed", fixed), ("moving", moving)):
        if grid.body.sum() < 200 or float(grid.values[grid.body].std()) < 1e-4:
            return f"The {name} volume shows no body: nothing stands out from its background."
    return ""


def _reason(overlap: float, quality: float, sharp: float) -> str:
    if overlap < LEAST_OVERLAP:
        return (
            f"Only {overlap:.0%} of the smaller body lies inside the other volume, {LEAST_OVERLAP:.0%} needed: the two "
            "show different parts of the patient. Choose series of the same region."
        )
    if quality < LEAST_QUALITY:
        return (
            f"Edges of the two agree with {quality:.2f}, {LEAST_QUALITY:.2f} needed: the best place found is no better "
            "than chance. Choose series of the same region, or align them by hand."
        )
    if sharp < LEAST_SHARPNESS and quality < PLAIN_QUALITY:
        return (
            f"Edges of the two agree hardly better at the best place than {_BESIDE_MM:g} mm beside it (by {sharp:.2f}; "
            f"{LEAST_SHARPNESS:.2f} needed): these may not be the same patient or region. Check whose they are, choose "
            "series of the same region, or align them by hand."
        )
    return ""


def _rounded(matrix: Affine) -> Matrix:
    """Nine digits for what turns, a nanometre for what shifts."""
    one, two, three = (
        (round(a, 9) + 0.0, round(b, 9) + 0.0, round(c, 9) + 0.0, round(d, 6) + 0.0)
        for a, b, c, d in matrix[:3].tolist()
    )
    return (one, two, three, IDENTITY[3])


def overlapping(fixed: CoarseGrid, moving: CoarseGrid, move: Affine) -> float:
    """Returns the part, 0…1, of one body that lies inside the other's grid, the greater of the two."""
    back = np.asarray(np.linalg.inv(move), dtype=np.float64)
    return max(_inside(fixed, moving, back), _inside(moving, fixed, move))


def _inside(body_of: CoarseGrid, other: CoarseGrid, to_other: Affine) -> float:
    to_index = np.linalg.inv(other.affine) @ to_other
    index = body_of.positions(body_of.body) @ to_index[:3, :3].T + to_index[:3, 3]
    within = (index >= -0.5) & (index <= np.array(other.values.shape) - 0.5)
    return float(within.all(axis=1).mean())


def agreement(fixed: CoarseGrid, moving: CoarseGrid, move: Affine) -> float:
    """Returns how parallel the edges inside the two bodies are: 1 for the same edges, 0 by chance.

    The mean squared cosine between gradients, weighted by their strength; by chance it is a third. Whether an edge goes
    from dark to bright or back does not count, so the figure holds between modalities.
    """
    to_index = np.linalg.inv(moving.affine) @ np.linalg.inv(move) @ fixed.affine
    shape = fixed.values.shape

    def onto(values: NDArray[Any]) -> NDArray[np.float32]:
        found = scipy.ndimage.affine_transform(
            values.astype(np.float32), to_index[:3, :3], to_index[:3, 3], output_shape=shape, order=1, cval=0.0
        )
        return np.asarray(found, dtype=np.float32)

    inner = _deep(fixed) & (onto(_deep(moving)) > 0.5)
    if inner.sum() < 50:
        return 0.0
    one, other = (
        np.array([np.gradient(v, step, axis=n)[inner] for n, step in enumerate(fixed.spacing_mm)], dtype=np.float64).T
        for v in (fixed.values, onto(moving.values))
    )
    return _alike(one, other)


def _alike(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Returns how parallel (N, 3) edges are, as `agreement` says."""
    lengths = [np.linalg.norm(g, axis=1) for g in (one, other)]
    # The strongest tenth of edges counts whole, so that no single edge decides.
    weights = [np.minimum(n / max(float(np.percentile(n, 90)), 1e-9), 1.0) for n in lengths]
    weight = weights[0] * weights[1]
    cosine = (one * other).sum(axis=1) / np.maximum(lengths[0] * lengths[1], 1e-12)
    square = float((weight * cosine**2).sum() / max(float(weight.sum()), 1e-12))
    return (square - 1.0 / 3.0) / (2.0 / 3.0)


def sharpness(coarse: _Pair, fine: _Pair, move: Affine) -> float:
    """Returns by how much the agreement of edges falls where the two are shifted a little from the place that was
    found: −1.5…1.5, and 0 where it does not.

    Bodies, skulls and brains of two people lie on each other as a whole, and their edges agree as well a little beside.
    coarse : the grids that say where the bodies are deep. fine : those whose edges are compared.
    """
    back = np.asarray(np.linalg.inv(move), dtype=np.float64)
    places = coarse[0].positions(_deep(coarse[0]))
    places = places[:: max(1, len(places) // _MOST_PLACES)]
    there = places @ back[:3, :3].T + back[:3, 3]
    inside = _at(coarse[1], _deep(coarse[1]).astype(np.float32), there, "constant") > 0.5
    places, there = places[inside], there[inside]
    if len(places) < 50:
        return 0.0
    beside_mm = max(_BESIDE_MM, *(float(grid.spacing_mm.max()) for grid in fine))
    fixed = _edges_at(fine[0], places, np.eye(3), 0.5 * beside_mm)
    axes = back[:3, :3].T  # where the fixed volume's axes point to in the moving one
    here, *beside = (
        _alike(fixed, _edges_at(fine[1], there + beside_mm * (np.array(way) @ axes), axes, 0.5 * beside_mm))
        for way in ((0, 0, 0), (-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1))
    )
    return here - sum(beside) / len(beside)


def _at(
    grid: CoarseGrid, values: NDArray[np.float32], places_mm: NDArray[np.float64], beyond: str = "nearest"
) -> NDArray[np.float32]:
    to_index = np.linalg.inv(grid.affine)
    index = places_mm @ to_index[:3, :3].T + to_index[:3, 3]
    found = scipy.ndimage.map_coordinates(values, index.T, order=1, mode=beyond, output=np.float32)
    return np.asarray(found)


def _edges_at(
    grid: CoarseGrid, places_mm: NDArray[np.float64], axes: NDArray[np.float64], reach_mm: float
) -> NDArray[np.float64]:
    """Returns (N, 3) how the values change along each of the (3, 3) axes, by differences over twice the reach."""
    ahead, behind = ([_at(grid, grid.values, places_mm + way * axis) for axis in axes] for way in (reach_mm, -reach_mm))
    return np.stack(ahead, axis=1).astype(np.float64) - np.stack(behind, axis=1)


def _deep(grid: CoarseGrid) -> NDArray[np.bool_]:
    """The body without its outer millimetres; the ends of the grid are no outline."""
    depth = scipy.ndimage.distance_transform_edt(np.pad(grid.body, 1, mode="edge"), sampling=grid.spacing_mm)
    return np.asarray(depth[1:-1, 1:-1, 1:-1] > _INNER_MM)


def _start(fixed: CoarseGrid, moving: CoarseGrid, same_frame: bool) -> Affine:
    """Returns the best of several first guesses, moving to fixed, each improved on the coarsest grid."""
    bodies = [grid.positions(grid.body) for grid in (fixed, moving)]
    masses = [b.mean(axis=0) for b in bodies]
    middles = [(b.min(axis=0) + b.max(axis=0)) / 2.0 for b in bodies]
    shifts = [masses[0] - masses[1], middles[0] - middles[1]]
    # One may show a longer stretch of the patient than the other: places along the long axis, half a body apart.
    lengths = [float(np.ptp(b[:, 2])) for b in bodies]
    reach = abs(lengths[0] - lengths[1]) / 2.0
    step = max(min(lengths) / 3.0, 30.0)
    for n in range(1, math.ceil(reach / step) + 1):
        shifts += [shifts[1] + np.array([0.0, 0.0, side * min(n * step, reach)]) for side in (-1.0, 1.0)]
    if same_frame:
        shifts = [np.zeros(3), *shifts]
    guesses = []
    for shift in shifts:
        guess = np.eye(4)
        guess[:3, 3] = shift
        guesses.append(guess)
    tried: list[tuple[float, int, Affine]] = []
    for guess in guesses[:8]:
        if overlapping(fixed, moving, guess) < LEAST_OVERLAP:
            continue
        found, value = _improved(fixed, moving, guess, "rigid", _LEVELS_MM[0])
        tried.append((value, len(tried), found))
    return min(tried, key=lambda t: t[:2])[2] if tried else guesses[0]


def _improved(
    fixed: CoarseGrid, moving: CoarseGrid, start: Affine, model: RegistrationModel, step_mm: float
) -> tuple[Affine, float]:
    """Returns a better move than `start`, moving to fixed, and the metric there, which is negative; never a worse one.

    Steps that are too long can lead a descent away for good, and short ones end in a hollow: so it goes on from the
    best place found with several lengths.
    """
    import SimpleITK as sitk  # noqa: N813  (the name everybody knows it by; imported when used, it takes time)

    images = [_image(sitk, grid.values, grid) for grid in (fixed, moving)]
    mask = scipy.ndimage.binary_dilation(fixed.body, iterations=1)
    centre = fixed.centre_mm
    share = min(1.0, _SAMPLES[step_mm] / max(int(mask.sum()), 1))
    mask_image = _image(sitk, mask.astype(np.uint8), fixed)

    def method(at: Affine) -> tuple[Any, Any]:
        transform = sitk.Euler3DTransform() if model == "rigid" else sitk.AffineTransform(3)
        back = np.linalg.inv(at)  # ITK maps points of the fixed volume into the moving one
        matrix = [float(v) for v in back[:3, :3].reshape(-1)]
        transform.SetCenter([float(v) for v in centre])
        if model == "rigid":
            transform.SetMatrix(matrix, 1e-3)
        else:
            transform.SetMatrix(matrix)
        transform.SetTranslation([float(v) for v in back[:3, :3] @ centre + back[:3, 3] - centre])
        made = sitk.ImageRegistrationMethod()
        made.SetMetricAsMattesMutualInformation(_BINS)
        made.SetMetricFixedMask(mask_image)
        made.SetMetricSamplingStrategy(made.RANDOM)
        made.SetMetricSamplingPercentage(share, _SEED)
        # Gradients where the samples are: a smooth one of the whole image takes longer than a descent. The twelve
        # numbers of an affine move do not come to rest without it.
        made.SetMetricUseFixedImageGradientFilter(False)
        made.SetMetricUseMovingImageGradientFilter(model == "affine")
        made.SetInterpolator(sitk.sitkLinear)
        made.SetInitialTransform(transform, inPlace=True)
        return made, transform

    best, value = start, math.inf
    with _ONE_AT_A_TIME:
        threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
        # Sums over threads depend on their number: one thread, one result.
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        try:
            for part in _RATES:
                made, transform = method(best)
                made.SetOptimizerAsRegularStepGradientDescent(
                    learningRate=step_mm * part,
                    minStep=step_mm / 400.0,
                    numberOfIterations=100,
                    relaxationFactor=0.6,
                )
                made.SetOptimizerScalesFromPhysicalShift()
                first, reached = _descended(sitk, made, images)
                if math.isinf(value):
                    if math.isinf(first):  # they do not even meet at the start
                        return start, 0.0
                    value = first
                if reached < value:
                    value, best = reached, _move_of(transform, centre)
        finally:
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    return best, value


def _descended(sitk: Any, method: Any, images: Sequence[Any]) -> tuple[float, float]:
    """Carries out a descent. Returns the metric at its beginning and at its end; infinite where it was not known, as
    when every sample lies outside the moving volume."""
    seen: list[float] = []
    method.AddCommand(sitk.sitkIterationEvent, lambda: seen.append(float(method.GetMetricValue())))
    try:
        method.Execute(*images)
        end = float(method.GetMetricValue())
    except RuntimeError:  # every sample left the moving volume on the way
        end = math.inf
    finally:
        method.RemoveAllCommands()
    return seen[0] if seen else end, end


def _move_of(transform: Any, centre: NDArray[np.float64]) -> Affine:
    """The (4, 4) map of moving to fixed of ITK's transform, which goes the other way."""
    back = np.eye(4)
    back[:3, :3] = np.array(transform.GetMatrix()).reshape(3, 3)
    back[:3, 3] = np.array(transform.GetTranslation()) + centre - back[:3, :3] @ centre
    return np.asarray(np.linalg.inv(back), dtype=np.float64)


def _image(sitk: Any, values: NDArray[Any], grid: CoarseGrid) -> Any:
    """Makes ITK's image, which counts i first."""
    image = sitk.GetImageFromArray(values)
    spacing = grid.spacing_mm
    image.SetSpacing([float(v) for v in spacing[::-1]])
    image.SetOrigin([float(v) for v in grid.affine[:3, 3]])
    image.SetDirection([float(v) for v in (grid.affine[:3, :3] / spacing)[:, ::-1].reshape(-1)])
    return image
