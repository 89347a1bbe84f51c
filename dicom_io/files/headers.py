"""Reads one file's header into an `Instance`: everything but the pixels, and the offset where they begin."""

import io
import os
import zlib
from io import FileIO
from pathlib import Path
from struct import error as StructError  # noqa: N812 - a class, in spite of its name
from struct import unpack
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import _read_file_meta_info, read_preamble

from dicom_io.capabilities import CLASS_BY_UID, DEFLATED, EXPLICIT_BIG, IMPLICIT_LITTLE, NATIVE_SYNTAXES
from dicom_io.errors import NotReadable
from dicom_io.files import mosaic, uih
from dicom_io.files.elements import read_header
from dicom_io.files.frames import frames_of
from dicom_io.files.instance import Frame, Instance
from dicom_io.files.values import first, integer, many, number, text
from dicom_io.uids import UidError, checked

_DIRECTORY = "1.2.840.10008.1.3.10"


def read_instance(path: Path) -> Instance:
    """Reads the header of one file.

    Raises NotReadable with the reason for a file that is not a whole DICOM instance.
    """
    return _quickly(path) or _read(path)[0]


def read_dataset(path: Path | str) -> FileDataset:
    """Reads the data set without pixels, for copying patient and study modules. Raises NotReadable."""
    return _read(Path(path))[1]


def _quickly(path: Path) -> Instance | None:
    """Reads a plain file's header without pydicom's parser; None for a file that is not plain or is damaged."""
    try:
        with FileIO(path) as file:
            ds, tag, offset, length = read_header(file)
            size = os.fstat(file.fileno()).st_size
            keyword = _PIXELS.get(tag, "")
            if not keyword:
                offset, length = -1, -1
            elif length < 0:
                _check_items(file, offset, size, path)
            return _instance(path, ds, offset, length, keyword, size, _behind_pixels(file, ds, offset, length))
    except Exception:  # noqa: BLE001 - pydicom's parser reads it next and reports any fault in a known way
        return None


def _behind_pixels(file: FileIO | io.BufferedReader, ds: Dataset, offset: int, length: int) -> bytes:
    """Reads the first bytes after the pixel data of an ultrasound image, where private volumes begin."""
    if offset < 0 or length < 0 or ds.get("Modality") not in ("US", "IVUS"):
        return b""
    file.seek(offset + length)
    return file.read(128)


def _read(path: Path) -> tuple[Instance, FileDataset]:
    try:
        with _Watched(FileIO(path)) as file:
            _check_inflation(file, path)
            try:
                ds = pydicom.dcmread(file, stop_before_pixels=True)
            except pydicom.errors.InvalidDicomError:
                file.seek(0)
                ds = _without_preamble(file, path)
            if file.short:
                raise NotReadable(f"{path}: cut short in the middle of the data set. Ask for it again.")
            offset, length, keyword = _pixel_place(file, ds)
            size = os.fstat(file.fileno()).st_size
            if length < 0 <= offset:
                _check_items(file, offset, size, path)
            behind = _behind_pixels(file, ds, offset, length)
        return _instance(path, ds, offset, length, keyword, size, behind), ds
    except NotReadable:
        raise
    except OSError as error:
        raise NotReadable(f"{path}: cannot be read ({error.strerror}).") from error
    except UidError as error:
        raise NotReadable(f"{path}: {error}") from error
    except Exception as error:
        raise NotReadable(f"{path}: not a readable DICOM instance ({type(error).__name__}: {error}).") from error


def _check_inflation(file: "_Watched", path: Path) -> None:
    """Inflates a deflated data set piece by piece and forgets it. Raises NotReadable when there is more of it than may
    be held in memory. Source: PS3.5 A.5; a megabyte inflates to a gigabyte at most."""
    try:
        read_preamble(file, force=False)
        meta = _read_file_meta_info(file)
    except pydicom.errors.InvalidDicomError:
        meta = None
    if meta is not None and meta.get("TransferSyntaxUID") == DEFLATED:
        inflating, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while data := file.read(1 << 16):
            while data:
                size += len(inflating.decompress(data, 1 << 20))
                data = inflating.unconsumed_tail
                if size > _MOST_HELD_BYTES:
                    raise NotReadable(
                        f"{path}: deflated, and inflates to more than {_MOST_HELD_BYTES >> 20} MB. Have it sent "
                        "uncompressed if it is right."
                    )
    file.begin_again()


