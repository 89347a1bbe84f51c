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

# Runs a program with its arguments, once for each line of them, and says each time which of these are loaded by then.
PROGRAM = """
import json, runpy, sys
for words in json.loads(sys.argv[1]):
    sys.argv = words
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        assert not ended.code, ended.code
    print(",".join(n for n in ("numba", "llvmlite", "vtk", "vtkmodules") if n in sys.modules), file=sys.stderr)
"""


def loaded(*words: str, inherits: tuple[int, ...] = ()) -> str:
    return loaded_by([list(words)], inherits)[0]


def loaded_by(lines: list[list[str]], inherits: tuple[int, ...] = ()) -> list[str]:
    """What a process has loaded after each of these; its standard input is at its end from the first."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(lines)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        pass_fds=inherits,
    )
    said = done.stderr.split("\n")[:-1]
    assert len(said) == len(lines), done.stderr
    return said


def test_drawing_loads_the_compiler() -> None:
    assert loaded("render.engine.cpu.frames") == "numba,llvmlite"


def test_a_command_that_draws_nothing_does_not(tmp_path: Path) -> None:
    commands = ["--help", "peers list", "list", "outbox list", "charge list", "people list"]
    found = loaded_by([["workstation", "--root", str(tmp_path), *command.split()] for command in commands])
    assert dict(zip(commands, found, strict=True)) == dict.fromkeys(commands, "")


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
