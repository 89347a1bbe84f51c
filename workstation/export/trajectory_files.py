"""A trajectory as JSON, in words, and as a page: planes that hold it, with the line, and sections across it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import SimpleITK

from render.geometry import Plane, Vector
from render.mask_steps import StepError, Structure
from render.picture import Picture, to_rgb
from render.segment import find
from render.trajectory import AvoidedRegion, TrajectoryMeasures
from render.volume import Volume
from workstation.errors import WorkstationError
from workstation.export.pages import scale_and_sides

_ENDINGS = (".nrrd", ".nii", ".nii.gz")


class AvoidError(WorkstationError):
    """What is to be avoided cannot be read; the message says what is possible."""


def avoided_region(text: str, volume: Volume) -> tuple[str, AvoidedRegion]:
    """Returns the name and the region that `--avoid` says: a mask file (.nrrd, .nii, .nii.gz; all but 0 counts), or the
    name of a tool that finds a structure in the volume. `NAME=` before it gives it a name.

    Raises AvoidError, and StepError where the tool declines.
    """
    name, equals, source = text.partition("=")
    source = source if equals else text
    name = name if equals else Path(source).name
    structures: dict[str, Structure] = {one: one for one in get_args(Structure)}
    if source in structures:
        found = find(volume, structures[source])
        if found.declined:
            raise StepError(f"{source}: {found.declined}")
        return name, AvoidedRegion(found.region == 1, volume.affine)
    if not source.lower().endswith(_ENDINGS):
        raise AvoidError(
            f"{source!r} is no mask: give a file ({', '.join(_ENDINGS)}) or one of {', '.join(structures)}."
        )
    if not Path(source).is_file():
        raise AvoidError(f"{source}: there is no such file.")
    try:
        image = SimpleITK.ReadImage(source)
    except RuntimeError:
        raise AvoidError(f"{source} cannot be read as a mask; write it again, as .nrrd or .nii.gz.") from None
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise AvoidError(f"{source} has {image.GetDimension()} dimensions; a mask has three and one value each.")
    # Axes of the array are k, j, i; those of the image i, j, k. Both formats come as LPS mm.
    steps = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = steps[:, ::-1], image.GetOrigin()
    return name, AvoidedRegion(SimpleITK.GetArrayFromImage(image) != 0, affine)


@dataclass(frozen=True, slots=True)
class PlannedWay:
    """A trajectory and its measures."""

    entry_mm: Vector
    target_mm: Vector
    radius_mm: float
    measures: TrajectoryMeasures


def trajectory_json(way: PlannedWay) -> dict[str, Any]:
    """JSON-ready: lengths in mm, angles in degrees, points LPS mm."""
    found = way.measures
    side, depth, height = (round(angle, 2) for angle in found.to_axes_deg)
    return {
        "entry_mm": list(way.entry_mm),
        "target_mm": list(way.target_mm),
        "radius_mm": way.radius_mm,
        "length_mm": round(found.length_mm, 3),
        "to_left_right_deg": side,
        "to_front_back_deg": depth,
        "to_head_foot_deg": height,
        "coronal_deg": round(found.coronal_deg, 2),
        "sagittal_deg": round(found.sagittal_deg, 2),
        "avoided": {
            name: None
            if one.empty
            else {
                "least_mm": round(one.least_mm, 3),
                "depth_mm": round(one.depth_mm, 3),
                "position_mm": [round(value, 3) for value in one.position_mm],
                "through_mm": round(one.through_mm, 3),
            }
            for name, one in found.clearances.items()
        },
    }


def trajectory_in_words(way: PlannedWay) -> list[str]:
    """What a plan would say, in a few lines."""
    found = way.measures
    side, depth, height = found.to_axes_deg
    across, along = ("left" if found.coronal_deg >= 0 else "right"), ("front" if found.sagittal_deg >= 0 else "back")
    lines = [
        f"length {found.length_mm:.1f} mm; to the axes left-right {side:.0f}°, front-back {depth:.0f}°, head-foot "
        f"{height:.0f}°",
        f"inclined by {abs(found.coronal_deg):.0f}° to the {across} as seen from the front, by "
        f"{abs(found.sagittal_deg):.0f}° to the {along} as seen from the side",
    ]
    for name, one in found.clearances.items():
        if one.empty:
            lines.append(f"{name}: the mask is empty")
        elif one.through_mm > 0.0:
            lines.append(f"{name}: GOES THROUGH over {one.through_mm:.1f} mm, from a depth of {one.depth_mm:.1f} mm")
        elif one.least_mm == 0.0:
            lines.append(f"{name}: TOUCHED by the probe at a depth of {one.depth_mm:.1f} mm")
        else:
            lines.append(f"{name}: {one.least_mm:.1f} mm away at least, at a depth of {one.depth_mm:.1f} mm")
    return lines


def trajectory_page(way: PlannedWay, pictures: Mapping[str, Picture], path: Path) -> Path:
    """Draws the page. pictures : of `trajectory_pictures`, by name."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 9), dpi=100)
    FigureCanvasAgg(figure)
    figure.text(0.01, 0.965, "Trajectory", fontsize=16, weight="bold", va="center")
    for number, line in enumerate(trajectory_in_words(way)):
        colour = "red" if "GOES" in line or "TOUCHED" in line else "black"
        figure.text(0.01, 0.925 - 0.026 * number, line, fontsize=10, va="center", color=colour)
    held = [one for name, one in pictures.items() if name.startswith("In line")]
    eye = next(one for name, one in pictures.items() if not name.startswith("In line"))
    for number, picture in enumerate(held):
        axes = figure.add_axes((0.01 + 0.335 * number, 0.03, 0.33, 0.72))
        axes.imshow(to_rgb(picture, 0))
        ends = [_on(picture.planes[0], place) for place in (way.entry_mm, way.target_mm)]
        axes.plot(*zip(*ends, strict=True), color="cyan", linewidth=1.2)
        axes.plot(*ends[1], "o", color="yellow", markersize=6, fillstyle="none")
        for name, one in way.measures.clearances.items():
            if not one.empty:
                place = _on(picture.planes[0], one.position_mm)
                axes.plot(*place, "+", color="red", markersize=9)
                axes.annotate(name, place, color="red", fontsize=8, xytext=(6, 0), textcoords="offset points")
        scale_and_sides(axes, picture)
        axes.set_title(picture.recipe.name, fontsize=10)
        axes.set_axis_off()
    length, count = way.measures.length_mm, len(eye.pixels)
    there = [one for one in way.measures.clearances.values() if not one.empty]
    middle = min(there, key=lambda one: one.least_mm).depth_mm if there else 0.5 * length
    chosen = [("Entry", 0.0), ("Nearest" if there else "Half way", middle), ("Target", length)]
    for number, (words, depth) in enumerate(chosen):
        frame = min(count - 1, max(0, round(depth / length * (count - 1))))
        axes = figure.add_axes((0.7, 0.675 - 0.325 * number, 0.29, 0.29))
        axes.imshow(to_rgb(eye, frame))
        side = eye.planes[frame].pixel_spacing_mm[1]
        at = _on(eye.planes[frame], way.entry_mm)
        axes.plot(*at, "+", color="cyan", markersize=12)
        if way.radius_mm > 0.0:
            turn = np.linspace(0.0, 2.0 * np.pi, 61)
            radius = way.radius_mm / side
            axes.plot(at[0] + radius * np.cos(turn), at[1] + radius * np.sin(turn), color="cyan", linewidth=0.8)
        scale_and_sides(axes, eye, frame)
        axes.set_title(f"Probe's eye: {words.lower()}, {depth:.0f} mm deep", fontsize=10)
        axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _on(plane: Plane, place: Vector) -> tuple[float, float]:
    """Returns (column, row) of a place as it is seen on a plane."""
    offset = np.array(place) - np.array(plane.origin_mm)
    across, down = (np.array(way) for way in (plane.right_mm, plane.down_mm))
    return float(offset @ across / (across @ across)), float(offset @ down / (down @ down))
