"""The one way a kernel is compiled, so that the promise of equal bytes is kept in one place.

No fastmath flag at all: `contract` would fuse a multiplication and an addition where the processor can, `reassoc`
would let the vector width decide the order of a sum. Without them LLVM keeps IEEE 754 order for every operation, and
addition, multiplication, division, square root and rounding to integer are exact by that standard everywhere.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_F = TypeVar("_F", bound=Callable[..., Any])


def kernel(function: _F) -> _F:
    """Compiled, cached on disk, and run without the interpreter lock."""
    return cast(_F, numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=False)(function))


# Two voxels that lie side by side, with one load. Numba has no word for an unaligned wider load, LLVM has.


@intrinsic  # type: ignore[untyped-decorator]
def pair(typing_context: Any, voxels: Any, at: Any) -> Any:
    """int64 holding the bits of elements `at` and `at` + 1 of a C-contiguous int16 or float32 array, flat index."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        wide = ir.IntType(32 if voxels.dtype == types.int16 else 64)
        place = builder.bitcast(builder.gep(array.data, [arguments[1]]), wide.as_pointer())
        loaded = builder.load(place)
        loaded.align = 2 if voxels.dtype == types.int16 else 4
        return loaded if voxels.dtype != types.int16 else builder.zext(loaded, ir.IntType(64))

    return types.int64(voxels, types.int64), code


def _half(builder: Any, voxels: Any, bits: Any, second: bool) -> Any:
    """One of the two elements as float32. x86-64 is little endian: the first is in the low bits."""
    width = 16 if voxels.dtype == types.int16 else 32
    if second:
        bits = builder.lshr(bits, ir.Constant(ir.IntType(64), width))
    part = builder.trunc(bits, ir.IntType(width))
    if width == 32:
        return builder.bitcast(part, ir.FloatType())
    return builder.sitofp(part, ir.FloatType())


@intrinsic  # type: ignore[untyped-decorator]
def first_of_pair(typing_context: Any, voxels: Any, bits: Any) -> Any:
    """The first element of a `pair`, as float32. `voxels` only tells the type."""
    return types.float32(voxels, types.int64), lambda c, b, s, a: _half(b, voxels, a[1], second=False)


@intrinsic  # type: ignore[untyped-decorator]
def second_of_pair(typing_context: Any, voxels: Any, bits: Any) -> Any:
    """The second element of a `pair`, as float32."""
    return types.float32(voxels, types.int64), lambda c, b, s, a: _half(b, voxels, a[1], second=True)
