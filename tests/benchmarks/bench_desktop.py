"""How long the desktop lets a hand wait: `python -m tests.benchmarks.bench_desktop [folder with one CT series]`.

The window is real Qt without a screen; every figure is from a gesture to the picture on the pane, drawing thread and
event loop included. Beside it VTK's FixedPoint mapper draws the same turning scene at the same size.
"""

import argparse
import copy
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from pydicom import Dataset, dcmread
from PySide6.QtCore import QEventLoop, QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from render import Automatic, View, Volume, VolumeRendering, Window, load_preset
from render.engine import framing
from render.engine.vtk import device, offscreen_window
from tests.render import peers
from tests.workstation.desktop.planes import moved_away
from workstation.desktop.app import collect_what_comes, make_window
from workstation.desktop.drawer import PictureRequest
from workstation.desktop.model import edits, measure_edits
from workstation.desktop.model.screen import SLICES, SOUGHT, Measure, PaneName, SliceName
from workstation.desktop.viewer import Viewer
from workstation.desktop.window import MainWindow
from workstation.site import open_site

SAMPLE = Path(__file__).parents[2] / "sample_data" / "ct_head"


def until(application: QApplication, holds: Callable[[], bool]) -> None:
    """Waits as the desktop does, asleep: a loop that asks all the time would take a processor from those who draw."""
    ended = time.perf_counter() + 120.0
    while not holds():
        application.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        if time.perf_counter() > ended:
            raise TimeoutError("the desktop did not get there in two minutes")


def gesture(application: QApplication, viewer: Viewer, pane: str, act: Callable[[int], None], times: int) -> float:
    """Median ms from an edit to the next picture on a pane."""
    taken = []
    for n in range(times):
        seen: list[float] = []

        def drawn(request: PictureRequest, shown: object, seen: list[float] = seen) -> None:
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
    """The longest pauses between two turns of the event loop."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self._longest = 0.0
        self._timer = QTimer()
        self._timer.setInterval(1)
        self._timer.timeout.connect(self._turn)
        self._timer.start()

    def _turn(self) -> None:
        now = time.perf_counter()
        self._longest = max(self._longest, now - self.began)
        self.began = now

    def anew(self) -> float:
        """Returns the longest pause in ms since the last call, and begins to look for the next."""
        self._turn()
        found, self._longest = self._longest * 1000.0, 0.0
        return found


_STARTED = """
import gc
import sys
gc.disable()  # as the command does
from pathlib import Path
from PySide6.QtWidgets import QApplication
from workstation.desktop.app import collect_what_comes, make_window
application = QApplication([])
window = make_window(Path(sys.argv[1]))
window.show()
while not window.isVisible() or not window.windowHandle().isExposed():
    application.processEvents()
print("shown", flush=True)
"""


def start_s(root: Path) -> float:
    """Seconds from the start of a process to its window, the work list in it still being read."""
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", _STARTED, str(root)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "shown"
        took = time.perf_counter() - began
        process.kill()
    return took


def resident_mb() -> float:
    """Memory of this process now; a page that it has mapped twice is counted once."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) * 1024 / 1e6


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
    viewer.do(moved_away, pane, 1, step_mm, moving=True)


def turn(viewer: Viewer, n: int) -> None:
    viewer.do(edits.rotated, 3.0, 0.0, moving=True)


def large_panes(application: QApplication, window: MainWindow, viewer: Viewer, step_mm: float, times: int) -> float:
    """Prints how fast a pane of 1920 x 1080 scrolls and turns. Returns ms of a frame in 3D."""
    window.dock.hide()
    application.processEvents()
    beside = window.size() - viewer.size()
    window.resize(1920 + beside.width(), 1080 + beside.height())
    application.processEvents()
    taken = 0.0
    acts: dict[PaneName, Callable[[int], None]] = {
        "axial": partial(scroll, viewer, "axial", step_mm),
        "solid": partial(turn, viewer),
    }
    for name, act in acts.items():
        viewer.do(edits.laid_out, name)
        until(application, lambda: viewer.is_settled())
        pane = viewer.panes[name]
        rows, columns = pane.picture_size()
        taken = gesture(application, viewer, name, act, times)
        said = "turning" if name == "solid" else "scrolling"
        print(
            f"{said} in a pane of {pane.width()} x {pane.height()}, drawn as {columns} x {rows}: {taken:.1f} ms, "
            f"{1000 / taken:.0f} a second"
        )
        until(application, viewer.is_settled)
    viewer.do(edits.laid_out, "four")
    window.dock.show()
    window.resize(1500, 1100)
    until(application, viewer.is_settled)
    return taken


def all_found(viewer: Viewer) -> bool:
    """Whether every tool has found what it was for, or declined."""
    measures = viewer.session.screen.measures
    return all(viewer.measuring.found(measure) is not None for measure in measures if measure.kind in SOUGHT)


def busy(window: MainWindow, viewer: Viewer) -> bool:
    """Whether something is still being done."""
    working = window.works.busy or window.signing.judging
    return working or not (viewer.is_settled() and all_found(viewer))


