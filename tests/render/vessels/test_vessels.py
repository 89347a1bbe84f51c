"""Vessels of known course and width, in any position: centreline, diameters, narrowing, widening, angles, refusals."""

from functools import cache

import numpy as np
import pytest

from render import draw
from render.recipe import canonical_json, read_recipe
from render.vessels.centreline import Vessel, follow, follow_by_hand, points_of_line
from render.vessels.lumen import VesselError
from render.vessels.measures import bends, stenosis, widest
from render.vessels.pictures import curved_pictures, section_at, vessel_pictures
from tests.render.vessels.phantoms import TISSUE, Tube, bow, narrowed, tube
from tests.thorough import slowly

SHARE = 0.6


@cache
def narrow(seed: int) -> tuple[Tube, Vessel]:
    rng = np.random.default_rng(seed)
    spacing = ((0.8, 0.6, 0.6), (0.5, 0.5, 0.5), (1.2, 0.7, 0.7))[seed % 3]
    made = tube(bow(rng, 40.0), narrowed(3.2, SHARE, over=0.1), spacing, rng=rng)
    # Not in the middle of the lumen: a hand is not that steady.
    ends = [tuple(np.array(made.at(n)) + rng.normal(0.0, 0.5, 3)) for n in (60, 1940)]
    return made, follow(made.volume, ends)


@pytest.mark.parametrize("seed", [1, *slowly(2, 3)])
class TestAKnownVessel:
    def test_the_centreline_is_in_the_middle(self, seed: int) -> None:
        made, vessel = narrow(seed)
        away, numbers = made.nearest(vessel.centreline_mm)
        assert away.mean() < 0.1
        assert away.max() < 0.3
        part = np.linalg.norm(np.diff(made.curve[numbers[0] : numbers[-1] + 1], axis=0), axis=1).sum()
        assert vessel.length_mm == pytest.approx(part, rel=0.02)
        tangents = vessel.sections.tangents
        true = np.gradient(made.curve, axis=0)[numbers]
        assert (tangents * true / np.linalg.norm(true, axis=1, keepdims=True)).sum(axis=1).min() > 0.98

    def test_diameters_are_right_within_half_a_voxel(self, seed: int) -> None:
        made, vessel = narrow(seed)
        _, numbers = made.nearest(vessel.centreline_mm)
        least, greatest, mean = (d[6:-6] for d in vessel.sections.diameters_mm)
        off = mean - 2.0 * made.radii[numbers][6:-6]
        assert np.abs(off).max() < 0.5 * max(made.volume.spacing_mm)
        assert np.abs(off).mean() < 0.2
        assert (least <= mean + 0.05).all() and (mean <= greatest + 0.05).all()
        assert vessel.sections.areas_mm2[6:-6] == pytest.approx(np.pi / 4.0 * mean**2)

    def test_the_stenosis_is_found_and_measured(self, seed: int) -> None:
        made, vessel = narrow(seed)
        for found in (stenosis(vessel), stenosis(vessel, (8.0, vessel.length_mm - 8.0))):
            assert found.nascet_percent == pytest.approx(100.0 * SHARE, abs=6.0)
            assert found.ecst_percent == pytest.approx(100.0 * SHARE, abs=6.0)
            assert found.area_percent == pytest.approx(100.0 * (1.0 - (1.0 - SHARE) ** 2), abs=6.0)
            assert np.linalg.norm(np.array(found.position_mm) - made.curve[1000]) < 1.0


@pytest.mark.slow
def test_the_same_again_gives_the_same() -> None:
    made, vessel = narrow(1)
    again = follow(made.volume, [made.at(60), made.at(1940)])
    twice = follow(made.volume, [made.at(60), made.at(1940)])
    assert (again.centreline_mm == twice.centreline_mm).all()
    assert (again.sections.radii == twice.sections.radii).all()
    assert again.length_mm == pytest.approx(vessel.length_mm, abs=1.5)


