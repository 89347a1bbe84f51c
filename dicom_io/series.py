"""Instances, frames and series, and how they are read from files.

An `Instance` is everything that building a volume needs to know beside the pixels themselves; the archive keeps it
in its index, so that opening a received series parses nothing. A classic image has one `Frame`, an enhanced
multi-frame image has many.
"""

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import unpack
from typing import Any, Protocol

import pydicom
from pydicom.dataset import Dataset, FileDataset

from dicom_io.capabilities import CLASS_BY_UID, DEFLATED, EXPLICIT_BIG, IMPLICIT_LITTLE, NATIVE_SYNTAXES
from dicom_io.errors import NotReadable
from dicom_io.uids import UidError, checked

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """One image plane.

    position_mm : LPS mm of the centre of the first pixel. orientation : row then column direction cosines.
    spacing_mm : (row spacing, column spacing). Source: PS3.3 C.7.6.2.1.1 and C.7.6.16.2.
    traits : what may set this frame apart from one at the same place, as (name, value) pairs.
    """

    position_mm: Triple | None
    orientation: tuple[float, float, float, float, float, float] | None
    spacing_mm: tuple[float, float] | None
    slope: float
    intercept: float
    traits: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Instance:
    """A stored SOP instance without its pixels; `pixel_offset` says where in `path` they begin (−1: parse first)."""

    path: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    series_uid: str
    study_uid: str
    frame_of_reference: str
    modality: str
    series_description: str
    study_description: str
    patient_id: str
    accession: str
    study_date: str
    body_part: str
    instance_number: int
    image_type: tuple[str, ...]
    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    signed: bool
    padding: tuple[int, int] | None
    rescale_type: str
    lossy: bool
    pixel_keyword: str
    pixel_offset: int
    pixel_length: int
    frames: tuple[Frame, ...]

    @property
    def is_image(self) -> bool:
        return self.rows > 0 and self.columns > 0 and bool(self.pixel_keyword)


@dataclass(frozen=True, slots=True)
class Series:
    """Instances of one Series Instance UID, in no particular order that anything may rely on."""

    uid: str
    instances: tuple[Instance, ...]

    @property
    def modality(self) -> str:
        return self.instances[0].modality

    @property
    def description(self) -> str:
        return self.instances[0].series_description

    @property
    def first(self) -> Instance:
        """Of the lowest instance number: whose patient and study modules are copied to derived objects."""
        return min(self.instances, key=lambda i: (i.instance_number, i.sop_instance_uid))


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that could not be taken, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """Everything found below a path."""

    series: tuple[Series, ...]
    unreadable: tuple[Unreadable, ...]


class Shelf(Protocol):
    """Whatever keeps series; the archive does."""

    def all_series(self) -> tuple[Series, ...]: ...


def open_series(place: Path | Shelf) -> list[Series]:
    """Every series in a file, below a folder, or in an archive, by UID. Files that are not DICOM are passed over.

    Raises NotReadable when there is nothing readable at all, naming the first reason.
    """
    if not isinstance(place, Path):
        return list(place.all_series())
    found = scan(place)
    if not found.series:
        why = found.unreadable[0].reason if found.unreadable else "the folder holds no files"
        raise NotReadable(f"{place}: no DICOM series found. {why}")
    return list(found.series)


def scan(path: Path) -> Scan:
    """Reads every header below `path`; never raises for the content of a file."""
    if not path.exists():
        raise NotReadable(f"{path}: no such file or folder.")
    instances: dict[str, Instance] = {}
    unreadable: list[Unreadable] = []
    for file in files_below(path):
        try:
            instance = read_instance(file)
        except NotReadable as error:
            unreadable.append(Unreadable(str(file), str(error)))
            continue
        instances.setdefault(instance.sop_instance_uid, instance)
    return Scan(group(instances.values()), tuple(unreadable))


def files_below(path: Path) -> Iterator[Path]:
    """Files to look at, in a fixed order; DICOMDIR lists the others and is no image itself."""
    if path.is_file():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            if name != "DICOMDIR" and not name.startswith("."):
                yield Path(folder) / name


def group(instances: Iterable[Instance]) -> tuple[Series, ...]:
    """Instances by Series Instance UID, sorted, so that the order of files changes nothing."""
    by_uid: dict[str, list[Instance]] = {}
    for instance in instances:
        by_uid.setdefault(instance.series_uid, []).append(instance)
    return tuple(
        Series(uid, tuple(sorted(members, key=lambda i: (i.instance_number, i.sop_instance_uid))))
        for uid, members in sorted(by_uid.items())
    )


def read_instance(path: Path) -> Instance:
    """The header of one file.

    Raises NotReadable, with the reason in words, for anything that is no whole DICOM instance.
    """
    return _read(path)[0]