class _Watched(io.BufferedReader):
    """A file that notes reads beyond its end, because pydicom accepts a truncated data set as whole, and that gives no
    more than may be held in memory.

    One read that returns nothing is the normal end; a second one, or one that returns too few bytes, means truncation.
    """

    _part = False
    _misses = 0
    _held = 0

    def begin_again(self) -> None:
        """Goes back to the beginning, as if nothing had been read."""
        self.seek(0)
        self._part, self._misses, self._held = False, 0, 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._held += max(0, size or 0)
        if self._held > _MOST_HELD_BYTES:
            raise NotReadable(
                f"{self.name}: more than {_MOST_HELD_BYTES >> 20} MB beside the pixel data. Have the sender say what "
                "they are for; nothing of it was kept."
            )
        data = super().read(size)
        if size is not None and len(data) < size:
            self._part |= bool(data)
            self._misses += not data
        return data

    @property
    def short(self) -> bool:
        return self._part or self._misses > 1


def _without_preamble(file: Any, path: Path) -> FileDataset:
    """Reads a file without preamble: old exports begin with group 0002 or 0008; anything else is not DICOM."""
    start = file.read(4)
    file.seek(0)
    if start[:2] not in (b"\x02\x00", b"\x08\x00") or start[3:] != b"\x00":
        raise NotReadable(f"{path}: not a DICOM file (no DICM prefix and no data set at the start).")
    return pydicom.dcmread(file, stop_before_pixels=True, force=True)


