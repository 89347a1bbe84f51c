"""What is built: the sdist holds the checkout, the wheel every data file, and the demonstration runs where that is
installed."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from workstation import DISTRIBUTION

ROOT = Path(__file__).parents[2]
PACKAGES = ("workstation/", "dicom_io/", "render/")
SAMPLE = f"share/{DISTRIBUTION}/sample_data/"


@dataclass(frozen=True)
class Built:
    """sdist, wheel : the files. in_sdist, in_wheel : what they hold, sample data without the folder of the wheel."""

    sdist: Path
    wheel: Path
    in_sdist: frozenset[str]
    in_wheel: frozenset[str]


def committed() -> set[str]:
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return {name for name in listing.decode().split("\0") if name and (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist of this checkout, and the wheel that is built from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    with tarfile.open(sdist) as archive:
        in_sdist = frozenset(name.split("/", 1)[1] for name in archive.getnames() if "/" in name)
    with zipfile.ZipFile(wheel) as packed:
        in_wheel = frozenset(
            name.replace(f"{wheel.name.split('-py3')[0]}.data/data/", "") for name in packed.namelist()
        )
    return Built(sdist, wheel, in_sdist, in_wheel)


@pytest.mark.slow
def test_the_sdist_holds_the_checkout(built: Built) -> None:
    assert not committed() - built.in_sdist


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages(built: Built) -> None:
    wanted = {name for name in committed() if name.startswith(PACKAGES)}
    assert {name for name in wanted if not name.endswith(".py")} > {
        "workstation/desktop/model/keys.toml",
        "workstation/desktop/languages/de.toml",
        "workstation/desktop/theme.qss",
        "workstation/charge/base_codes.csv",
        "workstation/charge/policies/guide.toml",
        "workstation/conformance.template.md",
        "render/presets/ct_bone.toml",
    }
    assert not wanted - built.in_wheel
    assert not {name for name in built.in_wheel if name.startswith("tests/")}


@pytest.mark.slow
def test_the_wheel_brings_the_sample_series_with_its_licence(built: Built) -> None:
    wanted = {name for name in committed() if name.startswith("sample_data/")}
    assert {"sample_data/ct_head/LICENSE", "sample_data/ct_head/GPL-2", "sample_data/ct_head/SOURCE.md"} < wanted
    assert not {name.replace("sample_data/", SAMPLE, 1) for name in wanted} - built.in_wheel


@pytest.mark.slow
def test_the_demonstration_runs_where_the_wheel_is_installed(built: Built, tmp_path: Path) -> None:
    """In an environment of its own, outside the checkout. It borrows the packages that ours depends on from the one of
    the tests: they are a gigabyte."""
    home = tmp_path / "environment"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    own = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout.strip()  # fmt: skip
    # A plain line: the path files over there, with that of the checkout, are not followed.
    (Path(own) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    subprocess.run(
        [*pip, "install", "-q", "--no-index", "--no-deps", str(built.wheel)],
        capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "WORKSTATION_"))}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    for package in ("workstation", "dicom_io", "render"):
        place = run(str(python), "-c", f"import {package}; print({package}.__file__)")
        assert place.startswith(own), f"{package} comes from {place}"
    program = str(home / "bin" / "workstation")
    said = run(program, "demo", "-o", "out")
    assert "documented: released, 76377-26" in said
    assert "utility_missing: held, UTILITY_MISSING" in said
    assert (tmp_path / "out" / "documented" / "pictures" / "contact_sheet.png").is_file()

    for file in (home / SAMPLE / "ct_head").iterdir():
        file.unlink()
    (home / SAMPLE / "ct_head").rmdir()
    refused = subprocess.run(
        [program, "demo", "-o", "again"], cwd=tmp_path, env=surroundings, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "name it with --data" in refused.stderr
    assert DISTRIBUTION in refused.stderr
