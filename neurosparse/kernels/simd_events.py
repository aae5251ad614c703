"""Inner loops over lists of spikes (events.py), one spike after the other.

A spike costs a load of its lane and a load, or a load and a store, of a float: less than a masked addition of 16 lanes
as long as less than one to one and a half of them spike. Where there is AVX-512, sums gather eight floats with one
instruction and lists are made sixteen lanes at a time; the order of additions is the same everywhere. Nothing is
checked here.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from neurosparse.kernels.simd import Emitter
from neurosparse.kernels.vectors import LANES, LLVM_MASK, intrinsic, repeated

GROUP = 8
"""Lists hold a multiple of this many lanes."""

_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_SUMS = 4  # independent partial sums, to hide the latency of an addition


@intrinsic
def dot_events(typingctx, g, events, first, last):
    """Sum of `g` over the lanes ``events[first:last]``; `g` is zero at the lane that fills lists up."""
    dtype = g.dtype

    def codegen(context, builder, sig, args):
        e = Emitter(context, builder, dtype)
        g_p, events_p = e.data(sig.args[0], args[0]), e.data(sig.args[1], args[1])
        fetch = _gathered if dtype.bitwidth == 32 and e.has("avx512f") else _loaded
        start = ir.Constant(_four(e), [0.0] * _SUMS)

        def add(k: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            total = sums[0]
            for four in fetch(e, g_p, events.dtype, events_p, k):
                total = builder.fadd(total, four)
            return [total]

        _, (total,) = e.loop(args[2], args[3], GROUP, [start], add)
        a, b, c, d = (builder.extract_element(total, ir.Constant(_I32, q)) for q in range(_SUMS))
        return builder.fadd(builder.fadd(a, b), builder.fadd(c, d))

    return dtype(g, events, types.intp, types.intp), codegen


@intrinsic
def scatter_events(typingctx, out, weight, events, first, last):
    """``out[lane] += weight`` for every lane of ``events[first:last]``; `out` has the lane that fills lists up too."""
    dtype = out.dtype

    def codegen(context, builder, sig, args):
        e = Emitter(context, builder, dtype)
        out_p, events_p = e.data(sig.args[0], args[0]), e.data(sig.args[2], args[2])

        def add(k: ir.Value, _: list[ir.Value]) -> list[ir.Value]:
            for lane in _lanes(e, events_p, k):
                place = builder.gep(out_p, [lane])
                builder.store(builder.fadd(builder.load(place), args[1]), place)
            return []

        e.loop(args[3], args[4], GROUP, [], add)
        return context.get_dummy_value()

    return types.void(out, dtype, events, types.intp, types.intp), codegen


@intrinsic
def list_words(typingctx, events, place, table, words, first, count):
    """Store the lanes of the spikes of ``words[first : first + count]`` from ``events[place]``; return where they end.

    Lanes are counted from the first word. After the end there are up to 16 events of no meaning. `table` (256, 8),
    flat, has the places of the set bits of every byte.
    """
    kind = events.dtype

    def codegen(context, builder, sig, args):
        e = Emitter(context, builder, types.float32)
        events_p, table_p, words_p = (e.data(sig.args[i], args[i]) for i in (0, 2, 3))
        _, place, _, _, first, count = args

        def one(w: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            (place,) = carried
            word = builder.load(builder.gep(words_p, [builder.add(first, w)]))
            base = builder.mul(w, e.const(LANES))
            if kind.bitwidth == 16 and e.has("avx512vbmi2"):
                _compress(e, events_p, place, word, base)
            else:
                low = builder.and_(word, ir.Constant(_I16, 255))
                _list_byte(e, kind, events_p, place, table_p, low, base)
                after = builder.add(place, builder.zext(builder.ctpop(low), _I64))
                _list_byte(e, kind, events_p, after, table_p, builder.lshr(word, ir.Constant(_I16, 8)), e.plus(base, 8))
            return [builder.add(place, builder.zext(builder.ctpop(word), _I64))]

        return e.loop(e.const(0), count, 1, [place], one)[1][0]

    return types.intp(events, types.intp, table, words, types.intp, types.intp), codegen


def _compress(e: Emitter, events: ir.Value, place: ir.Value, word: ir.Value, base: ir.Value) -> None:
    b = e.builder
    lanes = ir.VectorType(_I16, LANES)
    name = f"llvm.x86.avx512.mask.compress.v{LANES}i16"
    compress = cgutils.get_or_insert_function(b.module, ir.FunctionType(lanes, [lanes, lanes, LLVM_MASK]), name)
    each = b.add(repeated(b, b.trunc(base, _I16)), ir.Constant(lanes, list(range(LANES))))
    packed = b.call(compress, [each, ir.Constant(lanes, [0] * LANES), b.bitcast(word, LLVM_MASK)])
    b.store(packed, b.bitcast(b.gep(events, [place]), lanes.as_pointer())).align = 2


def _list_byte(
    e: Emitter, kind: Any, events: ir.Value, place: ir.Value, table: ir.Value, byte: ir.Value, base: ir.Value
) -> None:
    b = e.builder
    stored, short = ir.VectorType(ir.IntType(kind.bitwidth), GROUP), ir.VectorType(_I16, GROUP)
    row = b.mul(b.zext(byte, _I64), e.const(GROUP))
    lanes = b.load(b.bitcast(b.gep(table, [row]), short.as_pointer()))
    lanes.align = 2
    if stored != short:
        lanes = b.zext(lanes, stored)
    start = repeated(b, b.trunc(base, stored.element), GROUP)
    b.store(b.add(lanes, start), b.bitcast(b.gep(events, [place]), stored.as_pointer())).align = kind.bitwidth // 8


def _four(e: Emitter) -> ir.VectorType:
    return ir.VectorType(e.vector.element, _SUMS)


def _loaded(e: Emitter, g: ir.Value, kind: Any, events: ir.Value, first: ir.Value) -> list[ir.Value]:
    """Load the elements of `g` at one group of events of type `kind`, in vectors of four, one after the other."""
    b = e.builder
    lanes = _lanes(e, events, first)
    fours = []
    for start in range(0, GROUP, _SUMS):
        four = ir.Constant(_four(e), ir.Undefined)
        for q in range(_SUMS):
            four = b.insert_element(four, b.load(b.gep(g, [lanes[start + q]])), ir.Constant(_I32, q))
        fours.append(four)
    return fours


def _gathered(e: Emitter, g: ir.Value, kind: Any, events: ir.Value, first: ir.Value) -> list[ir.Value]:
    """`_loaded` in one instruction, for floats of 32 bits."""
    b = e.builder
    eight = ir.VectorType(e.vector.element, GROUP)
    integers = ir.VectorType(_I32, GROUP)
    stored = ir.VectorType(ir.IntType(kind.bitwidth), GROUP)
    lanes = b.load(b.bitcast(b.gep(events, [first]), stored.as_pointer()))
    lanes.align = kind.bitwidth // 8
    if stored != integers:
        lanes = b.zext(lanes, integers)
    pointer, scale = ir.IntType(8).as_pointer(), ir.IntType(8)
    gather = cgutils.get_or_insert_function(
        b.module, ir.FunctionType(eight, [eight, pointer, integers, eight, scale]), "llvm.x86.avx2.gather.d.ps.256"
    )
    everywhere = b.bitcast(ir.Constant(integers, [-1] * GROUP), eight)
    nothing = ir.Constant(eight, [0.0] * GROUP)
    found = b.call(gather, [nothing, b.bitcast(g, pointer), lanes, everywhere, scale(e.align)])
    picks = (range(start, start + _SUMS) for start in range(0, GROUP, _SUMS))
    return [b.shuffle_vector(found, nothing, ir.Constant(ir.VectorType(_I32, _SUMS), list(pick))) for pick in picks]


def _lanes(e: Emitter, events: ir.Value, first: ir.Value) -> list[ir.Value]:
    """Load the lanes of one group of events."""
    b = e.builder
    return [b.zext(b.load(b.gep(events, [e.plus(first, q)])), _I64) for q in range(GROUP)]
