"""What a referring physician may take along: the report as PDF, the pictures as PNG, the DICOM objects, as streams."""

import re
import tempfile
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, cast

from dicom_io.errors import NotReadable
from dicom_io.files.dicomdir import directory_of
from workstation.records.pdf import print_report
from workstation.records.pdf_contents import as_signed, key_pictures
from workstation.records.verify import signature_lines
from workstation.results.contents import ArchivedFile, ResultsError, SessionResults, unchanged
from workstation.results.images import encoded, frame_pixels
from workstation.site import Site

# Of one download, before it is packed.
MOST_BYTES = 2 << 30
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # a zip's: the same results give the same bytes
_CHUNK = 1 << 20


def report_pdf(results: SessionResults, site: Site) -> bytes:
    """Returns the report as PDF, as `workstation report` prints it, from the session's own newest report.

    Raises BannerError where the patient's name cannot be written.
    """
    report = as_signed(results.report.header) if results.report is not None else None
    shown = key_pictures(results.record, report.key_images if report else (), site.archive)
    lines = signature_lines(results.header)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.pdf"
        print_report(results.record, results.header, report, shown, lines, file)
        return file.read_bytes()


def pictures_zip(results: SessionResults) -> Iterator[bytes]:
    """Yields a ZIP of all pictures as PNG, frames of rotations and stacks in folders. Raises ResultsError before the
    first byte where they are too many."""
    _check(frame.file for picture in results.pictures for frame in picture.frames)
    return _zipped(_pngs(results))


def dicom_zip(results: SessionResults) -> Iterator[bytes]:
    """Yields a ZIP of all objects of the session as DICOM files with a DICOMDIR, and a page that says what they are.
    Raises ResultsError before the first byte where they are too many."""
    files = results.files()
    _check(files)
    return _zipped(_objects(results, files))


def _check(files: Iterable[ArchivedFile]) -> None:
    """Raises ResultsError where files are too large together, or one of them is not what was recorded."""
    once = {file.key: file for file in files}.values()
    size = sum(Path(file.instance.path).stat().st_size for file in once)
    if size > MOST_BYTES:
        raise ResultsError(
            f"This download would be {size / (1 << 30):.1f} GB; up to {MOST_BYTES >> 30} GB are possible. Ask for a "
            "disc, or for a transfer to your PACS."
        )
    for file in once:
        if not unchanged(file):
            raise ResultsError(
                f"Instance {file.instance.sop_instance_uid} is not what was recorded: its file was changed. Nothing "
                "was given out."
            )


def _pngs(results: SessionResults) -> Iterator[tuple[str, Iterable[bytes]]]:
    yield "README.txt", [_about(results, "The pictures are as they were stored, through their own window.")]
    for number, picture in enumerate(results.pictures, start=1):
        name = f"{number:02}_{_word(picture.name)}"
        for n, frame in enumerate(picture.frames, start=1):
            place = f"{name}.png" if len(picture.frames) == 1 else f"{name}/{n:03}.png"
            yield place, [encoded(frame_pixels(frame, results.marks), "png")]


def _objects(results: SessionResults, files: Iterable[ArchivedFile]) -> Iterator[tuple[str, Iterable[bytes]]]:
    try:
        directory, places = directory_of(Path(file.instance.path) for file in files)
    except NotReadable:  # a study that lacks what a directory needs; its files are whole all the same
        directory, places = b"", {}
    words = "Open DICOMDIR in a viewer" if directory else "Import the folder DICOM into a PACS or viewer"
    yield "README.txt", [_about(results, f"{words}; the files are as they are archived.")]
    if directory:
        yield "DICOMDIR", [directory]
    for number, file in enumerate(files, start=1):
        place = places.get(file.instance.sop_instance_uid, f"DICOM/{number:05}.dcm")
        yield place, _chunks(Path(file.instance.path))


def _about(results: SessionResults, words: str) -> bytes:
    by, at = results.signed
    lines = [*results.patient, *(f"{title}: {said}" for title, said in results.study), ""]
    lines += [f"Signed by {by}" + (f" on {at:%Y-%m-%d %H:%M %z}." if at else "."), words, ""]
    lines += [f"{n:02} {picture.name}" for n, picture in enumerate(results.pictures, start=1)]
    return ("\r\n".join(lines) + "\r\n").encode("utf-8")


def _word(name: str) -> str:
    """A name as it can be a file's: no path, no patient."""
    return re.sub(r"[^\w-]+", "_", name).strip("_")[:60] or "picture"


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


class _Pipe:
    """Where a ZIP is written to that nobody keeps: what was written is taken out again."""

    def __init__(self) -> None:
        self.written: deque[bytes] = deque()

    def write(self, data: bytes) -> int:
        self.written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> Iterator[bytes]:
        while self.written:
            yield self.written.popleft()


def _zipped(entries: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    """Yields a ZIP as it is made. Nothing in it is packed again: pictures are, and DICOM goes through as fast as it is
    read."""
    pipe = _Pipe()
    with zipfile.ZipFile(cast(IO[bytes], pipe), "w") as archive:
        for name, content in entries:
            entry = zipfile.ZipInfo(name, _FIRST_DAY)
            entry.external_attr = 0o600 << 16
            with archive.open(entry, "w", force_zip64=True) as into:
                for chunk in content:
                    into.write(chunk)
                    yield from pipe.taken()
            yield from pipe.taken()
    yield from pipe.taken()
