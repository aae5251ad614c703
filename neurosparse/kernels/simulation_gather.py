"""Currents by target: a group of targets adds up its synapses in registers, whatever their sources did.

Intrinsics for simulation_current.py, usable inside ``njit`` functions only. Positions count elements from the start of
the array, those of words 32-bit spans; nothing is checked. A masked addition of 16 floats needs its 16 spikes in a mask
register, and loading one costs as much as the addition. In 16-bit integers, 32 steps share one mask: two additions, of
the low and of the high part of a weight, for one load. That is a fifth faster for spans of more than 16 steps, where
weights lie on a grid (`split_weights`) and the processor has such masks (AVX-512BW).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.registry import cpu_target

from neurosparse.kernels.simd import Emitter, positions
from neurosparse.kernels.simulation_synapses import GROUP
from neurosparse.kernels.vectors import LANES, intrinsic

__all__ = ["add_group", "add_group_pair", "add_group_split", "has_wide_masks"]

_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_WIDE = 2 * LANES
_SHORTS, _INTS, _WIDE_INTS = ir.VectorType(_I16, _WIDE), ir.VectorType(_I32, LANES), ir.VectorType(_I32, _WIDE)
_STEPS = [[8 * i + 4 * h + j for i in range(4) for j in range(4)] for h in range(2)]
"""The 32 steps in the order in which they are joined: first the lower halves of four parts of eight, then the upper."""


@functools.cache
def has_wide_masks() -> bool:
    """Return whether the code compiled here can add 32 16-bit integers under a mask in one instruction."""
    return "+avx512bw" in cpu_target.target_context.codegen().magic_tuple()[2]


def _vectors_of(slots: Any, e: Emitter, at: ir.Value, targets_p: ir.Value, first: ir.Value, plane: ir.Value, q: int):
    """Positions of target `first + q`'s vectors of currents in the two words of a span."""
    target = e.builder.sext(e.builder.load(e.builder.gep(targets_p, [e.plus(first, q)])), _I64)
    here = e.builder.add(at, e.builder.mul(target, e.const(LANES)))
    return here, e.builder.add(here, plane)


