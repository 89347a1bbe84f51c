"""`trajectory`: what it prints and writes, and what it says of wrong points and masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from render import Volume
from tests.dicom_io.synthetic import CT, write_series
from tests.workstation.conftest import Command
from workstation.export.volume_files import export

AFFINE = np.array([[0.0, 0, 1, -20], [0, 1, 0, -20], [1, 0, 0, -20], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("trajectory")
    voxels = np.random.default_rng(1).integers(0, 60, (40, 40, 40)).astype(np.int16)
    write_series(found / "series", voxels, AFFINE, sop_class=CT)
    wall = np.zeros((20, 40, 40), dtype=np.int16)
    wall[:, :, 30:] = 1  # on a grid of its own: from x = 10 on, thicker slices
    own = AFFINE.copy()
    own[2, 0] = 2.0
    for ending in (".nrrd", ".nii.gz"):
        export(Volume(wall, own, "1"), found / f"wall{ending}")
    return found


@pytest.mark.slow
def test_a_trajectory_is_measured_and_drawn(folder: Path, command: Command, tmp_path: Path) -> None:
    ran = command(
        "trajectory", str(folder / "series"), "--entry", "2,0,15", "--target", "6,0,-15", "--radius", "1", "--avoid",
        f"wall={folder / 'wall.nrrd'}", "--avoid", str(folder / "wall.nii.gz"), "-o", tmp_path / "out", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.json["length_mm"] == pytest.approx(np.hypot(4.0, 30.0), abs=1e-3)
    for name in ("wall", "wall.nii.gz"):  # both formats lie alike in the patient
        assert ran.json["avoided"][name]["least_mm"] == pytest.approx(2.5, abs=0.6)
        assert ran.json["avoided"][name]["depth_mm"] == pytest.approx(ran.json["length_mm"], abs=2.0)
    assert {Path(file).name for file in ran.json["files"]} == {file.name for file in (tmp_path / "out").iterdir()}
    with Image.open(tmp_path / "out" / "trajectory.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 20
    ends = ("--entry", "2,0,15", "--target", "15,0,0")
    said = command("trajectory", str(folder / "series"), *ends, "--avoid", str(folder / "wall.nrrd"))
    assert "GOES THROUGH" in said.out


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--avoid", "liver"], 1, "'liver' is no mask: give a file (.nrrd, .nii, .nii.gz) or one of body, lungs"),
        (["--avoid", "/nowhere/a.nrrd"], 1, "there is no such file"),
        (["--commissures", "1,2,3"], 2, "three points are needed"),
        (["--window", "40"], 2, "'40' is not CENTRE,WIDTH"),
        (["--radius", "50"], 1, "0 to 20 are possible"),
        (["--avoid", "brain"], 1, "brain: There is no brain"),
    ],
)
def test_what_is_wrong_is_said(options: list[str], code: int, sentence: str, folder: Path, command: Command) -> None:
    ran = command("trajectory", str(folder / "series"), "--entry", "2,0,15", "--target", "6,0,-15", *options)
    assert (ran.code, "Traceback" in ran.err) == (code, False)
    assert sentence in " ".join(ran.err.replace("│", " ").split())
