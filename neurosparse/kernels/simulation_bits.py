"""Spikes as words of 16 bits, turned around: between one word per neuron and 16 steps, and one per step and 16 neurons.

A neuron's two words of a span of 32 steps stand side by side, and are read as one of 32 bits where that helps.
Intrinsics for simulation.py, usable inside ``njit`` functions only. Positions count elements from the start of the
array; nothing is checked.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from neurosparse.kernels.vectors import LANES, LLVM_MASK, element_pointer, intrinsic

__all__ = ["element", "lowest_bit", "put", "put_span_word", "span_word", "spread_word", "turn_words"]

_I1, _I16 = ir.IntType(1), ir.IntType(16)
_I32 = ir.IntType(32)
_BYTES, _SHORTS, _SPANS = (ir.VectorType(ir.IntType(bits), LANES) for bits in (8, 16, 32))


@intrinsic
def element(typingctx: Any, array: Any, index: Any) -> Any:
    """``array[index]`` for an index >= 0. Numba's own looks whether the index is negative, which took half the time."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.load(builder.gep(data, [args[1]]))

    return array.dtype(array, types.intp), codegen


@intrinsic
def put(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """``array[index] = value`` for an index >= 0."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        builder.store(args[2], builder.gep(data, [args[1]]))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), codegen


@intrinsic
def lowest_bit(typingctx: Any, word: Any) -> Any:
    """Return the position of the lowest set bit of a word that has one."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        count = builder.cttz(args[0], ir.Constant(_I1, 1))
        return builder.zext(count, ir.IntType(64))

    return types.int64(types.uint16), codegen


@intrinsic
def spread_word(typingctx: Any, out: Any, index: Any, word: Any) -> Any:
    """``out[index + i] = bit i of word`` for 16 booleans."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, sig.args[0], args[0], args[1], _BYTES)
        builder.store(builder.zext(builder.bitcast(args[2], LLVM_MASK), _BYTES), pointer).align = 1
        return context.get_dummy_value()

    return types.void(out, types.intp, types.uint16), codegen


@intrinsic
def span_word(typingctx: Any, words: Any, index: Any) -> Any:
    """Return the spikes of a neuron in a span: two words as one, the second one above."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        word = builder.load(element_pointer(context, builder, sig.args[0], args[0], _twice(builder, args[1]), _I32))
        word.align = 2
        return word

    return types.uint32(words, types.intp), codegen


@intrinsic
def put_span_word(typingctx: Any, words: Any, index: Any, word: Any) -> Any:
    """Set the spikes of a neuron in a span."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = element_pointer(context, builder, sig.args[0], args[0], _twice(builder, args[1]), _I32)
        builder.store(args[2], pointer).align = 2
        return context.get_dummy_value()

    return types.void(words, types.intp, types.uint32), codegen


def _twice(builder: Any, index: Any) -> Any:
    return builder.shl(index, ir.Constant(ir.IntType(64), 1))


@intrinsic
def turn_words(typingctx: Any, bits: Any, start: Any, stride: Any, words: Any, at: Any, upper: Any) -> Any:
    """Transpose 16 x 16 bits: bit t of a word of neuron `at` + i is bit i of ``bits[start + t * stride]``.

    The lower word of a span is set first, which clears the upper one.
    """

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits_p = context.make_array(sig.args[0])(context, builder, args[0]).data
        turned: ir.Value = ir.Constant(_SHORTS, [0] * LANES)
        for t in range(LANES):
            place = builder.add(args[1], builder.mul(args[2], ir.Constant(ir.IntType(64), t)))
            word = builder.load(builder.gep(bits_p, [place]))
            bit = ir.Constant(_SHORTS, [1 << t] * LANES)
            picked = builder.select(builder.bitcast(word, LLVM_MASK), bit, ir.Constant(_SHORTS, [0] * LANES))
            turned = builder.or_(turned, picked)
        pointer = element_pointer(context, builder, sig.args[3], args[3], _twice(builder, args[4]), _SPANS)
        lower = builder.load(pointer)
        lower.align = 2
        wide = builder.zext(turned, _SPANS)
        both = builder.or_(lower, builder.shl(wide, ir.Constant(_SPANS, [LANES] * LANES)))
        builder.store(builder.select(args[5], both, wide), pointer).align = 2
        return context.get_dummy_value()

    return types.void(bits, types.intp, types.intp, words, types.intp, types.boolean), codegen
