"""The import contracts hold, and each of them sees the import that it forbids."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.thorough import one_in

ROOT = Path(__file__).parents[2]
PACKAGES = ("render", "dicom_io", "workstation")
PROGRAM = Path(sys.executable).with_name("lint-imports")

LAYERS = "workstation imports dicom_io imports render, never back"
ROOMS = "the rooms of workstation: imports run down"
CODER = "the desktop is the radiologist's, the coder's work has a room of its own"
DICOM_ROOMS = "the rooms of dicom_io: imports run down"
RENDER_ROOMS = "the rooms of render: imports run down"
PIXELS = "pixels do not know DICOM, networks, databases or money"
DICOM = "DICOM does not know HL7, FHIR or the command line"
CHARGE = "the charge rules are pure: no DICOM, no database, no network, no pixels"
SQL = "SQL stays in the stores"
QT = "Qt stays in the desktop"
MODEL = "the model of the desktop knows no Qt"
WINDOWS = "the model of the desktop does not know its windows"
NETWORK = "networks stay in the rooms that speak"
PAGES = "pages stay in the console"

# (what is broken, the file, the line planted in it). A file that is not there is made.
PLANTS = (
    (LAYERS, "render/volume.py", "import dicom_io.uids"),
    (LAYERS, "render/engine/cpu/tables.py", "import workstation.config"),
    (LAYERS, "dicom_io/uids.py", "import workstation.config"),
    (ROOMS, "workstation/coder/acts.py", "import workstation.cli.words"),
    (ROOMS, "workstation/serve/measured.py", "import workstation.desktop.language"),
    (ROOMS, "workstation/pipeline.py", "import workstation.coder.acts"),
    (ROOMS, "workstation/billing/fhir.py", "import workstation.transports.folder"),
    (ROOMS, "workstation/orders/statements.py", "import workstation.billing.settle"),
    (ROOMS, "workstation/orders/on_file.py", "import workstation.export.movies"),
    (ROOMS, "workstation/peers/ask.py", "import workstation.records.verify"),
    (ROOMS, "workstation/audit/trail.py", "import workstation.site"),
    (ROOMS, "workstation/store/outbox.py", "import workstation.case"),
    (ROOMS, "workstation/hl7/syntax.py", "import workstation.charge.facts"),
    (ROOMS, "workstation/strict.py", "import workstation.charge.facts"),
    (ROOMS, "workstation/a_new_module.py", "import workstation.site"),
    (CODER, "workstation/desktop/charge_panel.py", "import workstation.coder.acts"),
    (DICOM_ROOMS, "dicom_io/files/elements.py", "import dicom_io.archive.archive"),
    (DICOM_ROOMS, "dicom_io/objects/derived.py", "import dicom_io.sr.content"),
    (DICOM_ROOMS, "dicom_io/volumes/spacing.py", "import dicom_io.network.query"),
    (DICOM_ROOMS, "dicom_io/uids.py", "import dicom_io.files.values"),
    (RENDER_ROOMS, "render/engine/framing.py", "import render.segment"),
    (PIXELS, "render/volume.py", "import pydicom"),
    (PIXELS, "render/engine/opengl.py", "from PySide6 import QtGui"),
    (PIXELS, "render/draw.py", "from sqlalchemy import select"),
    (DICOM, "dicom_io/sr/content.py", "import hl7apy"),
    (DICOM, "dicom_io/volumes/build.py", "import vtk"),
    (CHARGE, "workstation/charge/rules.py", "import sqlalchemy"),
    (CHARGE, "workstation/charge/facts.py", "from dicom_io.evidence import Evidence"),
    (CHARGE, "workstation/charge/work.py", "import numpy"),
    (SQL, "workstation/cli/words.py", "from sqlalchemy import text"),
    (SQL, "dicom_io/files/series.py", "import sqlite3"),
    (QT, "workstation/cli/app.py", "from PySide6.QtWidgets import QApplication"),
    (MODEL, "workstation/desktop/model/session.py", "from PySide6.QtCore import QObject"),
    (MODEL, "workstation/desktop/model/screen.py", "import workstation.desktop.pane"),
    (WINDOWS, "workstation/desktop/gestures.py", "import workstation.desktop.viewer"),
    (WINDOWS, "workstation/desktop/menus.py", "import workstation.desktop.window"),
    (NETWORK, "workstation/pipeline.py", "import socket"),
    (NETWORK, "dicom_io/archive/archive.py", "from pynetdicom import AE"),
    (NETWORK, "workstation/charge/feed.py", "import urllib.request"),
    (ROOMS, "workstation/coder/acts.py", "import workstation.web.call"),
    (PAGES, "workstation/serve/measured.py", "import starlette"),
)


def contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return found


def lint(folder: Path) -> tuple[int, dict[str, str]]:
    """Exit status, and what is said of each broken contract, for the packages in `folder`."""
    done = subprocess.run(
        [str(PROGRAM), "--no-logo", "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    broken = re.findall(r"^(.+) BROKEN(?: \(.*\))?$", done.stdout, re.MULTILINE)
    assert "Contracts: " in done.stdout, done.stdout + done.stderr
    parts = re.split(r"^(.+)\n-+\n", done.stdout, flags=re.MULTILINE)
    said = dict(zip(parts[1::2], parts[2::2], strict=True))
    return done.returncode, {name: said[name] for name in broken}


def rounds() -> list[list[tuple[str, str, str]]]:
    """The plants, so that each round has at most one for a contract."""
    left, found = list(PLANTS), []
    while left:
        now = list({name: (name, file, line) for name, file, line in reversed(left)}.values())
        left = [plant for plant in left if plant not in now]
        found.append(now)
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages' Python files and of the contracts."""
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            copy = tmp_path / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold(tree: Path) -> None:
    assert lint(tree) == (0, {})


@pytest.mark.slow
@pytest.mark.parametrize("number", range(0, len(rounds()), one_in(3)))
def test_planted_imports_are_caught(number: int, tree: Path) -> None:
    for _, file, line in rounds()[number]:
        place = tree / file
        before = place.read_text(encoding="utf-8") if place.exists() else ""
        place.write_text(f"{before}\n{line}\n", encoding="utf-8")
    status, broken = lint(tree)
    assert status == 1
    for name, file, line in rounds()[number]:
        module, imported = file.removesuffix(".py").replace("/", "."), line.split()[1]
        imported = imported if imported.split(".")[0] in PACKAGES else imported.split(".")[0]
        # The planted import itself is what is said of its contract; of a module in no room, that it is in none.
        said = f"- {module}\n" if file.endswith("a_new_module.py") else f"{module} -> {imported}"
        assert name in broken and said in re.sub(r"- +", "- ", broken[name]), f"{file}: {line}"


def test_every_plant_has_its_round() -> None:
    assert sorted(plant for each in rounds() for plant in each) == sorted(PLANTS)


def test_the_desktop_may_use_qt(tree: Path) -> None:
    window = tree / "workstation" / "desktop" / "window.py"
    window.parent.mkdir(exist_ok=True)
    (window.parent / "__init__.py").touch()
    window.write_text("from PySide6 import QtWidgets\n", encoding="utf-8")
    assert QT not in lint(tree)[1]


def test_every_contract_has_a_plant() -> None:
    assert {contract["name"] for contract in contracts()} == {name for name, _, _ in PLANTS}


def test_every_package_is_installed_and_under_contract() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == set(PACKAGES)
    assert set(settings["tool"]["importlinter"]["root_packages"]) == set(PACKAGES)
    for package in PACKAGES:
        folders = {file.parent for file in (ROOT / package).rglob("*.py")}
        assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
