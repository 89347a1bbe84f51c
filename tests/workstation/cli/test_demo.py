"""The demonstration, run once: what it decides, what it leaves, and that others accept every object of it."""

import fcntl
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.conformance.validators import dciodvfy, pixelmed
from tests.thorough import one_in
from tests.workstation.samples import DATA
from workstation.cli.demo import DemoError, demo
from workstation.hl7.acknowledgement import control_id_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder for all workers: xdist gives each a folder of its own below a common one."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "demo-output"


@pytest.fixture(scope="module")
def result(output: Path) -> Any:
    """What it printed. The first worker that comes runs it, the others wait for it."""
    said = output.with_suffix(".json")
    with output.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            said.write_text(run(output), encoding="utf-8")
    return json.loads(said.read_text(encoding="utf-8"))


def run(output: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "workstation", "demo", "-o", str(output), "--data", str(DATA), "--json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert f"Contact sheet: {output / 'documented' / 'pictures' / 'contact_sheet.png'}" in done.stderr
    return done.stdout


def test_documented_is_released_and_acknowledged(result: Any) -> None:
    case = result["documented"]
    assert case["received"] == 108
    assert case["decision"]["disposition"] == "release"
    assert [(c["code"], c["modifiers"], c["base"]) for c in case["decision"]["lines"]] == [("76377", ["26"], "70450")]
    assert case["acknowledged"] == case["messages"] == len(case["objects"]) + 1
    assert case["pacs_instances"] == len(case["objects"])
    (charge,) = case["billing_messages"]
    assert "DFT^P03" in charge.split("\r")[0]
    assert control_id_of(charge.encode())
    assert "76377-26" in case["summary"]


def test_utility_missing_is_held_for_the_physician(result: Any) -> None:
    case = result["utility_missing"]
    assert case["decision"]["disposition"] == "hold"
    assert [(e["code"], e["resolver"]) for e in case["decision"]["explanations"]] == [("UTILITY_MISSING", "physician")]
    assert [c["code"] for c in case["decision"]["proposed"]] == ["76377"]
    assert case["billing_messages"] == []
    assert case["acknowledged"] == case["messages"] == len(case["objects"])


def content(ds: Dataset) -> list[tuple[str, object]]:
    """All that an object says but UIDs, times and digests: every element with its place and VR, its value otherwise."""
    found: list[tuple[str, object]] = []
    for element in ds:
        where, value = f"{element.tag} {element.VR}", element.value
        if element.VR == "SQ":
            found.append((where, len(value)))
            found += [(f"{where}[{n}] {inner}", said) for n, item in enumerate(value) for inner, said in content(item)]
        elif element.VR in ("UI", "DA", "TM", "DT"):
            found.append((where, element.VM))
        else:
            found.append((where, re.sub(r"[0-9a-f]{64}|\d{14}\+0000", "…", value) if element.VR == "UT" else value))
    return found


def test_both_cases_store_the_same(result: Any) -> None:
    """So what others say of the objects of one, they say of the other's."""
    documented, missing = (result[name]["objects"] for name in ("documented", "utility_missing"))
    assert len(documented) == len(missing) > 50
    for one, other in [*zip(documented, missing, strict=True)][:: one_in(3)]:
        assert content(dcmread(one)) == content(dcmread(other)), other


def test_dciodvfy_finds_no_error_in_any_object(result: Any) -> None:
    objects = [Path(path) for path in result["documented"]["objects"]][:: one_in(2)]  # most are of one stack
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(objects, pool.map(dciodvfy, objects), strict=True))
    assert {path: errors for path, errors in found.items() if errors} == {}


def test_pixelmed_finds_no_error_in_the_sr(result: Any) -> None:
    assert pixelmed(Path(result["documented"]["sr"])) == []


def picture(result: Any, name: str) -> NDArray[np.float64]:
    """A rendering of the demonstration as grey values."""
    (file,) = (Path(f) for f in result["documented"]["pictures"] if Path(f).stem.endswith(name))
    with Image.open(file) as image:
        return np.asarray(image.convert("L"), dtype=np.float64)


def box(lit: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """First and last row, first and last column with anything lit."""
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def width(row: NDArray[np.bool_]) -> int:
    there = np.flatnonzero(row)
    return int(there[-1] - there[0])


def test_the_contact_sheet_is_no_flat_picture(result: Any) -> None:
    sheet = Path(result["documented"]["contact_sheet"])
    with Image.open(sheet) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[0] > 600 and pixels.shape[1] > 1000
    assert pixels.std() > 30
    # Each tile of it shows something: ten pictures in rows of four, 320 x 342 pixels each with its caption.
    for number in range(10):
        top, left = number // 4 * 342 + 22, number % 4 * 320
        assert pixels[top + 40 : top + 280, left + 40 : left + 280].std() > 15, number


def test_the_head_is_upright(result: Any) -> None:
    anterior = picture(result, "bone-anterior")
    lit = anterior > 60
    top, bottom, left, right = box(lit)
    height, middle = bottom - top, (left + right) // 2
    # The dome is round and narrow at the top; the scan ends with a straight cut below the teeth.
    assert width(lit[top + height // 30]) < 0.75 * width(lit[bottom - height // 30])
    forehead = lit[top + height // 10 : top + height // 3, middle - 30 : middle + 30]
    assert forehead.mean() > 0.9
    for corner in (lit[:40, :40], lit[:40, -40:], lit[-40:, :40], lit[-40:, -40:]):
        assert not corner.any()


def test_the_patients_right_is_on_the_left_of_an_anterior_view(result: Any) -> None:
    """The sample has a fracture of the right frontal bone: more edges on that side of the forehead."""
    anterior = picture(result, "bone-anterior")
    top, bottom, left, right = box(anterior > 60)
    height, middle, across = bottom - top, (left + right) / 2, right - left
    edges = np.hypot(*np.gradient(anterior))[top + int(0.12 * height) : top + int(0.48 * height)]
    on_the_left = edges[:, int(middle - 0.4 * across) : int(middle - 0.1 * across)].mean()
    on_the_right = edges[:, int(middle + 0.1 * across) : int(middle + 0.4 * across)].mean()
    assert on_the_left > 1.2 * on_the_right


@pytest.mark.parametrize(("name", "face"), [("bone-left", "left"), ("bone-right", "right")])
def test_side_views_face_the_right_way(result: Any, name: str, face: str) -> None:
    """Jaws and teeth reach lower than the neck: the lowest part of the picture is fuller on the side of the face."""
    lit = picture(result, name) > 60
    _, bottom, left, right = box(lit)
    lowest, middle = lit[bottom - 40 : bottom], (left + right) // 2
    halves = {"left": lowest[:, left:middle].mean(), "right": lowest[:, middle:right].mean()}
    assert max(halves, key=lambda side: halves[side]) == face


def test_what_it_leaves_lies_in_its_folder(result: Any, output: Path) -> None:
    for case in result.values():
        for path in (*case["pictures"], case["contact_sheet"], case["sr"], *case["objects"]):
            assert Path(path).is_relative_to(output)
            assert Path(path).is_file()


def test_it_never_empties_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DemoError, match="not an earlier demonstration"):
        demo(tmp_path, DATA, print)
    assert (tmp_path / "letter.txt").exists()


def test_without_the_sample_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="--data"):
        demo(tmp_path / "output", tmp_path, print)
