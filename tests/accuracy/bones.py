"""Bones in parts and their measures, on phantoms of known truth."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from render.geometry import Affine, Vector, affine_from, vector
from render.mask_steps import Fragments, StepError, Values
from render.segment import made
from render.segment.ball_joint import fit_ball
from render.segment.bone_measures import FemurMeasures, measure_femur
from render.volume import Volume
from tests.accuracy.real_sets import volume_of

Floats = NDArray[np.float64]
RADIUS, NECK_RADIUS, SHAFT_RADIUS = 24.0, 13.0, 14.0
CORTEX, MARROW, SOFT = 900.0, 250.0, 40.0


def turned(seed: int) -> Floats:
    """A random turn by up to 25 degrees about each axis."""
    a, b, c = np.radians(np.random.default_rng(seed).uniform(-25.0, 25.0, 3)) if seed else (0.0, 0.0, 0.0)
    x = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    y = np.array([[math.cos(b), 0, math.sin(b)], [0, 1, 0], [-math.sin(b), 0, math.cos(b)]])
    z = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    return np.asarray(x @ y @ z)


@dataclass(frozen=True)
class Hip:
    """A left femur in its socket, turned. Truth in LPS mm and degrees. femur, socket : (K, J, I), where they are."""

    volume: Volume
    femur: NDArray[np.bool_]
    socket: NDArray[np.bool_]
    head_mm: Vector
    neck_mm: Vector
    shaft_mm: tuple[Vector, Vector]
    condyles_mm: tuple[Vector, Vector]
    neck_shaft_deg: float
    version_deg: float
    offset_mm: float


def _capsule(at: Floats, start: Floats, end: Floats) -> Floats:
    """The distance of places to a line segment."""
    along = end - start
    part = np.clip(((at - start) @ along) / float(along @ along), 0.0, 1.0)
    return np.asarray(np.sqrt(((at - start - part[..., None] * along) ** 2).sum(axis=-1)))


def hip(
    seed: int = 0,
    spacing_mm: tuple[float, float, float] = (1.0, 0.8, 0.8),
    neck_shaft: float = 126.0,
    version: float = 14.0,
    gap_mm: float = 3.0,
    noise: float = 15.0,
) -> Hip:
    """A femur of a sphere, a neck and a shaft with cortex, its socket `gap_mm` away, blurred and in noise."""
    turn, head = turned(seed), np.array([2.3, -1.7, 3.1])
    # The shaft runs down; the neck to the head makes its angles with it. Left femur: the head is on its right, LPS −x.
    lean, swing = math.radians(180.0 - neck_shaft), math.radians(version)
    neck = np.array([-math.sin(lean) * math.cos(swing), -math.sin(lean) * math.sin(swing), math.cos(lean)])
    elbow = head - 52.0 * neck
    middle = head - 33.0 * neck
    low = elbow + np.array([0.0, 0.0, -70.0])
    head, neck, elbow, middle, low = (turn @ part for part in (head, neck, elbow, middle, low))
    shape = tuple(math.ceil(length / step) for length, step in zip((170.0, 120.0, 130.0), spacing_mm, strict=True))
    origin = np.array([-45.0, -60.0, -125.0])
    k, j, i = np.indices(shape).astype(np.float64)
    places = np.stack([i * spacing_mm[2], j * spacing_mm[1], k * spacing_mm[0]], axis=-1) + origin
    ball = np.sqrt(((places - head) ** 2).sum(axis=-1))
    outer = np.minimum(np.minimum(ball - RADIUS, _capsule(places, head, elbow) - NECK_RADIUS), 99.0)
    outer = np.minimum(outer, _capsule(places, elbow, low) - SHAFT_RADIUS)
    values = np.where(outer < 0.0, np.where(outer > -2.0, CORTEX, MARROW), SOFT)
    # The socket: half a shell on the side away from the neck.
    socket = (ball > RADIUS + gap_mm) & (ball < RADIUS + gap_mm + 6.0) & ((places - head) @ neck > 0.0) & (outer > 0.5)
    values[socket] = CORTEX
    soft = ndimage.gaussian_filter(values, [0.5 / step for step in spacing_mm])
    soft += np.random.default_rng(seed + 50).normal(0.0, noise, shape)
    affine: Affine = affine_from(tuple(origin), (0, 0, spacing_mm[0]), (0, spacing_mm[1], 0), (spacing_mm[2], 0, 0))
    volume = Volume(np.rint(soft).astype(np.int16), affine, "HU")
    side = turn @ np.array([1.0, 0.0, 0.0])
    ends = [elbow + part * (low - elbow) for part in (0.4, 0.95)]
    condyles = (low - 20.0 * side, low + 20.0 * side)
    offset = 52.0 * math.sin(lean)
    return Hip(
        volume,
        outer < 0.0,
        socket,
        vector(head),
        vector(middle),
        (vector(ends[0]), vector(ends[1])),
        (vector(condyles[0]), vector(condyles[1])),
        neck_shaft,
        version,
        offset,
    )


def balls(neck_mm: float, spacing_mm: tuple[float, float, float] = (1.0, 0.8, 0.8), seed: int = 0) -> Volume:
    """Two solid balls of 14 and 11 mm of 600 HU, joined by a neck of this radius; 0 leaves a gap of 1.5 mm."""
    turn = turned(seed)
    shape = tuple(math.ceil(length / step) for length, step in zip((64.0, 64.0, 88.0), spacing_mm, strict=True))
    k, j, i = np.indices(shape).astype(np.float64)
    places = np.stack([i * spacing_mm[2] - 42.0, j * spacing_mm[1] - 32.0, k * spacing_mm[0] - 32.0], axis=-1)
    way = turn @ np.array([1.0, 0.0, 0.0])
    first, second = -14.0 * way, 12.5 * way
    inside = np.minimum(
        np.sqrt(((places - first) ** 2).sum(axis=-1)) - 14.0, np.sqrt(((places - second) ** 2).sum(axis=-1)) - 11.0
    )
    if neck_mm > 0.0:
        inside = np.minimum(inside, _capsule(places, first, second) - neck_mm)
    soft = ndimage.gaussian_filter(np.where(inside < 0.0, 600.0, SOFT), [0.4 / step for step in spacing_mm])
    affine = affine_from((-42.0, -32.0, -32.0), (0, 0, spacing_mm[0]), (0, spacing_mm[1], 0), (spacing_mm[2], 0, 0))
    return Volume(np.rint(soft).astype(np.int16), affine, "HU")


def sizes_ml(volume: Volume, step: Fragments, low: float = 300.0) -> list[float]:
    """The ml of the parts that a step finds among all values above `low`, largest first."""
    labels = made(volume, (Values(low, 3000.0, label=step.of), step)).labels
    counts = np.bincount(labels.reshape(-1), minlength=256)[step.label : step.label + step.most]
    return [float(n) * math.prod(volume.spacing_mm) / 1000.0 for n in counts if n]


PARTS_WORDS = (
    "Two balls of 14 and 11 mm (11.5 and 5.6 ml) that a neck of known radius joins, in three directions and two "
    "spacings. Up to a neck of 4 mm they have to be two parts, from 9 mm on one."
)
SOCKET_WORDS = (
    "A femur in half a shell of a socket; two parts are right. Without a click in the head, and with one: its sphere "
    "is then taken out of the socket."
)
FEMUR_WORDS = (
    "A femur of known head, angles and offset in a socket 3 or 1.5 mm away, blurred, in noise of 15 HU, turned by up "
    "to 25° about each axis, clicked 4 mm beside the middle of the head; the neck is sought by the tool. Errors: found "
    "minus true."
)
HIPS_WORDS = (
    "`ct_colon_pelvis_hips`, slices of 5 mm, each head clicked five times up to 6 mm beside its middle. No reference: "
    "how far apart the results of the clicks lie, and what lies beside a hip and has to be declined."
)
_SPACINGS = ((1.0, 0.8, 0.8), (2.0, 0.7, 0.7), (3.0, 0.8, 0.8), (5.0, 0.8, 0.8))


def part_rows() -> list[list[str]]:
    table = [["neck, mm", "spacing, mm", "parts in each direction", "ml"]]
    for neck in (0.0, 2.0, 4.0, 6.0, 9.0):
        for spacing in ((1.0, 0.8, 0.8), (2.5, 0.8, 0.8)):
            found = [sizes_ml(balls(neck, spacing, seed), Fragments()) for seed in (0, 1, 2)]
            counts = ", ".join(str(len(sizes)) for sizes in found)
            shown = "; ".join(" + ".join(f"{size:.1f}" for size in sizes) for sizes in found)
            table.append([f"{neck:g}", "x".join(f"{s:g}" for s in spacing), counts, shown])
    return table


def socket_rows() -> list[list[str]]:
    table = [["spacing, mm", "gap, mm", "head clicked", "of the femur in its part", "of the socket in it", "parts"]]
    for spacing, gap in (
        ((1.0, 0.8, 0.8), 3.0),
        ((1.0, 0.8, 0.8), 1.5),
        ((3.0, 0.8, 0.8), 1.5),
        ((5.0, 0.8, 0.8), 3.0),
    ):
        case = hip(1, spacing, gap_mm=gap)
        bone = case.volume.voxels >= 180
        for heads in ((), (case.head_mm,)):
            step = Fragments(of=254, label=1, heads_mm=heads)
            labels = made(case.volume, (Values(180.0, 3000.0, label=254), step)).labels
            counts = np.bincount(labels[case.femur & bone], minlength=256)
            part = int(counts[:255].argmax())
            shares = [np.count_nonzero((labels == part) & where & bone) for where in (case.femur, case.socket)]
            wholes = [np.count_nonzero(where & bone) for where in (case.femur, case.socket)]
            shown = [f"{some / whole:.1%}" for some, whole in zip(shares, wholes, strict=True)]
            number = str(len(np.unique(labels[(labels > 0) & (labels < 254)])))
            table.append(["x".join(f"{s:g}" for s in spacing), f"{gap:g}", "yes" if heads else "no", *shown, number])
    return table


def measured(case: Hip) -> FemurMeasures:
    """The measures from clicks beside the truth."""
    x, y, z = case.head_mm
    return measure_femur(case.volume, (x + 3.0, y - 2.0, z + 2.0), case.shaft_mm, None, case.condyles_mm)


def femur_rows() -> list[list[str]]:
    head = ["spacing, mm", "gap, mm", "turn", "centre, mm", "radius, mm", "neck-shaft, °", "version, °", "offset, mm"]
    table = [head]
    for spacing in _SPACINGS:
        for gap, seed, angle, version in ((3.0, 0, 126.0, 14.0), (3.0, 1, 135.0, 25.0), (1.5, 2, 118.0, 5.0)):
            case = hip(seed, spacing, angle, version, gap)
            row = ["x".join(f"{s:g}" for s in spacing), f"{gap:g}", str(seed)]
            try:
                found = measured(case)
            except StepError as error:
                table.append([*row, str(error), "", "", "", ""])
                continue
            away = math.dist(found.head_mm, case.head_mm)
            assert found.neck_shaft_deg is not None and found.version_deg is not None and found.offset_mm is not None
            numbers = [away, found.radius_mm - RADIUS]
            angles = [found.neck_shaft_deg - case.neck_shaft_deg, found.version_deg - case.version_deg]
            shown = [f"{numbers[0]:.2f}", f"{numbers[1]:+.2f}", *(f"{a:+.1f}" for a in angles)]
            table.append([*row, *shown, f"{found.offset_mm - case.offset_mm:+.1f}"])
    return table


_HEADS = (("right", (-99.8, -186.4, -382.3)), ("left", (61.2, -183.2, -393.2)))
_BESIDE = (
    ("between the hips", (-20.0, -180.0, -380.0)),
    ("greater trochanter", (-120.0, -180.0, -440.0)),
    ("ilium", (-110.0, -190.0, -330.0)),
    ("vertebra", (-10.0, -110.0, -200.0)),
    ("soft tissue", (-60.0, -250.0, -380.0)),
)
_OFFSETS = ((0.0, 0.0, 0.0), (4.0, -3.0, 2.0), (-4.0, 3.0, -3.0), (0.0, 4.0, 4.0), (3.0, 0.0, -5.0))


def hip_rows() -> list[list[str]]:
    table = [["place", "clicks found", "radius, mm", "middles apart, mm", "edge strays, mm", "seen in"]]
    volume = volume_of("ct_colon_pelvis_hips")
    if volume is None:
        return [*table, ["not on this machine", "", "", "", "", ""]]
    for name, (x, y, z) in _HEADS:
        balls_found = [fit_ball(volume, (x + a, y + b, z + c)) for a, b, c in _OFFSETS]
        good = [ball for ball in balls_found if not ball.declined]
        radii = [ball.radius_mm for ball in good]
        apart = max((math.dist(a.centre_mm, b.centre_mm) for a in good for b in good), default=0.0)
        row = [f"{name} head", f"{len(good)} of {len(balls_found)}"]
        if good:
            row += [f"{min(radii):.1f} to {max(radii):.1f}", f"{apart:.1f}"]
            row += [f"{max(ball.scatter_mm for ball in good):.2f}", f"{min(ball.share for ball in good):.0%}"]
        table.append([*row, *[""] * (6 - len(row))])
    for name, at in _BESIDE:
        found = fit_ball(volume, at)
        said = "declined" if found.declined else f"taken: radius {found.radius_mm:.1f} mm"
        table.append([name, said, "", "", "", ""])
    return table
