"""Measurements for the record: their numbers rest on what is recorded and nothing else."""

import csv
import io
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from dicom_io.evidence import Measurement, Quantity
from dicom_io.sr.evidence_sr import read_sr, write_sr
from render.curved_surface import shape_of, surfaces
from render.geometry import Vector, View, affine_from
from render.mask_steps import Values
from render.measure import within
from render.recipe import CurvedReformat, Window
from render.volume import Volume
from tests.dicom_io.sr.test_evidence_sr import STAMP, as_file, simple, source
from tests.thorough import examples
from workstation.case import CaseError, MeasureRequest
from workstation.records.measurements import (
    AvoidedSegments,
    DrawnKind,
    again,
    as_rows,
    csv_of,
    measure,
    measure_mask,
    measure_outline,
    measure_requested,
    measure_way,
    outline_of,
)

PLACE = st.floats(-25.0, 25.0)
VIEWS = st.builds(View, st.floats(0, 360), st.floats(-90, 90), st.floats(-180, 180))


def ball() -> Volume:
    """(40, 40, 40) int16, 2 mm: 1000 HU within 20 mm of the origin."""
    k, j, i = np.indices((40, 40, 40)) * 2.0 - 39.0
    voxels = np.where(k * k + j * j + i * i < 400.0, 1000, 0).astype(np.int16)
    affine = affine_from((-39.0, -39.0, -39.0), (0, 0, 2), (0, 2, 0), (2, 0, 0))
    return Volume(voxels, affine, "HU", "1.2.3.4", ("1.2.3",))


BALL = ball()


@settings(max_examples=examples(25), deadline=None)
@given(
    kind=st.sampled_from(["distance", "length", "angle", "cobb", "polygon", "ellipse"]),
    corners=st.lists(st.tuples(PLACE, PLACE), min_size=4, max_size=4, unique=True),
    view=VIEWS,
)
def test_who_has_the_record_measures_the_same(kind: DrawnKind, corners: list[tuple[float, float]], view: View) -> None:
    count = {"distance": 2, "length": 5, "angle": 3, "cobb": 4, "polygon": 4, "ellipse": 2}[kind]
    points: list[Vector] = []
    for across, along in corners[:count]:
        x, y, z = (across * r + along * u for r, u in zip(view.right, view.up, strict=True))
        points.append((x, y, z))
    try:
        made = measure("it", kind, points, view, BALL)
    except ValueError:
        # Lines without length and outlines without inside measure nothing; see below.
        assume(False)
    sr = write_sr(replace(simple(), measurements=(made,)), source(), STAMP)
    (read,) = read_sr(dcmread(io.BytesIO(as_file(sr)))).measurements
    assert again(read, BALL) == read == made


def test_a_trajectory_is_recorded_with_what_it_avoids_and_measured_again() -> None:
    bone = AvoidedSegments((Values(501.0, 2000.0, label=3),), (("Ball", 3), ("Nothing", 4)))
    beside, within = (
        measure_way(name, (x, -30.0, 0.0), (x, 30.0, 0.0), bone, BALL)
        for name, x in (("beside", 30.0), ("within", 1.0))
    )
    assert numbers(beside)["clearance"] == pytest.approx(10.0, abs=1.5) and numbers(beside)["through"] == 0.0
    assert numbers(within)["through"] == pytest.approx(40.0, abs=2.5)
    assert beside.finding.startswith("Ball: ") and "Nothing" not in beside.finding
    for made in (beside, within, measure_way("alone", (0.0, 0.0, -30.0), (0.0, 0.0, 30.0), AvoidedSegments(), BALL)):
        sr = write_sr(replace(simple(), measurements=(made,)), source(), STAMP)
        (read,) = read_sr(dcmread(io.BytesIO(as_file(sr)))).measurements
        assert again(read, BALL) == read == made
    assert again(beside, replace(BALL, voxels=np.roll(BALL.voxels, 3, axis=2))).quantities != beside.quantities


