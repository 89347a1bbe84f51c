"""The one way a kernel is compiled, so that the promise of equal bytes is kept in one place.

No fastmath flag at all: `contract` would fuse a multiplication and an addition where the processor can, `reassoc`
would let the vector width decide the order of a sum. Without them LLVM keeps IEEE 754 order for every operation, and
addition, multiplication, division, square root and rounding to integer are exact by that standard everywhere.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., Any])


def kernel(function: _F) -> _F:
    """Compiled, cached on disk, and run without the interpreter lock."""
    return cast(_F, numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=False)(function))
