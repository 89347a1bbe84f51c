"""Vectors of sixteen numbers for kernels: one lane a ray, or one lane a pixel.

Numba has no vector type, LLVM has. A `Vec` has the usual operators, with another `Vec` of its kind or with a plain
number, which then stands in every lane; comparisons give a mask. A processor with narrower vectors does the same in
several instructions, one without gathers loads lane by lane. Each lane follows IEEE 754 on all of them, so the
processor cannot change a byte of a picture.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import PrimitiveModel, register_default
from numba.extending import intrinsic as _intrinsic
from numba.extending import overload
from numba.np.arrayobj import populate_array

LANES = 16

_INDEX = ir.IntType(32)
_ELEMENTS: dict[Any, Any] = {
    types.float32: ir.FloatType(),
    types.float64: ir.DoubleType(),
    types.int32: ir.IntType(32),
    types.boolean: ir.IntType(1),
}


class Vec(types.Type):  # type: ignore[misc]
    """Numba's type of LANES numbers of one kind."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"vec{LANES}({dtype})")

    @property
    def llvm(self) -> Any:
        return ir.VectorType(_ELEMENTS[self.dtype], LANES)

    @property
    def is_real(self) -> bool:
        return self.dtype in (types.float32, types.float64)


@register_default(Vec)
class _VecModel(PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Vec) -> None:
        super().__init__(manager, kind, kind.llvm)


REAL, DOUBLE, WHOLE, MASK = (Vec(t) for t in (types.float32, types.float64, types.int32, types.boolean))


def _operation(function: Callable[..., Any]) -> Any:
    """Registers an operation. function : returns the type of the result and the code for it, from the arguments'
    types."""
    return _intrinsic(function)


def _constant(values: Sequence[int]) -> Any:
    return ir.Constant(ir.VectorType(_INDEX, len(values)), list(values))


def _shuffled(builder: Any, a: Any, order: Sequence[int], b: Any = None) -> Any:
    return builder.shuffle_vector(a, ir.Constant(a.type, ir.Undefined) if b is None else b, _constant(order))


def _spread(context: Any, builder: Any, value: Any, given: Any, kind: Vec) -> Any:
    """Returns the argument as a vector of this kind: unchanged, or a number in every lane."""
    if isinstance(given, Vec):
        if given != kind:
            raise TypeError(f"{given} with {kind}: convert one of them first")
        return value
    number = context.cast(builder, value, given, kind.dtype)
    one = builder.insert_element(ir.Constant(kind.llvm, ir.Undefined), number, ir.Constant(_INDEX, 0))
    return _shuffled(builder, one, [0] * LANES)


def _llvm_function(builder: Any, name: str, result: Any, arguments: Sequence[Any]) -> Any:
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)


# ---------------------------------------------------------------------------------------------------- arithmetic


def _two(build: Callable[[Any, Vec, Any, Any], Any], result: Vec | None = None) -> Any:
    """Makes an operation on two vectors of one kind, or a vector and a number."""

    @_operation
    def operation(typing_context: Any, a: Any, b: Any) -> Any:
        kind = a if isinstance(a, Vec) else b

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x, y = (
                _spread(context, builder, value, given, kind)
                for value, given in zip(arguments, signature.args, strict=True)
            )
            return build(builder, kind, x, y)

        return (result or kind)(a, b), code

    return operation


def _operator(symbol: Any, operation: Any) -> None:
    """Binds a Python operator to the operation, for vectors."""

    def implementation(a: Any, b: Any) -> Any:
        return (lambda a, b: operation(a, b)) if isinstance(a, Vec) or isinstance(b, Vec) else None

    _overload(symbol, implementation)


def _overload(symbol: Any, implementation: Any) -> None:
    implementation.__annotations__ = {}  # numba requires the same signature as the returned function's
    overload(symbol)(implementation)


def _arithmetic(real: str, whole: str) -> Any:
    return _two(lambda builder, kind, x, y: getattr(builder, real if kind.is_real else whole)(x, y))


def _compared(builder: Any, kind: Vec, symbol: str, x: Any, y: Any) -> Any:
    return builder.fcmp_ordered(symbol, x, y) if kind.is_real else builder.icmp_signed(symbol, x, y)


for _symbol, _real, _whole in (
    (operator.add, "fadd", "add"),
    (operator.sub, "fsub", "sub"),
    (operator.mul, "fmul", "mul"),
    (operator.truediv, "fdiv", "sdiv"),
    (operator.and_, "and_", "and_"),
    (operator.or_, "or_", "or_"),
    (operator.lshift, "shl", "shl"),
    (operator.rshift, "ashr", "ashr"),
):
    _operator(_symbol, _arithmetic(_real, _whole))
