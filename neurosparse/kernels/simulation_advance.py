"""The update of one or several blocks of 16 neurons through a span of steps, as vector instructions.

Intrinsics for simulation_neurons.py, usable inside ``njit`` functions only; nothing is checked. A step waits for the
one before (some 16 cycles: products, sums, a comparison), so one block alone leaves most of the processor idle: four
side by side take little longer. All operations are the reference's, one IEEE operation at a time.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from neurosparse.kernels.simd import Emitter, positions
from neurosparse.kernels.vectors import LANES, intrinsic

__all__ = ["BLOCKS", "advance_block", "advance_blocks"]

BLOCKS = 4
"""Blocks of 16 neurons that `advance_blocks` updates side by side."""

_I16 = ir.IntType(16)
_SPANS = ir.VectorType(ir.IntType(32), LANES)


class _Update:
    """Emits the loop over steps for blocks whose first neuron is `n`; the other values are named as in `_advancer`."""

    def __init__(self, e: Emitter, n_blocks: int, pointers: list[ir.Value], width: ir.Value, scalars: list[ir.Value]):
        self.e, self.n_blocks, self.width = e, n_blocks, width
        self.currents, self.parameters, self.v, self.c, self.pending, self.moved, self.words = pointers[:7]
        self.bits, self.trace = pointers[7:]
        self.n, self.n_steps, self.at, self.block_step, self.step, self.word_at = scalars[:6]
        self.bits_at, self.bits_step, self.trace_at, self.trace_step = scalars[6:]

    def emit(self, filtered: bool, wipe: bool) -> None:
        e, builder = self.e, self.e.builder
        neurons = [e.plus(self.n, b * LANES) for b in range(self.n_blocks)]
        rows = [builder.mul(self.width, e.const(row)) for row in range(5)]
        table = [[e.load(self.parameters, builder.add(row, m)) for row in rows] for m in neurons]
        silent, first_bit = (ir.Constant(_SPANS, [number] * LANES) for number in (0, 1))
        start = [
            value
            for b, m in enumerate(neurons)
            for value in (e.load(self.v, m), e.load(self.c, m), e.load_mask(self.pending, self._block(b)), silent)
        ]

        def one_step(t: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            *state, bit = carried
            after = []
            for b in range(self.n_blocks):
                beta, alpha, threshold, subtracted, bias = table[b]
                voltage, synaptic, fired, spikes = state[4 * b : 4 * b + 4]
                x = builder.fadd(e.load(self.currents, self._place(self.at, t, self.step, b, self.block_step)), bias)
                if filtered:
                    x = synaptic = builder.fadd(builder.fmul(alpha, synaptic), x)
                voltage = builder.fadd(builder.fmul(beta, voltage), x)
                if wipe:
                    fired = builder.fcmp_ordered(">", voltage, threshold)
                    voltage = builder.select(fired, e.zero, voltage)
                else:
                    # What a reset subtracts is 0 for neurons without that reset: x - 0 is x.
                    voltage = builder.select(fired, builder.fsub(voltage, subtracted), voltage)
                    fired = builder.fcmp_ordered(">", voltage, threshold)
                self._keep_mask(fired, self.bits, self._place(self.bits_at, t, self.bits_step, b, e.const(1)))
                e.store(voltage, self.trace, self._place(self.trace_at, t, self.trace_step, b, e.const(LANES)))
                after += [voltage, synaptic, fired, builder.or_(spikes, builder.select(fired, bit, silent))]
            return [*after, builder.add(bit, bit)]

        _, end = e.loop(e.const(0), self.n_steps, 1, [*start, first_bit], one_step)
        for b, m in enumerate(neurons):
            voltage, synaptic, fired, spikes = end[4 * b : 4 * b + 4]
            moved = builder.icmp_unsigned("!=", spikes, silent)
            for before, now in zip(start[4 * b : 4 * b + 2], (voltage, synaptic), strict=True):
                # A NaN differs from nothing, and it stays one.
                moved = builder.or_(moved, builder.fcmp_ordered("!=", before, now))
            e.store(voltage, self.v, m)
            e.store(synaptic, self.c, m)
            word = builder.gep(self.words, [builder.mul(e.plus(self.word_at, b * LANES), e.const(2))])
            builder.store(spikes, builder.bitcast(word, _SPANS.as_pointer())).align = 2
            self._keep_mask(fired, self.pending, self._block(b))
            self._keep_mask(moved, self.moved, self._block(b))

    def _block(self, b: int) -> ir.Value:
        return self.e.plus(self.e.builder.sdiv(self.n, self.e.const(LANES)), b)

    def _place(self, at: ir.Value, t: ir.Value, step: ir.Value, b: int, block_step: ir.Value) -> ir.Value:
        builder = self.e.builder
        return builder.add(builder.add(at, builder.mul(t, step)), builder.mul(block_step, self.e.const(b)))

    def _keep_mask(self, mask: ir.Value, words: ir.Value, index: ir.Value) -> None:
        builder = self.e.builder
        builder.store(builder.bitcast(mask, _I16), builder.gep(words, [index])).align = 2


def _advancer(n_blocks: int) -> Any:
    @intrinsic
    def advance(
        typingctx, filtered, wipe, n, n_steps, currents, at, block_step, step, parameters, v, c, pending, moved, words,
        word_at, bits, bits_at, bits_step, trace, trace_at, trace_step,
    ):  # fmt: skip
        def codegen(context, builder, sig, args):
            e = Emitter(context, builder, v.dtype)
            named = [*zip(sig.args, args, strict=True)]
            pointers = [e.data(kind, value) for kind, value in named if isinstance(kind, types.Array)]
            scalars = [value for kind, value in named[2:] if not isinstance(kind, types.Array)]
            width = builder.extract_value(context.make_array(v)(context, builder, args[9]).shape, 0)
            update = _Update(e, n_blocks, pointers, width, scalars)
            # Each model becomes a loop of its own: with the model looked up in the loop, it takes three times as long.
            with builder.if_else(args[0]) as branches:
                for branch, is_filtered in zip(branches, (True, False), strict=True):
                    with branch, builder.if_else(args[1]) as inner:
                        for inner_branch, wipes in zip(inner, (True, False), strict=True):
                            with inner_branch:
                                update.emit(is_filtered, wipes)
            return context.get_dummy_value()

        signature = types.void(
            types.boolean, types.boolean, *positions(2), currents, *positions(3), parameters, v, c, pending, moved,
            words, types.intp, bits, *positions(2), trace, *positions(2),
        )  # fmt: skip
        return signature, codegen

    return advance


advance_block = _advancer(1)
"""Run the 16 neurons from `n` on, of the model (`filtered`, `wipe`), through `n_steps` steps.

The currents of a step are 16 values from ``currents[at]`` on, `step` further at every step; likewise the word of those
that spiked (`bits`) and the voltages (`trace`). The spikes of each neuron become its word of the span, `word_at` being
the first one's; `moved` gets the word of those that spiked or ended elsewhere.
"""

advance_blocks = _advancer(BLOCKS)
"""The same for `BLOCKS` blocks, whose currents are `block_step` apart; their words and voltages stand side by side."""