def _adder(n_words: int) -> Any:
    @intrinsic
    def add(typingctx, slots, at, plane, members, member, sources, weights, first, last, words, words_at):
        dtype = slots.dtype

        def codegen(context, builder, sig, args):
            e = Emitter(context, builder, dtype)
            slots_p, members_p, sources_p, weights_p, words_p = (e.data(sig.args[i], args[i]) for i in (0, 3, 5, 6, 9))
            _, at, plane, _, member, _, _, first, last, _, words_at = args
            words_p = builder.gep(words_p, [builder.mul(words_at, e.const(2))])
            at_once = min(GROUP, max(1, e.tile() // n_words))
            for begin in range(0, GROUP, at_once):
                places = [
                    place
                    for q in range(begin, begin + at_once)
                    for place in _vectors_of(slots, e, at, members_p, member, plane, q)[:n_words]
                ]

                def entry(k: ir.Value, sums: list[ir.Value], begin: int = begin) -> list[ir.Value]:
                    added = []
                    for q in range(at_once):
                        here = e.plus(k, begin + q)
                        source = builder.sext(builder.load(builder.gep(sources_p, [here])), _I64)
                        weight = e.splat(builder.load(builder.gep(weights_p, [here])))
                        word = builder.mul(source, e.const(2))
                        for h in range(n_words):
                            mask = e.load_mask(words_p, e.plus(word, h))
                            added.append(e.add_where(mask, sums[q * n_words + h], weight))
                    return added

                _, sums = e.loop(first, last, GROUP, [e.load(slots_p, place) for place in places], entry)
                for place, total in zip(places, sums, strict=True):
                    e.store(total, slots_p, place)
            return context.get_dummy_value()

        signature = types.void(
            slots, *positions(2), members, types.intp, sources, weights, *positions(2), words, types.intp
        )
        return signature, codegen

    return add


add_group = _adder(1)
"""Add the entries [first, last) of the group whose members are listed from `member` on, in the first word of a span.

Target m's vector of 16 currents stands at ``at + 16 * m`` in `slots`, that of the second word `plane` further; the
words of source j are ``words_at + j``, in units of two words.
"""

add_group_pair = _adder(2)
"""The same in both words of a span."""


def _joiner(builder: ir.IRBuilder, shifts: ir.Value) -> Callable[[ir.Value, ir.Value, list[int]], ir.Value]:
    """Return what emits ``low + (high << shift)`` in 32 bits, for 16 of 32 steps."""
    if not has_wide_masks():

        def join(low: ir.Value, high: ir.Value, steps: list[int]) -> ir.Value:
            lanes = ir.Constant(_INTS, steps)
            low, high = (builder.sext(builder.shuffle_vector(part, part, lanes), _INTS) for part in (low, high))
            return builder.add(low, builder.shl(high, shifts))

        return join
    # Two instructions: pairs put side by side, and low * 1 + high * 2**shift.
    lower, upper = (ir.Constant(_INTS, [factor] * LANES) for factor in (1, 1 << 16))
    factors = builder.bitcast(builder.or_(lower, builder.shl(upper, shifts)), _SHORTS)
    kind = ir.FunctionType(_INTS, (_SHORTS, _SHORTS))
    multiply_pairs = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.pmaddw.d.512")

    def join_pairs(low: ir.Value, high: ir.Value, steps: list[int]) -> ir.Value:
        pairs = ir.Constant(_WIDE_INTS, [part for step in steps for part in (step, _WIDE + step)])
        return builder.call(multiply_pairs, [builder.shuffle_vector(low, high, pairs), factors])

    return join_pairs


@intrinsic
def add_group_split(
    typingctx, slots, at, plane, members, member, sources, halves, first, last, words, words_at, shift, scale
):
    """Add entries of a group in both words of a span, in 16-bit integers whose sums fit; times `scale`, exactly."""
    dtype = slots.dtype

    def codegen(context, builder, sig, args):
        e = Emitter(context, builder, dtype)
        slots_p, members_p, sources_p, halves_p, words_p = (e.data(sig.args[i], args[i]) for i in (0, 3, 5, 6, 9))
        _, at, plane, _, member, _, _, first, last, _, words_at, shift, scale = args
        words_p = builder.gep(builder.bitcast(words_p, _I32.as_pointer()), [words_at])

        def spread(value: ir.Value, vector: ir.VectorType) -> ir.Value:
            undefined = ir.Constant(vector, ir.Undefined)
            one = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
            return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(_I32, vector.count), [0] * LANES))

        def entry(k: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            added = []
            for q in range(GROUP):
                here = e.plus(k, q)
                source = builder.load(builder.gep(sources_p, [here]))
                word = builder.load(builder.gep(words_p, [builder.sext(source, _I64)]))
                word.align = 2
                mask = builder.bitcast(word, ir.VectorType(ir.IntType(1), _WIDE))
                for h in range(2):
                    place = e.plus(builder.mul(here, e.const(2)), h)
                    part = spread(builder.load(builder.gep(halves_p, [place])), _INTS)
                    total = sums[2 * q + h]
                    added.append(builder.select(mask, builder.add(total, builder.bitcast(part, _SHORTS)), total))
            return added

        _, sums = e.loop(first, last, GROUP, [ir.Constant(_SHORTS, [0] * _WIDE)] * (2 * GROUP), entry)
        join, scales = _joiner(builder, spread(shift, _INTS)), e.splat(scale)
        for q in range(GROUP):
            units = [builder.sitofp(join(sums[2 * q], sums[2 * q + 1], steps), e.vector) for steps in _STEPS]
            for h, place in enumerate(_vectors_of(slots, e, at, members_p, member, plane, q)):
                in_order = [[*_STEPS[0], *_STEPS[1]].index(step) for step in range(h * LANES, (h + 1) * LANES)]
                current = builder.fmul(builder.shuffle_vector(*units, ir.Constant(_INTS, in_order)), scales)
                e.store(builder.fadd(e.load(slots_p, place), current), slots_p, place)
        return context.get_dummy_value()

    signature = types.void(
        slots, *positions(2), members, types.intp, sources, halves, *positions(2), words, types.intp, types.int32, dtype
    )
    return signature, codegen
