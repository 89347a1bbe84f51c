"""A whole case, stage by stage: medians in s, beside drawing alone and other writers of the same objects.

`python -m tests.benchmarks.bench_case [folder with one CT series] [--slices 275] [--protocol ct_chest]`. The series is
repeated along its slices until there are enough, imported into a state folder of its own, and run as `workstation run`
does, with papers of a physician and two destinations. "Objects" makes the data sets, "keep" writes, flushes and indexes
them and the record; "settle" reads the record back, decides, and queues.

The peers get the same pixels and the same references: pydicom writes our data sets one after another to files that are
flushed; highdicom makes a secondary capture of each picture from the same source images, and writes and flushes it.
"""

import argparse
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import highdicom
import numpy as np
import pydicom
from pydicom.dataset import Dataset

from dicom_io.archive import Archive
from dicom_io.capabilities import EXPLICIT_LITTLE
from dicom_io.files.series import read_dataset
from dicom_io.objects.functional_groups import source_item
from render.protocols import load_protocol
from tests.benchmarks import bench_open
from tests.workstation.samples import AT, DOCUMENTED, ticking
from workstation import pipeline
from workstation.case import Case
from workstation.config import Config
from workstation.destinations import DicomDestination, MllpDestination
from workstation.site import Site, open_site
from workstation.store.papers import read_papers

DESTINATIONS = (
    DicomDestination(name="pacs", takes=("images",), port=104, ae_title="PACS", archived_when="kept"),
    MllpDestination(name="billing", takes=("charges",), port=2575),
)
# Where each stage is called, and by which name: stages within others count twice, so these do not nest.
STAGES: tuple[tuple[str, object, str], ...] = (
    ("build", pipeline, "build_volume"),
    ("draw", pipeline, "draw"),
    ("objects", pipeline, "derive"),
    ("objects", pipeline, "products"),
    ("objects", pipeline, "objects_beside"),
    ("keep", Archive, "keep"),
    ("record", pipeline, "sources_of"),
    ("record", pipeline, "with_digests"),
    ("record", pipeline, "journal_session"),
    ("record", pipeline, "amending"),
    ("record", pipeline, "write_sr"),
    ("settle", pipeline, "read_record"),
    ("settle", pipeline, "settle"),
)


@contextmanager
def timed(spent: dict[str, float]) -> Iterator[None]:
    """Adds up what each stage takes while the context is open."""

    def wrapped(stage: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:
            start = time.perf_counter()
            try:
                return act(*given, **more)
            finally:
                spent[stage] = spent.get(stage, 0.0) + time.perf_counter() - start

        return call

    with ExitStack() as patches:
        for stage, owner, name in STAGES:
            patches.enter_context(patch.object(owner, name, wrapped(stage, getattr(owner, name))))
        yield


def site_with(data: Path, root: Path) -> tuple[Site, str]:
    site = open_site(root, Config(destinations=DESTINATIONS), ticking(AT))
    return site, site.archive.import_files(data).series[0].uid


def run_case(site: Site, series_uid: str, protocol: str) -> tuple[pipeline.CaseRun, dict[str, float]]:
    session = read_papers(DOCUMENTED).session
    assert session is not None
    spent: dict[str, float] = {}
    start = time.perf_counter()
    with timed(spent):
        made = pipeline.run(Case(series_uid, load_protocol(protocol), region="CHEST", session=session), site)
    spent["whole case"] = time.perf_counter() - start
    return made, spent


def flushed(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def by_pydicom(datasets: list[Dataset], target: Path) -> None:
    for number, ds in enumerate(datasets):
        file = target / f"{number}.dcm"
        ds.save_as(file, enforce_file_format=True)
        flushed(file)


def by_highdicom(reference: Dataset, datasets: list[Dataset], target: Path) -> None:
    """A secondary capture of each frame, with the source images it refers to."""
    for number, ds in enumerate(datasets):
        values = np.frombuffer(ds.PixelData, np.uint16 if ds.BitsAllocated == 16 else np.uint8)
        frames = int(ds.get("NumberOfFrames", 1))
        shape = (frames, ds.Rows, ds.Columns, *((3,) if ds.SamplesPerPixel == 3 else ()))
        sources = [(s.ReferencedSOPInstanceUID, s.ReferencedSOPClassUID) for s in ds.SourceImageSequence]
        for frame, plane in enumerate(values[: int(np.prod(shape))].reshape(shape)):
            made = highdicom.sc.SCImage.from_ref_dataset(
                ref_dataset=reference,
                pixel_array=plane,
                photometric_interpretation=ds.PhotometricInterpretation,
                bits_allocated=ds.BitsAllocated,
                coordinate_system="PATIENT",
                series_instance_uid=highdicom.UID(),
                sop_instance_uid=highdicom.UID(),
                series_number=1,
                instance_number=number + 1,
                manufacturer="benchmark",
                patient_orientation=("L", "P"),
            )
            made.SourceImageSequence = [source_item(uid, sop_class) for uid, sop_class in sources]
            file = target / f"{number}-{frame}.dcm"
            made.save_as(file, enforce_file_format=True)
            flushed(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("sample_data/ct_head"))
    parser.add_argument("--slices", type=int, default=275)
    parser.add_argument("--protocol", default="ct_chest")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--peers", action="store_true", help="also highdicom and pydicom")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        bench_open.write(args.folder, data, args.slices, 512, {"uncompressed": EXPLICIT_LITTLE})
        runs: list[dict[str, float]] = []
        for turn in range(args.times + 1):  # the first compiles the kernels
            site, uid = site_with(data / "uncompressed", Path(scratch) / f"root{turn}")
            made, spent = run_case(site, uid, args.protocol)
            if not turn:
                continue
            if args.peers:
                # With items instead of bytes, as a program makes them.
                again = [pydicom.dcmread(image.path) for image in made.images]
                for ds in again:
                    ds.decode()
                reference = read_dataset(site.archive.series(uid).first.path)
                for name, write in (("by pydicom", by_pydicom), ("by highdicom", partial(by_highdicom, reference))):
                    target = Path(scratch) / f"{name}{turn}"
                    target.mkdir()
                    start = time.perf_counter()
                    write(again, target)
                    spent[name] = time.perf_counter() - start
            runs.append(spent)
        median = {stage: statistics.median(run.get(stage, 0.0) for run in runs) for stage in runs[0]}
        for stage, seconds in median.items():
            print(f"{stage:14} {seconds:7.2f} s")
        objects = median["objects"] + median["keep"]
        print(f"{len(made.images)} objects; whole case / drawing alone: {median['whole case'] / median['draw']:.2f}")
        for name in ("by pydicom", "by highdicom"):
            if name in median:
                print(f"the same objects {name} / ours: {median[name] / objects:.2f}")


if __name__ == "__main__":
    main()
