"""Registers two series, and writes what was found as DICOM, JSON or an ITK transform."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmwrite

from dicom_io.files.series import Series
from dicom_io.objects.spatial_registration import spatial_registration
from dicom_io.uids import derived
from render.progress import Progress
from render.registration import Registration, RegistrationModel, register
from render.volume import Volume
from workstation.errors import WorkstationError
from workstation.export.inspect import open_volume
from workstation.site import open_site


class RegistrationFileError(WorkstationError):
    """A registration cannot be written as asked; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class RegisteredSeries:
    """Two series with their volumes, and how the moving one lies on the fixed one."""

    found: Registration
    fixed: tuple[Volume, Series]
    moving: tuple[Volume, Series]

    def as_json(self) -> dict[str, Any]:
        """What `workstation register --json` prints."""
        found = self.found
        return {
            "transform": None if found.declined else [list(row) for row in found.matrix],
            "model": found.model,
            "metric": found.metric,
            "overlap": found.overlap,
            "quality": found.quality,
            "sharpness": found.sharpness,
            "declined": found.declined,
            "warning": found.warning,
            "fixed": self.fixed[1].uid,
            "moving": self.moving[1].uid,
        }


def register_series(
    fixed: str,
    moving: str,
    root: Path,
    progress: Progress,
    *,
    model: RegistrationModel = "rigid",
    volumes: tuple[int | None, int | None] = (None, None),
) -> RegisteredSeries:
    """Registers two series, each of the archive by UID or the only one below a path. volumes : which of each.

    Raises NothingFound, NotFound, VolumeRefused.
    """
    built = [open_volume(name, root, which, progress) for name, which in zip((fixed, moving), volumes, strict=True)]
    found = register(built[0][0], built[1][0], model=model, progress=lambda part: progress("registering", part))
    return RegisteredSeries(found, built[0], built[1])


def check_ending(path: Path) -> None:
    """Raises RegistrationFileError for an ending that says no format that is known."""
    if path.suffix.lower() not in _FORMATS:
        raise RegistrationFileError(
            f"{path}: the ending says no format that is known; there are {', '.join(_FORMATS)}."
        )


def write_registration(registered: RegisteredSeries, path: Path, root: Path) -> None:
    """Writes a registration in the format of the file's ending. Raises RegistrationFileError where it was declined."""
    check_ending(path)
    if registered.found.declined:
        raise RegistrationFileError(f"Nothing was written: {registered.found.declined}")
    _FORMATS[path.suffix.lower()](registered, path, root)


def _dicom(registered: RegisteredSeries, path: Path, root: Path) -> None:
    """With UIDs of this output alone, as it is no case."""
    site = open_site(root)
    of_both = (registered.fixed[1].uid, registered.moving[1].uid)
    stamp = site.stamp(derived("register", *of_both, repr(registered.found.matrix)), site.clock())
    ds = spatial_registration(registered.found, registered.fixed, registered.moving, stamp)
    dcmwrite(path, ds, enforce_file_format=True)


def _json(registered: RegisteredSeries, path: Path, _: Path) -> None:
    path.write_text(json.dumps(registered.as_json(), indent=2) + "\n", encoding="utf-8")


def _tfm(registered: RegisteredSeries, path: Path, _: Path) -> None:
    """As ITK and Slicer read it: it maps points of the fixed volume into the moving one, in LPS mm."""
    back = np.linalg.inv(registered.found.affine)
    numbers = [*back[:3, :3].reshape(-1).tolist(), *back[:3, 3].tolist()]
    lines = [
        "#Insight Transform File V1.0",
        "#Transform 0",
        "Transform: AffineTransform_double_3_3",
        f"Parameters: {' '.join(repr(round(v, 12)) for v in numbers)}",
        "FixedParameters: 0 0 0",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


_FORMATS: dict[str, Callable[[RegisteredSeries, Path, Path], None]] = {".dcm": _dicom, ".json": _json, ".tfm": _tfm}
