"""Small series of our own making whose truth is known: every test of geometry and decoding starts from one."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from dicom_io.capabilities import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from dicom_io.files.series import Series, open_series
from dicom_io.uids import IMPLEMENTATION_CLASS_UID, derived
from render.geometry import Affine, affine_from

CT, MR, US_VOLUME = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.6.2"
RLE, JPEG_LS, J2K = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"
JPEG_LOSSLESS, JPEG_SV1, HTJ2K = "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.201"
JPEG_BASELINE, JPEG_EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
SYNTAXES = (
    IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED, RLE, JPEG_LS, J2K, JPEG_LOSSLESS, JPEG_SV1, HTJ2K,
)  # fmt: skip
# Named, because another one that may be installed (GDCM) crashes on small pictures.
_ENCODERS = {RLE: "pydicom", JPEG_LS: "pyjpegls", J2K: "pylibjpeg"}


def jpeg(plane: NDArray[Any], **how: Any) -> bytes:
    """A JPEG stream; `how` as imagecodecs.jpeg8_encode."""
    return bytes(imagecodecs.jpeg8_encode(plane, **how))


# pydicom has no encoder for these. Not predictors 5 to 7: libjpeg-turbo encodes those wrongly for 16 bits.
_STREAMS: dict[str, Callable[[NDArray[Any]], bytes]] = {
    JPEG_LOSSLESS: lambda plane: jpeg(_unsigned(plane), lossless=True, predictor=4),
    JPEG_SV1: lambda plane: jpeg(_unsigned(plane), lossless=True, predictor=1),
    HTJ2K: lambda plane: bytes(imagecodecs.htj2k_encode(plane, reversible=True)),
    JPEG_BASELINE: lambda plane: jpeg(plane, level=95),
    JPEG_EXTENDED: lambda plane: jpeg(plane, level=95, bitspersample=12),
}

Change = Callable[[Dataset, int], None]


def rotation(a: float, b: float, c: float) -> NDArray[np.float64]:
    """(3, 3): turns about z, y and x in radians; every orientation can be reached."""
    (ca, sa), (cb, sb), (cc, sc) = ((math.cos(v), math.sin(v)) for v in (a, b, c))
    z = np.array([[ca, -sa, 0], [sa, ca, 0], [0, 0, 1]])
    y = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    x = np.array([[1, 0, 0], [0, cc, -sc], [0, sc, cc]])
    return np.asarray(z @ y @ x, dtype=np.float64)


def grid(
    turn: NDArray[np.float64] | None = None,
    spacing_mm: tuple[float, float, float] = (2.0, 0.8, 0.7),
    origin_mm: tuple[float, float, float] = (-20.0, 11.0, 35.0),
    tilt_mm: tuple[float, float] = (0.0, 0.0),
) -> Affine:
    """An affine (k, j, i) → LPS: columns of `turn` are the directions of i, j and k; tilt_mm shears k along j and i."""
    turn = np.eye(3) if turn is None else turn
    row, column, normal = turn[:, 0], turn[:, 1], turn[:, 2]
    k, j, i = spacing_mm
    return affine_from(origin_mm, normal * k + column * tilt_mm[0] + row * tilt_mm[1], column * j, row * i)


def decimal(value: float) -> str:
    """DS: 16 characters at most (PS3.5 6.2)."""
    return f"{value:.12g}" if len(f"{value:.12g}") <= 16 else f"{value:.8e}"


def image(plane: NDArray[Any], affine: Affine, k: int, *, sop_class: str = CT, series: str = "series") -> Dataset:
    """One CT or MR image of slice `k`: stored values as they are, slope 1, Explicit VR Little Endian."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT_LITTLE
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = derived(series, "instance", str(k))
    ds.StudyInstanceUID, ds.SeriesInstanceUID = derived(series, "study"), derived(series)
    ds.FrameOfReferenceUID = derived(series, "frame of reference")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"] if sop_class == CT else ["ORIGINAL", "PRIMARY", "M"]
    ds.Modality = "CT" if sop_class == CT else "MR"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20260302", "101500", "1", "A-1"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Phantom^Small", "P-1", "19700101", "O"
    ds.ReferringPhysicianName = ""
    ds.Manufacturer = "Phantom Maker"
    ds.SeriesNumber, ds.InstanceNumber = 1, k + 1
    steps = affine[:3, :3]
    spacing = np.linalg.norm(steps, axis=0)
    ds.ImagePositionPatient = [decimal(v) for v in affine[:3, 3] + k * steps[:, 0]]
    ds.ImageOrientationPatient = [decimal(v) for v in (*(steps[:, 2] / spacing[2]), *(steps[:, 1] / spacing[1]))]
    ds.PixelSpacing = [decimal(spacing[1]), decimal(spacing[2])]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = plane.shape
    ds.BitsAllocated = ds.BitsStored = plane.dtype.itemsize * 8
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(plane.dtype.kind == "i")
    if sop_class == CT:
        ds.RescaleIntercept, ds.RescaleSlope = "0", "1"
    else:
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = "GR", "SP", "", "3D"
    data = plane.astype(plane.dtype.newbyteorder("<")).tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OW" if plane.dtype.itemsize == 2 else "OB"
    return ds


def _unsigned(plane: NDArray[Any]) -> NDArray[Any]:
    return plane.view(f"u{plane.dtype.itemsize}")


def encapsulated(ds: Dataset, frames: Sequence[bytes], syntax: str) -> None:
    """Puts streams in place of native pixels, a fragment each, without an offset table. Source: PS3.5 A.4."""
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate(list(frames), has_bot=False)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True


def save(ds: Dataset, path: Path, syntax: str = EXPLICIT_LITTLE) -> Path:
    """Writes a data set that is in Explicit VR Little Endian in another transfer syntax."""
    if syntax in _ENCODERS:
        ds.compress(UID(syntax), encoding_plugin=_ENCODERS[syntax], generate_instance_uid=False)
    elif syntax in _STREAMS:
        code = f"<{'i' if ds.PixelRepresentation else 'u'}{ds.BitsAllocated // 8}"
        size = ds.Rows * ds.Columns
        planes = np.frombuffer(ds.PixelData, code, count=int(ds.get("NumberOfFrames") or 1) * size)
        streams = [_STREAMS[syntax](plane) for plane in planes.reshape(-1, ds.Rows, ds.Columns)]
        encapsulated(ds, streams, syntax)
    else:
        ds.file_meta.TransferSyntaxUID = syntax
        if syntax == EXPLICIT_BIG and "PixelData" in ds and ds.BitsAllocated == 16:
            ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    ds.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path,
    stored: NDArray[Any],
    affine: Affine,
    *,
    sop_class: str = CT,
    series: str = "series",
    syntax: str = EXPLICIT_LITTLE,
    names: Sequence[str] = (),
    change: Change = lambda ds, k: None,
) -> Series:
    """(K, J, I) stored values as one file a slice, read back as a Series. `change` may alter each data set before."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, plane in enumerate(stored):
        ds = image(plane, affine, k, sop_class=sop_class, series=series)
        change(ds, k)
        save(ds, folder / (names[k] if names else f"{k:04}.dcm"), syntax)
    return next(s for s in open_series(folder) if s.uid == derived(series))


def ramp(shape: tuple[int, int, int], dtype: str = "int16") -> NDArray[Any]:
    """Every voxel another value, so that no two can be exchanged unseen."""
    return np.arange(math.prod(shape), dtype=dtype).reshape(shape)