for _symbol, _sign in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
):
    _operator(_symbol, _two(lambda builder, kind, x, y, s=_sign: _compared(builder, kind, s, x, y), MASK))  # type: ignore[misc]

# Where an argument is NaN, the second one is returned.
least = _two(lambda builder, kind, x, y: builder.select(_compared(builder, kind, "<", x, y), x, y))
greatest = _two(lambda builder, kind, x, y: builder.select(_compared(builder, kind, ">", x, y), x, y))


@_operation
def _not(typing_context: Any, m: Any) -> Any:
    return MASK(m), lambda context, builder, signature, arguments: builder.not_(arguments[0])


def _inverted(m: Any) -> Any:
    return (lambda m: _not(m)) if isinstance(m, Vec) else None


_overload(operator.invert, _inverted)


@_operation
def select(typing_context: Any, m: Any, a: Any, b: Any) -> Any:
    """Returns a where m, else b; at least one of them is a vector."""
    kind = a if isinstance(a, Vec) else b

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, y = (_spread(context, builder, arguments[n], signature.args[n], kind) for n in (1, 2))
        return builder.select(arguments[0], x, y)

    return kind(m, a, b), code


def _one(name: str) -> Any:
    """Makes an operation of an LLVM function of one float32 vector."""

    @_operation
    def operation(typing_context: Any, a: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            function = _llvm_function(builder, f"llvm.{name}.v{LANES}f32", REAL.llvm, [REAL.llvm])
            return builder.call(function, arguments)

        return REAL(a), code

    return operation


root, size = _one("sqrt"), _one("fabs")

# ---------------------------------------------------------------------------------------------------- conversions


def _filled(kind: Vec) -> Any:
    @_operation
    def operation(typing_context: Any, number: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _spread(context, builder, arguments[0], signature.args[0], kind)

        return kind(number), code

    return operation


reals, wholes, doubles, flags = (_filled(kind) for kind in (REAL, WHOLE, DOUBLE, MASK))


@_operation
def lanes(typing_context: Any) -> Any:
    """Returns 0, 1, … 15."""
    return WHOLE(), lambda context, builder, signature, arguments: _constant(range(LANES))


@_operation
def real(typing_context: Any, a: Any) -> Any:
    """Converts to float32, rounded to nearest."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return (builder.fptrunc if a == DOUBLE else builder.sitofp)(arguments[0], REAL.llvm)

    return REAL(a), code


@_operation
def double(typing_context: Any, a: Any) -> Any:
    """Converts float32 to float64."""
    return DOUBLE(a), lambda context, builder, signature, arguments: builder.fpext(arguments[0], DOUBLE.llvm)


@_operation
def whole(typing_context: Any, a: Any) -> Any:
    """Converts to int32: float32 towards zero (undefined if it does not fit), a mask to 0 and 1."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return (builder.zext if a == MASK else builder.fptosi)(arguments[0], WHOLE.llvm)

    return WHOLE(a), code


@_operation
def bits(typing_context: Any, m: Any) -> Any:
    """Returns a mask as an integer, lane n in bit n."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(builder.bitcast(arguments[0], ir.IntType(LANES)), ir.IntType(64))

    return types.int64(m), code


@_operation
def lowest(typing_context: Any, number: Any) -> Any:
    """Returns the position of the lowest set bit of an integer that is not 0."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide, flag = ir.IntType(64), ir.IntType(1)
        function = _llvm_function(builder, "llvm.cttz.i64", wide, [wide, flag])
        return builder.call(function, [arguments[0], ir.Constant(flag, 1)])

    return types.int64(types.int64), code


@_operation
def totals(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Returns the sums of the lanes of three vectors, by halves, then quarters: the same order everywhere."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = list(arguments)
        for count in (8, 4):
            found = [
                builder.fadd(_shuffled(builder, v, range(count)), _shuffled(builder, v, range(count, 2 * count)))
                for v in found
            ]
        x, y, z = found
        pairs = builder.fadd(_shuffled(builder, x, (0, 1, 4, 5), y), _shuffled(builder, x, (2, 3, 6, 7), y))
        last = builder.fadd(_shuffled(builder, z, (0, 1, 0, 1)), _shuffled(builder, z, (2, 3, 2, 3)))
        sums = builder.fadd(
            _shuffled(builder, pairs, (0, 2, 4, 4), last), _shuffled(builder, pairs, (1, 3, 5, 5), last)
        )
        numbers = [builder.extract_element(sums, ir.Constant(_INDEX, n)) for n in range(3)]
        return context.make_tuple(builder, signature.return_type, numbers)

    return types.UniTuple(types.float32, 3)(a, b, c), code


# ---------------------------------------------------------------------------------------------------- memory


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


@_operation
def load(typing_context: Any, array: Any, at: Any) -> Any:
    """Loads sixteen elements of a C-contiguous array from flat index `at` on."""
    kind = Vec(array.dtype)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.gep(_data(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        found = builder.load(builder.bitcast(place, ir.PointerType(kind.llvm)), typ=kind.llvm)
        found.align = 4
        return found

    return kind(array, types.int64), code


@_operation
def store(typing_context: Any, array: Any, at: Any, value: Any) -> Any:
    """Writes sixteen elements of a C-contiguous array from flat index `at` on."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.gep(_data(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        builder.store(arguments[2], builder.bitcast(place, ir.PointerType(arguments[2].type))).align = 4
        return context.get_dummy_value()

    return types.void(array, types.int64, value), code


def scratch(dtype: Any, *shape: int) -> Any:
    """Makes a function that gives a kernel an array of zeros on its stack, of numba type `dtype`."""
    count = math.prod(shape)

    @_operation
    def operation(typing_context: Any) -> Any:
        kind = types.Array(dtype, len(shape), "C")

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            element = context.get_data_type(dtype)
            with builder.goto_entry_block():
                memory = builder.alloca(ir.ArrayType(element, count))
                memory.align = 64
            builder.store(ir.Constant(memory.allocated_type, None), memory)
            array = context.make_array(kind)(context, builder)
            bytes_each = context.get_abi_sizeof(element)
            strides = [bytes_each * math.prod(shape[n + 1 :]) for n in range(len(shape))]
            populate_array(
                array,
                data=builder.bitcast(memory, ir.PointerType(element)),
                shape=[context.get_constant(types.intp, n) for n in shape],
                strides=[context.get_constant(types.intp, n) for n in strides],
                itemsize=context.get_constant(types.intp, bytes_each),
                meminfo=None,
            )
            return array._getvalue()

        return kind(), code

    return operation


_NAMES = {"i8": "i8", "i16": "i16", "i32": "i32", "float": "f32"}


def _gathered(builder: Any, data: Any, step: Any, at: Any, m: Any, kind: Any, align: int) -> Any:
    """Gathers elements of LLVM type `kind` from data + at · step where m, 0 elsewhere."""
    wide = builder.sext(at, ir.VectorType(ir.IntType(64), LANES))
    places = builder.gep(builder.bitcast(data, ir.PointerType(step)), [wide], source_etype=step)
    places.type = ir.VectorType(ir.PointerType(), LANES)  # llvmlite has no vectors of pointers yet, LLVM has
    found = ir.VectorType(kind, LANES)
    function = _llvm_function(
        builder,
        f"llvm.masked.gather.v{LANES}{_NAMES[str(kind)]}.v{LANES}p0",
        found,
        [places.type, _INDEX, MASK.llvm, found],
    )
    return builder.call(function, [places, ir.Constant(_INDEX, align), m, ir.Constant(found, None)])


@_operation
def gather(typing_context: Any, array: Any, at: Any, m: Any) -> Any:
    """Gathers elements at flat indices `at` where m, 0 elsewhere. float32, or uint8 as int32: three bytes after each
    are read with it, so the array needs three more at its end (`padded`)."""
    single = array.dtype == types.float32

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _data(context, builder, signature.args[0], arguments[0])
        if single:
            return _gathered(builder, data, ir.FloatType(), arguments[1], arguments[2], ir.FloatType(), 4)
        # Four bytes are read and three masked away: there is no gather of single bytes.
        found = _gathered(builder, data, ir.IntType(8), arguments[1], arguments[2], ir.IntType(32), 1)
        return builder.and_(found, ir.Constant(WHOLE.llvm, [255] * LANES))

    return (REAL if single else WHOLE)(array, at, m), code


@_operation
def cells(typing_context: Any, voxels: Any, at: Any, row: Any, layer: Any, m: Any) -> Any:
    """Loads the eight voxels of cells as float32 vectors: those at flat index `at` and the next, then the same two one
    row, one layer, and one layer and one row further. int16 or float32. Where not m, those of the volume's first cell.

    It uses single loads of two voxels each: gather instructions, where they exist, take three times as long.
    """
    short = voxels.dtype == types.int16
    both = ir.IntType(32) if short else ir.IntType(64)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _data(context, builder, signature.args[0], arguments[0])
        at, row, layer, m = arguments[1:]
        at = builder.sext(builder.select(m, at, ir.Constant(WHOLE.llvm, None)), ir.VectorType(ir.IntType(64), LANES))
        wide = ir.VectorType(both, LANES)
        loaded = [ir.Constant(wide, ir.Undefined)] * 4
        starts = [
            data,
            builder.gep(data, [row]),
            builder.gep(data, [layer]),
            builder.gep(data, [builder.add(row, layer)]),
        ]
        for lane in range(LANES):
            index = builder.extract_element(at, ir.Constant(_INDEX, lane))
            for n, start in enumerate(starts):
                pair = builder.load(builder.bitcast(builder.gep(start, [index]), ir.PointerType(both)), typ=both)
                pair.align = 2 if short else 4
                loaded[n] = builder.insert_element(loaded[n], pair, ir.Constant(_INDEX, lane))
        found = []
        for pairs in loaded:
            # x86-64 is little endian: the first voxel is in the low half.
            if short:
                half = ir.Constant(wide, [16] * LANES)
                for v in (builder.ashr(builder.shl(pairs, half), half), builder.ashr(pairs, half)):
                    found.append(builder.sitofp(v, REAL.llvm))
            else:
                for v in (pairs, builder.lshr(pairs, ir.Constant(wide, [32] * LANES))):
                    found.append(builder.bitcast(builder.trunc(v, WHOLE.llvm), REAL.llvm))
        return context.make_tuple(builder, signature.return_type, found)

    return types.UniTuple(REAL, 8)(voxels, at, types.int64, types.int64, m), code


@_operation
def four_rows(typing_context: Any, voxels: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Loads four voxels each from the flat indices a, b, c, d on, as float32: lane 4·row + place. int16 or float32."""
    short = voxels.dtype == types.int16
    four = ir.VectorType(ir.IntType(16) if short else ir.FloatType(), 4)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _data(context, builder, signature.args[0], arguments[0])
        rows = []
        for at in arguments[1:]:
            row = builder.load(builder.bitcast(builder.gep(data, [at]), ir.PointerType(four)), typ=four)
            row.align = 2 if short else 4
            rows.append(row)
        halves = [_shuffled(builder, rows[n], range(8), rows[n + 1]) for n in (0, 2)]
        found = _shuffled(builder, halves[0], range(LANES), halves[1])
        return builder.sitofp(builder.sext(found, WHOLE.llvm), REAL.llvm) if short else found

    return REAL(voxels, *[types.int64] * 4), code


def _pattern(values: Sequence[float]) -> Any:
    """Makes a constant vector."""

    @_operation
    def operation(typing_context: Any) -> Any:
        return REAL(), lambda context, builder, signature, arguments: ir.Constant(REAL.llvm, list(values))

    return operation


def along_rows(values: Sequence[float]) -> Any:
    """Makes a constant vector of four numbers, the same in each of the four rows of `four_rows`."""
    return _pattern([values[n % 4] for n in range(LANES)])


def across_rows(values: Sequence[float]) -> Any:
    """Makes a constant vector of four numbers, one for each of the four rows of `four_rows`."""
    return _pattern([values[n // 4] for n in range(LANES)])


@_operation
def prefetch(typing_context: Any, array: Any, at: Any) -> Any:
    """Prefetches the cache lines of the elements at the flat indices in the corner lanes of a 4 x 4 packet and between;
    an index outside the array does no harm."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = _data(context, builder, signature.args[0], arguments[0])
        number = ir.IntType(32)
        function = _llvm_function(
            builder, "llvm.prefetch.p0", ir.VoidType(), [ir.PointerType(), number, number, number]
        )
        for lane in (0, 3, 4, 7, 8, 11, 12, 15):
            index = builder.sext(builder.extract_element(arguments[1], ir.Constant(number, lane)), ir.IntType(64))
            place = builder.bitcast(builder.gep(data, [index]), ir.PointerType(ir.IntType(8)))
            builder.call(function, [place, ir.Constant(number, 0), ir.Constant(number, 3), ir.Constant(number, 1)])
        return context.get_dummy_value()

    return types.void(array, at), code