def test_an_area_of_a_curved_surface_is_recorded_and_measured_again() -> None:
    turns = np.radians(np.linspace(0.0, 180.0, 31))
    path = tuple((0.0, -12.0 * math.cos(t), 12.0 * math.sin(t)) for t in turns)
    recipe = CurvedReformat(Window(0.0, 1.0), path, rows=150, columns=81, pixel_mm=0.25, view=View.parse("left"))
    corners = tuple(surfaces(recipe)[0].at(row, column) for row, column in ((20.0, 20.0), (100.0, 60.0)))
    assert all(corners)
    made = measure_outline("Ostium", "ellipse", corners, shape_of(recipe), BALL, "Lesion A")  # type: ignore[arg-type]
    assert made.in_space and len(made.points_mm) == 96 and outline_of(made)[:2] == ("ellipse", corners)
    sr = write_sr(replace(simple(), measurements=(made,)), source(), STAMP)
    (read,) = read_sr(dcmread(io.BytesIO(as_file(sr)))).measurements
    assert again(read, BALL) == read == made


def numbers(measurement: Measurement) -> dict[str, float]:
    return {q.name: q.value for q in measurement.quantities}


def test_the_numbers_are_those_of_the_shape() -> None:
    view = View.parse("anterior")
    assert numbers(measure("d", "distance", ((0, 0, 0), (3, 4, 12)), view, BALL)) == {"length": 13.0}
    angle = numbers(measure("a", "angle", ((1, 0, 0), (0, 0, 0), (0, 0, 1)), view, BALL))
    assert angle == {"angle": pytest.approx(90.0)}
    cobb = numbers(measure("c", "cobb", ((0, 0, 0), (1, 0, 0), (5, 0, 5), (4, 0, 6)), view, BALL))
    assert cobb == {"cobb_angle": pytest.approx(45.0)}
    ellipse = measure("e", "ellipse", ((-10, 0, 5), (10, 0, -5)), view, BALL)
    found = numbers(ellipse)
    assert found["area"] == pytest.approx(math.pi * 50.0, rel=2e-3)
    assert (found["mean"], found["least"], found["greatest"]) == (1000.0, 1000.0, 1000.0)
    assert {q.unit for q in ellipse.quantities[1:]} == {"[hnsf'U]"}
    # The longer axis first, whichever way it lies.
    a, b, c, d = ellipse.points_mm
    assert math.dist(a, b) == pytest.approx(20.0) and math.dist(c, d) == pytest.approx(10.0)
    square = ((-5, 0, -5), (5, 0, -5), (5, 0, 5), (-5, 0, 5))
    polygon = numbers(measure("p", "polygon", square, view, BALL))
    assert polygon["area"] == pytest.approx(100.0)
    direct = within(BALL, square, view)
    assert polygon["mean"] == direct.mean and polygon["deviation"] == direct.deviation


def test_a_mask_is_as_large_as_its_voxels_even_in_a_sheared_volume() -> None:
    sheared = replace(BALL, affine=affine_from((0, 0, 0), (0, 1, 2), (0, 2, 0), (2, 0, 0)))
    steps = (Values(501.0, 2000.0, label=3),)
    count = int((BALL.voxels > 500).sum())
    for volume in (BALL, sheared):
        assert numbers(measure_mask("m", steps, 3, volume)) == {"volume": pytest.approx(count * 8.0)}
    assert count * 8.0 == pytest.approx(4 / 3 * math.pi * 20.0**3, rel=0.02)


