"""Patient space: LPS millimetres, voxel affines, picture planes and viewing directions.

LPS: +x towards the patient's Left, +y towards Posterior, +z towards the Head (Superior).
Source: PS3.3 C.7.6.2.1.1 (Image Position and Image Orientation Patient).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.errors import RenderError

Vector = tuple[float, float, float]
Affine = NDArray[np.float64]
# The rows of an affine, as recipes and records hold it.
Matrix = tuple[tuple[float, float, float, float], ...]

IDENTITY: Matrix = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))

_FLAT_MM = 0.1  # points that differ in depth by no more are on one plane


class GeometryError(RenderError):
    """A geometry is impossible or meaningless; the message says what was found."""


def vector(values: Any) -> Vector:
    """Makes a tuple of three Python floats from any sequence of three numbers."""
    x, y, z = (float(v) for v in values)
    return (x, y, z)


def unit_vector(values: Any) -> Vector:
    """Scales `values` to length 1. Raises GeometryError for a zero vector."""
    a = np.asarray(values, dtype=np.float64)
    length = math.sqrt(float(a[0] * a[0] + a[1] * a[1] + a[2] * a[2]))
    if length < 1e-12:
        raise GeometryError(f"Direction {tuple(a)} has no length.")
    return vector(a / length)


def cross(a: Vector, b: Vector) -> Vector:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def affine_from(origin_mm: Any, k_step_mm: Any, j_step_mm: Any, i_step_mm: Any) -> Affine:
    """Makes the (4, 4) float64 map of homogeneous (k, j, i) to LPS mm, from the origin and one step along each
    index."""
    affine = np.eye(4, dtype=np.float64)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = k_step_mm, j_step_mm, i_step_mm
    affine[:3, 3] = origin_mm
    return affine


def corners_mm(shape: tuple[int, int, int], affine: Affine) -> NDArray[np.float64]:
    """Returns (8, 3) LPS mm of the outermost voxel centres of a (K, J, I) grid."""
    k, j, i = (n - 1.0 for n in shape)
    index = [(a, b, c) for a in (0.0, k) for b in (0.0, j) for c in (0.0, i)]
    return np.array([point(affine, at) for at in index], dtype=np.float64)


# BLAS and LAPACK choose code by processor, which changes the last bit, and with it a picture's digest. So the matrices
# that pictures depend on are multiplied and inverted here, in a fixed order of operations.


def point(affine: Affine, at: Any) -> Vector:
    """Applies `affine` (4, 4) to the three numbers of `at`: index to LPS mm, or back with the inverse."""
    a, b, c = (float(v) for v in at)
    rows = affine.tolist()
    x, y, z = (row[0] * a + row[1] * b + row[2] * c + row[3] for row in rows[:3])
    return (x, y, z)


def direction(affine: Affine, along: Any) -> Vector:
    """Applies `affine` (4, 4) to a step: as `point`, without the origin."""
    a, b, c = (float(v) for v in along)
    rows = affine.tolist()
    x, y, z = (row[0] * a + row[1] * b + row[2] * c for row in rows[:3])
    return (x, y, z)


def composed(first: Affine, then: Affine) -> Affine:
    """Returns the (4, 4) float64 affine that applies `first`, then the other, summed in a fixed order."""
    result = np.eye(4, dtype=np.float64)
    for column in range(3):
        result[:3, column] = direction(then, first[:3, column])
    result[:3, 3] = point(then, first[:3, 3])
    return result


def inverse(affine: Affine) -> Affine:
    """Returns the (4, 4) float64 inverse of an affine whose last row is (0, 0, 0, 1), by cofactors.

    Raises GeometryError when there is none.
    """
    r0, r1, r2 = (vector(row[:3]) for row in affine.tolist()[:3])
    c0, c1, c2 = cross(r1, r2), cross(r2, r0), cross(r0, r1)
    determinant = r0[0] * c0[0] + r0[1] * c0[1] + r0[2] * c0[2]
    if abs(determinant) < 1e-12:
        raise GeometryError(f"The affine cannot be inverted: {affine.tolist()}.")
    result = np.eye(4, dtype=np.float64)
    for row in range(3):
        result[row, :3] = [c0[row] / determinant, c1[row] / determinant, c2[row] / determinant]
    result[:3, 3] = [-v for v in direction(result, affine[:3, 3])]
    return result


@dataclass(frozen=True, slots=True)
class Plane:
    """A picture's place in the patient.

    origin_mm : LPS mm of the centre of pixel (row 0, column 0).
    right_mm, down_mm : LPS mm step to the next column, to the next row.
    Source: PS3.3 C.7.6.2.1.1; right_mm is Image Orientation's first triple times the column spacing.
    """

    origin_mm: Vector
    right_mm: Vector
    down_mm: Vector

    @property
    def pixel_spacing_mm(self) -> tuple[float, float]:
        """(row spacing, column spacing), the order of DICOM's Pixel Spacing (0028,0030)."""
        return (math.hypot(*self.down_mm), math.hypot(*self.right_mm))

    @property
    def normal(self) -> Vector:
        """Unit right × down: away from the observer."""
        return unit_vector(cross(self.right_mm, self.down_mm))

    def at(self, row: float, column: float) -> Vector:
        """LPS mm of a (row, column) position."""
        return vector(
            o + row * d + column * r for o, d, r in zip(self.origin_mm, self.down_mm, self.right_mm, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned box in LPS mm: lower_mm and upper_mm corners, both inside."""

    lower_mm: Vector
    upper_mm: Vector

    def __post_init__(self) -> None:
        if any(a >= b for a, b in zip(self.lower_mm, self.upper_mm, strict=True)):
            raise GeometryError(f"Box {self.lower_mm} … {self.upper_mm} mm is empty.")


# Positive and negative end of each LPS axis. Source: PS3.3 C.7.6.1.1.1 (Patient Orientation).
_ENDS = (("L", "R"), ("P", "A"), ("H", "F"))


def letters(direction: Any) -> str:
    """Returns the Patient Orientation letters of a direction, nearest axis first: `L`, `AH`, `PLF` …

    Components below sin(10°) are left out. Source: PS3.3 C.7.6.1.1.1.
    """
    d = unit_vector(direction)
    order = sorted(range(3), key=lambda axis: -abs(d[axis]))
    return "".join(_ENDS[axis][0 if d[axis] > 0 else 1] for axis in order if abs(d[axis]) > 0.1736)


# Azimuth of the observer: 0 stands in front of the patient, 90 on the patient's left.
_SIDES: dict[str, tuple[float, float]] = {
    "anterior": (0.0, 0.0),
    "left": (90.0, 0.0),
    "posterior": (180.0, 0.0),
    "right": (270.0, 0.0),
    "head": (0.0, 90.0),
    "foot": (0.0, -90.0),
}
_VIEW_WORDS = re.compile(
    r"(?P<side>anterior|posterior|left|right|head|foot)"
    r"(,\s*(?P<turn>\d+(\.\d+)?)°?\s+towards\s+(?P<towards>anterior|posterior|left|right))?"
    r"(,\s*(?P<tilt>\d+(\.\d+)?)°?\s+(?P<sense>up|down))?"
    r"(,\s*rolled\s+(?P<roll>\d+(\.\d+)?)°?\s+(?P<way>clockwise|anticlockwise))?"
)


def _clean(value: float) -> float:
    """Rounds away the last bits of sin and cos, which differ between C libraries and processors."""
    return round(value, 12) + 0.0


def _in_words(angle_deg: float) -> str:
    """Writes the size of an angle, to a millionth of a degree or six digits, without an exponent; empty for 0."""
    short = f"{abs(angle_deg):g}"
    text = short if "e" not in short else f"{abs(angle_deg):.6f}".rstrip("0").rstrip(".")
    return "" if text == "0" else text


@dataclass(frozen=True, slots=True)
class View:
    """The direction from which the observer looks towards the middle of the drawn volume.

    azimuth_deg : around the head-foot axis; 0 anterior, 90 patient's left, 180 posterior, 270 right.
    elevation_deg : towards the head; −90 looks from the feet (the radiological axial view, anterior up).
    roll_deg : how far the picture is turned clockwise about the line of sight, −180…180; 0 has the head on top.
    """

    azimuth_deg: float = 0.0
    elevation_deg: float = 0.0
    roll_deg: float = 0.0

    def __post_init__(self) -> None:
        if not -90.0 <= self.elevation_deg <= 90.0:
            raise GeometryError(f"Elevation {self.elevation_deg}° is outside −90…90°.")
        # Twice: for a tiny negative number the first remainder rounds up to 360 itself.
        object.__setattr__(self, "azimuth_deg", float(self.azimuth_deg) % 360.0 % 360.0)
        object.__setattr__(self, "elevation_deg", float(self.elevation_deg))
        object.__setattr__(self, "roll_deg", (float(self.roll_deg) + 180.0) % 360.0 - 180.0)

    @classmethod
    def parse(cls, words: str) -> "View":
        """Reads patient terms: `anterior`, `anterior, 20 towards left, 10 up`, `left, 15 down, rolled 5 clockwise`.

        Raises GeometryError with the accepted form when the words are not understood.
        """
        match = _VIEW_WORDS.fullmatch(words.strip())
        if match is None:
            raise GeometryError(
                f"View {words!r} is not understood; write e.g. 'anterior, 20 towards left, 10 up' "
                f"(sides: {', '.join(_SIDES)})."
            )
        azimuth, elevation = _SIDES[match["side"]]
        if match["towards"]:
            target = _SIDES[match["towards"]][0]
            gap = (target - azimuth + 180.0) % 360.0 - 180.0
            if match["side"] in ("head", "foot"):
                raise GeometryError(f"View {words!r}: from the head or the foot there is no turn, only a side.")
            if abs(gap) != 90.0:
                raise GeometryError(f"View {words!r}: cannot turn from {match['side']} to {match['towards']}.")
            azimuth += math.copysign(float(match["turn"]), gap)
        if match["tilt"]:
            elevation += float(match["tilt"]) * (1.0 if match["sense"] == "up" else -1.0)
        roll = float(match["roll"] or 0.0) * (1.0 if match["way"] == "clockwise" else -1.0)
        return cls(azimuth, elevation, roll)

    @classmethod
    def facing(cls, towards_observer: Any, up: Any) -> "View":
        """Returns the view from that side of the patient, with `up` (any LPS direction but that one) on top.

        Angles are rounded to a millionth of a degree. Raises GeometryError when the two are parallel.
        """
        x, y, z = unit_vector(towards_observer)
        level = math.hypot(x, y)
        azimuth = math.degrees(math.atan2(x, -y)) if level > 1e-9 else 0.0
        view = cls(round(azimuth, 6), round(math.degrees(math.atan2(z, level)), 6))
        a, b = (sum(p * q for p, q in zip(unit_vector(up), axis, strict=True)) for axis in (view.up, view.right))
        if math.hypot(a, b) < 1e-6:
            raise GeometryError(f"Up {tuple(up)} lies along the line of sight {tuple(towards_observer)}.")
        return cls(view.azimuth_deg, view.elevation_deg, round(math.degrees(math.atan2(-b, a)), 6))

    @property
    def words(self) -> str:
        """The view in patient terms, such that `View.parse(view.words) == view` to 0.001°."""
        roll = ""
        if rolled := _in_words(self.roll_deg):
            roll = f", rolled {rolled} {'clockwise' if self.roll_deg > 0 else 'anticlockwise'}"
        if abs(self.elevation_deg) == 90.0 and self.azimuth_deg == 0.0:
            return ("head" if self.elevation_deg > 0 else "foot") + roll
        quarter = round(self.azimuth_deg / 90.0) % 4
        names = ("anterior", "left", "posterior", "right")
        turn = (self.azimuth_deg - quarter * 90.0 + 180.0) % 360.0 - 180.0
        words = names[quarter]
        if turned := _in_words(turn):
            words += f", {turned} towards {names[(quarter + (1 if turn > 0 else -1)) % 4]}"
        if tilted := _in_words(self.elevation_deg):
            words += f", {tilted} {'up' if self.elevation_deg > 0 else 'down'}"
        return words + roll

    @property
    def towards_observer(self) -> Vector:
        """Unit LPS vector from the patient to the observer."""
        az, el = math.radians(self.azimuth_deg), math.radians(self.elevation_deg)
        return (
            _clean(math.sin(az) * math.cos(el)),
            _clean(-math.cos(az) * math.cos(el)),
            _clean(math.sin(el)),
        )

    @property
    def up(self) -> Vector:
        """Unit LPS vector that points to the top of the picture."""
        az, el = math.radians(self.azimuth_deg), math.radians(self.elevation_deg)
        up = (
            _clean(-math.sin(az) * math.sin(el)),
            _clean(math.cos(az) * math.sin(el)),
            _clean(math.cos(el)),
        )
        if not self.roll_deg:
            return up
        right = cross(vector(-v for v in self.towards_observer), up)
        c, s = math.cos(math.radians(self.roll_deg)), math.sin(math.radians(self.roll_deg))
        x, y, z = (_clean(c * u - s * r) for u, r in zip(up, right, strict=True))
        return (x, y, z)

    @property
    def right(self) -> Vector:
        """Unit LPS vector that points to the right edge of the picture."""
        forward = vector(-v for v in self.towards_observer)
        right = cross(forward, self.up)
        return (_clean(right[0]), _clean(right[1]), _clean(right[2]))

    def turned(self, azimuth_deg: float) -> "View":
        """Returns the view at the same elevation, moved around the patient by `azimuth_deg` towards the left."""
        return View(self.azimuth_deg + azimuth_deg, self.elevation_deg, self.roll_deg)

    def tumbled(self, angle_deg: float) -> "View":
        """Returns the view moved over the top of the picture by `angle_deg`, about the horizontal of this view.

        Beyond the head or the foot the patient is seen upside down; the roll says so.
        """
        c, s = _clean(math.cos(math.radians(angle_deg))), _clean(math.sin(math.radians(angle_deg)))
        pairs = list(zip(self.towards_observer, self.up, strict=True))
        return View.facing([c * t + s * u for t, u in pairs], [c * u - s * t for t, u in pairs])


def leaves_plane(points_mm: Sequence[Vector], view: View) -> bool:
    """Whether points are on no one plane that is seen from `view`."""
    deep = [sum(p * n for p, n in zip(at, view.towards_observer, strict=True)) for at in points_mm]
    return max(deep) - min(deep) > _FLAT_MM
