"""The inner loops as LLVM vector instructions: 16 lanes at a time, and one bit per lane for spikes.

A *lane* is one (time step, sample) pair; a row of a layer's activity is its lanes side by side. Sixteen lanes are one
vector ``<16 x float>`` (or double), and their spikes are one uint16 *word*, bit i for lane i. On AVX-512 that word
*is* a mask register, so adding a weight wherever a source spikes is one masked add per 16 lanes; LLVM lowers the same
code to AVX2, SSE2 or NEON. Numba cannot express this (its vectoriser neither packs comparison results into bits nor
keeps a tile of accumulators in registers), hence these intrinsics, which are usable inside ``njit`` functions only.

All positions count elements from the start of the array: lanes for floats, words for spikes. Nothing is checked here;
the wrappers in layers.py check. Multiplications that feed an addition carry the ``contract`` flag, which gives a
fused multiply-add where the target has one and two instructions where it has none (``llvm.fma`` would call the C
library there: 103 of 137 ms in the SSE2 build of the first probe).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types

from neurosparse.kernels.vectors import LANES, LLVM_MASK, intrinsic, llvm_vector, reduce_sum, reduce_sums, repeated

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_DOTS = 4  # synapses whose sums are made side by side
_DOT_STREAMS = 4  # independent partial sums, to hide the latency of an addition; 8 are no faster


class Emitter:
    """Emits vector code for one float type into one Numba function."""

    def __init__(self, context: Any, builder: ir.IRBuilder, dtype: types.Float) -> None:
        self.context, self.builder = context, builder
        self.vector = llvm_vector(dtype)
        self.align = dtype.bitwidth // 8
        self.zero = ir.Constant(self.vector, [0.0] * LANES)

    def has(self, feature: str) -> bool:
        """Whether the processor that is compiled for has an instruction set, by LLVM's name of it."""
        return f"+{feature}" in self.context.codegen().magic_tuple()[2].split(",")

    def tile(self) -> int:
        """Vectors of accumulators that fit the register file, half of it left for operands."""
        registers, width = (32, 64) if self.has("avx512f") else (16, 32) if self.has("avx") else (16, 16)
        return max(1, registers // 2 * width // (LANES * self.align))

    def data(self, array_type: types.Array, array: ir.Value) -> ir.Value:
        return self.context.make_array(array_type)(self.context, self.builder, array).data

    def at(self, pointer: ir.Value, index: ir.Value, element: ir.Type) -> ir.Value:
        """Address of element `index`, as a pointer to `element` (which may be a vector of the array's type)."""
        return self.builder.bitcast(self.builder.gep(pointer, [index]), element.as_pointer())

    def load(self, pointer: ir.Value, index: ir.Value) -> ir.Value:
        value = self.builder.load(self.at(pointer, index, self.vector))
        value.align = self.align
        return value

    def store(self, value: ir.Value, pointer: ir.Value, index: ir.Value) -> None:
        self.builder.store(value, self.at(pointer, index, self.vector)).align = self.align

    def load_mask(self, words: ir.Value, index: ir.Value) -> ir.Value:
        word = self.builder.load(self.builder.gep(words, [index]))
        word.align = 2
        return self.builder.bitcast(word, LLVM_MASK)

    def splat(self, scalar: ir.Value) -> ir.Value:
        return repeated(self.builder, scalar)

    def multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        product = self.builder.fmul(a, b, flags=("contract",))
        return self.builder.fadd(product, c, flags=("contract",))

    def add_where(self, mask: ir.Value, accumulator: ir.Value, addend: ir.Value) -> ir.Value:
        return self.builder.select(mask, self.builder.fadd(accumulator, addend), accumulator)

    def const(self, number: int) -> ir.Constant:
        return ir.Constant(_I64, number)

    def plus(self, index: ir.Value, number: int) -> ir.Value:
        return self.builder.add(index, self.const(number)) if number else index

    def loop(
        self,
        start: ir.Value,
        stop: ir.Value,
        step: int,
        carried: list[ir.Value],
        body: Callable[[ir.Value, list[ir.Value]], list[ir.Value]],
    ) -> tuple[ir.Value, list[ir.Value]]:
        """``while start + step <= stop``: run the body; return the counter's last value and the carried values.

        The carried values are phi nodes and not memory, so accumulators stay in registers.
        """
        b = self.builder
        before = b.block
        head, inner, after = (b.append_basic_block(name) for name in ("head", "body", "after"))
        b.branch(head)
        b.position_at_end(head)
        counter = b.phi(_I64)
        counter.add_incoming(start, before)
        phis = []
        for value in carried:
            phi = b.phi(value.type)
            phi.add_incoming(value, before)
            phis.append(phi)
        b.cbranch(b.icmp_signed("<=", self.plus(counter, step), stop), inner, after)
        b.position_at_end(inner)
        updated = body(counter, list(phis))
        counter.add_incoming(self.plus(counter, step), b.block)
        for phi, value in zip(phis, updated, strict=True):
            phi.add_incoming(value, b.block)
        b.branch(head)
        b.position_at_end(after)
        return counter, list(phis)


def positions(count: int) -> list[types.Type]:
    return [types.intp] * count


@intrinsic
def accumulate(
    typingctx, out, out_start, initial, values, indices, first, last, rows, rows_start, row_stride, n_vectors
):
    """``out[lane] = initial + sum of values[k] * rows[indices[k], lane]`` over synapses k in [first, last).

    ``rows`` is either uint16 spike words (a masked add per vector) or floats (a multiply-add per vector); row i
    starts at ``rows_start + i * row_stride``. `out` may not overlap `rows`.
    """
    spikes = rows.dtype == types.uint16
    dtype = values.dtype
    signature = types.void(out, types.intp, dtype, values, indices, types.intp, types.intp, rows, *positions(3))

    def codegen(context, builder, sig, args):
        e = Emitter(context, builder, dtype)
        out_p, values_p, indices_p, rows_p = (e.data(sig.args[i], args[i]) for i in (0, 3, 4, 7))
        out_start, initial, first, last, rows_start, row_stride, n_vectors = (args[i] for i in (1, 2, 5, 6, 8, 9, 10))
        start_vector = e.splat(initial)
        lane_step = 1 if spikes else LANES

        def tiles_of(count: int, begin: ir.Value) -> ir.Value:
            def tile(vector: ir.Value, _: list[ir.Value]) -> list[ir.Value]:
                base = builder.add(rows_start, builder.mul(vector, e.const(lane_step)))

                def synapse(k: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
                    row = builder.sext(builder.load(builder.gep(indices_p, [k])), _I64)
                    weight = e.splat(builder.load(builder.gep(values_p, [k])))
                    position = builder.add(base, builder.mul(row, row_stride))
                    added = []
                    for q, total in enumerate(sums):
                        where = e.plus(position, q * lane_step)
                        if spikes:
                            added.append(e.add_where(e.load_mask(rows_p, where), total, weight))
                        else:
                            added.append(e.multiply_add(weight, e.load(rows_p, where), total))
                    return added

                _, sums = e.loop(first, last, 1, [start_vector] * count, synapse)
                lane = builder.add(out_start, builder.mul(vector, e.const(LANES)))
                for q, total in enumerate(sums):
                    e.store(total, out_p, e.plus(lane, q * LANES))
                return []

            return e.loop(begin, n_vectors, count, [], tile)[0]

        done = e.const(0)
        count = e.tile()
        while count:  # whole tiles first, then what is left in halves: any number of vectors, no padding
            done = tiles_of(count, done)
            count //= 2
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def dot(typingctx, g, g_start, rows, rows_start, n_vectors):
    """Sum over lanes of ``g * rows``, `rows` being spike words or floats."""
    spikes = rows.dtype == types.uint16
    dtype = g.dtype

    def codegen(context, builder, sig, args):
        e = Emitter(context, builder, dtype)
        g_p, rows_p = e.data(sig.args[0], args[0]), e.data(sig.args[2], args[2])
        _, g_start, _, rows_start, n_vectors = args
        lane_step = 1 if spikes else LANES

        def add(vector: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            lane = builder.add(g_start, builder.mul(vector, e.const(LANES)))
            where = builder.add(rows_start, builder.mul(vector, e.const(lane_step)))
            added = []
            for q, total in enumerate(sums):
                x = e.load(g_p, e.plus(lane, q * LANES))
                other = e.plus(where, q * lane_step)
                if spikes:
                    added.append(e.add_where(e.load_mask(rows_p, other), total, x))
                else:
                    added.append(e.multiply_add(x, e.load(rows_p, other), total))
            return added

        done, sums = e.loop(e.const(0), n_vectors, _DOT_STREAMS, [e.zero] * _DOT_STREAMS, add)
        _, rest = e.loop(done, n_vectors, 1, sums[:1], add)
        return reduce_sum(builder, [rest[0], *sums[1:]])

    return dtype(g, types.intp, rows, types.intp, types.intp), codegen


@intrinsic
def add_dots(typingctx, out, g, g_start, rows, rows_start, row_stride, indices, first, last, n_vectors):
    """``out[k] += sum over lanes of g * rows[indices[k], lane]`` for the synapses k in [first, last).

    ``rows`` as in `accumulate`. Four synapses at a time: a vector of `g` is loaded once for them, and their sums are
    reduced together.
    """
    spikes = rows.dtype == types.uint16
    dtype = g.dtype
    signature = types.void(out, g, types.intp, rows, *positions(2), indices, *positions(3))

    def codegen(context, builder, sig, args):
        e = Emitter(context, builder, dtype)
        out_p, g_p, rows_p, indices_p = (e.data(sig.args[i], args[i]) for i in (0, 1, 3, 6))
        g_start, rows_start, row_stride, first, last, n_vectors = (args[i] for i in (2, 4, 5, 7, 8, 9))

        def several(count: int, begin: ir.Value) -> ir.Value:
            def synapses(k: ir.Value, _: list[ir.Value]) -> list[ir.Value]:
                bases = []
                for q in range(count):
                    row = builder.sext(builder.load(builder.gep(indices_p, [e.plus(k, q)])), _I64)
                    bases.append(builder.add(rows_start, builder.mul(row, row_stride)))

                def add(vector: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
                    lane = builder.mul(vector, e.const(LANES))
                    x = e.load(g_p, builder.add(g_start, lane))
                    at = [builder.add(base, vector if spikes else lane) for base in bases]
                    if spikes:
                        return [e.add_where(e.load_mask(rows_p, i), s, x) for i, s in zip(at, sums, strict=True)]
                    return [e.multiply_add(x, e.load(rows_p, i), s) for i, s in zip(at, sums, strict=True)]

                _, sums = e.loop(e.const(0), n_vectors, 1, [e.zero] * count, add)
                for q, total in enumerate(reduce_sums(builder, sums)):
                    place = builder.gep(out_p, [e.plus(k, q)])
                    builder.store(builder.fadd(builder.load(place), total), place)
                return []

            return e.loop(begin, last, count, [], synapses)[0]

        several(1, several(_DOTS, first))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def ones(typingctx, bits):
    """Number of set bits of an unsigned integer, such as a spike word."""

    def codegen(context, builder, sig, args):
        count = builder.ctpop(args[0])
        return count if bits.bitwidth == 64 else builder.zext(count, _I64)

    return types.int64(bits), codegen


@intrinsic
def aligned_start(typingctx, array):
    """Elements to skip so that a vector starts on a 64-byte line: a vector across two lines costs two."""
    size = array.dtype.bitwidth // 8

    def codegen(context, builder, sig, args):
        pointer = context.make_array(sig.args[0])(context, builder, args[0]).data
        address = builder.ptrtoint(pointer, _I64)
        past = builder.and_(builder.neg(address), ir.Constant(_I64, 63))
        return builder.udiv(past, ir.Constant(_I64, size))

    return types.intp(array), codegen
