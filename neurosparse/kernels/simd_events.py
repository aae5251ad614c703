"""Inner loops over lists of spikes (events.py), one spike after the other.

A spike costs a load of its lane and a load, or a load and a store, of a float: less than a masked addition of 16 lanes
as long as less than one to one and a half of them spike. Four lanes are read at once, because on current processors
the number of loads decides. Nothing is checked here.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from neurosparse.kernels.simd import Emitter
from neurosparse.kernels.vectors import intrinsic

GROUP = 8
"""Lists hold a multiple of this many lanes."""

_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_QUAD = 4
_STREAMS = 4  # independent partial sums, to hide the latency of an addition


@intrinsic
def dot_events(typingctx, g, events, first, last):
    """Sum of `g` over the lanes ``events[first:last]``; `g` is zero at the lane that fills lists up."""
    dtype = g.dtype

    def codegen(context, builder, sig, args):
        e = Emitter(context, builder, dtype)
        g_p, events_p = e.data(sig.args[0], args[0]), e.data(sig.args[1], args[1])
        element = e.vector.element

        def add(k: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            for q, lane in enumerate(_lanes(e, events.dtype, events_p, k)):
                i = q % _STREAMS
                sums[i] = builder.fadd(sums[i], builder.load(builder.gep(g_p, [lane])))
            return sums

        _, sums = e.loop(args[2], args[3], GROUP, [ir.Constant(element, 0.0)] * _STREAMS, add)
        while len(sums) > 1:
            sums = [builder.fadd(a, b) for a, b in zip(sums[::2], sums[1::2], strict=True)]
        return sums[0]

    return dtype(g, events, types.intp, types.intp), codegen


@intrinsic
def scatter_events(typingctx, out, weight, events, first, last):
    """``out[lane] += weight`` for every lane of ``events[first:last]``; `out` has the lane that fills lists up too."""
    dtype = out.dtype

    def codegen(context, builder, sig, args):
        e = Emitter(context, builder, dtype)
        out_p, events_p = e.data(sig.args[0], args[0]), e.data(sig.args[2], args[2])

        def add(k: ir.Value, _: list[ir.Value]) -> list[ir.Value]:
            for lane in _lanes(e, events.dtype, events_p, k):
                place = builder.gep(out_p, [lane])
                builder.store(builder.fadd(builder.load(place), args[1]), place)
            return []

        e.loop(args[3], args[4], GROUP, [], add)
        return context.get_dummy_value()

    return types.void(out, dtype, events, types.intp, types.intp), codegen


@intrinsic
def list_byte(typingctx, events, place, table, byte, base):
    """Store ``table[byte] + base``, eight lanes of which those count that `byte` has bits, from ``events[place]``."""
    kind = ir.VectorType(ir.IntType(events.dtype.bitwidth), GROUP)
    short = ir.VectorType(_I16, GROUP)

    def codegen(context, builder, sig, args):
        e = Emitter(context, builder, types.float32)
        events_p, table_p = e.data(sig.args[0], args[0]), e.data(sig.args[2], args[2])
        row = builder.mul(builder.zext(args[3], _I64), e.const(GROUP))
        lanes = builder.load(builder.bitcast(builder.gep(table_p, [row]), short.as_pointer()))
        lanes.align = 2
        if kind != short:
            lanes = builder.zext(lanes, kind)
        undefined = ir.Constant(kind, ir.Undefined)
        first = builder.insert_element(undefined, builder.trunc(args[4], kind.element), ir.Constant(_I32, 0))
        start = builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, GROUP), [0] * GROUP))
        target = builder.bitcast(builder.gep(events_p, [args[1]]), kind.as_pointer())
        builder.store(builder.add(lanes, start), target).align = 2
        return context.get_dummy_value()

    return types.void(events, types.intp, table, types.uint8, types.intp), codegen


def _lanes(e: Emitter, kind: Any, events: ir.Value, first: ir.Value) -> list[ir.Value]:
    """Load the lanes of one group of events."""
    b = e.builder
    if kind.bitwidth != 16:
        return [b.zext(b.load(b.gep(events, [e.plus(first, q)])), _I64) for q in range(GROUP)]
    lanes = []
    for start in range(0, GROUP, _QUAD):
        four = b.load(b.bitcast(b.gep(events, [e.plus(first, start)]), _I64.as_pointer()))
        four.align = 2
        for q in range(_QUAD):  # little-endian, as every target of Numba is; mask_word relies on it too
            lanes.append(b.and_(b.lshr(four, e.const(16 * q)), e.const(0xFFFF)))
    return lanes
