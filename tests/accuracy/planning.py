"""Planning: aneurysms, aortas, roots, trajectories and flights of known measures in random positions and noise."""

import math

import numpy as np
from scipy.special import ellipe

from render import Volume
from render.flight import lumen_way
from render.trajectory import AvoidedRegion, measure_trajectory
from render.vessels.aneurysm import aneurysm
from render.vessels.centreline import follow
from render.vessels.evar import measure_evar
from render.vessels.tavi import measure_tavi
from tests.render.vessels.phantoms import aorta, bow, narrowed, root, sac, tube

_SPACINGS = ((0.8, 0.6, 0.6), (1.0, 0.7, 0.7), (1.5, 0.8, 0.8))
_COUNT = 16
Errors = dict[str, list[float]]
Unit = tuple[str, str, str]  # key, words, unit


def section() -> str:
    """Returns the part of the page, in Markdown."""
    parts = [
        _table(
            "Aneurysms",
            f"{3 * _COUNT} sacs of 1.7 to 3 times their neck of 6 to 16 mm, necks of 15 to 30 mm bent by up to 60° at "
            "both ends, in random positions, voxels of 0.6 to 1.5 mm, blur of 1.4 mm, noise of 10 to 30 HU in 300.",
            _aneurysms(),
            [
                ("diameter", "greatest diameter", "mm"),
                ("neck", "diameter of the necks", "mm"),
                ("length", "length of the necks", "mm"),
                ("angle", "angle of the necks", "°"),
                ("ml", "volume of the sac", "%"),
                ("place", "widest place", "mm"),
            ],
        ),
        _declines(),
        _table(
            "EVAR sheet",
            f"{_COUNT // 2} small aortas (neck of 7 to 9 mm, sac of 13 to 16 mm, iliac arteries of 4 to 6 mm), voxels "
            "of 0.9 mm, angles of up to 40°.",
            _aortas(),
            [
                ("neck", "neck diameters at 0, 5, 10, 15 mm", "mm"),
                ("neck_mm", "length of the neck", "mm"),
                ("alpha", "alpha", "°"),
                ("beta", "beta", "°"),
                ("sac", "diameter of the sac", "mm"),
                ("length", "lengths along the centreline", "mm"),
                ("iliac", "iliac and access diameters", "mm"),
            ],
        ),
        _table(
            "TAVI sheet",
            f"{_COUNT} roots with an elliptical annulus of 18 to 28 mm, tilted by up to 50°, voxels of 0.8 mm; hinge "
            "points exact. What a hand's error of the points does is not in these figures.",
            _roots(),
            [
                ("area", "area", "%"),
                ("perimeter", "perimeter", "%"),
                ("least", "least and greatest diameter", "mm"),
                ("coronary", "coronary heights", "mm"),
                ("sinus", "sinus, mean diameter", "mm"),
                ("stj", "sinotubular junction, mean diameter", "mm"),
            ],
        ),
        _table(
            "Trajectories",
            "200 random ways past a ball of 4 to 12 mm, on voxels of 1 mm.",
            _trajectories(),
            [("least", "least distance", "mm"), ("depth", "depth of the nearest place", "mm")],
        ),
        _table(
            "Flights",
            "8 bent tubes of 8 mm filled with air, voxels of 0.8 to 1.5 mm: how far the eyes are from the middle.",
            _flights(),
            [("mean", "mean of a flight", "mm"), ("worst", "worst of a flight", "mm")],
        ),
    ]
    return "\n".join(parts)


def _table(title: str, words: str, errors: Errors, rows: list[Unit]) -> str:
    lines = [f"## {title}", "", words, "", "| measure | median | 90 % | worst |", "|---|---|---|---|"]
    for key, name, unit in rows:
        some = np.abs(np.array(errors[key]))
        cells = (np.median(some), np.percentile(some, 90), some.max())
        lines.append(f"| {name} | " + " | ".join(f"{value:.2f} {unit}" for value in cells) + " |")
    return "\n".join([*lines, ""])