@pytest.mark.slow
def test_an_aneurysm_is_the_widest_place() -> None:
    rng = np.random.default_rng(5)
    made = tube(bow(rng, 50.0, 4.0), narrowed(3.0, -1.2, over=0.1), rng=rng)
    found = widest(follow(made.volume, [made.at(40), made.at(1960)]))
    assert found.diameter_mm == pytest.approx(13.2, abs=0.6)
    assert found.elsewhere_mm == pytest.approx(6.0, abs=0.4)
    assert np.linalg.norm(np.array(found.position_mm) - made.curve[1000]) < 2.0


def test_a_corner_has_its_angle() -> None:
    rng = np.random.default_rng(6)
    s = np.linspace(-1.0, 1.0, 2001)[:, None]
    arms = np.where(s < 0, s * np.array([0.0, 0.0, 30.0]), s * np.array([26.0, 0.0, 15.0]))  # 120 degrees between them
    made = tube(arms, np.full(2001, 2.5), rng=rng)
    vessel = follow(made.volume, [made.at(50), made.at(1000), made.at(1950)])
    sharpest = min(bends(vessel), key=lambda bend: bend.angle_deg)
    assert sharpest.angle_deg == pytest.approx(120.0, abs=6.0)
    assert sharpest.at_mm == pytest.approx(vessel.at_points_mm[1], abs=3.0)


@pytest.mark.slow
def test_calcium_at_the_wall_is_no_lumen_and_bone_beside_it_no_way() -> None:
    rng = np.random.default_rng(7)
    curve, radii = bow(rng, 40.0, 6.0), np.full(2001, 3.0)
    aside = np.cross(curve[1100] - curve[900], rng.normal(size=3))
    aside /= np.linalg.norm(aside)
    beside = [(curve[1000] + 3.6 * aside, 1.2, 1100.0), (curve[1500] - 8.5 * aside, 5.0, 700.0)]
    made = tube(curve, radii, rng=rng, extra=beside, margin_mm=14.0)
    vessel = follow(made.volume, [made.at(60), made.at(1940)])
    away, _ = made.nearest(vessel.centreline_mm)
    assert away.max() < 0.8
    assert vessel.sections.diameters_mm[2][6:-6] == pytest.approx(np.full(len(vessel.along_mm) - 12, 6.0), abs=0.7)


class TestRefusals:
    def test_points_that_are_in_no_vessel(self) -> None:
        made, _ = narrow(1)
        middle = made.at(1000)
        with pytest.raises(VesselError, match="is outside the volume"):
            follow(made.volume, [middle, (1e4, 0.0, 0.0)])
        with pytest.raises(VesselError, match="two points at least"):
            follow(made.volume, [middle])
        with pytest.raises(VesselError, match="at the same place"):
            follow(made.volume, [middle, middle])
        aside = np.cross(made.curve[1010] - made.curve[990], [0.3, 0.5, 0.8])
        wall = tuple(np.array(middle) + 8.0 * aside / np.linalg.norm(aside))
        with pytest.raises(VesselError, match="Choose a point within the vessel"):
            follow(made.volume, [made.at(200), made.at(1800), wall])

    def test_a_vessel_that_is_closed(self) -> None:
        rng = np.random.default_rng(8)
        made = tube(bow(rng, 40.0, 4.0), narrowed(3.0, 1.0, over=0.12), rng=rng)
        with pytest.raises(VesselError, match="No lumen joins the points"):
            follow(made.volume, [made.at(100), made.at(1900)])

    def test_nothing_brighter_anywhere(self) -> None:
        made, _ = narrow(1)
        dark = made.volume.voxels.copy()
        dark[:] = int(TISSUE)
        empty = type(made.volume)(dark, made.volume.affine, "HU")
        with pytest.raises(VesselError, match="nothing flows there"):
            follow(empty, [made.at(100), made.at(1900)])


