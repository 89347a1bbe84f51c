"""Opening a large series, beside SimpleITK and pydicom's own `pixel_array` loop: medians in ms, ratios, peak memory.

`python -m tests.benchmarks.bench_open [folder with one CT series] [--slices 300]`. The series is repeated along its
slices until there are enough, with headers as they are and values as 12 unsigned bits (GDCM decodes some lossless
streams of 16 bits wrongly), and written uncompressed, as JPEG Lossless SV1 and as JPEG 2000; then each reader opens it
in turn. Files are in the page cache for all of them: what is measured is the reader, not the disk. Peak memory is what
a process of its own needed beyond what it had before it opened, in units of the volume's bytes. Processor time says
what a reader costs where other programs want the cores too; SimpleITK and pydicom use one of them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813
from pydicom.dataset import Dataset

from dicom_io.archive import Archive
from dicom_io.capabilities import EXPLICIT_LITTLE
from dicom_io.files.decode import stored_values
from dicom_io.files.headers import read_dataset, read_instance
from dicom_io.files.series import files_below, open_series
from dicom_io.uids import derived
from dicom_io.volumes.build import build_volume, find_stacks
from dicom_io.volumes.stacks import Stack
from tests.dicom_io.synthetic import J2K, JPEG_SV1, decimal, encapsulated, jpeg

SYNTAXES = {"uncompressed": EXPLICIT_LITTLE, "JPEG lossless": JPEG_SV1, "JPEG 2000": J2K}
READERS = ("archive", "folder", "SimpleITK", "pydicom")


def write(source: Path, target: Path, slices: int, rows: int, syntaxes: dict[str, str] = SYNTAXES) -> None:
    """The series of `source`, repeated until it has so many slices of `rows` squared, in each syntax and an archive."""
    (stack,) = [s for series in open_series(source) for s in find_stacks(series) if isinstance(s, Stack)]
    for k in range(slices):
        item = stack.slices[k % len(stack.slices)]
        plane = stored_values(item.instance)[item.index]
        plane = np.clip(plane * item.frame.slope + item.frame.intercept + 1024, 0, 4095).astype(np.uint16)
        plane = np.ascontiguousarray(np.tile(plane, [-(-rows // n) for n in plane.shape])[:rows, :rows])
        ds = pydicom.dcmread(item.instance.path)
        x, y, _ = (float(v) for v in ds.ImagePositionPatient)
        ds.ImagePositionPatient = [decimal(x), decimal(y), decimal(float(k))]
        ds.InstanceNumber, ds.Rows, ds.Columns = k + 1, rows, rows
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, 0
        ds.RescaleSlope, ds.RescaleIntercept = "1", "-1024"
        ds.pop("PixelPaddingValue", None)
        for name, syntax in syntaxes.items():
            ds.SeriesInstanceUID = derived("bench", name)
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = derived("bench", name, str(k))
            _put(ds, plane, syntax)
            folder = target / name
            folder.mkdir(parents=True, exist_ok=True)
            ds.save_as(folder / f"{k:05}.dcm", enforce_file_format=True)
    archive = Archive(target / "state")
    for name in syntaxes:
        archive.import_files(target / name)


def _put(ds: Dataset, plane: np.ndarray, syntax: str) -> None:
    if syntax == EXPLICIT_LITTLE:
        ds.file_meta.TransferSyntaxUID = syntax
        ds.PixelData = plane.astype(plane.dtype.newbyteorder("<")).tobytes()
        ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OW", False
    elif syntax == JPEG_SV1:
        encapsulated(ds, [jpeg(plane, lossless=True, predictor=1)], syntax)
    else:
        encapsulated(ds, [bytes(imagecodecs.jpeg2k_encode(plane, codecformat="j2k", reversible=True, level=0))], syntax)


def opener(reader: str, data: Path, name: str) -> Callable[[], np.ndarray]:
    """Opens the series of one syntax with one reader and returns its voxels."""
    folder, uid = data / name, derived("bench", name)

    def by_itk() -> np.ndarray:
        series = sitk.ImageSeriesReader()
        series.SetFileNames(series.GetGDCMSeriesFileNames(str(folder), uid))
        image = series.Execute()
        return np.asarray(sitk.GetArrayFromImage(image))

    def by_pydicom() -> np.ndarray:
        found = []
        for file in folder.iterdir():
            ds = pydicom.dcmread(file)
            plane = ds.pixel_array.astype(np.int32) * int(ds.RescaleSlope) + int(ds.RescaleIntercept)
            found.append((float(ds.ImagePositionPatient[2]), plane.astype(np.int16)))
        return np.stack([plane for _, plane in sorted(found, key=lambda pair: pair[0])])

    return {
        "archive": lambda: build_volume(Archive(data / "state").series(uid)).voxels,
        "folder": lambda: build_volume(open_series(folder)[0]).voxels,
        "SimpleITK": by_itk,
        "pydicom": by_pydicom,
    }[reader]


def peak(reader: str, data: Path, name: str) -> float:
    """Peak memory of opening beyond what there was before, over the bytes of the voxels; in this process."""
    run = opener(reader, data, name)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew. Source: proc(5)
    voxels = run()
    return (_status("VmHWM") - before) * 1024 / voxels.size / 2


def _status(key: str) -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in text.splitlines() if line.startswith(key)).split()[1])


def measure(data: Path, times: int, names: list[str]) -> None:
    for name in names:
        took: dict[str, list[float]] = {r: [] for r in READERS}
        worked: dict[str, list[float]] = {r: [] for r in READERS}
        voxels = {r: opener(r, data, name)() for r in READERS}  # warm, and all the same
        assert all(np.array_equal(v, voxels["archive"]) for v in voxels.values()), "readers differ"
        del voxels
        for _ in range(times):
            for reader in READERS:
                start, busy = time.perf_counter(), time.process_time()
                opener(reader, data, name)()
                took[reader].append(time.perf_counter() - start)
                worked[reader].append(time.process_time() - busy)
        medians = {r: statistics.median(t) * 1e3 for r, t in took.items()}
        for ours in ("archive", "folder"):
            ratios = "   ".join(f"{r} {medians[r] / medians[ours]:5.1f} times" for r in ("SimpleITK", "pydicom"))
            print(f"{name:14} {ours:10} {medians[ours]:8.0f} ms   {ratios}")
        print(f"{'':14} SimpleITK {medians['SimpleITK']:9.0f} ms   pydicom {medians['pydicom']:9.0f} ms")
        busy_ms = "   ".join(f"{r} {statistics.median(t) * 1e3:.0f}" for r, t in worked.items())
        print(f"{'':14} processor time in ms: {busy_ms}")
        peaks = []
        for reader in READERS:
            words = [sys.executable, "-m", "tests.benchmarks.bench_open", "--peak", reader, name, str(data)]
            peaks.append(f"{reader} {float(json.loads(subprocess.check_output(words))):.2f}")
        print(f"{'':14} peak memory over the voxels' bytes: {'   '.join(peaks)}")


def headers(files: list[Path], times: int) -> None:
    """Reading the header of each file, by our reader and by pydicom's parser: medians in ms a file."""
    for name, read in (("ours", read_instance), ("pydicom's parser", read_dataset)):
        took = []
        for _ in range(times):
            start = time.perf_counter()
            for file in files:
                read(file)
            took.append((time.perf_counter() - start) / len(files) * 1e3)
        print(f"{len(files)} headers   {name:18} {statistics.median(took):6.2f} ms a file")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", nargs="?", type=Path, default=Path("sample_data/ct_head"))
    options.add_argument("--slices", type=int, default=300)
    options.add_argument("--rows", type=int, default=512)
    options.add_argument("--times", type=int, default=5)
    options.add_argument("--only", choices=SYNTAXES, action="append", help="one syntax; may be given again")
    options.add_argument("--keep", type=Path, help="a folder for the series, taken as it is if it is there")
    options.add_argument("--headers", action="store_true", help="only read the headers of the folder, as they are")
    options.add_argument("--peak", nargs=3, metavar=("READER", "SYNTAX", "DATA"), help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.peak:
        print(json.dumps(peak(given.peak[0], Path(given.peak[2]), given.peak[1])))
        return
    if given.headers:
        headers(list(files_below(given.folder)), given.times)
        return
    with tempfile.TemporaryDirectory() as folder:
        data = given.keep or Path(folder)
        if not (data / "state").exists():
            write(given.folder, data, given.slices, given.rows)
        print(f"{given.slices} slices of {given.rows} x {given.rows}, {os.cpu_count()} cores, {given.times} turns")
        measure(data, given.times, given.only or list(SYNTAXES))


if __name__ == "__main__":
    main()
