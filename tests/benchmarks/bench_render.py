"""Our engine beside VTK and SimpleITK in one process, on the same scenes: medians in ms and their ratio.

`python -m tests.benchmarks.bench_render [folder with one CT series]`; without a folder a synthetic chest is used. A
smaller series is resampled to 512 x 512 x 300 first, the size of a thin-slice chest CT, so that figures compare.
`--growth` adds how time grows with voxels, pixels and threads.
"""

import argparse
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
import vtk

from dicom_io.files.series import open_series
from dicom_io.volumes import build_volume
from render import Projection, Reformat, View, Volume, VolumeRendering, Window, coarser, draw, load_preset
from render.engine import cpu, framing
from render.engine.cpu.bricks import Bricks
from render.engine.vtk import device, offscreen_window
from render.geometry import affine_from
from render.recipe import Recipe
from tests.render import peers

SIZE = (300, 512, 512)
VIEW = View.parse("anterior, 25 towards left, 10 up")
WINDOW = Window(50.0, 400.0)
SLAB = 40  # planes of the thick slab
Work = Callable[[], object]


def read_series(folder: Path) -> Volume:
    """The first series of a folder that makes a volume."""
    return build_volume(open_series(folder)[0])


def synthetic(shape: tuple[int, int, int] = (75, 128, 128)) -> Volume:
    """A chest in outline: trunk, two lungs with vessels, spine, twelve pairs of ribs; with noise."""
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij")
    values = np.full(k.shape, -1000.0, dtype=np.float32)
    trunk = (i / 0.85) ** 2 + (j / 0.6) ** 2
    values[trunk < 1.0] = 40.0
    lungs = ((np.abs(i) - 0.4) / 0.3) ** 2 + (j / 0.45) ** 2 + (k / 0.9) ** 2
    values[lungs < 1.0] = -850.0 + 300.0 * (np.sin(40 * i) * np.sin(40 * j) * np.sin(40 * k) > 0.5)[lungs < 1.0]
    values[(i / 0.12) ** 2 + ((j - 0.42) / 0.12) ** 2 < 1.0] = 350.0
    ribs = (trunk > 0.8) & (trunk < 0.95) & (np.sin(36 * (k + 0.4 * j)) > 0.5)
    values[ribs] = 600.0
    values += np.random.default_rng(1).normal(0.0, 12.0, values.shape).astype(np.float32)
    steps = [360.0 / n for n in shape]
    affine = affine_from((0, 0, 0), (0, 0, steps[0]), (0, steps[1], 0), (steps[2], 0, 0))
    return Volume(values.astype(np.int16), affine, "HU")


def chest_sized(volume: Volume) -> Volume:
    """The same field of view on SIZE voxels, by our own reformat."""
    if volume.voxels.size >= SIZE[0] * SIZE[1] * SIZE[2]:
        return volume
    pixel = volume.spacing_mm[2] * volume.shape[2] / SIZE[2]
    gap = volume.spacing_mm[0] * volume.shape[0] / SIZE[0]
    recipe = Reformat(WINDOW, View.parse("foot"), SIZE[0], gap, SIZE[1], SIZE[2], pixel)
    voxels = np.asarray(draw(volume, recipe).pixels, dtype=np.int16)
    return Volume(voxels, affine_from((0, 0, 0), (0, 0, gap), (0, pixel, 0), (pixel, 0, 0)), "HU")


def fresh(volume: Volume) -> Volume:
    """The same voxels in an object that no brick or table has been made for."""
    return Volume(volume.voxels, volume.affine, volume.unit)


def medians_ms(works: list[Work], times: int, warm: bool = True) -> list[float]:
    """Medians of `times` turns in which each is run once, so that a machine that slows down slows all of them."""
    taken: list[list[float]] = [[] for _ in works]
    for turn in range(times + warm):
        for work, own in zip(works, taken, strict=True):
            began = time.perf_counter()
            work()
            if turn >= warm:
                own.append((time.perf_counter() - began) * 1000.0)
    return [statistics.median(own) for own in taken]