def read_dataset(path: Path | str) -> FileDataset:
    """The data set without pixels, for copying patient and study modules. Raises NotReadable."""
    return _read(Path(path))[1]


def _read(path: Path) -> tuple[Instance, FileDataset]:
    try:
        with _Watched(io.FileIO(path)) as file:
            try:
                ds = pydicom.dcmread(file, stop_before_pixels=True)
            except pydicom.errors.InvalidDicomError:
                file.seek(0)
                ds = _without_preamble(file, path)
            if file.short:
                raise NotReadable(f"{path}: cut short in the middle of the data set. Ask for it again.")
            offset, length = _pixel_place(file, ds)
            size = file.seek(0, os.SEEK_END)
        return _instance(path, ds, offset, length, size), ds
    except NotReadable:
        raise
    except OSError as error:
        raise NotReadable(f"{path}: cannot be read ({error.strerror}).") from error
    except UidError as error:
        raise NotReadable(f"{path}: {error}") from error
    except Exception as error:
        raise NotReadable(f"{path}: not a readable DICOM instance ({type(error).__name__}: {error}).") from error


class _Watched(io.BufferedReader):
    """A file that knows whether more was asked of it than it holds: pydicom takes a data set that breaks off as whole.

    One read that finds nothing is the end of the file; part of what was asked for, or a second such read, is not.
    """

    _part = False
    _misses = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if size is not None and len(data) < size:
            self._part |= bool(data)
            self._misses += not data
        return data

    @property
    def short(self) -> bool:
        return self._part or self._misses > 1


def _without_preamble(file: Any, path: Path) -> FileDataset:
    """Old exports begin right with group 0002 or 0008; anything else is not DICOM."""
    start = file.read(4)
    file.seek(0)
    if start[:2] not in (b"\x02\x00", b"\x08\x00") or start[3:] != b"\x00":
        raise NotReadable(f"{path}: not a DICOM file (no DICM prefix and no data set at the start).")
    return pydicom.dcmread(file, stop_before_pixels=True, force=True)


