"""The two independent validators, as functions from a file to the errors they find in it."""

import atexit
import functools
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset


def dciodvfy(path: Path) -> list[str]:
    """Errors of dicom3tools' IOD verifier. Skips where it is not installed."""
    program = shutil.which("dciodvfy", path=f"{Path(sys.executable).parent}") or shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy is not installed (package dicom3tools)")
    done = subprocess.run(
        [program, str(path)], capture_output=True, text=True, timeout=60, check=False, errors="replace"
    )
    lines = (done.stdout + done.stderr).splitlines()
    assert lines, f"dciodvfy said nothing about {path}"
    return [line for line in lines if line.startswith("Error")]


def pixelmed(path: Path) -> list[str]:
    """Errors of PixelMed's SR validator. Skips where it or Java is not installed."""
    pytest.importorskip("jpype")
    from tests.conformance.pixelmed import JAR

    if shutil.which("java") is None or not Path(JAR).exists():
        pytest.skip("PixelMed's SR validator is not installed (Debian package pixelmed-apps)")
    lines = _Validator.of_this_process().validate(path).splitlines()
    # What it says when it has gone through; without that, silence would look like success.
    assert any("Root Template Validation Complete" in line for line in lines), "\n".join(lines)
    return [line for line in lines if "Error" in line or "Exception" in line]


class _Validator:
    """PixelMed's validator in a process of its own, which ends with this one."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("pixelmed.py"))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._one_at_a_time = threading.Lock()
        atexit.register(self._end)

    @staticmethod
    @functools.cache
    def of_this_process() -> "_Validator":
        return _Validator()

    def validate(self, path: Path) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        with self._one_at_a_time:
            limit = threading.Timer(300, self._process.kill)
            limit.start()
            try:
                self._process.stdin.write(f"{path}\n")
                self._process.stdin.flush()
                answer = self._process.stdout.readline()
            finally:
                limit.cancel()
        assert answer, f"PixelMed's validator ended over {path}"
        return str(json.loads(answer))

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()


def by_the_tables(ds: Dataset) -> list[str]:
    """What the standard's module tables, as highdicom has them, miss in an object or do not know.

    Type 1 and 2 attributes of the mandatory modules and of the items of every sequence that is there; attributes that
    no module of the object has. Not for functional groups and content items, whose tables hold one for each kind.
    Conditions are not looked at: `dciodvfy` knows those.
    """
    modules, attributes = _tables(str(ds.SOPClassUID))
    wrong = []
    for module, mandatory in modules:
        for path, keyword, kind in attributes[module]:
            if path or mandatory:
                wrong += _missing(ds, path, keyword, kind)
    known = {keyword for module, _ in modules for path, keyword, _ in attributes[module] if not path}
    wrong += [f"{e.keyword or e.tag} is in no module" for e in ds if e.keyword not in known | _ANYWHERE]
    return sorted(set(wrong))


# Allowed in every object whatever its modules, as a standard extended SOP class. Source: PS3.2 7.3.
# Ethnic Group has been retired; what the source has of it is copied.
_ANYWHERE = frozenset({"BodyPartExamined", "Laterality", "EthnicGroup"})


def _missing(ds: Dataset, path: list[str], keyword: str, kind: str) -> list[str]:
    items = [ds]
    for step in path:
        items = [inner for item in items for inner in item.get(step) or ()]
    if kind == "1":
        return [f"{'.'.join([*path, keyword])} (type 1)" for item in items if item.get(keyword) in (None, "", [])]
    return [f"{'.'.join([*path, keyword])} (type 2)" for item in items if kind == "2" and keyword not in item]


@functools.cache
def _highdicoms(name: str) -> Any:
    highdicom = pytest.importorskip("highdicom")
    folder = Path(highdicom.__file__).parent / "_standard"
    if not folder.exists():
        pytest.skip("this highdicom has no tables of the standard where they are looked for")
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


@functools.cache
def _tables(sop_class_uid: str) -> tuple[list[tuple[str, bool]], dict[str, list[tuple[list[str], str, str]]]]:
    """The modules of an object, each with whether it is mandatory, and their attributes: path, keyword and type."""
    iods, attributes, classes = map(_highdicoms, ("iod_module_map", "module_attribute_map", "sop_class_iod_map"))
    modules = [(each["key"], each["usage"] == "M") for each in iods[classes[sop_class_uid]]]
    return modules, {
        module: [(each["path"], each["keyword"], each["type"]) for each in attributes.get(module, [])]
        for module, _ in modules
    }
