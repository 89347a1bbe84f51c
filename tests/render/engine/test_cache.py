"""Compiled kernels are kept in the user's cache folder, under a name that changes with any kernel's source."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from render.engine.cpu import jit

ROOT = Path(__file__).parents[3]


def test_the_users_cache_folder_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = jit.cache_folder()
    assert folder is not None and folder.parent == tmp_path / "workstation" and folder.name.startswith("kernels-")
    assert folder.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/somewhere")
    assert jit.cache_folder() == Path("/somewhere")


def test_any_changed_source_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    (tmp_path / "helper.py").write_text("a = 1")
    before = jit.cache_folder()
    assert jit.cache_folder() == before
    (tmp_path / "helper.py").write_text("a = 2")
    assert jit.cache_folder() != before


def test_a_home_that_cannot_be_written_falls_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/no/such/home")
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    folder = jit.cache_folder()
    assert folder is not None and tmp_path in folder.parents
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/proc/no/such/folder")
    assert jit.cache_folder() is None


@pytest.mark.slow
def test_without_any_folder_kernels_still_run() -> None:
    script = (
        "import numpy as np\n"
        "from render.engine.cpu import jit\n"
        "assert jit.CACHE is None\n"
        "from render.engine.cpu.tables import entry\n"
        "assert entry(np.float32(3.0), np.float32(1.0), np.float32(2.0), 10) == 4\n"
    )
    nowhere = {"XDG_CACHE_HOME": "/proc/no", "TMPDIR": "/proc/no"}
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"} | nowhere
    # Python's own search for a temporary folder goes on past TMPDIR, so it is told where there is none.
    script = "import tempfile; tempfile.tempdir = '/proc/no'\n" + script
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, env=environment)