def _aneurysms() -> Errors:
    found: Errors = {key: [] for key in ("diameter", "neck", "length", "angle", "ml", "place")}
    # The last third was never looked at while anything was chosen.
    for number in range(3 * _COUNT):
        rng = np.random.default_rng((300, 50300, 80300)[number // _COUNT] + number % _COUNT)
        neck = float(rng.uniform(6.0, 16.0))
        widest = neck * float(rng.uniform(1.7, 3.0))
        necks = (float(rng.uniform(15.0, 30.0)), float(rng.uniform(15.0, 30.0)))
        angles = (float(rng.uniform(0.0, 60.0)), float(rng.uniform(0.0, 60.0)))
        known = sac(
            rng,
            neck,
            widest,
            necks,
            1.6 * widest,
            angles,
            _SPACINGS[number % _COUNT % 3],
            float(rng.uniform(10.0, 30.0)),
        )
        one = aneurysm(follow(known.made.volume, [known.made.at(40), known.made.at(1960)]))
        assert not (one.declined or one.warnings) and one.proximal is not None and one.distal is not None
        found["diameter"].append(one.diameter_mm - widest)
        found["ml"].append(100.0 * (one.sac_ml / known.ml - 1.0))
        middle = known.made.curve[int(np.argmax(known.made.radii))]
        found["place"].append(float(np.linalg.norm(np.array(one.position_mm) - middle)))
        for end, length, angle in zip((one.proximal, one.distal), known.lengths_mm, angles, strict=True):
            found["neck"].append(end.diameter_mm - neck)
            found["length"].append(end.length_mm - length)
            found["angle"].append(end.angulation_deg - angle)
    return found


def _declines() -> str:
    """What has to be declined: straight, tapering and narrowed vessels."""
    said = 0
    kinds = (np.full(2001, 3.0), np.linspace(3.5, 2.5, 2001), narrowed(3.0, 0.5), narrowed(3.0, 0.7, over=0.12))
    for number in range(12):
        rng = np.random.default_rng(500 + number)
        made = tube(bow(rng, 40.0, 6.0), kinds[number % 4], rng=rng)
        said += bool(aneurysm(follow(made.volume, [made.at(60), made.at(1940)])).declined)
    return f"Vessels without one, straight, tapering or narrowed by 50 to 70 %: {said} of 12 declined.\n"


def _aortas() -> Errors:
    found: Errors = {key: [] for key in ("neck", "neck_mm", "alpha", "beta", "sac", "length", "iliac")}
    for number in range(_COUNT // 2):
        known = aorta(np.random.default_rng(700 + number))
        one = measure_evar(known.made.volume, known.points)
        assert one.alpha_deg is not None and one.beta_deg is not None
        found["neck"] += [each.mean_mm - known.neck_diameter_mm for each in one.neck]
        found["neck_mm"].append(one.neck_mm - known.neck_mm)
        found["alpha"].append(one.alpha_deg - known.alpha_deg)
        found["beta"].append(one.beta_deg - known.beta_deg)
        found["sac"].append(one.sac.diameter_mm - known.sac_mm)
        found["length"].append(one.renal_to_bifurcation_mm - known.to_bifurcation_mm)
        for iliac, diameter in zip(one.iliacs, known.iliac_diameters_mm, strict=True):
            found["iliac"] += [iliac.end.mean_mm - diameter, iliac.access.mean_mm - diameter]
            found["length"].append(iliac.bifurcation_to_end_mm - known.iliac_mm)
    return found


def _roots() -> Errors:
    found: Errors = {key: [] for key in ("area", "perimeter", "least", "coronary", "sinus", "stj")}
    for number in range(_COUNT):
        known = root(np.random.default_rng(900 + number))
        one = measure_tavi(known.volume, known.points)
        a, b = known.half_axes_mm
        assert one.sinus is not None and one.stj is not None and one.annulus.is_ring
        found["area"].append(100.0 * (one.annulus.area_mm2 / (math.pi * a * b) - 1.0))
        found["perimeter"].append(100.0 * (one.annulus.perimeter_mm / (4.0 * a * ellipe(1.0 - (b / a) ** 2)) - 1.0))
        found["least"] += [one.annulus.least_mm - 2.0 * b, one.annulus.greatest_mm - 2.0 * a]
        found["coronary"] += [one.coronary_mm[side] - known.heights_mm[side] for side in ("left", "right")]
        found["sinus"].append(one.sinus.mean_mm - known.sinus_mm)
        found["stj"].append(one.stj.mean_mm - known.stj_mm)
    return found


def _trajectories() -> Errors:
    found: Errors = {"least": [], "depth": []}
    rng = np.random.default_rng(1100)
    affine = np.array([[0.0, 0, 1, -30], [0, 1, 0, -30], [1, 0, 0, -30], [0, 0, 0, 1]])
    volume = Volume(np.zeros((61, 61, 61), dtype=np.int16), affine, "1")
    grid = np.moveaxis(np.indices(volume.shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    while len(found["least"]) < 200:
        radius, middle = float(rng.uniform(2.0, 6.0)), rng.uniform(-12.0, 12.0, 3)
        entry, target = rng.uniform(-29.0, 29.0, (2, 3))
        length = float(np.linalg.norm(target - entry))
        way = (target - entry) / length
        depth = float(np.clip((middle - entry) @ way, 0.0, length))
        off = float(np.linalg.norm(entry + depth * way - middle)) - radius
        if off < 1.0:
            continue
        ball = AvoidedRegion(np.linalg.norm(grid - middle, axis=-1) < radius, affine)
        one = measure_trajectory(volume, tuple(entry), tuple(target), {"ball": ball}).clearances["ball"]
        found["least"].append(one.least_mm - off)
        found["depth"].append(one.depth_mm - depth)
    return found


def _flights() -> Errors:
    found: Errors = {"mean": [], "worst": []}
    for number in range(8):
        rng = np.random.default_rng(1300 + number)
        made = tube(bow(rng, 50.0, 14.0), np.full(2001, 4.0), _SPACINGS[number % 3], rng=rng, noise=10.0)
        share = (made.volume.voxels.astype(np.float64) - 50.0) / 300.0
        air = Volume(np.maximum(np.round(40.0 - 1040.0 * share), -1024).astype(np.int16), made.volume.affine, "HU")
        away, _ = made.nearest(lumen_way(air, "air", [made.at(100), made.at(1900)]).path_mm)
        found["mean"].append(float(away.mean()))
        found["worst"].append(float(away.max()))
    return found
