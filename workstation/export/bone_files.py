"""Bones in parts as recipes, and their measures as what the command line prints."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from render.exploded import exploded
from render.geometry import Vector, View
from render.mask import Mask
from render.mask_steps import Fragments, StepError
from render.palette import METAL, part_colour, part_name
from render.presets import load_preset
from render.recipe import LabelRule, VolumeRendering
from render.segment import made
from render.segment.bone_measures import BoneAxis, FemurMeasures, angle_deg, line_through, measure_femur, part_axis
from render.volume import Volume
from workstation.export.mask_files import ToolError, steps_of


def exploded_recipe(
    volume: Volume,
    step: Fragments,
    spread: float,
    shown: int,
    without: Sequence[int] = (),
    staying: int | None = None,
    view: View = View(),
    preset: str = "ct_bone",
) -> tuple[VolumeRendering, list[str]]:
    """Returns the recipe that draws the `shown` largest parts and the metal, each in its colour, moved apart by
    `spread` of the way from their middle; and the names of what it draws. without : labels that are left out.

    Raises StepError where there are no parts, ToolError for a part that is not there.
    """
    steps = steps_of(step)
    labels = made(volume, steps).labels
    there = [int(label) for label in np.unique(labels) if part_name(int(label), step)]
    for label in (*without, *([] if staying is None else [staying])):
        if label not in there:
            raise ToolError(f"There is no part {label}: there are {', '.join(map(str, there))}.")
    wanted = [label for label in there if label < step.label + shown or label == step.metal_label]
    wanted = [label for label in wanted if label not in without]
    if not wanted:
        raise ToolError("Every part is left out: nothing would be drawn.")
    rules: list[LabelRule] = []
    for label in wanted:
        colour = METAL if label == step.metal_label else part_colour(label - step.label + 1)
        rules += [LabelRule(label, "include"), LabelRule(label, "tint", colour)]
    moves = exploded(volume, Mask(labels), wanted, spread, staying) if spread > 0.0 else ()
    recipe = VolumeRendering(
        load_preset(preset),
        view,
        masking=tuple(rules),
        segments=steps,
        fit="shown",
        moves=tuple(move for move in moves if any(row[3] for row in move.transform[:3])),
        name="exploded view" if spread > 0.0 else "bones in parts",
    )
    return recipe, [part_name(label, step) for label in wanted]


def femur_as_json(found: FemurMeasures) -> dict[str, Any]:
    """Returns what `bones --json` prints of a femur, keys without a measure left out."""
    shaft = asdict(found.shaft) if found.shaft is not None else None
    values = {**asdict(found), "shaft": shaft}
    return {key: value for key, value in values.items() if value is not None}


def femur_in_words(found: FemurMeasures) -> str:
    lines = [
        f"head at {_place(found.head_mm)} mm, radius {found.radius_mm:.1f} mm; its edge strays by "
        f"{found.scatter_mm:.2f} mm and is seen in {found.share:.0%} of the directions",
        f"neck at {_place(found.neck_mm)} mm",
    ]
    if found.neck_shaft_deg is not None and found.offset_mm is not None:
        lines.append(f"neck-shaft angle {found.neck_shaft_deg:.1f}°, offset {found.offset_mm:.1f} mm")
    if found.version_deg is not None:
        way = "anteversion" if found.version_deg >= 0.0 else "retroversion"
        lines.append(f"{way} {abs(found.version_deg):.1f}°")
    return "\n".join(lines)


def axes(
    volume: Volume, lines: Sequence[tuple[Vector, Vector]], parts: Sequence[int], step: Fragments
) -> tuple[BoneAxis, BoneAxis]:
    """Returns the two axes between which an angle is asked for: of clicked lines, then of parts.

    Raises ToolError unless there are two, StepError for one that is none.
    """
    if len(lines) + len(parts) != 2:
        raise ToolError(f"An angle needs two axes, and {len(lines) + len(parts)} were given: say --line or --part.")
    labels = made(volume, steps_of(step)).labels if parts else None
    found = [line_through(*line) for line in lines]
    for part in parts:
        assert labels is not None
        region = (labels == part).view(np.uint8)
        if not part_name(part, step) or not region.any():
            raise StepError(f"There is no part {part}; `segment --tool fragments --json` lists them.")
        found.append(part_axis(volume, region))
    return found[0], found[1]


def _place(at: Vector) -> str:
    return ", ".join(f"{v:.1f}" for v in at)


__all__ = ["angle_deg", "axes", "exploded_recipe", "femur_as_json", "femur_in_words", "measure_femur"]