def held_up(application: QApplication, window: MainWindow, viewer: Viewer, stalls: Stalls) -> None:
    """Prints for how long the window took no event at most, in each of its acts."""
    screen, active = viewer.session.screen, viewer.session.screen.axial.view
    x, y, z = screen.cursor_mm

    def brushed() -> None:
        viewer.choose_tool("brush")
        pane = viewer.panes["axial"]
        middle = pane.rect().center()
        QTest.mousePress(pane, Qt.MouseButton.LeftButton, pos=middle)
        for n in range(20):
            QTest.mouseMove(pane, middle + QPoint(4 * n, 2 * n))
        QTest.mouseRelease(pane, Qt.MouseButton.LeftButton, pos=middle + QPoint(80, 40))

    acts: dict[str, Callable[[], object]] = {
        "a capture": lambda: window.capturing.capture(1),
        "a rotation": lambda: window.capturing.capture(36),
        "bone away": viewer.toggle_bone,
        "the charge": window.signing.refresh_verdict,
        "undo": viewer.undo,
        "the work list": window.worklist.refresh,
        "brush": brushed,
        "lesion": lambda: viewer.do(measure_edits.measured, Measure("lesion", (screen.cursor_mm,), active)),
        "vessel": lambda: viewer.do(measure_edits.measured, Measure("vessel", ((x, y, z), (x, y, z + 20.0)), active)),
        "segment of bone": lambda: viewer.finding.propose(Automatic("bone", 9), "Bone"),
        "segment of lungs": lambda: viewer.finding.propose(Automatic("lungs", 10), "Lungs"),
    }
    for name, act in acts.items():
        stalls.anew()
        began = time.perf_counter()
        act()
        application.processEvents()
        until(application, lambda: not busy(window, viewer))
        print(f"{name}: {time.perf_counter() - began:.2f} s, no event taken for {stalls.anew():.0f} ms at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", nargs="?", type=Path, default=SAMPLE, help="folder with one CT series")
    parser.add_argument("--slices", type=int, default=0, help="so many, the series' own over and over")
    parser.add_argument("--plain", action="store_true", help="those slices uncompressed")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--alone", action="store_true", help="without VTK beside it")
    options = parser.parse_args()
    application = QApplication([])
    awake = QTimer(interval=2)
    awake.start()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f} at the beginning")
    with tempfile.TemporaryDirectory() as folder:
        site = open_site(Path(folder))
        if options.slices:
            site.archive.keep(repeated(options.folder, options.slices, options.plain))
        else:
            site.archive.import_files(options.folder)
        site.papers.engine.dispose()
        print(f"window {statistics.median(start_s(Path(folder)) for _ in range(3)):.2f} s after the start")
        window = make_window(Path(folder))
        window.resize(1500, 1100)
        window.show()
        until(application, lambda: bool(window.desk.studies.rows()))
        until(application, lambda: window.desk.warming.ident is not None)
        window.desk.warming.join()  # a reader looks at the work list for as long
        collect_what_comes()
        until(application, lambda: window.worklist.table.model().rowCount() > 0)
        before, stalls = resident_mb(), Stalls()
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
        voxels = volume.voxels.nbytes / 1e6
        print(
            f"volume {volume.shape}: first picture {first:.2f} s after the double-click, first pane {panes:.2f} s, "
            f"all four full {full:.2f} s, no event taken for {stalls.anew():.0f} ms at most"
        )
        print(f"memory: {resident_mb() - before:.0f} MB for it, the voxels are {voxels:.0f} MB")
        looked: list[float] = []  # errands are run one after another: dye is looked for before this one
        viewer.drawer.ask_errand(lambda: looked.append(time.perf_counter()), tell=False)
        until(application, lambda: bool(looked))
        print(f"dye looked for, beside what a reader does first: until {looked[0] - began:.1f} s")
        rows, columns = viewer.panes["solid"].picture_size()
        step = min(volume.spacing_mm)

        def windowed(n: int) -> None:
            viewer.do(edits.windowed, Window(40.0 + n, 400.0))

        took = gesture(application, viewer, "solid", partial(turn, viewer), options.times)
        print(f"turning, {rows} x {columns}: {took:.1f} ms, {1000 / took:.0f} frames a second")
        for pane in SLICES:
            ms = gesture(application, viewer, pane, partial(scroll, viewer, pane, step), options.times)
            print(f"scrolling {pane}: {ms:.1f} ms, {1000 / ms:.0f} planes a second")
        print(f"window change: {gesture(application, viewer, 'axial', windowed, options.times):.1f} ms")
        large = large_panes(application, window, viewer, step, options.times)
        held_up(application, window, viewer, stalls)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
        print(f"memory of the process at its most: {peak:.0f} MB")
        if device() and not options.alone:
            beside_vtk(volume, step, {(rows, columns): took, (1080, 1920): large}, options.times)
        window.close()


def beside_vtk(volume: Volume, step_mm: float, ours: dict[tuple[int, int], float], times: int) -> None:
    """Prints how long VTK takes for the same turning scene, at the sizes of our panes."""
    for (rows, columns), took in ours.items():
        recipe = VolumeRendering(load_preset("ct_bone"), View(), rows=rows, columns=columns)
        mappers = {"FixedPoint": peers.fixed_point(volume, recipe.transfer, step_mm, (0.0, 1.0))}
        if rows < 1000:  # in software it would take minutes
            mappers[f"GPU mapper on {device()}"] = peers.gpu(volume, recipe)
        for name, renderer in mappers.items():
            peers.camera(renderer, framing.planes(volume, recipe)[0], recipe.view, rows, columns)
            # 0.001: every frame in full, as VTK draws what stands still. 20: its interactor's way of keeping up.
            for rate in (0.001, 20.0):
                theirs = turning(renderer, rows, columns, rate, max(times // 4, 3))
                print(
                    f"VTK {name}, turning {rows} x {columns} at {rate:g} frames/s wanted: {theirs:.1f} ms; "
                    f"ratio {theirs / took:.1f}"
                )


if __name__ == "__main__":
    main()
