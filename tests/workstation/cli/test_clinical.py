"""`segment` and `lesion`: what they print and write, and how they decline."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicom_io.volumes import build_volume
from tests.accuracy.phantoms import ball
from tests.workstation.conftest import Command
from tests.workstation.samples import SERIES_UID
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
    monkeypatch.setattr("workstation.export.inspect.build_volume", lambda *_, **__: volume)
    found = command("lesion", slices, "--at", ",".join(map(str, centre)), "--json").json
    wanted = ["volume_ml", "longest_mm", "recist_mm", "short_axis_mm", "mean", "sd", "minimum", "maximum"]
    assert list(found) == [*wanted, "density"] and found["density"] == "solid"
    assert found["volume_ml"] == pytest.approx(truth, rel=0.03)
    away = command("lesion", slices, "--at", "900,0,0")
    assert away.code == 1
    assert "outside the volume" in away.err


@pytest.mark.slow
def test_a_lesion_is_compared_with_a_prior(
    command: Command, slices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first series opened is a ball of 10 mm, the other one of 8 mm of a year before."""
    earlier = tmp_path / "prior"
    earlier.mkdir()
    for file in slices.iterdir():
        ds = dcmread(file)
        ds.StudyDate = str(int(ds.StudyDate) - 10000)
        ds.save_as(earlier / file.name)
    (now, at, _), (before, there, _) = (
        ball((radius,) * 3, (1.0, 0.8, 0.8), 40.0, -850.0, 10.0) for radius in (10.0, 8.0)
    )
    made = iter([now, before] * 3)
    monkeypatch.setattr("workstation.export.inspect.build_volume", lambda *_, **__: next(made))
    places = ["--at", ",".join(map(str, at)), "--prior-at", ",".join(map(str, there))]
    found = command("lesion", slices, *places, "--prior", earlier, "--json").json
    assert found["days"] in (365, 366)
    assert found["change_percent"] == pytest.approx(95.3, abs=6.0)
    assert found["recist_change_percent"] == pytest.approx(25.0, abs=3.0)
    assert found["doubling_days"] == pytest.approx(378.0, rel=0.05)
    assert found["transform"] is None and found["prior"]["recist_mm"] == pytest.approx(16.0, abs=0.5)
    words = command("lesion", slices, *places, "--prior", earlier).out
    assert "volume doubles in" in words and "change: volume +9" in words
    # A series is no prior of itself.
    same = command("lesion", slices, *places, "--prior", slices)
    assert "not older" in same.err and "doubles" not in same.out
    assert command("lesion", slices, *places).code == 2


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


def test_measures_go_into_the_record_and_come_back(command: Command, slices: Path, tmp_path: Path) -> None:
    assert command("import", slices).code == 0
    asked = ["--measure", "distance 0,0,0 3,4,12: -Fistel", "--measure", "angle 1,0,0 0,0,0 0,1,0"]
    made = command("run", SERIES_UID, "--protocol", "tiny", *asked, "--json")
    assert made.code == 0, made.err
    sr, table = made.json["sr"]["path"], tmp_path / "measures.csv"
    rows = command("measures", sr, "--csv", table, "--json").json
    assert [(row["name"], row["number"], row["value"]) for row in rows] == [
        ("distance 1", "length", 13.0),
        ("angle 1", "angle", 90.0),
    ]
    assert table.read_text(encoding="utf-8").splitlines()[1].startswith("distance 1,distance,'-Fistel,length,13.0,mm")
    assert "measurement distance 1" in command("verify", sr).out
    # One that cannot be made stops the case before anything is drawn.
    stopped = command("run", SERIES_UID, "--protocol", "tiny", "--measure", "lesion 900,0,0")
    assert stopped.code == 1 and "'lesion 1' cannot be made" in stopped.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("width 0,0,0 1,1,1", "'width' is no measure"),
        ("ellipse 0,0,0 1,1,1", "is no measure"),
        ("", "is no measure"),
        ("distance 0,0,0 1,1", "is no point"),
        ("volume nonsense", "Tool 'nonsense' is not known"),
    ],
)
def test_a_measure_that_is_none_is_misuse(command: Command, text: str, says: str) -> None:
    answer = command("run", "1.2.3", "--protocol", "tiny", "--measure", text)
    assert answer.code == 2 and says in " ".join(answer.err.replace("│", " ").split())
