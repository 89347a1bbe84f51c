"""The lesion tool on ellipsoids of known volume, on lesions that experts outlined, and on clicks beside lesions."""

import math

import numpy as np
from scipy import ndimage

from render.geometry import Vector, point
from render.mask_steps import Lesion
from render.segment import find, measure_lesion, region
from render.volume import Volume
from tests.accuracy.phantoms import ball, nodule
from tests.accuracy.real_sets import dice, truth, volume_of
from workstation.records.recist import TargetLesion, TargetLesions, TreatmentCourse

PHANTOM_WORDS = (
    "Ellipsoids of 8 to 36 mm in noise, bright in lung or dark in liver, clicked beside the middle; half of them touch "
    "a wall of the same density, which covers 5 % of their half axis."
)
REAL_WORDS = "Clicked once, at the place in the reference that is deepest within it."
DECLINED_WORDS = "10 clicks each on `ct_chest_iv_lidc0001_jls`, at random places."
_AXES = ((4.0, 4.0, 4.0), (5.0, 5.0, 5.0), (8.0, 12.0, 16.0), (10.0, 10.0, 10.0), (18.0, 18.0, 18.0))
_SPACINGS = ((1.0, 0.7, 0.7), (2.5, 0.7, 0.7))


def phantom_rows() -> list[list[str]]:
    table = [
        ["half axes, mm", "spacing, mm", "lesion in", "wall", "true, ml", "found, ml", "error", "longest, mm", "true"]
    ]
    for axes in _AXES:
        for spacing in _SPACINGS:
            for place, inside, outside, noise in (("lung", 40.0, -850.0, 20.0), ("liver", 76.0, 112.0, 12.0)):
                for wall in (None, 0.95 * axes[2]):
                    volume, centre, ml = ball(axes, spacing, inside, outside, noise, wall)
                    found = measure_lesion(volume, (centre[0] - 0.2 * axes[2], centre[1], centre[2]))
                    head = ["x".join(f"{a:g}" for a in axes), "x".join(f"{s:g}" for s in spacing), place]
                    got = [f"{found.volume_ml:.2f}", f"{found.volume_ml / ml - 1.0:+.1%}", f"{found.longest_mm:.1f}"]
                    got = ["declined", "", ""] if found.declined else got
                    table.append([*head, "yes" if wall else "no", f"{ml:.2f}", *got, f"{2 * max(axes):g}"])
    return table


def _deepest(volume: Volume, wanted: np.ndarray) -> Vector:
    at = np.argwhere(wanted)
    box = tuple(slice(int(low), int(high) + 1) for low, high in zip(at.min(axis=0), at.max(axis=0), strict=True))
    deep = ndimage.distance_transform_edt(np.pad(wanted[box], 1), sampling=volume.spacing_mm)
    index = np.unravel_index(int(deep.argmax()), deep.shape)
    return point(volume.affine, [int(n) - 1 + side.start for n, side in zip(index, box, strict=True)])


def real_rows() -> list[list[str]]:
    table = [["series", "lesion", "true, ml", "found, ml", "Dice", "RECIST, mm", "short axis, mm", "mean ± sd"]]
    sets = (
        ("ct_chest_iv_lidc0001_jls", "ct_chest_iv_lidc0001_truth", "nodules_half_of_readers"),
        ("ct_liver_ircad01", "ct_liver_ircad01", "livertumor"),
    )
    for images, masks, structure in sets:
        volume = volume_of(images)
        if volume is None or volume_of("ct_liver_ircad01") is None:
            table.append([images, "not on this machine", "", "", "", "", "", ""])
            continue
        labels, count = ndimage.label(truth(masks, structure, volume))
        voxel = abs(float(np.linalg.det(volume.affine[:3, :3]))) / 1000.0
        for number in range(1, count + 1):
            wanted = labels == number
            ml = float(np.count_nonzero(wanted)) * voxel
            if ml < 0.1:
                continue
            click = _deepest(volume, wanted)
            found = measure_lesion(volume, click)
            row = [images, str(number), f"{ml:.2f}"]
            if found.declined:
                table.append([*row, f"declined: {found.declined.split(':')[0].split('.')[0]} …", "", "", "", ""])
                continue
            overlap = dice(region(volume, Lesion(click)) == 1, wanted)
            axes = [f"{found.recist_mm:.1f}", f"{found.short_axis_mm:.1f}", f"{found.mean:.0f} ± {found.sd:.0f}"]
            table.append([*row, f"{found.volume_ml:.2f}", f"{overlap:.2f}", *axes])
    return table


NODULE_WORDS = "Nodules of ground glass in lung, with a solid core or without, clicked in the core or 6 mm beside it."


