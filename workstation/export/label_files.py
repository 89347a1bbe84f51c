"""Reads labels from files: DICOM Segmentation, NIfTI, NRRD, MetaImage, onto the grid of a volume."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicom_io.errors import NotReadable
from dicom_io.objects.segmentation_reading import LabelledVolume, read_segmentation
from render.geometry import Affine
from render.mask_steps import StepError
from render.segment import onto
from render.volume import Volume
from workstation.errors import WorkstationError

_IMAGES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_MOST_VOXELS = 1 << 30


class LabelFileError(WorkstationError):
    """A file of labels cannot be read, or does not belong to the volume; the message says why."""


def read_labels(
    path: Path, volume: Volume, made_by: str = "", names: Mapping[int, str] = MappingProxyType({})
) -> LabelledVolume:
    """Reads the labels of a file. made_by : who made those of a file that does not say it; names : of its labels.

    Raises LabelFileError.
    """
    if not path.is_file():
        raise LabelFileError(f"{path}: no such file.")
    if not path.name.lower().endswith(_IMAGES):
        try:
            return read_segmentation(path, volume)
        except NotReadable as error:
            raise LabelFileError(str(error)) from error
    values, affine = _image(path)
    least, most = float(values.min()), float(values.max())
    if least < 0 or most > 255 or not np.array_equal(values, np.rint(values)):
        raise LabelFileError(
            f"{path.name}: values from {least:g} to {most:g} are no labels; whole numbers from 0 to 255 are."
        )
    if not most:
        raise LabelFileError(f"{path.name}: holds no label: all of it is 0.")
    try:
        mask = onto(volume, values.astype(np.uint8), affine)
    except StepError as error:
        raise LabelFileError(f"{path.name}: {error}") from error
    found = [int(v) for v in np.unique(values) if v]
    return LabelledVolume(mask, {v: names.get(v, f"label {v}") for v in found}, (made_by or path.name)[:64])


def _image(path: Path) -> tuple[NDArray[Any], Affine]:
    """Returns (K, J, I) values and the (4, 4) affine of (k, j, i) voxel centres to LPS mm."""
    import SimpleITK as sitk  # noqa: N813  (imported when used, it takes time)

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        if np.prod([float(n) for n in reader.GetSize()]) > _MOST_VOXELS or reader.GetNumberOfComponents() != 1:
            raise LabelFileError(f"{path.name}: {reader.GetSize()} voxels of {reader.GetNumberOfComponents()} values.")
        image = reader.Execute()
    except RuntimeError as error:
        raise LabelFileError(f"{path.name}: cannot be read ({str(error).strip().splitlines()[-1]}).") from error
    values = sitk.GetArrayFromImage(image)
    if values.ndim != 3:
        raise LabelFileError(f"{path.name}: {values.ndim} axes; labels of a volume have three.")
    affine = np.eye(4)
    turned = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, :3], affine[:3, 3] = turned[:, ::-1], image.GetOrigin()
    return values, affine
