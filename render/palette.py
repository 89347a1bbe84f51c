"""Colours that tell parts of a mask apart."""

from render.geometry import Vector
from render.mask_steps import Fragments

# Red, green, blue 0…1. Source: Green-Armytage 2010, 'A colour alphabet and the limits of colour coding', the lighter
# ones, so that shading shows on each.
_COLOURS: tuple[Vector, ...] = (
    (0.94, 0.64, 1.00),
    (0.00, 0.46, 0.86),
    (1.00, 0.64, 0.02),
    (0.17, 0.81, 0.28),
    (1.00, 0.80, 0.60),
    (0.58, 1.00, 0.71),
    (1.00, 0.00, 0.06),
    (0.37, 0.95, 0.95),
    (0.88, 1.00, 0.40),
    (1.00, 0.66, 0.73),
    (0.61, 0.80, 0.00),
    (0.76, 0.00, 0.53),
    (1.00, 1.00, 0.50),
    (0.00, 0.60, 0.56),
    (1.00, 0.31, 0.02),
    (0.50, 0.50, 0.50),
)
METAL: Vector = (0.75, 0.78, 0.85)


def part_colour(number: int) -> Vector:
    """Returns the colour of part `number`, from 1; after the last it begins again."""
    return _COLOURS[(number - 1) % len(_COLOURS)]


def part_name(label: int, step: Fragments) -> str:
    """Returns what a label of divided bones is called; empty for a label of none of its parts."""
    if label == step.metal_label:
        return "metal"
    return f"part {label - step.label + 1}" if step.label <= label < step.label + step.most else ""