def test_its_pictures_are_recipes_that_show_it() -> None:
    made, vessel = narrow(2)
    recipes = vessel_pictures(vessel, {"Narrowest": stenosis(vessel).at_mm})
    assert all(read_recipe(canonical_json(recipe)) == recipe for recipe in recipes)
    assert len(curved_pictures(vessel)[-1].path_mm) > 50
    across = draw(made.volume, section_at(vessel, 8.0, "Reference"))
    lit = across.pixels[0] > 128
    side = across.planes[0].pixel_spacing_mm[0]
    assert 2.0 * np.sqrt(lit.sum() * side * side / np.pi) == pytest.approx(6.4, abs=0.8)
    straight = draw(made.volume, curved_pictures(vessel)[-1]).pixels
    middle = straight.shape[2] // 2
    assert (straight[:, 20:-20, middle] > 100).mean() > 0.97  # the lumen runs down the middle of all four


def test_a_lumen_that_blur_has_filled_is_measured_by_its_brightness() -> None:
    rng = np.random.default_rng(21)
    made = tube(bow(rng, 36.0, 4.0), narrowed(2.2, 0.73, over=0.12), (0.5, 0.5, 0.5), rng=rng, noise=25.0)
    vessel = follow(made.volume, [made.at(60), made.at(1940)])
    found = stenosis(vessel)
    assert found.least_mm == pytest.approx(1.19, abs=0.2)  # two voxels, and as wide as the blur is deep
    assert found.nascet_percent == pytest.approx(73.0, abs=5.0)
    _, numbers = made.nearest(vessel.centreline_mm)
    off = vessel.sections.diameters_mm[2] - 2.0 * made.radii[numbers]
    assert np.abs(off[6:-6]).max() < 0.5


def test_a_vessel_that_is_wider_than_what_is_near_its_points_is_measured() -> None:
    straight = np.stack([np.zeros(2001), np.zeros(2001), np.linspace(-30.0, 30.0, 2001)], axis=1)
    rng = np.random.default_rng(1)
    made = tube(straight, np.full(2001, 34.0), (3.0, 3.0, 3.0), rng=rng, blur_mm=1.5, margin_mm=45.0)
    vessel = follow(made.volume, [made.at(500), made.at(1500)])
    assert vessel.sections.found.all()
    assert np.allclose(vessel.sections.diameters_mm[2], 68.0, atol=1.5)


class TestALineByHand:
    def test_it_is_measured_where_it_is(self) -> None:
        made, vessel = narrow(1)
        line = points_of_line(vessel)
        again = follow_by_hand(made.volume, line)
        assert again.length_mm == pytest.approx(vessel.length_mm, rel=3e-3)
        assert stenosis(again).nascet_percent == pytest.approx(100.0 * SHARE, abs=6.0)
        away, _ = made.nearest(again.centreline_mm)
        assert away.max() < 0.4
        number = len(line) // 4
        pulled = (*line[:number], tuple(np.add(line[number], (1.0, -0.8, 0.6))), *line[number + 1 :])
        dragged = follow_by_hand(made.volume, pulled)
        assert np.linalg.norm(dragged.centreline_mm - np.array(pulled[number]), axis=1).min() < 0.3
        healthy = slice(8, 20)
        means = (each.sections.diameters_mm[2][healthy] for each in (again, dragged))
        assert abs(float(np.median(next(means)) - np.median(next(means)))) < 0.5  # a lumen is as wide from aside

    def test_it_goes_on_where_the_lumen_is_closed(self) -> None:
        rng = np.random.default_rng(4)
        made = tube(bow(rng, 40.0), narrowed(3.0, 1.0, over=0.12), rng=rng)
        with pytest.raises(VesselError, match="joins"):
            follow(made.volume, [made.at(60), made.at(1940)])
        through = follow_by_hand(made.volume, [made.at(n) for n in range(60, 1941, 235)])
        part = np.linalg.norm(np.diff(made.curve[60:1941], axis=0), axis=1).sum()
        assert through.length_mm == pytest.approx(part, rel=5e-3)

    def test_it_needs_two_places(self) -> None:
        made, _ = narrow(1)
        with pytest.raises(VesselError, match="two points"):
            follow_by_hand(made.volume, [made.at(60)])
        with pytest.raises(VesselError, match="same place"):
            follow_by_hand(made.volume, [made.at(60), made.at(60), made.at(900)])
