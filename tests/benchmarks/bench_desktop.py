"""How long the desktop lets a hand wait: `python -m tests.benchmarks.bench_desktop [folder with one CT series]`.

The window is real Qt without a screen; every figure is from a gesture to the picture on the pane, drawing thread and
event loop included. Beside it VTK's FixedPoint mapper draws the same turning scene at the same size.
"""

import argparse
import copy
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from pydicom import Dataset, dcmread
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from render import Automatic, View, VolumeRendering, Window, load_preset
from render.engine import framing
from render.engine.vtk import device, offscreen_window
from tests.render import peers
from workstation.desktop.app import make_window
from workstation.desktop.drawer import PictureRequest
from workstation.desktop.model import edits
from workstation.desktop.model.screen import SLICES, SliceName
from workstation.desktop.viewer import Viewer
from workstation.site import open_site

SAMPLE = Path(__file__).parents[2] / "sample_data" / "ct_head"


def until(application: QApplication, holds: Callable[[], bool]) -> None:
    ended = time.perf_counter() + 120.0
    while not holds():
        application.processEvents()
        if time.perf_counter() > ended:
            raise TimeoutError("the desktop did not get there in two minutes")


def gesture(application: QApplication, viewer: Viewer, pane: str, act: Callable[[int], None], times: int) -> float:
    """Median ms from an edit to the next picture on a pane."""
    taken = []
    for n in range(times):
        seen: list[float] = []

        def drawn(request: PictureRequest, picture: object, full: bool, over: object, seen: list[float] = seen) -> None:
            if request.pane == pane:
                seen.append(time.perf_counter())

        viewer.drawer.drawn.connect(drawn)
        began = time.perf_counter()
        act(n)
        until(application, lambda seen=seen: bool(seen))  # type: ignore[misc]
        taken.append((seen[0] - began) * 1000.0)
        viewer.drawer.drawn.disconnect(drawn)
    return statistics.median(taken)


def repeated(folder: Path, count: int, plain: bool) -> Iterator[Dataset]:
    """As many slices, at the series' own distance: its images over and over, under a series of their own.

    plain : uncompressed.
    """
    files = sorted(
        (dcmread(file) for file in folder.glob("*")), key=lambda ds: float(ds.ImagePositionPatient[2])
    )  # fmt: skip
    if plain:
        for ds in files:
            ds.decompress()
    step = float(files[1].ImagePositionPatient[2]) - float(files[0].ImagePositionPatient[2])
    for n in range(count):
        ds = copy.deepcopy(files[n % len(files)])
        ds.SeriesInstanceUID, ds.SOPInstanceUID, ds.InstanceNumber = "1.2.3", f"1.2.3.{n + 1}", n + 1
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.ImagePositionPatient = [*files[0].ImagePositionPatient[:2], files[0].ImagePositionPatient[2] + n * step]
        yield ds


