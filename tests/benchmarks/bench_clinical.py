"""Clinical tools on a volume of 512 x 512 x 400, beside what SimpleITK and scikit-image offer for the same purpose.

`python -m tests.benchmarks.bench_clinical FOLDER [--slices 400] [--times 3] [--only lungs]`. FOLDER holds one CT series
of a chest; it is repeated along its slices, every second time upside down, until there are enough. Each turn gets a
volume that no tool has seen, so nothing is remembered. Medians in s, the ratio above 1 where we are faster, and the
processor time of ours. A peer does the plainest thing that its users would do for that purpose; where it gives less
than the tool, its name says what it gives.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
from skimage.graph import route_through_array
from skimage.segmentation import flood

from dicom_io.files.series import open_series
from dicom_io.volumes import build_volume
from render.geometry import Vector
from render.mask_steps import Grown
from render.registration import register
from render.segment import find, made, measure_lesion
from render.vessels.centreline import follow
from render.volume import Volume

Tool = Callable[[Volume], Any]

# In ct_chest_iv_lidc0001_jls: a click in its mass, and two in the descending aorta.
LESION: Vector = (56.4, 86.3, -116.0)
AORTA: tuple[Vector, ...] = ((21.0, 59.0, -140.0), (27.0, 25.0, -240.0))


def long_volume(folder: Path, slices: int) -> Volume:
    """The CT series of a folder, mirrored again and again along its slices."""
    volume = build_volume(open_series(folder)[0])
    count = -(-slices // volume.shape[0])
    parts = [volume.voxels if n % 2 == 0 else volume.voxels[::-1] for n in range(count)]
    return replace(volume, voxels=np.ascontiguousarray(np.concatenate(parts)[:slices]))


def image(volume: Volume) -> Any:
    made_image = sitk.GetImageFromArray(volume.voxels)
    made_image.SetSpacing([float(s) for s in volume.spacing_mm[::-1]])
    return made_image


def seed_of(volume: Volume, at: Vector) -> tuple[int, int, int]:
    k, j, i = (round(float(v)) for v in volume.to_index[:3, :3] @ np.array(at) + volume.to_index[:3, 3])
    return k, j, i


def sitk_growing(volume: Volume) -> Any:
    k, j, i = seed_of(volume, AORTA[0])
    return sitk.ConnectedThreshold(image(volume), seedList=[(i, j, k)], lower=200, upper=600)


def skimage_growing(volume: Volume) -> Any:
    inside = (volume.voxels >= 200) & (volume.voxels <= 600)
    return flood(inside, seed_of(volume, AORTA[0]), connectivity=1)


def sitk_lesion(volume: Volume) -> Any:
    k, j, i = seed_of(volume, LESION)
    return sitk.ConfidenceConnected(image(volume), [(i, j, k)], numberOfIterations=3, multiplier=2.0)


def skimage_way(volume: Volume) -> Any:
    """A way along voxels, in the box about the two points: no sub-voxel place, no section."""
    (k0, j0, i0), (k1, j1, i1) = (seed_of(volume, at) for at in AORTA)
    low = [max(min(a, b) - 30, 0) for a, b in ((k0, k1), (j0, j1), (i0, i1))]
    high = [max(a, b) + 31 for a, b in ((k0, k1), (j0, j1), (i0, i1))]
    box = volume.voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(np.float32)
    cost = 1.0 + np.abs(box - float(volume.voxels[k0, j0, i0])) / 20.0
    ends = [[v - a for v, a in zip(at, low, strict=True)] for at in ((k0, j0, i0), (k1, j1, i1))]
    return route_through_array(cost, *ends)


def sitk_bone(volume: Volume) -> Any:
    """Threshold, opening and the largest parts: dye and heart included."""
    found = sitk.BinaryThreshold(image(volume), 200, 3000)
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(found), 1000)
    return sitk.BinaryMorphologicalClosing(parts > 0, [1, 1, 1])


def sitk_lungs(volume: Volume) -> Any:
    """Air that does not touch the border, closed: airways included."""
    air = sitk.BinaryThreshold(image(volume), -3000, -400)
    inner = sitk.BinaryGrindPeak(air)
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(inner), 10000)
    return sitk.BinaryMorphologicalClosing(parts > 0, [3, 3, 1])


def moved(volume: Volume) -> Volume:
    affine = volume.affine.copy()
    turn = np.radians(4.0)
    spin = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine[:3] = spin @ affine[:3]
    affine[:3, 3] += (8.0, -6.0, 5.0)
    return replace(volume, affine=affine, frame_of_reference="")


def sitk_register(volume: Volume) -> Any:
    """The textbook's rigid registration on three levels, as SimpleITK's examples have it; from the moments."""
    fixed, other = (sitk.Cast(image(v), sitk.sitkFloat32) for v in (volume, volume))
    other.SetOrigin((8.0, -6.0, 5.0))
    start = sitk.CenteredTransformInitializer(
        fixed, other, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.01, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsGradientDescent(1.0, 100, 1e-6, 10)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SetInitialTransform(start)
    return method.Execute(fixed, other)


def ours_register(volume: Volume) -> Any:
    found = register(volume, moved(volume))
    assert not found.declined, found.declined
    return found


def ours_lesion(volume: Volume) -> Any:
    found = measure_lesion(volume, LESION)
    assert not found.declined, found.declined
    return found


def ours_find(structure: Any) -> Tool:
    def run(volume: Volume) -> Any:
        found = find(volume, structure)
        assert not found.declined, found.declined
        return found

    return run


TOOLS: dict[str, tuple[float, Tool, dict[str, Tool]]] = {
    "growing": (
        1.0,
        lambda v: made(v, (Grown((AORTA[0],), 200.0, 600.0, most_ml=1e6),)),
        {"SimpleITK ConnectedThreshold": sitk_growing, "scikit-image flood": skimage_growing},
    ),
    "lesion": (1.0, ours_lesion, {"SimpleITK ConfidenceConnected": sitk_lesion}),
    "centreline": (2.0, lambda v: follow(v, AORTA), {"scikit-image route (voxels alone)": skimage_way}),
    "bone": (5.0, ours_find("bone"), {"SimpleITK threshold and closing (with dye)": sitk_bone}),
    "lungs": (3.0, ours_find("lungs"), {"SimpleITK threshold and closing (with airways)": sitk_lungs}),
    "registration": (20.0, ours_register, {"SimpleITK rigid, three levels": sitk_register}),
}


def seconds(tool: Tool, volume: Volume) -> tuple[float, float]:
    """Wall and processor time on a volume that no tool has seen."""
    fresh = replace(volume, voxels=volume.voxels)
    at, used = time.perf_counter(), time.process_time()
    tool(fresh)
    return time.perf_counter() - at, time.process_time() - used


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--slices", type=int, default=400)
    options.add_argument("--times", type=int, default=3)
    options.add_argument("--only", choices=TOOLS, action="append")
    given = options.parse_args()
    volume = long_volume(given.folder, given.slices)
    print(f"volume {volume.shape}, median of {given.times} turns")
    for name, (aim, tool, peers) in TOOLS.items():
        if given.only and name not in given.only:
            continue
        seconds(tool, volume)  # compiles what is not compiled
        ours: list[tuple[float, float]] = []
        theirs: dict[str, list[float]] = {peer: [] for peer in peers}
        for _ in range(given.times):
            ours.append(seconds(tool, volume))
            for peer, other in peers.items():
                theirs[peer].append(seconds(other, volume)[0])
        wall, used = (statistics.median(each) for each in zip(*ours, strict=True))
        beside = "   ".join(
            f"{peer} {statistics.median(t):.2f} s, ratio {statistics.median(t) / wall:.2f}"
            for peer, t in theirs.items()
        )
        print(f"{name:13} ours {wall:6.2f} s (processor {used:6.2f}, asked {aim:g})   {beside}", flush=True)


if __name__ == "__main__":
    main()
