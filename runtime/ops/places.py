# ruff: noqa: ARG001 (the arguments of intrinsics are given by Numba)
"""Vectors (see `simd`) of numbers that stand anywhere, and of sums of whole numbers.

gather(a, at, k, mask)           numbers from array `a` at the places at[k], at[k + 1], ...; any outside
scatter(a, base, at, k, x, mask) puts x there, places counted from a[base]
decoded(sums, at, scale, k, mask)  whole numbers of `sums` at such places, times scale[k], scale[k + 1], ...
accumulate(sums, i, x, mask)     adds x, rounded, to sums[i], sums[i + 1], ...
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from spike_runtime.ops.simd import SHORT, Vector, begin, call, kind_of, masked, name_of, processor_has, splat


def _picked(context: Any, builder: Any, kinds: Any, args: Any, mask: Any) -> Any:
    """Numbers of array args[0] at the places in array args[1] from args[2] on: those that follow each other,
    as places often do, are loaded at once.
    """
    data, number = (begin(context, builder, k, v) for k, v in zip(kinds[:2], args[:2], strict=True))
    count, bits, size = mask.type.count, kinds[1].dtype.bitwidth, kinds[0].dtype.bitwidth
    vector = ir.VectorType(context.get_data_type(kinds[0].dtype), count)
    places = ir.VectorType(ir.IntType(bits), count)
    at = masked(builder, places, builder.gep(number, [args[2]]), bits, mask)
    lowest, none = _in_a_row(builder, at, mask)
    with builder.if_else(none) as (then, otherwise):
        with then:
            run = masked(builder, vector, builder.gep(data, [lowest]), size, mask)
            here = builder.block
        with otherwise:
            pointers = _pointers(builder, data, at)
            name = f"llvm.masked.gather.{name_of(vector)}.v{count}p0"
            # Outside the mask: the first number, for which no processor has to branch.
            every = mask.type([1] * count)
            single = call(builder, name, vector, [pointers, SHORT(size // 8), every, vector(None)])
            there = builder.block
    result = builder.phi(vector)
    result.add_incoming(run, here)
    result.add_incoming(single, there)
    return result


def _in_a_row(builder: Any, at: Any, mask: Any) -> tuple[Any, Any]:
    """The first of some places, and whether they follow each other."""
    count = mask.type.count
    lowest = builder.extract_element(at, SHORT(0))
    order = builder.add(splat(builder, lowest, at.type), at.type(list(range(count))))
    wrong = builder.and_(builder.icmp_signed("!=", at, order), mask)
    none = builder.icmp_signed("==", builder.bitcast(wrong, ir.IntType(count)), ir.IntType(count)(0))
    return lowest, none


def _pointers(builder: Any, data: Any, at: Any) -> Any:
    """A vector of pointers to places: processors take those of 32 bits as they are."""
    pointers = builder.gep(data, [SHORT(0)])
    pointers.operands, pointers.indices = [data, at], [at]
    pointers.type = ir.VectorType(data.type, at.type.count)
    return pointers


@intrinsic
def scatter(typingctx: Any, array: Any, base: Any, index: Any, start: Any, x: Any, mask: Any) -> Any:
    """array[base + index[start + k]] = x[k] under the mask, for places that differ."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds, x, mask = signature.args, args[4], args[5]
        data = builder.gep(begin(context, builder, kinds[0], args[0]), [args[1]])
        number = builder.gep(begin(context, builder, kinds[2], args[2]), [args[3]])
        bits, size = kinds[2].dtype.bitwidth, SHORT(kinds[0].dtype.bitwidth // 8)
        at = masked(builder, ir.VectorType(ir.IntType(bits), mask.type.count), number, bits, mask)
        lowest, none = _in_a_row(builder, at, mask)
        with builder.if_else(none) as (then, otherwise):
            with then:
                place = builder.bitcast(builder.gep(data, [lowest]), x.type.as_pointer())
                name = f"llvm.masked.store.{name_of(x.type)}.p0"
                call(builder, name, ir.VoidType(), [x, place, size, mask])
            with otherwise:
                name = f"llvm.masked.scatter.{name_of(x.type)}.v{mask.type.count}p0"
                call(builder, name, ir.VoidType(), [x, _pointers(builder, data, at), size, mask])
        return context.get_dummy_value()

    return types.void(array, types.intp, index, types.intp, x, mask), generate


@intrinsic
def gather(typingctx: Any, array: Any, index: Any, start: Any, mask: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _picked(context, builder, signature.args, args, args[3])

    return kind_of(array)(array, index, types.intp, mask), generate


# Without AVX-512 processors turn 64-bit whole numbers into float64, or back, one at a time: to add the
# activities of 256 neurons to sums took 281 ns, and takes 70 by these bits (and whole vectors without masks).
_TWO_52 = 0x4330000000000000  # the bits of 2 ** 52
_TWO_84 = 0x4530000000000000


def _real(context: Any, builder: Any, whole: Any, wide: Any) -> Any:
    """int64 to float64, rounded once."""
    if processor_has(context, "avx512dq"):
        return builder.sitofp(whole, wide)

    def constant(number: Any, kind: Any) -> Any:
        return kind([number] * kind.count)

    # The upper and lower 32 bits below a leading one: 2 ** 84 + 2 ** 63 + upper * 2 ** 32, 2 ** 52 + lower.
    upper = builder.xor(
        builder.lshr(whole, constant(32, whole.type)), constant(1 << 31 | _TWO_84, whole.type)
    )
    lower = builder.or_(
        builder.and_(whole, constant((1 << 32) - 1, whole.type)), constant(_TWO_52, whole.type)
    )
    offset = constant(2.0**84 + 2.0**63 + 2.0**52, wide)
    return builder.fadd(builder.fsub(builder.bitcast(upper, wide), offset), builder.bitcast(lower, wide))


def _rounded(context: Any, builder: Any, x: Any) -> Any:
    """Numbers below 2 ** 51, rounded to the nearest int64."""
    rounded = call(builder, f"llvm.rint.{name_of(x.type)}", x.type, [x])
    kind, wide = (ir.VectorType(t, x.type.count) for t in (ir.IntType(64), ir.DoubleType()))
    if processor_has(context, "avx512dq"):
        return builder.fptosi(rounded, kind)
    real = rounded if x.type == wide else builder.fpext(rounded, wide)
    # What is added leaves no bits below the whole ones, and 0 in the middle of its range.
    bits = builder.bitcast(builder.fadd(real, wide([1.5 * 2.0**52] * wide.count)), kind)
    return builder.sub(bits, kind([_TWO_52 | 1 << 51] * kind.count))


@intrinsic
def decoded(typingctx: Any, sums: Any, index: Any, scale: Any, start: Any, mask: Any) -> Any:
    """The whole numbers of `sums` (int64) at index[start], index[start + 1], ..., times scale[start], ...
    (float64), rounded to numbers like those of the mask.  Where the scale is 0: their bits, as float64.
    """
    kind = Vector(mask.real)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = _picked(context, builder, signature.args, [args[0], args[1], args[3]], args[4])
        wide, vector = ir.VectorType(ir.DoubleType(), kind.lanes), context.get_value_type(kind)
        factor = begin(context, builder, signature.args[2], args[2])
        factors = masked(builder, wide, builder.gep(factor, [args[3]]), 64, args[4])
        product = builder.fmul(_real(context, builder, whole, wide), factors)
        bits = builder.fcmp_ordered("==", factors, wide(None))
        result = builder.select(bits, builder.bitcast(whole, wide), product)
        return result if vector == wide else builder.fptrunc(result, vector)

    return kind(sums, index, scale, types.intp, mask), generate


@intrinsic
def accumulate(typingctx: Any, sums: Any, index: Any, x: Any, mask: Any) -> Any:
    """sums[index + k] += x[k], rounded to the nearest whole number, under the mask.  `sums` are int64, x
    below 2 ** 51.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = _rounded(context, builder, args[2])
        wide = whole.type
        place = builder.gep(begin(context, builder, signature.args[0], args[0]), [args[1]])
        old = masked(builder, wide, place, 64, args[3])
        new = builder.add(old, whole)
        place = builder.bitcast(place, wide.as_pointer())
        name = f"llvm.masked.store.{name_of(wide)}.p0"
        call(builder, name, ir.VoidType(), [new, place, SHORT(8), args[3]])
        return context.get_dummy_value()

    return types.void(sums, types.intp, x, mask), generate
