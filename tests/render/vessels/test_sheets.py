"""Planning sheets: aortas and roots of known measures, and points that cannot be right."""

from functools import cache

import numpy as np
import pytest
from scipy.special import ellipe

from render.vessels.evar import EvarSheet, measure_evar
from render.vessels.lumen import VesselError
from render.vessels.tavi import TaviSheet, measure_tavi
from tests.render.vessels.phantoms import TISSUE, Aorta, Root, aorta, root


@cache
def phantom() -> Aorta:
    return aorta(np.random.default_rng(0), (1.2, 1.2, 1.2))


@cache
def evar() -> tuple[Aorta, EvarSheet]:
    known = phantom()
    return known, measure_evar(known.made.volume, known.points)


@cache
def tavi(seed: int = 1) -> tuple[Root, TaviSheet]:
    known = root(np.random.default_rng(seed), 1.0)
    return known, measure_tavi(known.volume, known.points)


def test_the_neck_of_an_aorta() -> None:
    known, found = evar()
    assert [one.mean_mm for one in found.neck] == pytest.approx([known.neck_diameter_mm] * 4, abs=0.4)
    assert np.diff([one.at_mm for one in found.neck]) == pytest.approx([5.0] * 3, abs=0.6)
    assert found.neck_mm == pytest.approx(known.neck_mm, abs=1.2)
    assert not found.conical
    assert found.alpha_deg == pytest.approx(known.alpha_deg, abs=4.0)
    assert found.beta_deg == pytest.approx(known.beta_deg, abs=4.0)


def test_the_sac_and_the_iliac_arteries() -> None:
    known, found = evar()
    assert found.sac.diameter_mm == pytest.approx(known.sac_mm, abs=0.5)
    assert found.renal_to_bifurcation_mm == pytest.approx(known.to_bifurcation_mm, abs=1.5)
    assert found.bifurcation.mean_mm == pytest.approx(known.neck_diameter_mm, abs=0.6)
    assert [iliac.side for iliac in found.iliacs] == ["right", "left"]
    for iliac, diameter in zip(found.iliacs, known.iliac_diameters_mm, strict=True):
        assert iliac.end.mean_mm == pytest.approx(diameter, abs=0.4)
        assert iliac.access.mean_mm == pytest.approx(diameter, abs=0.4)
        assert iliac.bifurcation_to_end_mm == pytest.approx(known.iliac_mm, abs=1.5)
        assert iliac.landing_mm == pytest.approx(known.iliac_mm - diameter, abs=2.5)  # all but the fork


def test_the_annulus_of_a_root() -> None:
    known, found = tavi()
    a, b = known.half_axes_mm
    ring = found.annulus
    assert ring.area_mm2 == pytest.approx(np.pi * a * b, rel=0.02)
    assert ring.perimeter_mm == pytest.approx(4.0 * a * ellipe(1.0 - (b / a) ** 2), rel=0.015)
    assert (ring.least_mm, ring.greatest_mm) == pytest.approx((2.0 * b, 2.0 * a), abs=0.5)
    assert ring.eccentricity == pytest.approx(1.0 - b / a, abs=0.03)
    assert ring.area_diameter_mm < ring.perimeter_diameter_mm  # an ellipse has more rim than a circle of its area
    assert np.array(ring.normal) @ known.normal > 0.9999
    assert np.abs((ring.outline_mm - np.array(ring.centre_mm)) @ known.normal).max() < 0.1


def test_heights_angles_and_what_is_above() -> None:
    known, found = tavi()
    assert found.coronary_mm == pytest.approx(known.heights_mm, abs=0.3)
    assert found.sinus is not None and found.sinus.mean_mm == pytest.approx(known.sinus_mm, abs=0.6)
    assert found.stj is not None and found.stj.mean_mm == pytest.approx(known.stj_mm, abs=0.4)
    assert found.tilt_deg == pytest.approx(np.degrees(np.arccos(known.normal[2])), abs=0.2)

    def direction(lao: float, cran: float) -> np.ndarray:
        a, b = np.radians([lao, cran])
        return np.array([np.sin(a) * np.cos(b), -np.cos(a) * np.cos(b), np.sin(b)])

    right, left, non = (np.array(known.points[f"{cusp}_cusp"]) for cusp in ("right", "left", "non"))
    for view in (*found.perpendicular, found.three_cusps, found.overlap):  # all see the annulus as a line
        assert abs(direction(view.lao_deg, view.cran_deg) @ known.normal) < 1e-6
    for view, first, other in ((found.three_cusps, right, 0.5 * (left + non)), (found.overlap, right, left)):
        aside = np.cross(known.normal, direction(view.lao_deg, view.cran_deg))
        assert abs(aside @ (first - other)) < 1e-6  # one behind the other
    assert "access" in found.warnings[0] and found.access is None


def test_points_that_cannot_be_right() -> None:
    known = phantom()
    volume, points = known.made.volume, known.points
    with pytest.raises(VesselError, match="'renal' is unknown; there are lowest_renal"):
        measure_evar(volume, {**points, "renal": (0.0, 0.0, 0.0)})
    with pytest.raises(VesselError, match="needs the point bifurcation"):
        measure_evar(volume, {name: place for name, place in points.items() if name != "bifurcation"})
    with pytest.raises(VesselError, match="needs the point right_iliac_end or left_iliac_end"):
        measure_evar(volume, {name: place for name, place in points.items() if "iliac" not in name})
    ring = root(np.random.default_rng(1), 2.0)
    with pytest.raises(VesselError, match="needs the point non_cusp"):
        measure_tavi(ring.volume, {name: place for name, place in ring.points.items() if name != "non_cusp"})
    line = {**ring.points, "non_cusp": tuple(0.5 * (np.array(ring.points["right_cusp"]) + ring.points["left_cusp"]))}
    with pytest.raises(VesselError, match="nearly on a line"):
        measure_tavi(ring.volume, line)


def test_a_plane_through_the_cusps_is_no_annulus() -> None:
    known = root(np.random.default_rng(1))
    axes = [known.volume.affine[:3, n] for n in range(3)]
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in known.volume.shape], indexing="ij"), axis=-1)
    place = sum(grid[..., n, None] * axes[n] for n in range(3)) + known.volume.affine[:3, 3]
    across = np.array(known.points["right_cusp"]) / np.linalg.norm(known.points["right_cusp"])
    turn = np.arctan2(place @ np.cross(known.normal, across), place @ across)
    away = np.linalg.norm(place - (place @ known.normal)[..., None] * known.normal, axis=-1)
    cut = (np.cos(3.0 * turn) < -0.4) & (away > 6.0)  # what is between the cusps
    voxels = np.where(cut, TISSUE, known.volume.voxels).astype(np.int16)
    found = measure_tavi(type(known.volume)(voxels, known.volume.affine, "HU"), known.points)
    assert not found.annulus.is_ring
    assert tavi()[1].annulus.is_ring
    assert any("has dents" in words for words in found.warnings)