_PIXELS = {0x7FE00010: "PixelData", 0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData"}


def _pixel_place(file: Any, ds: FileDataset) -> tuple[int, int]:
    """(offset, length) of the pixel value; length −1 is undefined (encapsulated); (−1, −1) deflated or none.

    pydicom leaves the file at the pixel element's tag. Source: PS3.5 7.1.2 and 7.1.3 (data element encoding).
    """
    syntax = str(getattr(ds.file_meta, "TransferSyntaxUID", IMPLICIT_LITTLE))
    if syntax == DEFLATED:
        return (-1, -1)
    order = ">" if syntax == EXPLICIT_BIG else "<"
    head = file.read(12)
    if len(head) < 8:
        return (-1, -1)
    group_number, element = unpack(order + "HH", head[:4])
    if (group_number << 16 | element) not in _PIXELS:
        return (-1, -1)
    if syntax == IMPLICIT_LITTLE:
        (length,) = unpack(order + "L", head[4:8])
        file.seek(-4, os.SEEK_CUR)
    else:
        (length,) = unpack(order + "L", head[8:12])
    return (file.tell(), -1 if length == 0xFFFFFFFF else length)


def _instance(path: Path, ds: FileDataset, offset: int, length: int, size: int) -> Instance:
    syntax = str(getattr(ds.file_meta, "TransferSyntaxUID", IMPLICIT_LITTLE))
    keyword = "PixelData" if ds.get("BitsAllocated") and ds.get("Rows") else ""
    if keyword and ds.get("BitsAllocated") == 32 and "PixelRepresentation" not in ds:
        keyword = "FloatPixelData"
    rows, columns = int(ds.get("Rows") or 0), int(ds.get("Columns") or 0)
    known = CLASS_BY_UID.get(str(ds.get("SOPClassUID")))
    if known is not None and known.role != "document" and not keyword:
        raise NotReadable(f"{path}: a {known.name} without pixels; it may be cut short. Ask for it again.")
    frame_count = int(ds.get("NumberOfFrames") or 1)
    bits = int(ds.get("BitsAllocated") or 0)
    # Before any list of frames is made: how many can be in a file. Deflating saves 1031 of 1032 bytes at best.
    most = size if syntax in NATIVE_SYNTAXES else size // 8  # a compressed frame begins with an item of 8 bytes
    if syntax == DEFLATED:
        most = size * 1032 // max(1, rows * columns)
    if not 1 <= frame_count <= max(1, most):
        raise NotReadable(f"{path}: {frame_count} frames cannot be in a file of {size} bytes. Ask for it again.")
    if keyword and syntax != DEFLATED:
        if offset < 0:
            raise NotReadable(f"{path}: describes {rows} x {columns} pixels but holds none; it may be cut short.")
        expected = rows * columns * frame_count * int(ds.get("SamplesPerPixel") or 1) * bits // 8
        present = min(size - offset, length if length >= 0 else size)
        if syntax in NATIVE_SYNTAXES and present < expected:
            raise NotReadable(f"{path}: cut short, {present} of {expected} bytes of pixel data. Ask for it again.")
        if length < 0 and not _ends_encapsulated(path, size):
            raise NotReadable(f"{path}: cut short, the compressed pixel data has no end. Ask for it again.")
    return Instance(
        path=str(path),
        sop_instance_uid=checked(ds.get("SOPInstanceUID"), "SOP Instance UID"),
        sop_class_uid=checked(ds.get("SOPClassUID"), "SOP Class UID"),
        transfer_syntax_uid=checked(syntax, "Transfer Syntax UID"),
        series_uid=checked(ds.get("SeriesInstanceUID"), "Series Instance UID"),
        study_uid=checked(ds.get("StudyInstanceUID"), "Study Instance UID"),
        frame_of_reference=_text(ds, "FrameOfReferenceUID") or _text(ds, "VolumeFrameOfReferenceUID"),
        modality=_text(ds, "Modality"),
        series_description=_text(ds, "SeriesDescription"),
        study_description=_text(ds, "StudyDescription"),
        patient_id=_text(ds, "PatientID"),
        accession=_text(ds, "AccessionNumber"),
        study_date=_text(ds, "StudyDate"),
        body_part=_text(ds, "BodyPartExamined"),
        instance_number=_integer(ds, "InstanceNumber"),
        image_type=tuple(str(v) for v in _many(ds.get("ImageType"))),
        rows=rows,
        columns=columns,
        samples=int(ds.get("SamplesPerPixel") or 1),
        photometric=_text(ds, "PhotometricInterpretation"),
        bits_allocated=bits,
        bits_stored=int(ds.get("BitsStored") or bits),
        signed=int(ds.get("PixelRepresentation") or 0) == 1,
        padding=_padding(ds),
        rescale_type=_rescale_type(ds),
        lossy=_text(ds, "LossyImageCompression") == "01",
        pixel_keyword=keyword,
        pixel_offset=offset,
        pixel_length=length,
        frames=tuple(_frames(ds, frame_count)),
    )


def _ends_encapsulated(path: Path, size: int) -> bool:
    """A Sequence Delimitation Item stands near the end. Source: PS3.5 A.4 and 7.5.2."""
    with path.open("rb") as file:
        file.seek(max(0, size - 65536))
        tail = file.read()
    place = tail.rfind(b"\xfe\xff\xdd\xe0")
    return 0 <= place <= len(tail) - 8


def _text(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword)
    return "" if value is None else str(value).strip()


def _integer(ds: Dataset, keyword: str) -> int:
    try:
        return int(ds.get(keyword) or 0)
    except (TypeError, ValueError):
        return 0


def _many(value: Any) -> tuple[Any, ...]:
    if value is None or value == "":
        return ()
    return (value,) if isinstance(value, str) or not hasattr(value, "__iter__") else tuple(value)


def _padding(ds: Dataset) -> tuple[int, int] | None:
    """Stored values that mean 'no image here', as a range. Source: PS3.3 C.7.5.1.1.2."""
    try:
        value = ds.get("PixelPaddingValue")
        if value is None:
            return None
        limit = ds.get("PixelPaddingRangeLimit")
        a, b = int(value), int(value if limit is None else limit)
    except (TypeError, ValueError):
        return None
    return (min(a, b), max(a, b))


def _rescale_type(ds: Dataset) -> str:
    shared = _first(ds, "SharedFunctionalGroupsSequence")
    transform = _first(shared, "PixelValueTransformationSequence") if shared is not None else None
    return _text(ds, "RescaleType") or (_text(transform, "RescaleType") if transform is not None else "")


def _first(ds: Dataset | None, keyword: str) -> Dataset | None:
    sequence = ds.get(keyword) if ds is not None else None
    return sequence[0] if sequence else None


def _numbers(ds: Dataset | None, keyword: str, count: int) -> tuple[float, ...] | None:
    """`count` finite numbers, or None when the attribute is missing, empty or malformed."""
    if ds is None:
        return None
    try:
        values = tuple(float(v) for v in _many(ds.get(keyword)))
    except (TypeError, ValueError):
        return None
    return values if len(values) == count and all(abs(v) < 1e9 for v in values) else None


# What may tell two frames at the same place apart, in the order in which it is tried.
# (name in words, attribute, functional group that holds it in an enhanced image)
_TRAITS: tuple[tuple[str, str, str], ...] = (
    ("stack", "StackID", "FrameContentSequence"),
    ("echo time", "EchoTime", ""),
    ("echo time", "EffectiveEchoTime", "MREchoSequence"),
    ("echo number", "EchoNumbers", ""),
    ("b-value", "DiffusionBValue", "MRDiffusionSequence"),
    ("temporal position", "TemporalPositionIdentifier", ""),
    ("temporal position", "TemporalPositionIndex", "FrameContentSequence"),
    ("temporal offset", "TemporalPositionTimeOffset", "TemporalPositionSequence"),
    ("trigger time", "TriggerTime", ""),
    ("cardiac trigger delay", "NominalCardiacTriggerDelayTime", "CardiacSynchronizationSequence"),
    ("acquisition number", "AcquisitionNumber", ""),
    ("acquisition number", "FrameAcquisitionNumber", "FrameContentSequence"),
    ("acquisition time", "AcquisitionTime", ""),
)
# Groups that carry a frame's image type. Source: PS3.3 C.8.13.5.1, C.8.15.3.1, C.8.22.5.1.
_TYPE_GROUPS = ("CTImageFrameTypeSequence", "MRImageFrameTypeSequence", "PETFrameTypeSequence")


def _frames(ds: FileDataset, count: int) -> Iterator[Frame]:
    per_frame = ds.get("PerFrameFunctionalGroupsSequence")
    if not per_frame:
        image_type = "\\".join(str(v) for v in _many(ds.get("ImageType"))[2:])
        traits = [("image type", image_type)] if image_type else []
        traits += [(name, _text(ds, key)) for name, key, _ in _TRAITS if _text(ds, key)]
        frame = Frame(
            _numbers(ds, "ImagePositionPatient", 3),  # type: ignore[arg-type]
            _numbers(ds, "ImageOrientationPatient", 6),  # type: ignore[arg-type]
            _numbers(ds, "PixelSpacing", 2),  # type: ignore[arg-type]
            *_rescale(ds),
            tuple(traits),
        )
        yield from [frame] * count
        return
    shared = _first(ds, "SharedFunctionalGroupsSequence")
    for groups in list(per_frame)[:count]:
        yield _enhanced_frame(groups, shared)


def _enhanced_frame(own: Dataset, shared: Dataset | None) -> Frame:
    """Functional groups of a frame: its own first, else the shared ones. Source: PS3.3 C.7.6.16."""

    def macro(keyword: str) -> Dataset | None:
        return _first(own, keyword) or _first(shared, keyword)

    traits: list[tuple[str, str]] = []
    for keyword in _TYPE_GROUPS:
        frame_type = macro(keyword)
        if frame_type is not None:
            traits.append(("image type", "\\".join(str(v) for v in _many(frame_type.get("FrameType"))[2:])))
    for name, key, sequence in _TRAITS:
        holder = macro(sequence) if sequence else None
        if holder is not None and _text(holder, key):
            traits.append((name, _text(holder, key)))
    diffusion = macro("MRDiffusionSequence")
    gradient = _first(diffusion, "DiffusionGradientDirectionSequence")
    direction = _numbers(gradient, "DiffusionGradientOrientation", 3)
    if direction is not None:
        traits.append(("gradient direction", " ".join(f"{v:.4g}" for v in direction)))
    # Enhanced US Volume says its planes in the frame of the volume. Source: PS3.3 C.8.24.
    position = _numbers(macro("PlanePositionSequence"), "ImagePositionPatient", 3) or _numbers(
        macro("PlanePositionVolumeSequence"), "ImagePositionVolume", 3
    )
    orientation = _numbers(macro("PlaneOrientationSequence"), "ImageOrientationPatient", 6) or _numbers(
        macro("PlaneOrientationVolumeSequence"), "ImageOrientationVolume", 6
    )
    return Frame(
        position,  # type: ignore[arg-type]
        orientation,  # type: ignore[arg-type]
        _numbers(macro("PixelMeasuresSequence"), "PixelSpacing", 2),  # type: ignore[arg-type]
        *_rescale(macro("PixelValueTransformationSequence")),
        tuple(traits),
    )


def _rescale(ds: Dataset | None) -> tuple[float, float]:
    """(slope, intercept); 1, 0 where the image has none. Source: PS3.3 C.11.1.1.2."""
    slope, intercept = _numbers(ds, "RescaleSlope", 1), _numbers(ds, "RescaleIntercept", 1)
    return (slope[0] if slope and slope[0] != 0.0 else 1.0, intercept[0] if intercept else 0.0)
