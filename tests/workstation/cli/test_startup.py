"""What draws nothing does not wait for what draws: kernels and their compiler are loaded with the first picture."""

import json
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from workstation.serve.role import WorkerSettings
from workstation.site import open_site

# Runs a program with its arguments, then says which of these it has loaded.
PROGRAM = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except SystemExit as ended:
    assert not ended.code, ended.code
print(",".join(name for name in ("numba", "llvmlite", "vtk", "vtkmodules") if name in sys.modules), file=sys.stderr)
"""


def loaded(*words: str, inherits: tuple[int, ...] = ()) -> str:
    """What a process has loaded when it ends; its standard input is at its end from the first."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        pass_fds=inherits,
    )
    return done.stderr.strip()


def test_drawing_loads_the_compiler() -> None:
    assert loaded("render.engine.cpu.frames") == "numba,llvmlite"


@pytest.mark.parametrize(
    "words", [["--help"], ["peers", "list"], ["list"], ["outbox", "list"], ["charge", "list"], ["people", "list"]]
)
def test_a_command_that_draws_nothing_does_not(words: list[str], tmp_path: Path) -> None:
    assert loaded("workstation", "--root", str(tmp_path), *words) == ""


@pytest.mark.skipif(sys.platform == "win32", reason="serve does not run there")
@pytest.mark.parametrize("role", ["receive", "decide", "deliver"])
def test_no_process_of_serve_does(role: str, tmp_path: Path) -> None:
    open_site(tmp_path).papers.engine.dispose()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        told = WorkerSettings(
            role, str(tmp_path), "WORKSTATION", 0.1, 1, listening.fileno() if role == "receive" else -1
        )
        assert loaded("workstation.serve.worker", json.dumps(asdict(told)), inherits=(listening.fileno(),)) == ""


def test_serve_itself_does_not() -> None:
    assert loaded("workstation.serve.supervisor") == ""
