"""How long the work list of an archive takes: `python -m tests.benchmarks.bench_worklist`.

Small images under real headers, imported; then the rows that a desktop asks for: the first time, when each series is
read once for the catalogue, when a desktop starts, and every time after. Beside it every header of the index read and
grouped, which is what opening all of the archive's series takes.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from tests.dicom_io.synthetic import grid, ramp, write_series
from workstation.desktop.app import make_window
from workstation.desktop.model.studies import Studies
from workstation.desktop.window import MainWindow
from workstation.site import open_site


def took_ms(act: Callable[[], object], times: int = 1) -> float:
    """Median ms of an act."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1000.0)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--instances", type=int, default=100)
    parser.add_argument("--times", type=int, default=15)
    options = parser.parse_args()
    application = QApplication([])
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        site = open_site(root)
        stored = ramp((options.instances, 16, 16))
        for n in range(options.series):
            write_series(Path(folder) / "sent" / str(n), stored, grid(), series=f"series {n}")
        print(f"taken in: {took_ms(lambda: site.archive.import_files(Path(folder) / 'sent')) / 1000.0:.1f} s")
        studies = Studies(site)
        print(f"{options.series} series of {options.instances} instances")
        print(f"rows, the first time: {took_ms(studies.rows):.0f} ms")
        print(f"rows, when a desktop starts: {took_ms(lambda: Studies(site).rows(), 3):.0f} ms")
        print(f"rows, every time after: {took_ms(studies.rows, options.times):.0f} ms")
        print(f"every header of the index: {took_ms(site.archive.all_series, options.times):.0f} ms")
        windows = []
        print(f"the window made: {took_ms(lambda: windows.append(make_window(root))):.0f} ms")
        for window in windows:
            used(application, window, options.series)


def used(application: QApplication, window: MainWindow, count: int) -> None:
    """Shows a window until its list is full, searches and sorts it, and closes it."""
    window.show()
    while window.worklist.table.model().rowCount() < count:
        application.processEvents()
    search, sort = window.worklist.search, window.worklist.table.sortByColumn
    print(f"a letter more in the search: {took_ms(lambda: search.setText(search.text() + 's')):.0f} ms")
    search.clear()
    print(f"sorted by patient: {took_ms(lambda: sort(0, Qt.SortOrder.AscendingOrder)):.0f} ms")
    window.close()


if __name__ == "__main__":
    main()
