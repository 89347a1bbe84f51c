"""Labels that a model of the site gives, or a file: taken over, drawn, kept beside the record, and drawn again."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from dicom_io.volumes import build_volume
from tests.thorough import slowly
from tests.workstation.conftest import Command
from tests.workstation.samples import SERIES_UID
from workstation.config import ConfigError, load_config
from workstation.export.inspect import one_series

# What a model would be: another program, which knows NIfTI and neither us nor DICOM.
PROGRAM = """
import sys, SimpleITK as sitk
image = sitk.ReadImage(sys.argv[1])
assert image.GetMetaDataKeys() is not None
found = sitk.Cast(image > 300, sitk.sitkUInt8) + sitk.Cast(image > 1000, sitk.sitkUInt8) * 4
if sys.argv[3] == "turned":
    found = sitk.DICOMOrient(found, "RAS")
if sys.argv[3] == "wild":
    found = sitk.Cast(image, sitk.sitkInt16)
if sys.argv[3] == "fails":
    sys.exit("no licence, sorry")
if sys.argv[3] != "silent":
    sitk.WriteImage(found, sys.argv[2])
"""


@pytest.fixture
def site(command: Command, slices: Path, tmp_path: Path) -> Path:
    """A root with the sample slices and models of every habit."""
    assert command("import", slices).code == 0
    root = tmp_path / "root"
    program = tmp_path / "model.py"
    program.write_text(PROGRAM, encoding="utf-8")
    models = "".join(
        f"""
[[models]]
name = "{name}"
version = "1.2"
command = ["{sys.executable}", "{program}", "{{volume}}", "{{labels}}", "{name}"]
modalities = ["{"MR" if name == "mr" else "CT"}"]
[models.labels]
1 = "bone"
{'5 = "metal"' if name != "unnamed" else ""}
"""
        for name in ("straight", "turned", "wild", "fails", "silent", "unnamed", "mr")
    )
    with (root / "config.toml").open("a", encoding="utf-8") as file:
        file.write(models)
    return root


def truth(slices: Path, root: Path) -> Any:
    voxels = build_volume(one_series(str(slices), root)).voxels
    return np.where(voxels > 1000, 5, np.where(voxels > 300, 1, 0))


@pytest.mark.parametrize("name", [*slowly("straight"), "turned"])
def test_a_model_gives_segments_on_the_grid(
    command: Command, slices: Path, site: Path, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "labels.nrrd"
    answer = command("segment", SERIES_UID, "--model", name, "-o", file, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["made_by"] == f"{name} 1.2"
    assert [one["name"] for one in answer.json["segments"]] == ["bone", "metal"]
    wanted = truth(slices, site)
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(file))), wanted)
    assert [one["voxels"] for one in answer.json["segments"]] == [(wanted == 1).sum(), (wanted == 5).sum()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("wild", "are no labels; whole numbers from 0 to 255 are"),
        ("fails", "failed with exit 1. It said: no licence, sorry"),
        ("silent", "it wrote no file"),
        ("unnamed", "gave labels [5] that the settings do not name"),
        ("mr", "is for MR, and the series is CT"),
        ("other", "is not in the settings ([[models]]); there are straight, turned"),
    ],
)
def test_a_model_that_fails_says_why_and_leaves_nothing(
    command: Command, site: Path, tmp_path: Path, name: str, says: str
) -> None:
    file = tmp_path / "labels.nrrd"
    answer = command("segment", SERIES_UID, "--model", name, "-o", file)
    assert answer.code == 1
    assert says in " ".join(answer.err.split())
    assert not file.exists()


def test_one_that_does_not_end_is_stopped_with_what_it_started(command: Command, site: Path, tmp_path: Path) -> None:
    with (site / "config.toml").open("a", encoding="utf-8") as file:
        file.write(
            """
[[models]]
name = "slow"
version = "1"
timeout_s = 0.2
command = ["sh", "-c", "sleep 100 & echo {volume} {labels}; wait"]
labels = { 1 = "bone" }
"""
        )
    answer = command("segment", SERIES_UID, "--model", "slow", "-o", tmp_path / "x.nrrd")
    assert answer.code == 1 and "did not end within 0.2 s" in answer.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ('command = ["m", "{volume}"]\nlabels = {1 = "a"}', "needs {volume} and {labels}"),
        ('command = ["m", "{volume}", "{labels}"]\nlabels = {}', "1 to 255"),
        ('command = ["m", "{volume}", "{labels}"]\nlabels = {300 = "a"}', "1 to 255"),
        ('command = "m {volume} {labels}"\nlabels = {1 = "a"}', "command"),
    ],
)
def test_settings_that_cannot_be_are_errors(tmp_path: Path, words: str, says: str) -> None:
    (tmp_path / "config.toml").write_text(f'[[models]]\nname = "m"\nversion = "1"\n{words}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=says.replace("{", r"\{")):
        load_config(tmp_path)


@pytest.mark.slow
def test_segments_are_drawn_kept_and_drawn_again(command: Command, site: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.dcm"
    assert command("segment", SERIES_UID, "--model", "straight", "-o", labels).code == 0
    plain = command("run", SERIES_UID, "--protocol", "tiny", "--json").json
    made = command("run", SERIES_UID, "--protocol", "tiny", "--labels", labels, "--json")
    assert made.code == 0, made.err
    assert made.json["sr"]["path"] != plain["sr"]["path"]
    checks = command("verify", made.json["sr"]["path"], "--json").json
    pictures = {check["what"]: check["agrees"] for check in checks if check["what"].startswith("picture")}
    assert set(pictures.values()) == {True} and len(pictures) == 6
    assert "straight 1.2" in command("explain", made.json["sr"]["path"]).out
    # Without what was kept beside the record, the picture says what is missing; the others are made again.
    kept = [ds for ds in site.rglob("*.dcm") if b"label 5" in ds.read_bytes()]
    assert kept
    for file in kept:
        file.unlink()
    checks = command("verify", made.json["sr"]["path"], "--json").json
    failed = {check["what"]: check["why"] for check in checks if check["what"].startswith("picture Bone")}
    assert "The labels of straight 1.2" in " ".join(failed.values()), checks


@pytest.mark.slow
def test_a_protocol_without_renderings_shows_no_segments(command: Command, site: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.nrrd"
    assert command("segment", SERIES_UID, "--model", "straight", "-o", labels).code == 0
    recipe = tmp_path / "mip.json"
    recipe.write_text(
        '{"kind": "projection", "mode": "mip", "window": {"centre": 300, "width": 1000}, "rows": 32, "columns": 32}',
        encoding="utf-8",
    )
    answer = command("render", SERIES_UID, "--recipe", recipe, "--labels", labels, "-o", tmp_path / "out")
    assert answer.code == 1 and "Segments are coloured in volume renderings" in answer.err


def test_one_way_to_say_what_marks_it(command: Command, site: Path, tmp_path: Path) -> None:
    out = ["-o", tmp_path / "x.nrrd"]
    assert command("segment", SERIES_UID, *out).code == 2
    assert command("segment", SERIES_UID, "--tool", "bone", "--model", "straight", *out).code == 2