class Stalls:
    """The longest pause between two turns of the event loop."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self._longest = 0.0
        self._timer = QTimer()
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._turn)
        self._timer.start()

    def _turn(self) -> None:
        now = time.perf_counter()
        self._longest = max(self._longest, now - self.began)
        self.began = now

    def longest_ms(self) -> float:
        self._timer.stop()
        return self._longest * 1000.0


def turning(renderer: Any, rows: int, columns: int, rate: float, times: int) -> float:
    """Median ms of a frame of a turning VTK scene, after two frames in which its mapper finds its pace."""
    window = offscreen_window(renderer, rows, columns)
    window.SetDesiredUpdateRate(rate)
    taken = []
    for _ in range(times + 2):
        began = time.perf_counter()
        renderer.GetActiveCamera().Azimuth(3.0)
        window.Render()
        taken.append((time.perf_counter() - began) * 1000.0)
    return statistics.median(taken[2:])


def scroll(viewer: Viewer, pane: SliceName, step_mm: float, n: int) -> None:
    viewer.do(edits.scrolled, pane, 1, step_mm, moving=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", nargs="?", type=Path, default=SAMPLE, help="folder with one CT series")
    parser.add_argument("--slices", type=int, default=0, help="so many, the series' own over and over")
    parser.add_argument("--plain", action="store_true", help="those slices uncompressed")
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    application = QApplication([])
    with tempfile.TemporaryDirectory() as folder:
        site = open_site(Path(folder))
        if options.slices:
            site.archive.keep(repeated(options.folder, options.slices, options.plain))
        else:
            site.archive.import_files(options.folder)
        site.papers.engine.dispose()
        window = make_window(Path(folder))
        window.resize(1500, 1100)
        window.show()
        until(application, lambda: bool(window.desk.studies.rows()))
        window.desk.warming.join()  # a reader looks at the work list for as long
        stalls = Stalls()
        began = time.perf_counter()
        window.open_series(window.desk.studies.rows()[0].series_uid)
        until(application, lambda: window.preview.plane is not None)
        first = time.perf_counter() - began
        until(application, lambda: window.viewer is not None and any(p.plane for p in window.viewer.panes.values()))
        panes = time.perf_counter() - began
        viewer = window.viewer
        assert viewer is not None
        until(application, viewer.is_settled)
        full = time.perf_counter() - began
        volume = viewer.session.volume
        print(
            f"volume {volume.shape}: first picture {first:.2f} s after the double-click, first pane {panes:.2f} s, "
            f"all four full {full:.2f} s"
        )
        rows, columns = viewer.panes["solid"].picture_size()
        step = min(volume.spacing_mm)

        def turned(n: int) -> None:
            viewer.do(edits.rotated, 3.0, 0.0, moving=True)

        def windowed(n: int) -> None:
            viewer.do(edits.windowed, Window(40.0 + n, 400.0))

        turn = gesture(application, viewer, "solid", turned, options.times)
        print(f"turning, {rows} x {columns}: {turn:.1f} ms, {1000 / turn:.0f} frames a second")
        for pane in SLICES:
            ms = gesture(application, viewer, pane, partial(scroll, viewer, pane, step), options.times)
            print(f"scrolling {pane}: {ms:.1f} ms, {1000 / ms:.0f} planes a second")
        print(f"window change: {gesture(application, viewer, 'axial', windowed, options.times):.1f} ms")
        stalls.began = time.perf_counter()
        acts: list[Callable[[], object]] = [
            lambda: window.capture(1), lambda: window.capture(36), lambda: viewer.do(edits.cut_out, Automatic("bone")),
            window.refresh_verdict, viewer.undo, window.worklist.refresh, lambda: window.tabs.setCurrentIndex(3),
        ]  # fmt: skip
        for act in acts:
            act()
            until(application, viewer.is_settled)
        print(f"longest time that the window took no event: {stalls.longest_ms():.0f} ms")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
        print(f"memory at its most: {peak:.0f} MB, the voxels are {volume.voxels.nbytes / 1e6:.0f} MB")
        if device():
            recipe = VolumeRendering(load_preset("ct_bone"), View(), rows=rows, columns=columns)
            mappers = {
                "FixedPoint": peers.fixed_point(volume, recipe.transfer, step, (0.0, 1.0)),
                f"GPU mapper on {device()}": peers.gpu(volume, recipe),
            }
            for name, renderer in mappers.items():
                peers.camera(renderer, framing.planes(volume, recipe)[0], recipe.view, rows, columns)
                # 0.001: every frame in full, as VTK draws what stands still. 20: its interactor's way of keeping up.
                for rate in (0.001, 20.0):
                    theirs = turning(renderer, rows, columns, rate, max(options.times // 2, 3))
                    print(
                        f"VTK {name}, turning at {rate:g} frames/s wanted: {theirs:.1f} ms; ratio {theirs / turn:.1f}"
                    )
        window.close()


if __name__ == "__main__":
    main()
