"""Our engine beside VTK and SimpleITK in one process, on the same scenes: medians in ms and their ratio.

`python -m tests.benchmarks.bench_render [folder with one CT series]`; without a folder a synthetic chest is used. A
smaller series is resampled to 512 x 512 x 300 first, the size of a thin-slice chest CT, so that figures compare.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813
import vtk

from dicom_io.build_volume import build_volume
from dicom_io.series import open_series
from render import Projection, Reformat, View, Volume, VolumeRendering, Window, draw, load_preset
from render.engine import cpu, framing
from render.engine.vtk import offscreen_window
from render.geometry import affine_from
from tests.render import peers

SIZE = (300, 512, 512)
VIEW = View.parse("anterior, 25 towards left, 10 up")
WINDOW = Window(50.0, 400.0)
PIXELS = 512


def read_series(folder: Path) -> Volume:
    """The first series of a folder that makes a volume."""
    return build_volume(open_series(folder)[0])


def synthetic() -> Volume:
    """A chest in outline: trunk, two lungs with vessels, spine, twelve pairs of ribs; with noise."""
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in (75, 128, 128)), indexing="ij")
    values = np.full(k.shape, -1000.0, dtype=np.float32)
    trunk = (i / 0.85) ** 2 + (j / 0.6) ** 2
    values[trunk < 1.0] = 40.0
    lungs = ((np.abs(i) - 0.4) / 0.3) ** 2 + (j / 0.45) ** 2 + (k / 0.9) ** 2
    values[lungs < 1.0] = -850.0 + 300.0 * (np.sin(40 * i) * np.sin(40 * j) * np.sin(40 * k) > 0.5)[lungs < 1.0]
    values[(i / 0.12) ** 2 + ((j - 0.42) / 0.12) ** 2 < 1.0] = 350.0
    ribs = (trunk > 0.8) & (trunk < 0.95) & (np.sin(36 * (k + 0.4 * j)) > 0.5)
    values[ribs] = 600.0
    values += np.random.default_rng(1).normal(0.0, 12.0, values.shape).astype(np.float32)
    return Volume(values.astype(np.int16), affine_from((0, 0, 0), (0, 0, 4.8), (0, 2.8, 0), (2.8, 0, 0)), "HU")


def chest_sized(volume: Volume) -> Volume:
    """The same field of view on SIZE voxels, by our own reformat."""
    if volume.voxels.size >= SIZE[0] * SIZE[1] * SIZE[2]:
        return volume
    pixel = volume.spacing_mm[2] * volume.shape[2] / SIZE[2]
    gap = volume.spacing_mm[0] * volume.shape[0] / SIZE[0]
    recipe = Reformat(WINDOW, View.parse("foot"), SIZE[0], gap, SIZE[1], SIZE[2], pixel)
    voxels = np.asarray(draw(volume, recipe).pixels, dtype=np.int16)
    return Volume(voxels, affine_from((0, 0, 0), (0, 0, gap), (0, pixel, 0), (pixel, 0, 0)), "HU")


def median_ms(work: Callable[[], object], times: int) -> float:
    """Median of `times` runs after one that is not counted."""
    work()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000.0)
    return statistics.median(taken)


def fixed_point(volume: Volume, recipe: VolumeRendering | Projection) -> Callable[[], object]:
    """VTK's software volume mapper, drawn anew at each call."""
    transfer = recipe.transfer if isinstance(recipe, VolumeRendering) else None
    renderer = peers.fixed_point(volume, transfer, min(volume.spacing_mm), (-150.0, 1500.0))
    peers.camera(renderer, framing.planes(volume, recipe)[0], recipe.view, recipe.rows, recipe.columns)
    window = offscreen_window(renderer, recipe.rows, recipe.columns)
    return window.Render  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", nargs="?", type=Path, help="folder with one CT series")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--pixels", type=int, default=512, help="rows and columns of renderings and projections")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    vtk.vtkMultiThreader.SetGlobalDefaultNumberOfThreads(options.threads)
    vtk.vtkMultiThreader.SetGlobalMaximumNumberOfThreads(options.threads)
    vtk.vtkSMPTools.Initialize(options.threads)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(options.threads)
    print(f"kernels compiled or loaded in {cpu.warm():.2f} s")
    volume = chest_sized(read_series(options.folder) if options.folder else synthetic())
    print(f"volume {volume.shape}, {options.threads} threads, {options.times} times, median")

    def row(name: str, other: str, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
        a, b = median_ms(ours, options.times), median_ms(theirs, options.times)
        print(f"{name:34s} ours {a:8.1f} ms   {other:22s} {b:8.1f} ms   ratio {b / a:5.2f}")

    size = options.pixels
    for preset in ("ct_bone", "ct_skin", "ct_soft_tissue"):
        rendering = VolumeRendering(load_preset(preset), VIEW, rows=size, columns=size)

        def shade(recipe: VolumeRendering = rendering) -> object:
            return draw(volume, recipe, threads=options.threads)

        row(f"rendering {preset} {size}²", "vtk FixedPoint", shade, fixed_point(volume, rendering))
    for view in (View(), VIEW):
        projection = Projection("mip", WINDOW, view, rows=size, columns=size)

        def project(recipe: Projection = projection) -> object:
            return draw(volume, recipe, threads=options.threads)

        row(f"MIP {view.words[:14]} {size}²", "vtk FixedPoint", project, fixed_point(volume, projection))
    first = VolumeRendering(load_preset("ct_bone"), VIEW, rows=size, columns=size)

    def fresh() -> Volume:
        """The same voxels in an object that no brick or table has been made for."""
        return Volume(volume.voxels, volume.affine, volume.unit)

    row(
        f"first picture, ct_bone {size}²",
        "vtk FixedPoint",
        lambda: draw(fresh(), first, threads=options.threads),
        lambda: fixed_point(volume, first)(),
    )
    stack = Reformat(WINDOW, VIEW, count=100, spacing_mm=2.0, rows=PIXELS, columns=PIXELS)
    planes = draw(volume, stack).planes
    row(
        f"oblique stack 100 x {PIXELS}²",
        "vtkImageReslice",
        lambda: draw(volume, stack, threads=options.threads),
        peers.vtk_stack(volume, planes, PIXELS, PIXELS),
    )
    row(
        f"oblique stack 100 x {PIXELS}²",
        "SimpleITK Resample",
        lambda: draw(volume, stack, threads=options.threads),
        peers.sitk_stack(volume, planes, PIXELS, PIXELS),
    )


if __name__ == "__main__":
    main()
