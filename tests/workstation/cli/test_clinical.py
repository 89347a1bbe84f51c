"""`segment` and `lesion`: what they print and write, and how they decline."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicom_io.volumes import build_volume
from tests.accuracy.phantoms import ball
from tests.workstation.conftest import Command
from workstation.cli.clinical import point_mm
from workstation.export.inspect import one_series
from workstation.export.mask_files import ToolError, bounds_mm, tool_step

KEYS = ["volume_ml", "voxels", "bounds_mm", "confidence", "declined"]


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz", "stl", "dcm"])
def test_a_mask_is_written_on_the_grid_of_its_volume(
    command: Command, slices: Path, tmp_path: Path, ending: str
) -> None:
    file = tmp_path / f"bone.{ending}"
    bounds = ["--set", "low=300", "--set", "high=3000"]
    answer = command("segment", slices, "--tool", "values", *bounds, "-o", file, "--json")
    assert answer.code == 0, answer.err
    assert list(answer.json) == KEYS
    volume = build_volume(one_series(str(slices), tmp_path))
    wanted = (volume.voxels >= 300) & (volume.voxels <= 3000)
    assert answer.json["voxels"] == np.count_nonzero(wanted)
    assert answer.json["bounds_mm"] == bounds_mm(volume, wanted.view(np.uint8))
    if ending == "nrrd":
        data = gzip.decompress(file.read_bytes().split(b"\n\n", 1)[1])
        assert np.array_equal(np.frombuffer(data, "<i2").reshape(volume.shape) == 1, wanted)
    elif ending == "nii.gz":
        assert np.frombuffer(gzip.decompress(file.read_bytes())[352:], "<i2").sum() == np.count_nonzero(wanted)
    elif ending == "dcm":
        ds = dcmread(file)
        assert ds.Modality == "SEG"
        assert ds.SegmentSequence[0].SegmentLabel == "label 1"
    else:
        assert int.from_bytes(file.read_bytes()[80:84], "little") > 100


def test_a_tool_that_declines_says_why_and_writes_nothing(command: Command, slices: Path, tmp_path: Path) -> None:
    file = tmp_path / "lungs.nrrd"
    answer = command("segment", slices, "--tool", "lungs", "-o", file, "--json")
    assert answer.code == 1
    assert answer.json["declined"].startswith("There is no lung")
    assert list(answer.json) == KEYS
    assert not file.exists()


def test_a_lesion_is_printed_or_declined(command: Command, slices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume, centre, truth = ball((8.0, 8.0, 8.0), (1.0, 0.8, 0.8), 40.0, -850.0, 10.0)
    monkeypatch.setattr("dicom_io.volumes.build_volume", lambda *_, **__: volume)
    found = command("lesion", slices, "--at", ",".join(map(str, centre)), "--json").json
    wanted = ["volume_ml", "longest_mm", "recist_mm", "short_axis_mm", "mean", "sd", "minimum", "maximum"]
    assert list(found) == wanted
    assert found["volume_ml"] == pytest.approx(truth, rel=0.03)
    away = command("lesion", slices, "--at", "900,0,0")
    assert away.code == 1
    assert "outside the volume" in away.err


@pytest.mark.parametrize("wrong", ["1,2", "a,b,c", "nan,0,0", "1e9,0,0"])
def test_a_point_that_is_none_is_misuse(command: Command, slices: Path, wrong: str) -> None:
    assert command("lesion", slices, "--at", wrong).code == 2
    with pytest.raises(Exception, match=r"no point|nowhere"):
        point_mm(wrong)


@pytest.mark.parametrize(
    ("tool", "points", "parameters", "said"),
    [
        ("heart", [], {}, "there are body, lungs"),
        ("bone", [(0.0, 0.0, 0.0)], {}, "takes no point"),
        ("lesion", [], {}, "takes one point"),
        ("values", [], {"label": "3"}, "has no parameter 'label'; it has low, high"),
        ("values", [], {"low": "much", "high": "3"}, "low: Input should be a valid number"),
        ("grown", [(0.0, 0.0, 0.0)], {"low": "0"}, "high"),
    ],
)
def test_a_tool_is_told_what_is_possible(
    tool: str, points: list[tuple[float, float, float]], parameters: dict[str, str], said: str
) -> None:
    with pytest.raises(ToolError, match=said):
        tool_step(tool, points, parameters)


def test_an_ending_without_a_format_is_refused(command: Command, slices: Path, tmp_path: Path) -> None:
    answer = command("segment", slices, "--tool", "bone", "-o", tmp_path / "bone.xyz")
    assert answer.code == 1
    assert ".nrrd" in answer.err
