"""The two independent validators, as functions from a file to the errors they find in it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_PIXELMED = Path("/usr/share/java/pixelmed.jar")
# Java stops long XPath expressions by default; the SR templates are long ones.
# A short run is over sooner with the quick compiler alone.
_OPTIONS = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
_OPTIONS += [f"-Djdk.xml.xpath{name}Limit=0" for name in ("TotalOp", "ExprGrp", "ExprOp")]


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
    if shutil.which("java") is None or not _PIXELMED.exists():
        pytest.skip("PixelMed's SR validator is not installed (Debian package pixelmed-apps)")
    done = subprocess.run(
        ["java", *_OPTIONS, "-cp", str(_PIXELMED), "com.pixelmed.validate.DicomSRValidator", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = (done.stdout + done.stderr).splitlines()
    # What it says when it has gone through; without that, silence would look like success.
    assert any("Root Template Validation Complete" in line for line in lines), "\n".join(lines)
    return [line for line in lines if "Error" in line or "Exception" in line]
