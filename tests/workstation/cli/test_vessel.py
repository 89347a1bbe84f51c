"""`vessel`: what it prints and writes of a series, and what it says of wrong points."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from render.recipe import canonical_json, read_recipe
from tests.dicom_io.synthetic import CT, write_series
from tests.render.vessels.phantoms import Tube, bow, narrowed, root, sac, tube
from tests.workstation.conftest import Command


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tube, Path]:
    rng = np.random.default_rng(11)
    found = tube(bow(rng, 35.0, 4.0), narrowed(3.0, 0.5, over=0.1), rng=rng)
    folder = tmp_path_factory.mktemp("vessel") / "series"
    write_series(folder, found.volume.voxels, found.volume.affine, sop_class=CT)
    return found, folder


def words(place: tuple[float, float, float]) -> str:
    return ",".join(f"{value:.2f}" for value in place)


@pytest.mark.slow
def test_a_vessel_is_measured_and_pictured(made: tuple[Tube, Path], command: Command, tmp_path: Path) -> None:
    known, folder = made
    through = ("--through", words(known.at(80)), "--through", words(known.at(1920)))
    ran = command(
        "vessel", str(folder), *through, "--reference", words(known.at(1700)), "-o", tmp_path / "out", "--json"
    )
    assert ran.code == 0, ran.err
    found = ran.json
    assert found["stenosis"]["nascet_percent"] == pytest.approx(50.0, abs=6.0)
    assert found["stenosis"]["reference_mm"] == pytest.approx(6.0, abs=0.5)
    assert found["maximum_diameter_mm"] == pytest.approx(6.0, abs=0.6)
    assert found["length_mm"] == pytest.approx(found["samples"][-1]["along_mm"])
    assert len(found["centerline_mm"]) == len(found["samples"])
    assert {"along_mm", "position_mm", "tangent", "area_mm2", "diameter_min_mm", "diameter_max_mm"} <= set(
        found["samples"][0]
    )
    assert all(0.0 < angle <= 180.0 for angle in found["angles_deg"])
    files = {Path(file).name for file in found["files"]}
    assert files == {file.name for file in (tmp_path / "out").iterdir()}
    assert {"contact_sheet.png", "diameter.png", "samples.csv"} <= files
    assert len([name for name in files if name.endswith(("-narrowest.png", "-widest.png", "-reference-1.png"))]) == 3
    with Image.open(tmp_path / "out" / "diameter.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 20
    with (tmp_path / "out" / "samples.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["diameter_mean_mm"]) for row in rows] == [s["diameter_mean_mm"] for s in found["samples"]]
    said = command("vessel", str(folder), *through)
    assert "NASCET" in said.out and f"length {found['length_mm']:.1f} mm" in said.out


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--through", "1,2"], 2, "'1,2' is no point: write X,Y,Z in LPS mm"),
        (["--through", "1,2,nan"], 2, "lies nowhere in a patient"),
        (["--through", "1,2,3"], 2, "a vessel needs two points at least"),
        (["--through", "1,2,3", "--through", "9000,2,3"], 1, "outside the volume"),
    ],
)
def test_wrong_points_are_said_to_be_wrong(
    options: list[str], code: int, sentence: str, made: tuple[Tube, Path], command: Command
) -> None:
    ran = command("vessel", str(made[1]), *options)
    assert (ran.code, "Traceback" in ran.err) == (code, False)
    assert sentence in " ".join(ran.err.replace("│", " ").split())


@pytest.mark.slow
def test_an_aneurysm_is_measured_or_declined(
    made: tuple[Tube, Path], command: Command, tmp_path_factory: pytest.TempPathFactory
) -> None:
    known = sac(np.random.default_rng(3), 4.0, 10.0, (12.0, 12.0), 20.0, (10.0, 0.0))
    folder = tmp_path_factory.mktemp("sac") / "series"
    write_series(folder, known.made.volume.voxels, known.made.volume.affine, sop_class=CT)
    through = [*("--through", words(known.made.at(40))), *("--through", words(known.made.at(1960)))]
    found = command("vessel", str(folder), *through, "--json").json["aneurysm"]  # found by itself
    assert found["diameter_mm"] == pytest.approx(10.0, abs=0.6)
    assert found["sac_ml"] == pytest.approx(known.ml, rel=0.06)
    assert found["proximal_neck"]["length_mm"] == pytest.approx(known.lengths_mm[0], abs=1.0)
    told = command("vessel", str(folder), *through, "--aneurysm")
    assert told.code == 0 and "times the healthy" in told.out and "thrombus" in told.out
    narrow, plain = made
    ends = [*("--through", words(narrow.at(80))), *("--through", words(narrow.at(1920)))]
    ran = command("vessel", str(plain), *ends, "--aneurysm")
    assert ran.code == 1 and "narrowed elsewhere" in ran.out


@pytest.mark.slow
def test_a_sheet_is_measured_and_drawn(command: Command, tmp_path: Path) -> None:
    known = root(np.random.default_rng(2), 1.2)
    write_series(tmp_path / "series", known.volume.voxels, known.volume.affine, sop_class=CT)
    points = [text for name, place in known.points.items() for text in ("--point", f"{name}={words(place)}")]
    ran = command("vessel", str(tmp_path / "series"), "--sheet", "tavi", *points, "-o", tmp_path / "out", "--json")
    assert ran.code == 0, ran.err
    a, b = known.half_axes_mm
    assert ran.json["annulus"]["area_mm2"] == pytest.approx(np.pi * a * b, rel=0.03)
    assert ran.json["coronary"]["height_left_mm"] == pytest.approx(known.heights_mm["left"], abs=0.3)
    assert ran.json["access"] == {"least_diameter_mm": None}
    assert [Path(file).name for file in ran.json["files"]] == ["tavi.png", "tavi.csv", "tavi.json"]
    kept = json.loads((tmp_path / "out" / "tavi.json").read_text(encoding="utf-8"))
    assert all(canonical_json(read_recipe(recipe)) for recipe in kept["recipes"])
    with (tmp_path / "out" / "tavi.csv").open(encoding="utf-8") as file:
        rows = {(row["part"], row["measure"]): row["value"] for row in csv.DictReader(file)}
    assert float(rows["annulus", "area"]) == ran.json["annulus"]["area_mm2"]
    assert rows["access", "least diameter"] == ""
    with Image.open(tmp_path / "out" / "tavi.png") as picture:
        assert picture.width > 1000 and np.asarray(picture.convert("L")).std() > 20


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--sheet", "bypass"], 2, "'bypass' is no sheet: there are evar, tavi"),
        (["--sheet", "evar", "--through", "1,2,3"], 2, "a sheet takes named points"),
        (["--sheet", "evar", "--point", "1,2,3"], 2, "'1,2,3' is not NAME=X,Y,Z"),
        (["--sheet", "evar", "--point", "bifurcation=1,2,3"], 1, "needs the point lowest_renal"),
    ],
)
def test_a_wrong_sheet(options: list[str], code: int, sentence: str, made: tuple[Tube, Path], command: Command) -> None:
    ran = command("vessel", str(made[1]), *options)
    assert ran.code == code
    assert sentence in " ".join(ran.err.replace("│", " ").split())


def test_a_tree_needs_a_folder_and_no_points(made: tuple[Tube, Path], command: Command) -> None:
    for options, sentence in ((["--tree"], "say where to with -o"), (["--tree", "--sheet", "evar"], "takes no points")):
        ran = command("vessel", str(made[1]), *options)
        assert ran.code == 2 and sentence in " ".join(ran.err.replace("│", " ").split())
