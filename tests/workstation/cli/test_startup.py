"""What draws nothing does not wait for what draws: kernels and their compiler are loaded with the first picture."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.thorough import slowly
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
    slow = ("numba", "llvmlite", "scipy.ndimage", "vtk", "vtkmodules")
    print(",".join(n for n in slow if n in sys.modules), file=sys.stderr)
"""


def loaded(*words: str) -> str:
    return loaded_by([list(words)])[0]


def loaded_by(lines: list[list[str]]) -> list[str]:
    """What a process has loaded after each of these; its standard input is at its end from the first."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(lines)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    said = done.stderr.split("\n")[:-1]
    assert len(said) == len(lines), done.stderr
    return said


def test_drawing_loads_the_compiler() -> None:
    assert loaded("render.engine.cpu.frames") == "numba,llvmlite"


@pytest.mark.slow
def test_a_command_that_draws_nothing_does_not(tmp_path: Path) -> None:
    commands = ["--help", "peers list", "list", "outbox list", "charge list", "people list"]
    found = loaded_by([["workstation", "--root", str(tmp_path), *command.split()] for command in commands])
    assert dict(zip(commands, found, strict=True)) == dict.fromkeys(commands, "")


# A worker whose supervisor is gone from the first, as one that ends at once.
WORKER = """
import multiprocessing, socket, sys
from workstation.serve.role import WorkerSettings
from workstation.serve.worker import work
heard, commands = multiprocessing.Pipe(duplex=False)
commands.close()
told, events = multiprocessing.Pipe(duplex=False)
with socket.create_server(("127.0.0.1", 0)) as listening:
    work("worker", WorkerSettings(sys.argv[1], sys.argv[2], "WORKSTATION", 0.1, 1), listening, heard, events)
print(",".join(n for n in ("numba", "llvmlite", "vtk", "vtkmodules") if n in sys.modules))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="serve does not run there")
@pytest.mark.parametrize("role", ["decide", *slowly("receive", "deliver")])
def test_no_process_of_serve_does(role: str, tmp_path: Path) -> None:
    open_site(tmp_path).papers.engine.dispose()
    done = subprocess.run(
        [sys.executable, "-c", WORKER, role, str(tmp_path)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "\n"


@pytest.mark.slow
def test_serve_itself_does_not() -> None:
    assert loaded("workstation.serve.supervisor") == ""
