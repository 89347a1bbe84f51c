"""Vessels: tubes of known course, width, narrowing and angle in random positions, spacings, noise and contrast."""

import numpy as np

from render.vessels.centreline import follow
from render.vessels.measures import stenosis
from tests.render.vessels.phantoms import bow, narrowed, tube

_COUNT = 24
_SPACINGS = ((0.8, 0.6, 0.6), (0.5, 0.5, 0.5), (1.2, 0.7, 0.7), (1.5, 0.8, 0.8))


def section() -> str:
    """Returns the part of the page, in Markdown."""
    rows = [_of_one(number) for number in range(_COUNT)]
    found = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    lines = [
        "## Vessels",
        "",
        f"{_COUNT} tubes of 3 to 12 mm that lose 20 to 80 % of their width, in random positions, voxels of 0.5 to "
        "1.5 mm, "
        "blur of 1.4 mm, noise of 10 to 30 HU in a contrast of 300 HU. Voxels count along their longest side.",
        "",
        "| measure | median | 90 % | worst |",
        "|---|---|---|---|",
    ]
    for key, words, unit in (
        ("centreline", "centreline from the truth, mean of a vessel", "mm"),
        ("diameter", "mean diameter, mean error of a vessel", "voxels"),
        ("worst", "mean diameter, worst section", "voxels"),
        ("length", "length", "%"),
        ("nascet", "NASCET", "points"),
        ("area", "stenosis of area", "points"),
    ):
        some = np.abs(found[key])
        cells = (np.median(some), np.percentile(some, 90), some.max())
        lines.append(f"| {words} | " + " | ".join(f"{value:.2f} {unit}" for value in cells) + " |")
    return "\n".join([*lines, ""])


def _of_one(number: int) -> dict[str, float]:
    rng = np.random.default_rng(100 + number)
    spacing, share = _SPACINGS[number % 4], float(rng.uniform(0.2, 0.8))
    radius = float(rng.uniform(1.5, 6.0))
    radius = max(radius, 1.6 * max(spacing) / (1.0 - share) * 0.5)
    made = tube(
        bow(rng, 50.0, float(rng.uniform(2.0, 12.0))),
        narrowed(radius, share, over=float(rng.uniform(0.08, 0.2))),
        spacing,
        rng=rng,
        noise=float(rng.uniform(10.0, 30.0)),
    )
    vessel = follow(made.volume, [made.at(80), made.at(1920)])
    away, numbers = made.nearest(vessel.centreline_mm)
    true = np.linalg.norm(np.diff(made.curve[numbers[0] : numbers[-1] + 1], axis=0), axis=1).sum()
    off = (vessel.sections.diameters_mm[2] - 2.0 * made.radii[numbers])[6:-6] / max(spacing)
    narrow = stenosis(vessel)
    return {
        "centreline": float(away.mean()),
        "diameter": float(np.abs(off).mean()),
        "worst": float(np.abs(off).max()),
        "length": 100.0 * (vessel.length_mm / float(true) - 1.0),
        "nascet": narrow.nascet_percent - 100.0 * share,
        "area": narrow.area_percent - 100.0 * (1.0 - (1.0 - share) ** 2),
    }
