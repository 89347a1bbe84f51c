"""Surface models for printing, planning and viewers: the surfaces of labels, smoothed, thinned out, and checked.

Sources: Taubin 1995, 'Curve and surface smoothing without shrinkage'; Garland and Heckbert 1997, 'Surface
simplification using quadric error metrics', as in VTK.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

from render.errors import RenderError
from render.geometry import Vector
from render.mask import Mask
from render.mask_steps import MaskStep
from render.segment import made
from render.surface import Surface, surface, volume_mm3
from render.volume import Volume

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
# Taubin's two steps: in, and a little more out again, so that nothing shrinks. The pass band is 1/λ + 1/μ = 0.1.
_IN, _OUT = 0.5, -1.0 / (1.0 / 0.5 - 0.1)


class SurfaceError(RenderError):
    """A surface model cannot be made; the message says which part and why."""


@dataclass(frozen=True, slots=True)
class SurfacePart:
    """One label as a part of its own. name : shown in viewers and on the printer. colour : red, green, blue, 0…1."""

    __pydantic_config__ = _STRICT
    label: int
    name: str
    colour: Vector = (0.85, 0.8, 0.7)

    def __post_init__(self) -> None:
        if not 1 <= self.label <= 255:
            raise SurfaceError(f"Part {self.name!r}: label {self.label} is outside 1…255.")
        if not self.name.strip() or not all(0.0 <= part <= 1.0 for part in self.colour):
            raise SurfaceError(f"Part {self.name!r}: it needs a name, and a colour whose parts are 0…1.")


@dataclass(frozen=True, slots=True)
class SurfaceModel:
    """How a model is made, as a recipe: the same volume and model give the same triangles.

    parts : labels of the mask that become surfaces. segments : the steps that make the mask; () where one is given.
    smoothing : how often the steps of the voxels are smoothed, 0…200. reduction : 0…0.98, the part of the triangles
    that is taken out again. closed : refuse a part that is not watertight, or whose volume smoothing and reduction
    changed by more than 3 %, thin parts a little more.
    """

    __pydantic_config__ = _STRICT
    parts: tuple[SurfacePart, ...]
    segments: tuple[MaskStep, ...] = ()
    smoothing: int = 20
    reduction: float = 0.0
    closed: bool = True

    def __post_init__(self) -> None:
        if not 1 <= len(self.parts) <= 255 or len({part.label for part in self.parts}) < len(self.parts):
            raise SurfaceError("A surface model has 1 to 255 parts, each of another label.")
        if not 0 <= self.smoothing <= 200 or not 0.0 <= self.reduction <= 0.98:
            raise SurfaceError(f"smoothing {self.smoothing} is not 0…200, or reduction {self.reduction:g} not 0…0.98.")


@dataclass(frozen=True, slots=True, eq=False)
class MadePart:
    """One part of a made model.

    open_edges : edges that do not lie between exactly two triangles; 0 for a watertight surface. volume_ml : enclosed.
    mask_ml : of the voxels it was made from. size_mm : its extent along LPS.
    """

    part: SurfacePart
    surface: Surface
    open_edges: int
    volume_ml: float
    mask_ml: float
    size_mm: Vector


def read_surface_model(text: str) -> SurfaceModel:
    """Reads a model from JSON. Raises SurfaceError that names a key which is missing, unknown or out of range."""
    try:
        return TypeAdapter(SurfaceModel).validate_json(text)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SurfaceError(f"The surface model is not understood: {problems}") from None


def make_surfaces(volume: Volume, model: SurfaceModel, mask: Mask | None = None) -> tuple[MadePart, ...]:
    """Makes every part. mask : on the grid of the volume, where the model has no `segments`.

    Raises SurfaceError for a missing or another mask, an empty label, or a part that fails its checks; StepError.
    """
    if model.segments:
        mask = made(volume, model.segments)
    if mask is None or mask.shape != volume.shape:
        raise SurfaceError(
            "The surface model has no `segments`, and no mask on the grid of the volume was given. Nothing was made; "
            "say how the mask is made, or give it."
        )
    return tuple(_made(volume, model, mask, part) for part in model.parts)


def _made(volume: Volume, model: SurfaceModel, mask: Mask, part: SurfacePart) -> MadePart:
    found = surface(mask, part.label, volume)
    if found is None:
        raise SurfaceError(f"Part {part.name!r}: no voxel has label {part.label}. Nothing was made.")
    found = smoothed(found, model.smoothing)
    if model.reduction > 0.0:
        found = reduced(found, model.reduction)
    a, b, c = (volume.affine[:3, n] for n in range(3))
    voxel_mm3 = abs(float(a @ np.cross(b, c)))
    mask_ml = float((mask.labels == part.label).sum()) * voxel_mm3 / 1000.0
    open_edges, volume_ml = edges_open(found), volume_mm3(found) / 1000.0
    x, y, z = (float(v) for v in np.ptp(found.vertices_mm, axis=0))
    if model.closed and (open_edges or abs(volume_ml - mask_ml) > 0.03 * mask_ml + _skin_ml(found, volume)):
        raise SurfaceError(
            f"Part {part.name!r}: {open_edges} edges are open, and it encloses {volume_ml:.3g} ml of a mask of "
            f"{mask_ml:.3g} ml. Nothing was made; smooth or reduce less, or allow it with `closed` false."
        )
    return MadePart(part, found, open_edges, volume_ml, mask_ml, (x, y, z))


def _skin_ml(found: Surface, volume: Volume) -> float:
    """The area times a sixteenth of a voxel: what cutting the corners of voxels takes, most of all from thin things."""
    corners = found.vertices_mm[found.triangles].astype(np.float64)
    area = (
        float(np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum()) / 2
    )
    return 0.0625 * area * min(volume.spacing_mm) / 1000.0


def edges_open(found: Surface) -> int:
    """Returns how many edges do not lie between exactly two triangles that run along it in opposite directions."""
    t = found.triangles.astype(np.int64)
    directed = np.concatenate([t[:, [0, 1]], t[:, [1, 2]], t[:, [2, 0]]])
    count = len(found.vertices_mm)
    there, numbers = np.unique(directed[:, 0] * count + directed[:, 1], return_counts=True)
    back = (there % count) * count + there // count
    # Not `np.isin`, which takes eighty times as long and keeps the interpreter meanwhile.
    paired = there[np.minimum(np.searchsorted(there, back), len(there) - 1)] == back if len(there) else there == back
    return int((numbers != 1).sum() + (~paired).sum())


def smoothed(found: Surface, times: int) -> Surface:
    """Returns the surface with the steps of the voxels smoothed away, by Taubin's filter; corners share alike."""
    if times == 0:
        return found
    count = len(found.vertices_mm)
    t = found.triangles
    ends = np.sort(np.concatenate([t[:, [0, 1]], t[:, [1, 2]], t[:, [2, 0]]]).astype(np.int64), axis=1)
    # Each edge once. Not `np.unique` of rows, which keeps the interpreter for as long as it takes.
    edges = np.sort(ends[:, 0] * count + ends[:, 1])
    edges = edges[np.diff(edges, prepend=-1) != 0]
    pairs = np.stack([edges // max(count, 1), edges % max(count, 1)], axis=1)
    rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
    around = scipy.sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    degree = np.maximum(np.asarray(around.sum(axis=1)).reshape(-1, 1), 1.0)
    at = found.vertices_mm.astype(np.float64)
    for _ in range(times):
        for step in (_IN, _OUT):
            at = at + step * (around @ at / degree - at)
    return Surface(at.astype(np.float32), found.triangles)


def reduced(found: Surface, part: float) -> Surface:
    """Returns the surface with that part of its triangles taken out, where it is flattest; watertight as before."""
    for quadric in (True, False):
        thinner = _decimated(found, part, quadric)
        # Quadric decimation may pinch a surface; the other way keeps its topology.
        if edges_open(thinner) <= edges_open(found):
            return thinner
    return found


def thinned(found: Surface, most: int) -> Surface:
    """Returns the surface with at most about so many triangles, for looking at: it may be open in places. Nothing
    vanishes: what is thinner than the triangles that are left becomes flat."""
    found = _gathered(found, 4 * most)
    count = len(found.triangles)
    return found if count <= most else _decimated(found, 1.0 - most / count, quadric=True)


def _gathered(found: Surface, most: int) -> Surface:
    """Returns a large surface with the corners in each cell of a grid made one, in a fraction of the time that
    decimation takes. Source: Rossignac and Borrel 1993, 'Multi-resolution 3D approximations for rendering'."""
    cell = 0.0
    while len(found.triangles) > most:
        corners = found.vertices_mm[found.triangles[:100_000, :2]]
        edge = float(np.linalg.norm(corners[:, 0] - corners[:, 1], axis=1).mean())
        cell = max(cell * 1.25, edge * (len(found.triangles) / most) ** 0.5)
        at = np.floor((found.vertices_mm - found.vertices_mm.min(axis=0)) / cell).astype(np.int64)
        high = at.max(axis=0) + 1
        _, numbers, counts = np.unique(
            (at[:, 0] * high[1] + at[:, 1]) * high[2] + at[:, 2], return_inverse=True, return_counts=True
        )
        places = np.stack([np.bincount(numbers, found.vertices_mm[:, n]) / counts for n in range(3)], axis=1)
        t = numbers[found.triangles]
        t = t[(t[:, 0] != t[:, 1]) & (t[:, 1] != t[:, 2]) & (t[:, 2] != t[:, 0])]
        found = without_unused(places.astype(np.float32), t)
    return found


def _decimated(found: Surface, part: float, quadric: bool) -> Surface:
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
    from vtkmodules.vtkFiltersCore import vtkDecimatePro, vtkQuadricDecimation

    points, cells, data = vtkPoints(), vtkCellArray(), vtkPolyData()
    points.SetData(numpy_to_vtk(found.vertices_mm, deep=True))
    rows = np.concatenate([np.full((len(found.triangles), 1), 3), found.triangles], axis=1).astype(np.int64)
    cells.ImportLegacyFormat(numpy_to_vtkIdTypeArray(np.ascontiguousarray(rows).reshape(-1), deep=True))
    data.SetPoints(points)
    data.SetPolys(cells)
    if quadric:
        thinning = vtkQuadricDecimation()
        thinning.VolumePreservationOn()
    else:
        thinning = vtkDecimatePro()
        thinning.PreserveTopologyOn()
    thinning.SetTargetReduction(part)
    thinning.SetInputData(data)
    thinning.Update()
    result = thinning.GetOutput()
    vertices = np.array(vtk_to_numpy(result.GetPoints().GetData()), dtype=np.float32)
    triangles = np.array(vtk_to_numpy(result.GetPolys().GetConnectivityArray()), dtype=np.int64).reshape(-1, 3)
    return without_unused(vertices, triangles)


def without_unused(vertices: NDArray[np.float32], triangles: NDArray[np.int64] | NDArray[np.int32]) -> Surface:
    """Returns the surface of triangles (M, 3) without the vertices (N, 3) that none of them has."""
    used = np.zeros(len(vertices), dtype=bool)
    used[triangles.reshape(-1)] = True
    return Surface(vertices[used], np.ascontiguousarray((np.cumsum(used) - 1).astype(np.int32)[triangles]))
