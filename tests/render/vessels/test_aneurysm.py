"""Aneurysms of known width, necks, angles and volume, in any position; and vessels that have none."""

from functools import cache

import numpy as np
import pytest

from render.vessels.aneurysm import Aneurysm, aneurysm
from render.vessels.centreline import Vessel, follow
from render.vessels.lumen import VesselError
from tests.render.vessels.phantoms import Sac, bow, sac, tube

pytestmark = pytest.mark.slow

KNOWN = {
    "straight": (5.0, 12.0, (14.0, 18.0), 26.0, (8.0, 0.0), (0.8, 0.6, 0.6)),
    "steep": (5.0, 14.5, (12.0, 12.0), 23.2, (40.0, 25.0), (1.5, 0.8, 0.8)),
}


@cache
def known(name: str) -> tuple[Sac, Vessel]:
    neck, widest, necks, length, angles, spacing = KNOWN[name]
    found = sac(np.random.default_rng(len(name)), neck, widest, necks, length, angles, spacing)
    return found, follow(found.made.volume, [found.made.at(40), found.made.at(1960)])


def check(found: Aneurysm, true: Sac) -> None:
    assert not found.declined and found.confidence > 0.9 and not found.warnings
    assert found.diameter_mm == pytest.approx(true.widest_mm, abs=0.5)
    assert found.across_mm <= found.diameter_mm
    assert found.sac_ml == pytest.approx(true.ml, rel=0.05)
    assert found.healthy_mm == pytest.approx(true.neck_mm, abs=0.4)
    assert found.proximal is not None and found.distal is not None
    for neck, length, angle in zip((found.proximal, found.distal), true.lengths_mm, true.angles_deg, strict=True):
        assert neck.diameter_mm == pytest.approx(true.neck_mm, abs=0.4)
        assert neck.length_mm == pytest.approx(length, abs=1.0)
        assert neck.angulation_deg == pytest.approx(angle, abs=5.0)
        assert neck.least_mm <= neck.diameter_mm <= neck.greatest_mm


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_aneurysm_is_measured(name: str) -> None:
    true, vessel = known(name)
    check(aneurysm(vessel), true)
    middle = true.made.curve[np.argmax(true.made.radii)]
    assert np.linalg.norm(np.array(aneurysm(vessel).position_mm) - middle) < 2.0


def test_references_say_where_its_necks_begin() -> None:
    true, vessel = known("straight")
    ends = (4.0, vessel.length_mm - 6.0)
    found = aneurysm(vessel, ends)
    assert found.proximal is not None and found.distal is not None
    assert found.proximal.length_mm == pytest.approx(true.lengths_mm[0] - 4.0, abs=1.0)
    assert found.distal.length_mm == pytest.approx(true.lengths_mm[1] - 6.0, abs=1.0)
    assert found.diameter_mm == aneurysm(vessel).diameter_mm
    with pytest.raises(VesselError, match="One healthy place is not enough"):
        aneurysm(vessel, (4.0,))


def test_a_neck_that_was_not_followed_is_not_there() -> None:
    true, _ = known("straight")
    wide = int(np.argmax(true.made.radii))
    vessel = follow(true.made.volume, [true.made.at(40), true.made.at(wide + 120)])
    assert "no healthy vessel is seen beyond it" in aneurysm(vessel).declined  # wide at one end: a taper may be
    found = aneurysm(vessel, (2.0, 6.0))  # what is healthy is said, but the sac lies beyond
    assert "no aneurysm" in found.declined
    found = aneurysm(vessel, (2.0, vessel.length_mm - 1.0))
    assert found.declined or found.distal is None


def test_a_vessel_without_one_is_declined() -> None:
    rng = np.random.default_rng(4)
    made = tube(bow(rng, 40.0, 4.0), np.linspace(3.4, 2.6, 2001), rng=rng)  # a taper is none
    found = aneurysm(follow(made.volume, [made.at(60), made.at(1940)]))
    assert "no aneurysm" in found.declined
    assert found.confidence == 0.0


def test_a_sac_that_leaves_the_volume_is_declined() -> None:
    true = sac(np.random.default_rng(4), 5.0, 14.0, (14.0, 14.0), 26.0, (0.0, 0.0), (1.0, 0.8, 0.8), margin_mm=4.0)
    found = aneurysm(follow(true.made.volume, [true.made.at(40), true.made.at(1960)]))
    assert "may leave the volume" in found.declined


def lopsided(offset_mm: float) -> Aneurysm:
    """A ball of 8 mm whose middle lies beside a straight vessel of 3 mm."""
    curve = np.stack([np.zeros(2001), np.zeros(2001), np.linspace(-20.0, 20.0, 2001)], axis=1)
    ball = (np.array([offset_mm, 0.0, 0.0]), 8.0, 350.0)
    rng = np.random.default_rng(2)
    made = tube(curve, np.full(2001, 3.0), (1.2, 1.0, 1.0), rng=rng, extra=[ball], margin_mm=16.0)
    return aneurysm(follow(made.volume, [made.at(60), made.at(1940)]))


def test_a_sac_that_lies_to_one_side_is_doubted() -> None:
    found = lopsided(0.0)
    assert found.diameter_mm == pytest.approx(16.0, abs=0.8) and not found.warnings
    found = lopsided(7.5)
    assert "cross each other" in found.warnings[0] and found.confidence <= 0.5
