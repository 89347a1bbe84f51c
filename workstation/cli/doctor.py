"""What this machine has and what it lacks."""

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from render.engine.choice import EngineName, choose
from render.engine.vtk import device, is_hardware
from workstation import DISTRIBUTION
from workstation.config import ConfigError, load_config
from workstation.export.movies import VideoError, encoder
from workstation.site import open_to_others

_PEERS = ("storescu", "storescp", "dciodvfy", "DicomSRValidator", "Orthanc", "dcm2niix")


def examine(root: Path) -> dict[str, Any]:
    """Facts about this machine in the order in which a person wants them. Never raises for what is missing."""
    existing = next(p for p in (root, *root.absolute().parents) if p.exists())
    opengl = device()
    stored = choose(_wish(root))
    here = Path(sys.executable).parent
    peers = {p: bool(shutil.which(p) or shutil.which(p, path=str(here))) for p in _PEERS}
    return {
        "workstation": version(DISTRIBUTION),
        "python": sys.version.split()[0],
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "state_folder": str(root),
        "state_folder_is": open_to_others(root) or "its owner's alone",
        "disk_free_gib": round(shutil.disk_usage(existing).free / 2**30, 1),
        "opengl": opengl or "none (not needed: the cpu engine draws without)",
        "hardware_gpu": is_hardware(opengl),
        "engine": stored.engine,
        "engine_why": stored.why,
        "numba": _version("numba"),
        "vtk": _version("vtk"),
        "video": _video(),
        "desktop": _version("PySide6-Essentials"),
        "peers": ", ".join(name for name, there in peers.items() if there) or "none",
        "missing": ", ".join(name for name, there in peers.items() if not there) or "nothing",
    }


def _wish(root: Path) -> EngineName:
    """What the settings say; where they cannot be read, what holds without them."""
    try:
        return load_config(root).engine
    except ConfigError:
        return "cpu"


def _video() -> str:
    try:
        return f"av {_version('av')}, {encoder()}"
    except VideoError:
        return f"not installed (render --mp4 needs it: pip install '{DISTRIBUTION}[video]')"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None