def nodule_rows() -> list[list[str]]:
    rows = [["radius, core, mm", "glass, HU", "click", "true, ml", "found, ml", "error", "core: true, ml", "found, ml"]]
    for radius, core, glass in ((6, 0, -650), (8, 0, -600), (10, 4, -600), (10, 3, -500), (12, 5, -650), (8, 8, 30)):
        for off in (0.0, 6.0) if core != radius else (0.0,):
            volume, (x, y, z) = nodule(float(radius), float(glass), float(core))
            found = measure_lesion(volume, (x + min(off, radius - 2.0), y, z))
            true, solid = (4.0 / 3.0 * math.pi * r**3 / 1000.0 for r in (radius, core if core < radius else 0))
            row = [f"{radius}, {core}", f"{glass}", "core" if not off else "beside", f"{true:.2f}"]
            if found.declined:
                rows.append([*row, f"declined: {found.declined[:24]} …", "", "", ""])
                continue
            error = f"{100.0 * (found.volume_ml / true - 1.0):+.1f}%"
            rows.append([*row, f"{found.volume_ml:.2f}", error, f"{solid:.2f}", f"{found.solid_ml:.2f}"])
    return rows


def declined_rows() -> list[list[str]]:
    table = [["where", "declined"]]
    volume = volume_of("ct_chest_iv_lidc0001_jls")
    if volume is None:
        return [*table, ["not on this machine", ""]]
    lungs, bones, body = (find(volume, name).region == 1 for name in ("lungs", "bone", "body"))
    values = volume.voxels
    inner = ndimage.binary_erosion(lungs, iterations=4)
    places = {
        "lung": inner & (values < -700),
        "air": values < -950,
        "soft tissue": body & ~bones & (values > 20) & (values < 80),
        "vessels": body & ~bones & (values > 300),
    }
    chance = np.random.default_rng(1)
    for name, wanted in places.items():
        at = np.argwhere(wanted[10:120])
        some = at[chance.integers(0, len(at), 10)] + np.array([10, 0, 0])
        number = sum(bool(measure_lesion(volume, point(volume.affine, each)).declined) for each in some)
        table.append([name, f"{number} of 10"])
    return table


SUM_WORDS = (
    "Made-up patients with three targets in liver or lung, of 8 to 18 mm half axes at baseline, all of which change by "
    "one share; voxels of 1 mm. Least sum: that of the baseline. By true diameters and by measured ones: the sum now, "
    "and the response of the targets by RECIST 1.1."
)


def sum_rows() -> list[list[str]]:
    """Sums of three targets, and their response, against what the phantoms' own diameters give."""
    rng = np.random.default_rng(5)
    table = [
        ["change of the sum, truly", "patients", "sum: mean error, mm", "greatest, mm", "same response", "declined"]
    ]
    for least, most in ((-0.75, -0.4), (-0.36, -0.24), (-0.2, 0.1), (0.12, 0.28), (0.35, 0.6)):
        errors, same, declined, count = [], 0, 0, 12
        for _ in range(count):
            share = 1.0 + rng.uniform(least, most)
            sums = np.zeros((2, 2))  # baseline and now; true and found
            for place in rng.integers(2, size=3):
                axes = rng.uniform(8.0, 18.0, size=3)
                for when, scale in enumerate((1.0, share)):
                    k, j, i = (float(each) for each in axes * scale)
                    half = (k, j, i)
                    found = _in_plane(half, bool(place), int(rng.integers(1000)))
                    sums[when] += round(2.0 * max(half[1:]), 1), found
            if np.isnan(sums).any():
                declined += 1
                continue
            told = [_response(*sums[:, way]) for way in (0, 1)]
            errors.append(abs(sums[1, 1] - sums[1, 0]))
            same += told[0] == told[1]
        head = [f"{least:+.0%} to {most:+.0%}", str(count)]
        table.append([*head, f"{np.mean(errors):.1f}", f"{max(errors):.1f}", f"{same} of {len(errors)}", str(declined)])
    return table


def _in_plane(half: tuple[float, float, float], in_liver: bool, seed: int) -> float:
    inside, outside, noise = (76.0, 112.0, 12.0) if in_liver else (40.0, -850.0, 20.0)
    volume, centre, _ = ball(half, (1.0, 1.0, 1.0), inside, outside, noise, seed=seed)
    found = measure_lesion(volume, centre)
    return math.nan if found.declined else round(found.recist_mm, 1)


def _response(baseline: float, now: float) -> str:
    return TargetLesions(
        (TargetLesion("all", "", (0.0, 0.0, 0.0), False, now),), TreatmentCourse(baseline, baseline)
    ).response
