"""Masks made by one tool, as files: NRRD and NIfTI on the grid of the volume, DICOM SEG, and STL surfaces."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError
from pydicom import dcmwrite

from dicom_io.files.series import Series
from dicom_io.objects.segmentation import segmentation
from dicom_io.objects.segmentation_reading import LabelledVolume
from dicom_io.uids import derived
from render.geometry import Vector
from render.mask import Mask
from render.mask_steps import (
    Automatic,
    Brush,
    Fragments,
    Given,
    Grown,
    Lesion,
    Marking,
    MaskStep,
    Piece,
    StepError,
    Values,
)
from render.palette import METAL, part_colour, part_name
from render.segment import find, made, measure_lesion, volume_ml
from render.surface import as_stl, surface
from render.volume import Volume
from workstation.errors import WorkstationError
from workstation.export.volume_files import ExportError, export
from workstation.site import open_site

# Tool: the step that it makes, and the field that its points fill.
_TOOLS: dict[str, tuple[type, str]] = {
    "body": (Automatic, ""),
    "lungs": (Automatic, ""),
    "airways": (Automatic, ""),
    "bone": (Automatic, ""),
    "brain": (Automatic, ""),
    "vessels": (Automatic, ""),
    "lesion": (Lesion, "seed_mm"),
    "grown": (Grown, "seeds_mm"),
    "piece": (Piece, "seed_mm"),
    "values": (Values, ""),
    "brush": (Brush, "stroke_mm"),
    "fragments": (Fragments, "heads_mm"),
}
TOOLS = tuple(_TOOLS)
_ENDINGS = (".nrrd", ".nii", ".nii.gz", ".dcm", ".stl")
# Of a step's fields, those that are no choice of a caller here.
_FIXED = ("kind", "label", "of", "metal_label", "structure", "seed_mm", "seeds_mm", "stroke_mm", "heads_mm", "view")
_BONES = 254  # the label that is divided, left on what is no part


class ToolError(WorkstationError):
    """A tool, its points or its parameters are not understood; the message says what is possible."""


def tool_step(name: str, points_mm: Sequence[Vector], parameters: dict[str, str]) -> Marking | Fragments:
    """Makes the step of a tool. parameters : by the names of its fields, as text.

    Raises ToolError, StepError.
    """
    if name not in _TOOLS:
        raise ToolError(f"Tool {name!r} is not known; there are {', '.join(TOOLS)}.")
    step, place = _TOOLS[name]
    possible = [field.name for field in fields(step) if field.name not in _FIXED]
    for key in parameters:
        if key not in possible:
            raise ToolError(f"{name} has no parameter {key!r}; it has {', '.join(possible)}.")
    values: dict[str, Any] = {key: None if text == "none" else text for key, text in parameters.items()}
    if step is Automatic:
        values["structure"] = name
    if step is Fragments:
        values |= {"of": _BONES, "label": 1}
    if not place and points_mm:
        raise ToolError(f"{name} takes no point: leave --at out.")
    if place == "seed_mm" and len(points_mm) != 1:
        raise ToolError(f"{name} takes one point, and {len(points_mm)} were given: say --at X,Y,Z once.")
    if place:
        values[place] = points_mm[0] if place == "seed_mm" else tuple(points_mm)
    try:
        return TypeAdapter[Marking | Fragments](step).validate_python(values)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ToolError(f"{name}: {said}.") from error


def fragments_step(heads_mm: Sequence[Vector], parameters: dict[str, str]) -> Fragments:
    """Makes the step that divides bones. Raises ToolError, StepError."""
    step = tool_step("fragments", heads_mm, parameters)
    assert isinstance(step, Fragments)
    return step


def check_ending(path: Path) -> None:
    """Raises ExportError for a file name that says no format of masks."""
    if not path.name.lower().endswith(_ENDINGS):
        raise ExportError(f"{path}: the ending says no format of masks; there are {', '.join(_ENDINGS)}.")


def steps_of(step: Marking | Fragments) -> tuple[MaskStep, ...]:
    """Returns all steps that a tool takes: bones are found before they are divided."""
    return (Automatic("bone", label=step.of), step) if isinstance(step, Fragments) else (step,)


def segment(volume: Volume, step: Marking | Fragments) -> tuple[Mask | None, dict[str, Any]]:
    """Runs a tool. Returns its mask, None where it declined, and what `segment --json` prints."""
    confidence: float | None = None
    try:
        mask = made(volume, steps_of(step))
    except StepError as error:
        return None, {"volume_ml": 0.0, "voxels": 0, "bounds_mm": None, "confidence": 0.0, "declined": str(error)}
    if isinstance(step, Automatic):
        confidence = find(volume, step.structure).confidence
    elif isinstance(step, Lesion):
        confidence = measure_lesion(volume, step.seed_mm, step.most_mm).confidence
    if isinstance(step, Fragments):
        mask = Mask(np.where(mask.labels == step.of, np.uint8(0), mask.labels))
        confidence = find(volume, "bone").confidence
        parts = parts_of(mask, step, volume)
        found = (mask.labels != 0).view(np.uint8)
    else:
        parts = None
        found = (mask.labels == step.label).view(np.uint8)
    result = {
        "volume_ml": round(volume_ml(volume, found), 3),
        "voxels": int(np.count_nonzero(found)),
        "bounds_mm": bounds_mm(volume, found),
        "confidence": confidence,
        "declined": "",
    }
    return mask, result if parts is None else {**result, "parts": parts}


def parts_of(mask: Mask, step: Fragments, volume: Volume) -> list[dict[str, Any]]:
    """Returns the parts of a divided mask: label, name, volume, bounds and colour (red, green, blue 0…1)."""
    return [
        {
            "label": label,
            "name": part_name(label, step),
            "volume_ml": round(volume_ml(volume, region), 3),
            "bounds_mm": bounds_mm(volume, region),
            "colour": list(METAL if label == step.metal_label else part_colour(label)),
        }
        for label in np.unique(mask.labels[mask.labels > 0]).tolist()
        for region in [(mask.labels == label).view(np.uint8)]
    ]


def bounds_mm(volume: Volume, found: np.ndarray[Any, Any]) -> list[list[float]] | None:
    """Returns the lower and the upper corner, LPS mm, of the box about the middles of a region's voxels."""
    lines = np.argwhere(found.any(axis=2))
    if not len(lines):
        return None
    rows = found[lines[:, 0], lines[:, 1]] != 0
    ends = rows.argmax(axis=1), rows.shape[1] - 1 - rows[:, ::-1].argmax(axis=1)
    index = np.concatenate([np.column_stack([lines, end]) for end in ends]).astype(np.float64)
    at = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    return [[round(float(v), 3) for v in corner] for corner in (at.min(axis=0), at.max(axis=0))]