@pytest.mark.parametrize(
    ("kind", "points", "words"),
    [
        ("distance", ((0, 0, 0),), "a distance of 1 points"),
        ("angle", ((0, 0, 0), (0, 0, 0), (1, 0, 0)), "no length"),
        ("polygon", ((0, 0, 0), (1, 0, 0)), "a polygon of 2 points"),
        ("distance", ((0, 0, 0), (math.nan, 0, 0)), "are no places"),
    ],
)
def test_what_measures_nothing_is_refused(kind: DrawnKind, points: tuple[Vector, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        measure("it", kind, points, View.parse("anterior"), BALL)


def pipe() -> Volume:
    """(60, 40, 40) int16, 1 mm: a lumen of 300 HU, 8 mm wide and 4 mm in its middle, along z; smooth edges."""
    k, j, i = np.indices((60, 40, 40)).astype(np.float64)
    away = np.hypot(j - 20.0, i - 20.0)
    radius = 4.0 - 2.0 * np.exp(-(((k - 30.0) / 4.0) ** 2))
    voxels = (300.0 * np.clip(radius - away + 0.5, 0.0, 1.0)).astype(np.int16)
    return Volume(voxels, affine_from((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)), "HU", "1.2.3.4", ("1.2.3",))


ENDS: tuple[Vector, ...] = ((20, 20, 5), (20, 20, 55))
HEALTHY: tuple[Vector, ...] = ((20, 20, 10), (20, 20, 50))


def test_what_a_tool_measures_is_recorded_and_measured_again() -> None:
    asked = (
        MeasureRequest("vessel", ENDS, HEALTHY, finding="internal carotid"),
        MeasureRequest("volume", step=Values(150.0, 400.0)),
        MeasureRequest("vessel", ENDS),
    )
    made = measure_requested(asked, pipe())
    assert [one.name for one in made] == ["vessel 1", "volume 1", "vessel 2"]
    found = numbers(made[0])
    assert found["nascet"] == pytest.approx(50.0, abs=5.0) and found["length"] == pytest.approx(50.0, abs=1.0)
    assert found["reference_diameter"] == pytest.approx(8.0, abs=0.4)
    sr = write_sr(replace(simple(), measurements=made), source(), STAMP)
    read = read_sr(dcmread(io.BytesIO(as_file(sr)))).measurements
    assert read == made
    assert tuple(again(one, pipe()) for one in read) == made
    # Not the numbers of the record, but those of the voxels.
    narrow = replace(pipe(), voxels=np.roll(pipe().voxels, 3, axis=0))
    assert again(replace(made[0], volume_digest=""), narrow).quantities != made[0].quantities


def test_a_lesion_is_recorded_and_measured_again() -> None:
    (made,) = measure_requested([MeasureRequest("lesion", ((3, 2, 1),), finding="Läsion")], BALL)
    found = numbers(made)
    assert found["longest_diameter"] == pytest.approx(40.0, abs=2.0)
    assert found["volume"] == pytest.approx(4 / 3 * math.pi * 20.0**3, rel=0.05)
    sr = write_sr(replace(simple(), measurements=(made,)), source(), STAMP)
    (read,) = read_sr(dcmread(io.BytesIO(as_file(sr)))).measurements
    assert again(read, BALL) == read == made


def test_what_cannot_be_measured_stops_the_case_with_the_reason() -> None:
    with pytest.raises(CaseError, match=r"'lesion 1' cannot be made: .* Nothing was drawn"):
        measure_requested([MeasureRequest("lesion", ((20, 20, 30),))], pipe())


def test_a_table_holds_every_number_and_no_formula() -> None:
    (made,) = measure_requested([MeasureRequest("vessel", ENDS, HEALTHY, finding="=cmd()")], pipe())
    rows = as_rows([replace(made, quantities=(*made.quantities, Quantity("mean", -12.5, "[hnsf'U]")))])
    lines = list(csv.reader(io.StringIO(csv_of(rows).decode())))
    assert len(lines) == 1 + len(made.quantities) + 1
    assert lines[1][:4] == ["vessel 1", "vessel", "'=cmd()", "length"]
    assert lines[-1][4] == "-12.5"
    assert lines[1][6] == "20 20 5; 20 20 55 / 20 20 10; 20 20 50"


def test_without_a_frame_of_reference_places_are_nowhere() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        measure("d", "distance", ((0, 0, 0), (3, 4, 12)), View(), replace(BALL, frame_of_reference=""))
