# ruff: noqa: ARG001 (the arguments of intrinsics are given by Numba)
"""Vectors of neurons in kernels: 64 bytes of numbers that are loaded, computed and stored together.

Left to itself, LLVM takes an atom of 100 neurons apart into vectors, half vectors and single neurons, and
asks before every loop whether its arrays overlap: 1.18 ns per neuron-step, where this takes 0.8.  A kernel
computes its whole vectors, and what is left over under a mask.  The order of every sum is fixed, whatever
the processor's own vectors are like; where these are shorter, LLVM takes several.

    load(array, i, mask)       numbers from array[i] on; 0 outside the mask
    store(array, i, x, mask)   puts them back, only under the mask
    every(a), first(a, count)  masks for numbers like those of array `a`: all, the first `count`
    width(a)                   how many numbers of array `a` make a vector
    fill(a, number)            the number everywhere, of the type of array or vector `a`
    +  -  *  /  >  !=          number by number, for vectors of one type
    &  |  ~  some(mask)        of masks; whether anything is under the mask
    fma(x, y, z)               x y + z, rounded once where the processor can
    minimum, maximum, where    number by number, without a branch
    total(x)                   the sum, by halves
    pack(index, at, i, x)      places of the numbers that are not 0, without a branch
    swapped(x)                 its upper half, then its lower half
    fetch_ahead(array, i)      asks for the line of array[i], which may be outside
    tile(a)                    room for the numbers of an atom, on the stack
    pointer(a)                 where the numbers of array `a` begin
    copy(y, k, x, count)       numbers of pointer x to those of y from y[k] on
    held(a)                    after the last use of a pointer: an array made here is not freed before

Instead of an array all of them take its pointer.  Functions that are given arrays count references to them,
which took a third of the time of a small atom; and an index of a pointer counts from its beginning alone.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, errors
from numba.extending import intrinsic, models, overload, register_jitable, register_model
from numba.np.arrayobj import populate_array

# Bytes of a vector: a cache line, and the longest vector of current processors.
BYTES = 64
# Most neurons of an atom.
TILE = 256

SHORT = ir.IntType(32)


class Vector(types.Type):
    """Numbers of type `real`, or (`mask`) as many bits."""

    def __init__(self, real: types.Float, mask: bool = False) -> None:
        self.real, self.mask, self.lanes = real, mask, 8 * BYTES // real.bitwidth
        super().__init__(f"{'mask' if mask else 'vector'}({real})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        real = ir.DoubleType() if kind.real.bitwidth == 64 else ir.FloatType()
        super().__init__(manager, kind, ir.VectorType(ir.IntType(1) if kind.mask else real, kind.lanes))


def lanes(real: Any) -> int:
    """How many numbers of NumPy's scalar type `real` make a vector."""
    return int(BYTES // real().itemsize)


def kind_of(like: Any) -> Vector:
    """The kind of vector that belongs to an array or a vector."""
    return Vector(like.real if isinstance(like, Vector) else _of(like))


def _of(array: Any) -> Any:
    """The type of the numbers of an array, or where a pointer points to."""
    if isinstance(array, types.Array) and array.layout != "C":
        raise errors.TypingError(f"vectors are of arrays without gaps, not of {array}")
    return array.dtype


def begin(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """LLVM's pointer to the first number."""
    return (
        value if isinstance(kind, types.CPointer) else context.make_array(kind)(context, builder, value).data
    )


def call(builder: ir.IRBuilder, name: str, result: ir.Type, args: list[Any]) -> Any:
    kind = ir.FunctionType(result, [a.type for a in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def name_of(vector: ir.VectorType) -> str:
    """How the names of LLVM's functions call a type."""
    if isinstance(vector.element, ir.IntType):
        return f"v{vector.count}i{vector.element.width}"
    return f"v{vector.count}{'f64' if isinstance(vector.element, ir.DoubleType) else 'f32'}"


def _place(context: Any, builder: Any, signature: Any, args: Any) -> tuple[Any, Any]:
    """Pointer to the vector at args[1] of array args[0], and the alignment that is sure."""
    kind = signature.args[0]
    data = builder.gep(begin(context, builder, kind, args[0]), [args[1]])
    vector = context.get_value_type(kind_of(kind))
    return builder.bitcast(data, vector.as_pointer()), SHORT(kind.dtype.bitwidth // 8)


def splat(builder: Any, value: Any, vector: ir.VectorType) -> Any:
    single = builder.insert_element(vector(ir.Undefined), value, SHORT(0))
    return builder.shuffle_vector(single, vector(ir.Undefined), ir.VectorType(SHORT, vector.count)(None))


def _numbers(lanes: int) -> Any:
    return ir.VectorType(SHORT, lanes)(list(range(lanes)))


@intrinsic
def load(typingctx: Any, array: Any, index: Any, mask: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer, align = _place(context, builder, signature, args)
        vector = pointer.type.pointee
        name = f"llvm.masked.load.{name_of(vector)}.p0"
        return call(builder, name, vector, [pointer, align, args[2], vector(None)])

    return kind_of(array)(array, types.intp, mask), generate


@intrinsic
def store(typingctx: Any, array: Any, index: Any, x: Any, mask: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer, align = _place(context, builder, signature, args)
        name = f"llvm.masked.store.{name_of(pointer.type.pointee)}.p0"
        call(builder, name, ir.VoidType(), [args[2], pointer, align, args[3]])
        return context.get_dummy_value()

    return types.void(array, types.intp, x, mask), generate


def masked(builder: Any, vector: ir.VectorType, pointer: Any, bits: int, mask: Any) -> Any:
    """Numbers of so many bits each from a pointer on; 0 outside the mask."""
    place = builder.bitcast(pointer, vector.as_pointer())
    name = f"llvm.masked.load.{name_of(vector)}.p0"
    return call(builder, name, vector, [place, SHORT(bits // 8), mask, vector(None)])


@intrinsic
def some(typingctx: Any, mask: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = ir.IntType(signature.args[0].lanes)
        return builder.icmp_unsigned("!=", builder.bitcast(args[0], bits), bits(0))

    return types.boolean(mask), generate


@intrinsic
def width(typingctx: Any, like: Any) -> Any:
    kind = kind_of(like)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, kind.lanes)

    return types.intp(like), generate


@intrinsic
def every(typingctx: Any, like: Any) -> Any:
    kind = Vector(kind_of(like).real, mask=True)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_value_type(kind)([1] * kind.lanes)

    return kind(like), generate


@intrinsic
def first(typingctx: Any, like: Any, count: Any) -> Any:
    kind = Vector(kind_of(like).real, mask=True)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        numbers = _numbers(kind.lanes)
        return builder.icmp_signed("<", numbers, splat(builder, builder.trunc(args[1], SHORT), numbers.type))

    return kind(like, types.intp), generate


@intrinsic
def fill(typingctx: Any, like: Any, number: Any) -> Any:
    kind = kind_of(like)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = context.cast(builder, args[1], signature.args[1], kind.real)
        return splat(builder, value, context.get_value_type(kind))

    return kind(like, number), generate


def _each(build: Callable[..., Any], mask: bool = False) -> Any:
    """An intrinsic that takes two vectors of one kind, number by number."""

    def operation(typingctx: Any, x: Any, y: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return build(builder, *args)

        return Vector(x.real, mask)(x, y), generate

    return intrinsic(operation)


def _operator(symbol: Any, build: Callable[..., Any], mask: bool = False) -> None:
    inner = _each(build, mask)

    @overload(symbol)
    def operation(x, y):  # type: ignore[no-untyped-def]
        return (lambda x, y: inner(x, y)) if isinstance(x, Vector) and x == y else None


_operator(operator.add, lambda b, x, y: b.fadd(x, y))
_operator(operator.sub, lambda b, x, y: b.fsub(x, y))
_operator(operator.mul, lambda b, x, y: b.fmul(x, y))
_operator(operator.truediv, lambda b, x, y: b.fdiv(x, y))
_operator(operator.gt, lambda b, x, y: b.fcmp_ordered(">", x, y), mask=True)
_operator(operator.ne, lambda b, x, y: b.fcmp_unordered("!=", x, y), mask=True)
_operator(operator.and_, lambda b, x, y: b.and_(x, y), mask=True)
_operator(operator.or_, lambda b, x, y: b.or_(x, y), mask=True)


@intrinsic
def _outside(typingctx: Any, mask: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.not_(args[0])

    return mask(mask), generate


@overload(operator.invert)
def _invert(x):  # type: ignore[no-untyped-def]
    return (lambda x: _outside(x)) if isinstance(x, Vector) and x.mask else None


# Where one is not a number: y.
minimum = _each(lambda b, x, y: b.select(b.fcmp_ordered("<", x, y), x, y))
maximum = _each(lambda b, x, y: b.select(b.fcmp_ordered(">", x, y), x, y))


@intrinsic
def where(typingctx: Any, mask: Any, x: Any, y: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return x(mask, x, y), generate


def _fma(builder: Any, x: Any, y: Any, z: Any) -> Any:
    return call(builder, f"llvm.fmuladd.{name_of(x.type)}", x.type, [x, y, z])


@intrinsic
def fma(typingctx: Any, x: Any, y: Any, z: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _fma(builder, *args)

    return x(x, y, z), generate


@intrinsic
def total(typingctx: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (vector,) = args
        while vector.type.count > 1:
            half = ir.VectorType(SHORT, vector.type.count // 2)
            halves = (list(range(k, k + half.count)) for k in (0, half.count))
            vector = builder.fadd(*(builder.shuffle_vector(vector, vector, half(h)) for h in halves))
        return builder.extract_element(vector, SHORT(0))

    return x.real(x), generate


def processor_has(context: Any, feature: str) -> bool:
    """Whether code is made for processors with an extension, as LLVM calls it."""
    return f"+{feature}" in context.codegen().magic_tuple()[2].split(",")


# Which bits of a byte are set, then zeros: 2 KiB.
_SET = [[k for k in range(8) if byte >> k & 1] for byte in range(256)]
_SET_BITS = ir.Constant(
    ir.ArrayType(ir.ArrayType(ir.IntType(8), 8), 256), [bits + [0] * (8 - len(bits)) for bits in _SET]
)


@intrinsic
def pack(typingctx: Any, index: Any, at: Any, i: Any, x: Any) -> Any:
    """index[at], index[at + 1], ... = i + k for every k where x[k] is not 0; returns how many.

    `index` is a pointer to bytes, with room for 8 from index[at] on.  By a table, a vector of AVX2 at a time:
    256 neurons in 8-D with gathered decoders took 524 ns on an AMD EPYC of 2021 (Zen 3) as LLVM packs places,
    and 388 with places of 32 bits by a table.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data, x, place = begin(context, builder, signature.args[0], args[0]), args[3], args[1]
        table, long = cgutils.global_constant(builder, "set_bits", _SET_BITS), ir.IntType(64)
        table.align, step, ones = 8, BYTES // 2 // (signature.args[3].real.bitwidth // 8), 0x0101010101010101
        # Eight places at a time, a byte each: none is above 255, so that nothing is carried.
        numbers = builder.mul(args[2], long(ones))
        for k in range(0, x.type.count, step):
            part = builder.shuffle_vector(x, x, ir.VectorType(SHORT, step)(list(range(k, k + step))))
            some = builder.fcmp_unordered("!=", part, part.type(None))
            bits = builder.zext(builder.bitcast(some, ir.IntType(step)), long)
            row = builder.bitcast(builder.gep(table, [SHORT(0), bits]), long.as_pointer())
            found = builder.add(builder.load(row, align=8), builder.add(numbers, long(k * ones)))
            builder.store(found, builder.bitcast(builder.gep(data, [place]), row.type), align=1)
            place = builder.add(place, builder.ctpop(bits))
        return builder.sub(place, args[1])

    return types.int64(index, types.intp, types.intp, x), generate


@intrinsic
def fetch_ahead(typingctx: Any, array: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # On a Xeon with AVX-512 it gained nothing (see performance.md).
        if not processor_has(context, "avx512f"):
            place = builder.gep(begin(context, builder, signature.args[0], args[0]), [args[1]])
            how = [SHORT(number) for number in (0, 3, 1)]  # read, all levels, data
            place = builder.bitcast(place, ir.IntType(8).as_pointer())
            call(builder, "llvm.prefetch.p0i8", ir.VoidType(), [place, *how])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def swapped(typingctx: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        count = args[0].type.count
        order = [*range(count // 2, count), *range(count // 2)]
        return builder.shuffle_vector(args[0], args[0], ir.VectorType(SHORT, count)(order))

    return x(x), generate


@intrinsic
def pointer(typingctx: Any, array: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return begin(context, builder, array, args[0])

    return types.CPointer(_of(array))(array), generate


@register_jitable(forceinline=True)
def copy(y, k, x, count):  # type: ignore[no-untyped-def]
    """y[k + i] = x[i] for i < count, of pointers: by vectors, as loops over what may overlap are not."""
    rest = count % width(x)
    for i in range(0, count - rest, width(x)):
        store(y, k + i, load(x, i, every(x)), every(x))
    if rest:
        mask = first(x, rest)
        store(y, k + count - rest, load(x, count - rest, mask), mask)


@register_jitable
def held(array):  # type: ignore[no-untyped-def]
    return array.shape[0]


@intrinsic
def tile(typingctx: Any, like: Any) -> Any:
    """Room for TILE numbers of the type of array or number `like`, and for one vector more; not set."""
    kind = types.Array(getattr(like, "dtype", like), 1, "C")

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        element, step = context.get_data_type(kind.dtype), kind.dtype.bitwidth // 8
        length = TILE + BYTES // step
        with builder.goto_entry_block():  # Numba's own function would also write zeros
            data = builder.alloca(ir.ArrayType(element, length))
        data.align = BYTES
        array = context.make_array(kind)(context, builder)
        size, stride = (context.get_constant(types.intp, n) for n in (length, step))
        populate_array(array, builder.bitcast(data, element.as_pointer()), [size], [stride], stride, None)
        return array._getvalue()

    return kind(like), generate