# So much of a data set is held in memory beside its pixels: more than any header, mesh or document of the field.
_MOST_HELD_BYTES = 256 << 20
_PIXELS = {0x7FE00010: "PixelData", 0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData"}


def _pixel_place(file: Any, ds: FileDataset) -> tuple[int, int, str]:
    """Returns (offset, length, keyword) of the pixel value; length −1 is undefined (encapsulated); (−1, −1, "") none
    or deflated.

    pydicom leaves the file at the pixel element's tag. Source: PS3.5 7.1.2 and 7.1.3 (data element encoding).
    """
    syntax = str(getattr(ds.file_meta, "TransferSyntaxUID", IMPLICIT_LITTLE))
    if syntax == DEFLATED:
        return (-1, -1, "")
    order = ">" if syntax == EXPLICIT_BIG else "<"
    head = file.read(12)
    if len(head) < 8:
        return (-1, -1, "")
    group_number, element = unpack(order + "HH", head[:4])
    keyword = _PIXELS.get(group_number << 16 | element)
    if keyword is None:
        return (-1, -1, "")
    if syntax == IMPLICIT_LITTLE:
        (length,) = unpack(order + "L", head[4:8])
        file.seek(-4, os.SEEK_CUR)
    else:
        (length,) = unpack(order + "L", head[8:12])
    return (file.tell(), -1 if length == 0xFFFFFFFF else length, keyword)


def _check_items(file: Any, offset: int, size: int, path: Path) -> None:
    """Follows the items of encapsulated pixel data to the delimiter at the end. Source: PS3.5 A.4 and 7.5.

    Raises NotReadable where the chain of items breaks off.
    """
    while offset + 8 <= size:
        file.seek(offset)
        group_number, element, length = unpack("<HHL", file.read(8))
        if (group_number, element) == (0xFFFE, 0xE0DD):
            return
        if (group_number, element) != (0xFFFE, 0xE000):
            break
        offset += 8 + length
    raise NotReadable(f"{path}: cut short, the compressed pixel data has no end. Ask for it again.")


def _instance(path: Path, ds: Dataset, offset: int, length: int, keyword: str, size: int, behind: bytes) -> Instance:
    syntax = str(ds.file_meta.get("TransferSyntaxUID", IMPLICIT_LITTLE))
    if str(ds.get("SOPClassUID") or ds.file_meta.get("MediaStorageSOPClassUID", "")) == _DIRECTORY:
        raise NotReadable(f"{path}: a DICOMDIR, which lists other files; open the folder it is in.")
    rows, columns, bits = int(ds.get("Rows") or 0), int(ds.get("Columns") or 0), int(ds.get("BitsAllocated") or 0)
    described = bool(bits and rows)
    if described and not keyword and syntax == DEFLATED:
        # Deflated: its pixels are not located yet. Float pixels have no Pixel Representation. Source: PS3.3 C.7.6.24.
        floats = bits >= 32 and "PixelRepresentation" not in ds
        keyword = ("FloatPixelData" if bits == 32 else "DoubleFloatPixelData") if floats else "PixelData"
    known = CLASS_BY_UID.get(str(ds.get("SOPClassUID")))
    if known is not None and known.role != "document" and not described:
        raise NotReadable(f"{path}: a {known.name} without pixels; it may be cut short. Ask for it again.")
    count = int(ds.get("NumberOfFrames") or 1)
    # Checked before a list of frames is made: how many fit in a file. Deflating saves 1031 of 1032 bytes at best.
    most = size if syntax in NATIVE_SYNTAXES else size // 8  # a compressed frame begins with an item of 8 bytes
    if syntax == DEFLATED:
        most = size * 1032 // max(1, rows * columns)
    if not 1 <= count <= max(1, most):
        raise NotReadable(f"{path}: {count} frames cannot be in a file of {size} bytes. Ask for it again.")
    samples = int(ds.get("SamplesPerPixel") or 1)
    if described and syntax != DEFLATED:
        if offset < 0:
            raise NotReadable(f"{path}: describes {rows} x {columns} pixels but holds none; it may be cut short.")
        expected = (rows * columns * count * samples * bits + 7) // 8
        present = min(size - offset, length if length >= 0 else size)
        if syntax in NATIVE_SYNTAXES and present < expected:
            raise NotReadable(f"{path}: cut short, {present} of {expected} bytes of pixel data. Ask for it again.")
    frames, (tiles_down, tiles_along), refusal = _planes(ds, count, behind)
    return Instance(
        path=str(path),
        sop_instance_uid=checked(ds.get("SOPInstanceUID"), "SOP Instance UID"),
        sop_class_uid=checked(ds.get("SOPClassUID"), "SOP Class UID"),
        transfer_syntax_uid=checked(syntax, "Transfer Syntax UID"),
        series_uid=checked(ds.get("SeriesInstanceUID"), "Series Instance UID"),
        study_uid=checked(ds.get("StudyInstanceUID"), "Study Instance UID"),
        frame_of_reference=text(ds, "FrameOfReferenceUID") or text(ds, "VolumeFrameOfReferenceUID"),
        modality=text(ds, "Modality"),
        series_description=text(ds, "SeriesDescription"),
        study_description=text(ds, "StudyDescription"),
        patient_id=text(ds, "PatientID"),
        accession=text(ds, "AccessionNumber"),
        study_date=text(ds, "StudyDate"),
        body_part=text(ds, "BodyPartExamined"),
        instance_number=integer(ds, "InstanceNumber"),
        image_type=tuple(str(v).strip() for v in many(ds.get("ImageType"))),
        rows=rows,
        columns=columns,
        samples=samples,
        photometric=text(ds, "PhotometricInterpretation"),
        bits_allocated=bits,
        bits_stored=int(ds.get("BitsStored") or bits),
        signed=int(ds.get("PixelRepresentation") or 0) == 1,
        padding=_padding(ds, keyword),
        rescale_type=_unit(ds),
        lossy=text(ds, "LossyImageCompression") == "01",
        pixel_keyword=keyword if described else "",
        pixel_offset=offset,
        pixel_length=length,
        frames=frames,
        high_bit=-1 if ds.get("HighBit") is None else integer(ds, "HighBit"),
        mosaic=tiles_along,
        refusal=refusal,
        mosaic_down=tiles_down if tiles_down != tiles_along else 0,
    )


def _planes(ds: Dataset, count: int, behind: bytes) -> tuple[tuple[Frame, ...], tuple[int, int], str]:
    """Returns (frames, tiles of a mosaic down and along, why no volume can be made of them)."""
    frames, refusal = frames_of(ds, count), _refusal(ds, count, behind)
    if len(frames) < count:
        refusal = f"functional groups for {len(frames)} of its {count} frames only; nobody knows where the others are."
    if refusal or count > 1:
        return frames, (0, 0), refusal
    try:
        if mosaic.is_mosaic(ds):
            side, unfolded = mosaic.unfold(ds, frames[0])
            return unfolded, (side, side), ""
        if uih.is_grid(ds):
            tiles, unfolded = uih.unfold(ds, frames[0])
            return unfolded, tiles, ""
    except mosaic.NotUnfolded as error:
        kind = "a Siemens mosaic" if mosaic.is_mosaic(ds) else "a UIH grid (VFRAME)"
        return frames, (0, 0), f"{kind} that cannot be unfolded: {error}. Ask for single slices or enhanced MR."
    return frames, (0, 0), ""


def _refusal(ds: Dataset, count: int, behind: bytes) -> str:
    """Returns why the stored values are not voxels or have no known place; empty when they are fine."""
    maker = _private_ultrasound(ds, behind)
    if maker:
        return f"a private 3D ultrasound format ({maker}); ask the scanner for Enhanced US Volume (export as DICOM 3D)."
    if text(ds, "PhotometricInterpretation") == "PALETTE COLOR":
        return "palette colours; its values are places in a table of colours, not measurements."
    transform = first(first(ds, "SharedFunctionalGroupsSequence"), "PixelValueTransformationSequence")
    if first(ds, "ModalityLUTSequence") is not None or first(transform, "ModalityLUTSequence") is not None:
        return "a Modality LUT, which maps its stored values in a way that is no slope and intercept."
    if count > 1 and text(ds, "SOPClassUID").startswith("1.2.840.10008.5.1.4.1.1.3.1"):
        return "a cine loop of ultrasound planes whose places nobody knows; ask for Enhanced US Volume."
    if text(ds, "SOPClassUID") == "1.2.840.10008.5.1.4.1.1.20" and "RECON TOMO" not in many(ds.get("ImageType")):
        return "nuclear medicine that is not a reconstructed tomogram (projections or planar images)."
    return ""


# Private creators of Cartesian or sweep ultrasound volumes, by group. Sources: pydicom's private dictionary, and the
# importers of SlicerHeart (3D Slicer) for these formats.
_PRIVATE_ULTRASOUND = (
    (0x7FE1, "KRETZ_US", "GE Voluson"),
    (0x7FE1, "GEMS_Ultrasound_MovieGroup_001", "GE Vivid"),
    (0x200D, "Philips US Imaging DD 033", "Philips"),
)


def _private_ultrasound(ds: Dataset, behind: bytes) -> str:
    """Returns the maker of a private ultrasound format, or nothing. behind : the first bytes after the pixel data,
    where group 7FE1 begins."""
    if ds.get("Modality") not in ("US", "IVUS") or first(ds, "SharedFunctionalGroupsSequence") is not None:
        return ""
    for group_number, creator, maker in _PRIVATE_ULTRASOUND:
        if creator.encode() in behind:
            return maker
        try:
            ds.private_block(group_number, creator)
        except KeyError:
            continue
        return maker
    return ""


def _padding(ds: Dataset, keyword: str) -> tuple[float, float] | None:
    """Returns the range of stored values that mean 'no image here'. Source: PS3.3 C.7.5.1.1.2 and C.7.6.24.1.1."""
    prefix = {"FloatPixelData": "Float", "DoubleFloatPixelData": "DoubleFloat"}.get(keyword, "")
    value = _plain_number(ds, f"{prefix}PixelPaddingValue")
    if value is None:
        return None
    limit = _plain_number(ds, f"{prefix}PixelPaddingRangeLimit")
    a, b = value, value if limit is None else limit
    if not prefix and int(ds.get("PixelRepresentation") or 0) == 1:
        # Many scanners write it as unsigned (63536 for −2000): the bits count, not the value representation.
        bits = int(ds.get("BitsAllocated") or 16)
        a, b = (v - (1 << bits) if v >= 1 << (bits - 1) else v for v in (a, b))
    return (min(a, b), max(a, b))


def _plain_number(ds: Dataset, keyword: str) -> float | None:
    try:
        value = ds.get(keyword)
        if isinstance(value, bytes):  # a wrong or unknown value representation
            (value,) = unpack({2: "<h", 4: "<f", 8: "<d"}[len(value)], value)
        return None if value is None else float(value)
    except (TypeError, ValueError, KeyError, StructError):
        return None


def _unit(ds: Dataset) -> str:
    """Returns what rescaled values measure, as the image says; empty where it does not say.

    A CT that does not say means Hounsfield only if it has a rescale. Sources: PS3.3 C.8.2.1, C.11.1.1.2, C.8.9.1 (PET
    Units), C.7.6.16.2.11 (real world value mapping of a parametric map).
    """
    shared = first(ds, "SharedFunctionalGroupsSequence")
    transform = first(shared, "PixelValueTransformationSequence")
    stated = text(ds, "RescaleType") or text(transform, "RescaleType")
    if stated:
        return stated
    if text(ds, "Modality") == "CT":
        frame_groups = first(ds, "PerFrameFunctionalGroupsSequence")
        holder = transform or first(frame_groups, "PixelValueTransformationSequence") or ds
        return "" if number(holder, "RescaleIntercept") is not None else "US"
    if text(ds, "Units") and ds.get("Modality") in ("PT", "NM"):
        return text(ds, "Units")
    mapping = first(shared, "RealWorldValueMappingSequence") if transform is None else None
    return text(first(mapping, "MeasurementUnitsCodeSequence"), "CodeValue")
