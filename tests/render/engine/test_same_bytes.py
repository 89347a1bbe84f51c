"""The promise of the cpu engine: same volume, recipe and version, same bytes.

When the bytes are meant to change: raise ENGINE_VERSION, then run
`python -m tests.render.scenes > tests/render/engine/golden_digests.txt` and look at the pictures before committing.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.render import scenes
from tests.thorough import THOROUGH

GOLDEN = Path(__file__).with_name("golden_digests.txt")


def read(text: str) -> dict[str, str]:
    return {line[66:]: line[:64] for line in text.splitlines()}


def printed(command: list[str], **environment: str) -> dict[str, str]:
    """Returns the digests that a process prints."""
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, **environment},
    )
    return read(run.stdout)


def test_digests_are_the_golden_ones() -> None:
    assert scenes.digests(threads=1) == read(GOLDEN.read_text())


@pytest.mark.slow
def test_another_process_draws_the_same_with_more_threads_and_nothing_left_to_compile() -> None:
    """Every kind of picture runs on what `warm` compiled: the plain case and the one with everything, two dtypes."""
    script = (
        "from render.engine.cpu import body, occlusion, project, reslice, sampling, shade, tables\n"
        "from render.engine.cpu.frames import warm\n"
        "from tests.render import scenes\n"
        "def known():\n"
        "    found = {}\n"
        "    for module in (body, occlusion, project, reslice, sampling, shade, tables): found |= vars(module)\n"
        "    return {name: len(f.signatures) for name, f in found.items() if hasattr(f, 'signatures')}\n"
        "warm(); before = known(); digests = scenes.digests(threads=3); after = known()\n"
        "assert before == after, {name: (before[name], n) for name, n in after.items() if n != before[name]}\n"
        "for name, digest in digests.items(): print(f'{digest}  {name}')\n"
    )
    assert printed([sys.executable, "-c", script], PYTHONHASHSEED="7") == read(GOLDEN.read_text())


@pytest.mark.slow
def test_the_plainest_processor_draws_the_same() -> None:
    """Compiled for bare x86-64 (SSE2: no AVX, no fused multiply-add), and numpy and OpenBLAS held to their oldest."""
    golden = read(GOLDEN.read_text())
    # Each kernel is compiled anew, which takes most of a minute for all. A projection and a reformat stand for them.
    wanted = tuple(golden) if THOROUGH else ("mip int16", "stack int16")
    plain = printed(
        [sys.executable, "-m", "tests.render.scenes", *wanted],
        NUMBA_CPU_NAME="x86-64",
        NUMBA_CPU_FEATURES="",
        OPENBLAS_CORETYPE="Prescott",
        NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4 AVX512_ICL AVX512_SPR AVX512F AVX512_SKX AVX2 FMA3",
    )
    assert plain == {name: golden[name] for name in wanted}