class Bench:
    """One volume and the settings that all scenes share; prints a row for each."""

    def __init__(self, volume: Volume, times: int, threads: int) -> None:
        self.volume, self.times, self.threads = volume, times, threads

    def ours(self, recipe: Any, volume: Volume | None = None) -> Work:
        return lambda: draw(volume or self.volume, recipe, threads=self.threads)

    def row(self, name: str, ours: Work, **others: Work) -> None:
        found = medians_ms([ours, *others.values()], self.times)
        text = f"{name:32s} ours {found[0]:8.1f} ms"
        for other, ms in zip(others, found[1:], strict=True):
            text += f"   {other.replace('_', ' ')} {ms:8.1f} ms  ratio {ms / found[0]:6.2f}"
        print(text, flush=True)

    def fixed_point(self, recipe: VolumeRendering | Projection) -> Work:
        """VTK's software volume mapper, drawn anew at each call."""
        transfer = recipe.transfer if isinstance(recipe, VolumeRendering) else None
        renderer = peers.fixed_point(self.volume, transfer, min(self.volume.spacing_mm), (-150.0, 1500.0))
        return self._window(renderer, recipe)

    def gpu_mapper(self, recipe: VolumeRendering) -> Work:
        """VTK's mapper for graphics processors, here on what OpenGL there is."""
        renderer = peers.gpu(self.volume, recipe)
        return self._window(renderer, recipe)

    def _window(self, renderer: Any, recipe: VolumeRendering | Projection) -> Work:
        peers.camera(renderer, framing.planes(self.volume, recipe)[0], recipe.view, recipe.rows, recipe.columns)
        window = offscreen_window(renderer, recipe.rows, recipe.columns)
        return window.Render  # type: ignore[no-any-return]

    def renderings(self, size: int) -> None:
        for preset in ("ct_bone", "ct_skin", "ct_soft_tissue"):
            recipe = VolumeRendering(load_preset(preset), VIEW, rows=size, columns=size)
            self.row(f"{preset} {size}²", self.ours(recipe), FixedPoint=self.fixed_point(recipe))
        if device():
            bone = VolumeRendering(load_preset("ct_bone"), VIEW, rows=size, columns=size)
            quick = Bench(self.volume, 1, self.threads)  # it takes many seconds on software OpenGL
            quick.row(f"ct_bone {size}², once", self.ours(bone), GPU_mapper=self.gpu_mapper(bone))

    def first_pictures(self, size: int) -> None:
        bone = VolumeRendering(load_preset("ct_bone"), VIEW, rows=size, columns=size)
        for name, recipe in ((f"first full, ct_bone {size}²", bone), ("first coarse", coarser(self.volume, bone, 4))):
            self.row(name, partial(self._first, self.volume, recipe), FixedPoint=lambda: self.fixed_point(bone)())

    def turning(self, size: int) -> None:
        """Frames while a hand turns the patient: another view each time, half the rows and columns."""
        bone = VolumeRendering(load_preset("ct_bone"), VIEW, rows=size, columns=size)
        turn = iter(range(1, 100_000))

        def frame() -> object:
            moved = replace(bone, view=View(25.0 + 3.0 * next(turn), 10.0))
            return draw(self.volume, coarser(self.volume, moved, 2), threads=self.threads)

        self.row(f"coarse while turning {size}²", frame)

    def projections(self, size: int) -> None:
        for view in (View(), VIEW):
            recipe = Projection("mip", WINDOW, view, rows=size, columns=size)
            self.row(f"MIP {view.words[:14]} {size}²", self.ours(recipe), FixedPoint=self.fixed_point(recipe))

    def reformats(self) -> None:
        stack = Reformat(WINDOW, VIEW, count=100, spacing_mm=2.0, rows=512, columns=512)
        planes = framing.planes(self.volume, stack)
        self.row(
            "oblique stack 100 x 512²",
            self.ours(stack),
            vtkImageReslice=peers.vtk_stack(self.volume, planes, 512, 512),
            SimpleITK=peers.sitk_stack(self.volume, planes, 512, 512),
        )
        thick_mm = SLAB * min(self.volume.spacing_mm)
        slab = Reformat(WINDOW, VIEW, rows=512, columns=512, thickness_mm=thick_mm, mode="mip")
        plane = framing.planes(self.volume, slab)[0]
        self.row(
            f"slab MIP of {SLAB}, 512²",
            self.ours(slab),
            vtkImageReslice=peers.vtk_slab(self.volume, plane, 512, 512, SLAB, thick_mm / SLAB),
        )

    def rates(self) -> None:
        """Samples a second, and how near a plain copy of the memory they touch would be."""
        average = Projection("average", WINDOW, VIEW, rows=512, columns=512)
        found = draw(self.volume, average)
        length = float(np.mean(found.pixels[0] != found.pixels[0, 0, 0])) * max(self.volume.shape) * 512 * 512
        stack = Reformat(WINDOW, VIEW, count=100, spacing_mm=2.0, rows=512, columns=512)
        voxels = self.volume.voxels
        works: list[Work] = [
            self.ours(average),
            self.ours(stack),
            lambda: Bricks.of(self.volume, self.threads),
            lambda: np.copyto(np.empty_like(voxels), voxels),
        ]
        rays, planes, bricks, copy = medians_ms(works, self.times)
        print(f"average through the volume: at most {length / rays / 1e3:.0f} million samples a second")
        print(f"oblique stack: {stack.count * 512 * 512 / planes / 1e3:.0f} million samples a second")
        mib = voxels.nbytes / 2**20
        print(f"brick ranges {bricks:.1f} ms for {mib:.0f} MiB of voxels; numpy copies them in {copy:.1f} ms")

    def memory(self, size: int) -> None:
        """What drawing keeps and takes beyond the voxels, as a part of them."""
        bone = VolumeRendering(load_preset("ct_bone"), VIEW, rows=size, columns=size)
        volume = fresh(self.volume)
        tracemalloc.start()
        draw(volume, bone, threads=self.threads)
        draw(volume, replace(bone, transfer=load_preset("ct_skin")), threads=self.threads)
        draw(volume, replace(bone, transfer=load_preset("ct_soft_tissue")), threads=self.threads)
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        bytes_ = volume.voxels.nbytes
        print(f"memory beyond the voxels, three presets drawn: kept {kept / bytes_:.1%}, peak {peak / bytes_:.1%}")

    def _first(self, volume: Volume, recipe: Recipe) -> object:
        return draw(fresh(volume), recipe, threads=self.threads)

    def growth(self) -> None:
        bone, mip = VolumeRendering(load_preset("ct_bone"), VIEW), Projection("mip", WINDOW, VIEW)
        for edge in (128, 256, 384, 512, 768):
            cube = synthetic((edge, edge, edge))
            first = medians_ms([partial(self._first, cube, bone)], self.times)[0]
            again, most = medians_ms([self.ours(bone, cube), self.ours(mip, cube)], self.times)
            print(
                f"cube of {edge:4d}: first {first:8.1f} ms   rendering {again:7.1f} ms   MIP {most:7.1f} ms", flush=True
            )
        for size in (256, 512, 1024, 2048):
            works = [self.ours(replace(recipe, rows=size, columns=size)) for recipe in (bone, mip)]
            again, most = medians_ms(works, self.times)
            print(f"{size:4d} x {size:4d} pixels: rendering {again:7.1f} ms   MIP {most:7.1f} ms", flush=True)
        for threads in range(1, self.threads + 1):
            works = [partial(draw, self.volume, recipe, threads=threads) for recipe in (bone, mip)]
            again, most = medians_ms(works, self.times)
            print(f"{threads} threads: rendering {again:7.1f} ms   MIP {most:7.1f} ms", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", nargs="?", type=Path, help="folder with one CT series")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--pixels", type=int, default=1024, help="rows and columns of renderings and projections")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--growth", action="store_true", help="also how time grows with voxels, pixels and threads")
    options = parser.parse_args()
    vtk.vtkMultiThreader.SetGlobalDefaultNumberOfThreads(options.threads)
    vtk.vtkMultiThreader.SetGlobalMaximumNumberOfThreads(options.threads)
    vtk.vtkSMPTools.Initialize(options.threads)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(options.threads)
    print(f"kernels compiled or loaded in {cpu.frames.warm():.2f} s")
    volume = chest_sized(read_series(options.folder) if options.folder else synthetic())
    bench = Bench(volume, options.times, options.threads)
    print(f"volume {volume.shape}, {options.threads} threads, median of {options.times} turns")
    bench.renderings(options.pixels)
    bench.first_pictures(options.pixels)
    bench.turning(512)
    bench.projections(options.pixels)
    bench.reformats()
    bench.rates()
    bench.memory(options.pixels)
    if options.growth:
        bench.growth()


if __name__ == "__main__":
    main()