def labels_json(found: LabelledVolume, volume: Volume) -> dict[str, Any]:
    """Returns what `segment --json` prints of labels that were made elsewhere."""
    segments: list[dict[str, Any]] = []
    for label, name in found.names.items():
        region = (found.mask.labels == label).view(np.uint8)
        segments.append(
            {
                "label": label,
                "name": name,
                "volume_ml": round(volume_ml(volume, region), 3),
                "voxels": int(np.count_nonzero(region)),
                "bounds_mm": bounds_mm(volume, region),
            }
        )
    return {
        "volume_ml": round(sum(one["volume_ml"] for one in segments), 3),
        "voxels": int(np.count_nonzero(found.mask.labels)),
        "bounds_mm": bounds_mm(volume, (found.mask.labels != 0).view(np.uint8)),
        "confidence": None,
        "declined": "",
        "made_by": found.made_by,
        "digest": found.mask.digest,
        "overlap": found.overlap,
        "segments": segments,
    }


def write_labels(found: LabelledVolume, volume: Volume, series: Series, path: Path, root: Path) -> None:
    """Writes labels that were made elsewhere in the format of the file's ending. Raises ExportError, OSError."""
    steps = tuple(Given(found.mask.digest, found.made_by, label, label) for label in found.names)
    if path.suffix.lower() == ".stl":
        raise ExportError(f"{path}: an STL holds one structure; write a .dcm or .nrrd, or use `workstation surface`.")
    _write(found.mask, steps, found.made_by, found.names, volume, series, path, root)


def write_mask(mask: Mask, step: Marking | Fragments, volume: Volume, series: Series, path: Path, root: Path) -> None:
    """Writes a mask in the format of the file's ending; as STL a file for each part, numbered. Raises ExportError,
    OSError."""
    ending = path.suffix.lower()
    if ending == ".stl" and isinstance(step, Fragments):
        for label in np.unique(mask.labels[mask.labels > 0]).tolist():
            one = surface(mask, label, volume)
            numbered = path.with_name(f"{path.stem}-{label}{path.suffix}")
            numbered.write_bytes(b"" if one is None else as_stl(one))
    elif ending == ".stl":
        shape = surface(mask, step.label, volume)
        path.write_bytes(b"" if shape is None else as_stl(shape))
    else:
        name = step.structure if isinstance(step, Automatic) else step.kind
        _write(mask, steps_of(step), name, {}, volume, series, path, root)


def _write(
    mask: Mask,
    steps: Sequence[MaskStep],
    name: str,
    names: Mapping[int, str],
    volume: Volume,
    series: Series,
    path: Path,
    root: Path,
) -> None:
    if path.suffix.lower() == ".dcm":
        site = open_site(root)
        stamp = site.stamp(derived("segment", series.uid, mask.digest), site.clock())
        made_object = segmentation(mask, steps, volume, series, stamp, name=name, names=names)
        if made_object is None:
            raise ExportError("The mask is empty. Nothing was written.")
        dcmwrite(path, made_object, enforce_file_format=True)
    else:
        export(Volume(mask.labels.astype(np.int16), volume.affine, "1"), path)
