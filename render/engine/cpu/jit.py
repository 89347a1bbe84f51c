"""The one way to compile a kernel, so that one place ensures equal bytes on every machine.

No fastmath flag at all: `contract` would fuse a multiplication and an addition where the processor can, `reassoc`
would let the vector width decide the order of a sum. Without them LLVM keeps IEEE 754 order for every operation, and
addition, multiplication, division, square root and rounding to integer are exact by that standard everywhere.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., Any])
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False, "_nrt": False}


def cache_folder() -> Path | None:
    """Returns the folder of compiled kernels: in the user's cache folder, or with a read-only home in the temporary
    folder; None when neither can be written (each process then compiles for itself). NUMBA_CACHE_DIR overrides both.

    The folder's name is the digest of every source file of the kernels, because numba checks only the file of the
    kernel itself and would miss a changed helper elsewhere.
    """
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(named)
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    name = Path("workstation") / f"kernels-{digest.hexdigest()[:16]}"
    # Another user's folder in a shared temporary folder must not be trusted: we run the compiled code in it.
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    for folder in (_user_cache() / name, Path(tempfile.gettempdir()) / f"workstation-{user}" / name.name):
        if _ours(folder):
            return folder
    return None


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _ours(folder: Path) -> bool:
    """Whether the folder exists or can be made, only this user may write to it, and a file can be written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except (OSError, RuntimeError):  # RuntimeError: the home folder is unknown
        return False


CACHE = cache_folder()
if CACHE is not None:
    numba.config.CACHE_DIR = str(CACHE)


def kernel(function: _F) -> _F:
    """Compiles a kernel, caches it on disk, and runs it without the GIL.

    A kernel allocates nothing: it fills its arguments or `simd.scratch`. With allocation, numba would count references,
    atomically, for every array that is passed on in the innermost loops.
    """
    return cast(_F, numba.njit(cache=CACHE is not None, **_OPTIONS)(function))


def helper(function: _F) -> _F:
    """Compiles a function into each kernel that calls it."""
    return cast(_F, numba.njit(forceinline=True, **_OPTIONS)(function))
