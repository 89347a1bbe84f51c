"""`fly`: what it prints and writes, and what it says of wrong lumens."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from render import draw
from render.recipe import read_recipe
from render.unfolded import laid_flat
from tests.dicom_io.synthetic import CT, write_series
from tests.render.test_flight import known
from tests.workstation.cli.test_vessel import words
from tests.workstation.conftest import Command


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("flight") / "series"
    _, air = known()
    write_series(found, air.voxels, air.affine, sop_class=CT)
    return found


@pytest.mark.slow
def test_a_flight_is_drawn(folder: Path, command: Command, tmp_path: Path) -> None:
    made, air = known()
    ran = command(
        "fly", str(folder), "--lumen", "air", f"--through={words(made.at(100))}", f"--through={words(made.at(1900))}",
        "--step", "6", "--size", "40", "--gif", "--dicom", "-o", tmp_path / "out", "--unfold", tmp_path / "flat.png",
        "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    count = ran.json["pictures"]
    recipes = json.loads((tmp_path / "flat.json").read_text(encoding="utf-8"))
    parts = [draw(air, read_recipe(recipe)) for recipe in recipes]
    flat = np.asarray(Image.open(tmp_path / "flat.png"))
    assert flat.shape == laid_flat(parts).shape and (flat == laid_flat(parts)).mean() > 0.99
    assert ran.json["unfolded_sha256"] == hashlib.sha256(flat.tobytes()).hexdigest()
    assert len(ran.json["path_mm"]) == len(ran.json["radii_mm"]) >= count > 5
    files = {Path(file).name: Path(file) for file in ran.json["files"]}
    assert set(files) == {file.name for file in (tmp_path / "out").iterdir()}
    with Image.open(files["01-fly-through.gif"]) as film:
        assert getattr(film, "n_frames", 1) == count
    stored = pydicom.dcmread(files["0001.dcm"])
    assert stored.NumberOfFrames == count
    assert f"in flight through the patient, {count} pictures" in stored.DerivationDescription
    assert stored.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7.4"
    (plain,) = json.loads(files["recipes.json"].read_text(encoding="utf-8"))
    again = draw(air, read_recipe(plain)).pixels
    assert (again == stored.pixel_array).mean() > 0.99  # the film is the recipe's
    assert np.asarray(Image.open(files["01-fly-through-001.png"]).convert("RGB")).shape == (40, 40, 3)


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--lumen", "ureter"], 2, "'ureter' is no lumen: there are airways, air, vessel"),
        ([], 1, "There is no trachea"),
        (["--lumen", "air", "--unfold", "flat.jpg"], 2, "it is written as .png"),
        (["--lumen", "air"], 1, "two points at least"),
        (["--lumen", "air", "--through", "1,2"], 2, "'1,2' is no point"),
    ],
)
def test_what_is_wrong_is_said(
    options: list[str], code: int, sentence: str, folder: Path, command: Command, tmp_path: Path
) -> None:
    ran = command("fly", str(folder), *options, "-o", tmp_path / "out")
    assert (ran.code, "Traceback" in ran.err) == (code, False)
    assert sentence in " ".join(ran.err.replace("│", " ").split())
    assert not (tmp_path / "out").exists()
