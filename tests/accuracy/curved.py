"""Lengths, angles and areas drawn on curved pictures against arcs, where the truth of each is known."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad

from render import Volume, Window
from render.curved_area import OutlineKind, area_within
from render.curved_surface import shape_of, surfaces
from render.geometry import Vector, affine_from
from render.measure import angle_deg, polyline_mm
from render.recipe import CurvedReformat

WORDS = (
    "50 straight lines on the straightened picture of each arc, at random places, the bend in its plane. Truth is the "
    "length of the same line through the patient, by integration. Beside it what the picture alone would say: the rows "
    "and columns between its ends times their size, as is commonly shown. Radius of the bend, lengths and errors in mm."
)
AREA_WORDS = (
    "50 ellipses and 50 triangles on the straightened picture of each arc, at random places, the bend in its plane, in "
    "a volume of 1 mm voxels whose value is ten times the distance from the middle of the bend. Truth is the area of "
    "the ring's part in closed form, for ellipses also the mean value there, each place weighted by its area. Beside "
    "it what the picture alone would say: its pixels times their size. Errors of areas in %, of means in HU."
)
ANGLE_WORDS = (
    "50 angles of three random places on the straightened picture of each arc, the bend in its plane, against the "
    "angle of the same three places of the patient in closed form; beside it the angle on the picture. Errors in "
    "degrees."
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
    recipe = _arc(radius_mm)
    (surface,), wide = surfaces(recipe), recipe.columns
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


def _arc(radius_mm: float) -> CurvedReformat:
    """A straightened picture of an arc about the left-right axis, the middle of its bend to the right."""
    turns = np.linspace(0.0, min(math.pi / 2.0, 60.0 / radius_mm), 91)
    path: tuple[Vector, ...] = tuple((0.0, -radius_mm * math.cos(t), -radius_mm * math.sin(t)) for t in turns)
    rows, columns = round(radius_mm * float(turns[-1]) / _PIXEL_MM), round(_WIDE_MM / _PIXEL_MM) + 1
    window = Window(0.0, 1000.0)
    return CurvedReformat(window, path, rows=rows, columns=columns, pixel_mm=_PIXEL_MM, angle_deg=90.0)


def _random(recipe: CurvedReformat, count: int, rng: np.random.Generator) -> tuple[list[Vector], NDArray[np.float64]]:
    """Returns places on a picture, LPS mm, and (count, 2) mm along the path and to the inside of its bend."""
    (surface,), wide = surfaces(recipe), recipe.columns
    pixels = rng.uniform(2.0, np.array([recipe.rows - 3.0, wide - 3.0]), (count, 2))
    places = [surface.at(float(row), float(column)) for row, column in pixels]
    return [at for at in places if at is not None], (pixels - np.array([0.0, (wide - 1) / 2.0])) * _PIXEL_MM


def area_rows() -> list[list[str]]:
    found = [["radius", "areas, mm²", "error, mean", "error, greatest", "picture alone, greatest", "mean, greatest"]]
    for radius_mm in (25.0, 40.0, 80.0):
        rng, recipe, volume = np.random.default_rng(int(radius_mm)), _arc(radius_mm), _away(radius_mm)
        ours, pictures, areas, values = (list[float]() for _ in range(4))
        while len(areas) < 2 * _COUNT:
            kind: OutlineKind = "ellipse" if len(areas) < _COUNT else "polygon"
            corners, at = _random(recipe, 2 if kind == "ellipse" else 3, rng)
            flat, middle = _flat_mm2(kind, at), float(at[:, 1].mean())
            if flat < 20.0:
                continue
            measured = area_within(volume, shape_of(recipe), kind, tuple(corners))
            truth = flat * (1.0 - middle / radius_mm)
            areas.append(truth)
            ours.append(100.0 * abs(measured.area_mm2 / truth - 1.0))
            pictures.append(100.0 * abs(flat / truth - 1.0))
            if kind == "ellipse":
                half = abs(float(at[1, 1] - at[0, 1])) / 2.0
                mean = ((radius_mm - middle) ** 2 + half**2 / 4.0) / (radius_mm - middle)
                values.append(abs(measured.mean - 10.0 * mean))
        span, greatest = f"{min(areas):.0f} to {max(areas):.0f}", (np.max(ours), np.max(pictures), np.max(values))
        found.append([f"{radius_mm:g}", span, f"{np.mean(ours):.3f}", *(f"{value:.2f}" for value in greatest)])
    return found


def _flat_mm2(kind: OutlineKind, at: NDArray[np.float64]) -> float:
    """The area on the picture of an ellipse in a rectangle, or of a triangle."""
    sides = at[1:] - at[0]
    if kind == "ellipse":
        return float(abs(sides[0, 0] * sides[0, 1])) * math.pi / 4.0
    return float(abs(sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0])) / 2.0


def _away(radius_mm: float) -> Volume:
    """(K, J, I) int16, 1 mm: ten times the distance from the left-right axis through the origin."""
    reach = math.ceil(radius_mm + _WIDE_MM / 2.0) + 3
    k, j = np.meshgrid(*(np.arange(-reach, 1),) * 2, indexing="ij")
    plane = np.rint(10.0 * np.hypot(k, j)).astype(np.int16)
    voxels = np.repeat(plane[:, :, None], 5, axis=2)
    return Volume(voxels, affine_from((-2, -reach, -reach), (0, 0, 1), (0, 1, 0), (1, 0, 0)), "HU")


def angle_rows() -> list[list[str]]:
    found = [["radius", "error, mean", "error, greatest", "picture alone, mean", "picture alone, greatest"]]
    for radius_mm in (25.0, 40.0, 80.0):
        rng, recipe = np.random.default_rng(int(radius_mm)), _arc(radius_mm)
        ours, pictures = list[float](), list[float]()
        while len(ours) < _COUNT:
            places, at = _random(recipe, 3, rng)
            if min(math.dist(at[1], at[0]), math.dist(at[1], at[2])) < 5.0:
                continue
            turns, away = at[:, 0] / radius_mm, radius_mm - at[:, 1]
            true = [(0.0, -r * math.cos(t), -r * math.sin(t)) for r, t in zip(away, turns, strict=True)]
            flat = [(float(a), float(b), 0.0) for a, b in at]
            truth = angle_deg(true[0], true[1], true[2])
            ours.append(abs(angle_deg(places[0], places[1], places[2]) - truth))
            pictures.append(abs(angle_deg(flat[0], flat[1], flat[2]) - truth))
        errors = (f"{np.mean(ours):.3f}", f"{np.max(ours):.3f}", f"{np.mean(pictures):.1f}", f"{np.max(pictures):.1f}")
        found.append([f"{radius_mm:g}", *errors])
    return found


def _truth_mm(radius_mm: float, a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The length of a line through the patient. a, b : (2,) mm along the path and to the inside of its bend."""
    along, inwards = b - a

    def speed(t: float) -> float:
        return math.hypot(along / radius_mm * (radius_mm - (a[1] + t * inwards)), inwards)

    return float(quad(speed, 0.0, 1.0)[0])
