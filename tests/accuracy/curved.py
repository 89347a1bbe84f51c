"""Lengths drawn on curved pictures against arcs, where the length of every line is known."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad

from render import Window
from render.curved_surface import surfaces
from render.geometry import Vector
from render.measure import polyline_mm
from render.recipe import CurvedReformat

WORDS = (
    "50 straight lines on the straightened picture of each arc, at random places, the bend in its plane. Truth is the "
    "length of the same line through the patient, by integration. Beside it what the picture alone would say: the rows "
    "and columns between its ends times their size, as is commonly shown. Radius of the bend, lengths and errors in mm."
)
_COUNT, _PIXEL_MM, _WIDE_MM = 50, 0.25, 30.0


def rows() -> list[list[str]]:
    found = [["radius", "lengths", "error, mean", "error, greatest", "picture alone, mean", "picture alone, greatest"]]
    for radius_mm in (25.0, 40.0, 80.0, 1000.0):
        ours, pictures, lengths = _errors(radius_mm, np.random.default_rng(int(radius_mm)))
        found.append(
            [
                f"{radius_mm:g}",
                f"{min(lengths):.0f} to {max(lengths):.0f}",
                *(f"{value:.3f}" for value in (np.mean(ours), np.max(ours))),
                *(f"{value:.2f}" for value in (np.mean(pictures), np.max(pictures))),
            ]
        )
    return found


def _errors(radius_mm: float, rng: np.random.Generator) -> tuple[list[float], list[float], list[float]]:
    """Returns the errors of our lengths and of the picture's, and the lengths, mm."""
    turns = np.linspace(0.0, min(math.pi / 2.0, 60.0 / radius_mm), 91)
    path: tuple[Vector, ...] = tuple((0.0, -radius_mm * math.cos(t), -radius_mm * math.sin(t)) for t in turns)
    long_mm = radius_mm * float(turns[-1])
    wide = round(_WIDE_MM / _PIXEL_MM) + 1
    recipe = CurvedReformat(
        Window(0.0, 1000.0),
        path,
        "straightened",
        rows=round(long_mm / _PIXEL_MM),
        columns=wide,
        pixel_mm=_PIXEL_MM,
        angle_deg=90.0,
    )
    (surface,) = surfaces(recipe)
    ours, pictures, lengths, middle = [], [], [], np.array([0.0, (wide - 1) / 2.0])
    for _ in range(_COUNT):
        a, b = (rng.uniform(2.0, np.array([recipe.rows - 3.0, wide - 3.0])) for _ in range(2))
        way = surface.way((float(a[0]), float(a[1])), (float(b[0]), float(b[1])))
        assert way is not None
        truth = _truth_mm(radius_mm, (a - middle) * _PIXEL_MM, (b - middle) * _PIXEL_MM)
        lengths.append(truth)
        ours.append(abs(polyline_mm(way) - truth))
        pictures.append(abs(float(np.hypot(*(b - a))) * _PIXEL_MM - truth))
    return ours, pictures, lengths


def _truth_mm(radius_mm: float, a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The length of a line through the patient. a, b : (2,) mm along the path and to the inside of its bend."""
    along, inwards = b - a

    def speed(t: float) -> float:
        return math.hypot(along / radius_mm * (radius_mm - (a[1] + t * inwards)), inwards)

    return float(quad(speed, 0.0, 1.0)[0])
