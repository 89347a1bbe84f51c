"""`segment --tool fragments`, `explode` and `bones`: what they print and write, and how they decline."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from render import read_recipe
from render.mask_steps import Structure
from render.segment.finding import Finding
from render.volume import Volume
from tests.accuracy.bones import balls
from tests.workstation.conftest import Command


@pytest.fixture
def two_balls(monkeypatch: pytest.MonkeyPatch) -> Volume:
    """Two balls of bone, and a tool for bone that finds them, whatever else it would have thought."""
    volume = balls(4.0, (2.0, 1.5, 1.5))

    def bone(of: Volume, structure: Structure) -> Finding:
        assert structure == "bone"
        return Finding((of.voxels >= 300).view(np.uint8), 0.8)

    monkeypatch.setattr("render.segment.making.find", bone)
    monkeypatch.setattr("workstation.export.mask_files.find", bone)
    monkeypatch.setattr("dicom_io.volumes.build_volume", lambda *_, **__: volume)
    return volume


def test_parts_are_listed_with_volume_bounds_and_colour(
    command: Command, slices: Path, tmp_path: Path, two_balls: Volume
) -> None:
    answer = command("segment", slices, "--tool", "fragments", "-o", tmp_path / "parts.stl", "--json")
    assert answer.code == 0, answer.err
    first, second = answer.json["parts"]
    assert (first["label"], first["name"], second["label"], second["name"]) == (1, "part 1", 2, "part 2")
    assert first["volume_ml"] > second["volume_ml"] > 5.0
    assert first["colour"] != second["colour"] and len(first["bounds_mm"]) == 2
    assert answer.json["confidence"] == 0.8
    assert [file.name for file in sorted(tmp_path.glob("*.stl"))] == ["parts-1.stl", "parts-2.stl"]


def test_parts_are_named_and_coloured_segments(
    command: Command, slices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_dense(of: Volume, _: Structure) -> Finding:
        return Finding((of.voxels >= 300).view(np.uint8), 0.8)

    monkeypatch.setattr("render.segment.making.find", all_dense)
    monkeypatch.setattr("workstation.export.mask_files.find", all_dense)
    settings = ["--set", "most=3", "--set", "least_ml=0.1", "--set", "metal=none"]
    answer = command("segment", slices, "--tool", "fragments", *settings, "-o", tmp_path / "parts.dcm", "--json")
    assert answer.code == 0, answer.err
    segments = dcmread(tmp_path / "parts.dcm").SegmentSequence
    assert [s.SegmentLabel for s in segments] == [f"bone, part {n + 1}" for n in range(len(answer.json["parts"]))]
    assert len({tuple(s.RecommendedDisplayCIELabValue) for s in segments}) == len(segments)
    assert segments[0].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Bone"


def test_an_exploded_view_is_a_recipe(command: Command, slices: Path, tmp_path: Path, two_balls: Volume) -> None:
    file = tmp_path / "view.json"
    answer = command("explode", slices, "--spread", "0.5", "--stay", "2", "-o", file, "--json")
    assert answer.code == 0, answer.err
    assert answer.json == {"recipe": str(file), "parts": ["part 1", "part 2"], "moved": 1}
    recipe = read_recipe(json.loads(file.read_text()))
    assert [move["label"] for move in asdict(recipe)["moves"]] == [1]
    assert [step["kind"] for step in asdict(recipe)["segments"]] == ["automatic", "fragments"]
    alone = command("explode", slices, "--without", "1", "--spread", "0", "-o", file, "--json")
    assert alone.json["parts"] == ["part 2"] and alone.json["moved"] == 0
    assert "There is no part 7" in command("explode", slices, "--without", "7", "-o", file).err


def test_the_angle_between_lines_and_parts(command: Command, slices: Path, two_balls: Volume) -> None:
    lines = ["--line", "0,0,0:10,0,0", "--line", "0,0,0:10,10,0"]
    assert command("bones", slices, *lines, "--json").json["angle_deg"] == 45.0
    assert command("bones", slices, *lines, "--seen-from", "anterior", "--json").json["angle_deg"] == 0.0
    assert "about as wide as long" in command("bones", slices, *lines[:2], "--part", "1").err
    assert "needs two axes" in command("bones", slices, *lines[:2]).err
    assert command("bones", slices).code == 2
    assert command("bones", slices, "--line", "0,0,0").code == 2
    assert command("bones", slices, "--head", "0,0,0", "--condyle", "0,0,0", "--condyle", "1,1,1").code == 2


@pytest.mark.slow
def test_a_femur_is_printed_or_declined(command: Command, slices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.accuracy.bones import hip

    case = hip(1, (2.0, 1.5, 1.5), 130.0, 20.0)
    monkeypatch.setattr("dicom_io.volumes.build_volume", lambda *_, **__: case.volume)

    def said(*points: tuple[float, float, float]) -> list[str]:
        return [",".join(map(str, point)) for point in points]

    head, *shaft = said(case.head_mm, *case.shaft_mm)
    condyles = said(*case.condyles_mm)
    clicks = [f"--head={head}", *(f"--shaft={each}" for each in shaft), *(f"--condyle={each}" for each in condyles)]
    answer = command("bones", slices, *clicks, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["neck_shaft_deg"] == pytest.approx(130.0, abs=1.0)
    assert answer.json["version_deg"] == pytest.approx(20.0, abs=1.0)
    alone = command("bones", slices, clicks[0])
    assert "head at" in alone.out and "version" not in alone.out and "offset" not in alone.out
    x, y, z = case.head_mm
    declined = command("bones", slices, f"--head={x + 40},{y},{z}")
    assert declined.code == 1 and "No head" in declined.err
