"""The neurons' side of the simulator: 16 neurons at a time through a span of steps, or through one step.

Compiled code only; simulation.py is the checked way in. Spikes leave in two forms: *bits*, a word per step and 16
neurons, and *words*, a word per neuron and 16 steps, which is what projections read.
"""

from __future__ import annotations

import numpy as np

from neurosparse.kernels.simd_blocks import transpose_block
from neurosparse.kernels.simulation_advance import BLOCKS, advance_block, advance_blocks
from neurosparse.kernels.simulation_bits import element, put, put_span_word, spread_word, turn_words
from neurosparse.kernels.simulation_jit import simulation_jit
from neurosparse.kernels.simulation_plan import LANES, ROW, SPAN
from neurosparse.kernels.vectors import load, mask_word, splat, store

__all__ = ["clear", "keep_spikes", "keep_voltages", "run_span", "run_step", "turn_bits", "turn_currents"]

_SILENT = np.uint16(0)


@simulation_jit
def run_span(pop, first_block, last_block, word_at, bits_at, count, n_steps, layout, work):
    """Run blocks of a population through `count` words of `n_steps` steps in all; clear their currents in `slots`.

    Leaves out the blocks at rest where the population keeps account of them.
    """
    for first in range(first_block, last_block, BLOCKS):
        last = min(first + BLOCKS, last_block)
        awake = 0
        for block in range(first, last):
            which = pop.first // LANES + block
            if work.resting[which] and _untouched(pop, block, count, work.slots, work.touched):
                _stay(pop, block, count, word_at, bits_at, work)
            else:
                work.resting[which] = 0
                awake += 1
                _turn_block(pop, block, block - first, count, work)
        if awake == BLOCKS:
            _advance(pop, first, 0, True, n_steps, word_at, bits_at, layout, work)
        elif awake:
            for block in range(first, last):
                if not work.resting[pop.first // LANES + block]:
                    _advance(pop, block, block - first, False, n_steps, word_at, bits_at, layout, work)
        if awake:
            for block in range(first, last):
                which = pop.first // LANES + block
                if not work.resting[which]:
                    still = work.moved[which] == 0 and _all_zero(work.tile, (block - first) * ROW * LANES, count)
                    work.resting[which] = still
                    work.touched[which] = 0


@simulation_jit
def _turn_block(pop, block, place, count, work):
    """Bring the currents of a block from a vector per neuron to one per step, at `place` in the tile; clear them."""
    slots = work.slots
    for q in range(count):
        vectors = pop.slot_at * ROW + (q * pop.n_padded + block * LANES) * LANES
        for slot in range(1, pop.slots):
            _add_vectors(slots, vectors, vectors + slot * pop.n_padded * ROW)
        transpose_block(work.tile, (place * SPAN + q) * LANES * LANES, LANES, slots, vectors, LANES)
        _clear_vectors(slots, vectors)


@simulation_jit
def _advance(pop, block, place, together, n_steps, word_at, bits_at, layout, work):
    """Run one block whose currents are at `place` in the tile, or `BLOCKS` blocks, through `n_steps` steps."""
    n, n_blocks, traced = pop.first + block * LANES, pop.n_padded // LANES, pop.trace_first >= 0
    trace_at, trace_step = block * LANES if traced else 0, pop.n_padded if traced else 0
    filtered, wipe, at, words_at = pop.filtered != 0, pop.wipe != 0, place * ROW * LANES, word_at + block * LANES
    if together:
        advance_blocks(
            filtered, wipe, n, n_steps, work.tile, at, ROW * LANES, LANES, layout.parameters, work.v, work.c,
            work.pending, work.moved, work.words, words_at, work.bits, bits_at + block, n_blocks, work.trace, trace_at,
            trace_step,
        )  # fmt: skip
    else:
        advance_block(
            filtered, wipe, n, n_steps, work.tile, at, 0, LANES, layout.parameters, work.v, work.c,
            work.pending, work.moved, work.words, words_at, work.bits, bits_at + block, n_blocks, work.trace, trace_at,
            trace_step,
        )  # fmt: skip


@simulation_jit
def run_step(pop, into, word_at, bits_at, layout, work):
    """Run a population of a loop through one step; its currents are the rows from `into` on, one per slot."""
    currents = work.currents
    for block in range(pop.n_padded // LANES):
        at = into + block * LANES
        for slot in range(1, pop.slots):
            other = at + slot * pop.n_padded * ROW
            store(currents, at, load(currents, at) + load(currents, other))
        advance_block(
            pop.filtered != 0, pop.wipe != 0, pop.first + block * LANES, 1, currents, at, 0, 0, layout.parameters,
            work.v, work.c, work.pending, work.moved, work.words, word_at + block * LANES, work.bits, bits_at + block,
            0, work.trace, 0, 0,
        )  # fmt: skip


@simulation_jit
def _untouched(pop, block, count, slots, touched):
    """Whether a block has no input in a span: by the account of its population, else by looking."""
    if pop.quiet:
        return touched[pop.first // LANES + block] == 0
    for slot in range(pop.slots):
        for q in range(count):
            at = (pop.slot_at + slot * pop.n_padded) * ROW + (q * pop.n_padded + block * LANES) * LANES
            if not _all_zero(slots, at, 1):
                return False
    return True


@simulation_jit
def _all_zero(currents, at, count):
    """Whether `count` times sixteen vectors hold nothing but zeros."""
    nothing = splat(currents.dtype.type(0))
    for o in range(at, at + count * LANES * LANES, LANES):  # noqa: SIM110
        if _differ(load(currents, o), nothing):
            return False
    return True


@simulation_jit
def _differ(a, b):
    """Word of the lanes that differ; a NaN differs from nothing."""
    return mask_word(a < b) | mask_word(a > b)


@simulation_jit
def _stay(pop, block, count, word_at, bits_at, work):
    """Write what a block at rest does in a span: nothing."""
    n_blocks, voltage = pop.n_padded // LANES, load(work.v, pop.first + block * LANES)
    for t in range(count * LANES):
        put(work.bits, bits_at + block + t * n_blocks, _SILENT)
        if pop.trace_first >= 0:
            store(work.trace, t * pop.n_padded + block * LANES, voltage)
    for i in range(LANES):
        put_span_word(work.words, word_at + block * LANES + i, np.uint32(0))


@simulation_jit
def _add_vectors(slots, vectors, others):
    """Add sixteen vectors to sixteen vectors and clear what was added."""
    nothing = splat(slots.dtype.type(0))
    for o in range(0, LANES * LANES, LANES):
        store(slots, vectors + o, load(slots, vectors + o) + load(slots, others + o))
        store(slots, others + o, nothing)


@simulation_jit
def _clear_vectors(slots, vectors):
    nothing = splat(slots.dtype.type(0))
    for o in range(0, LANES * LANES, LANES):
        store(slots, vectors + o, nothing)


@simulation_jit
def clear(array, first, last):
    """``array[first:last] = 0``."""
    for i in range(first, last):
        put(array, i, array.dtype.type(0))


@simulation_jit
def turn_currents(pop, count, slots, currents):
    """Bring the currents of a population of a loop from a vector per neuron to a row per step; clear `slots`."""
    for slot in range(pop.slots):
        start = (pop.slot_at + slot * pop.n_padded) * ROW
        for q in range(count):
            for n in range(0, pop.n_padded, LANES):
                vectors = start + (q * pop.n_padded + n) * LANES
                row = start + q * LANES * pop.n_padded + n
                transpose_block(currents, row, pop.n_padded, slots, vectors, LANES)
                _clear_vectors(slots, vectors)


@simulation_jit
def turn_bits(pop, word_at, bits_at, count, n_steps, bits, words):
    """Make the words of a population of a loop after a span of `n_steps` steps."""
    n_blocks = pop.n_padded // LANES
    clear(bits, bits_at + n_steps * n_blocks, bits_at + count * LANES * n_blocks)
    for q in range(count):
        for block in range(n_blocks):
            at = bits_at + q * LANES * n_blocks + block
            turn_words(bits, at, n_blocks, words, word_at + block * LANES, q == 1)


@simulation_jit
def keep_voltages(trace, row_length, n_steps, n, out, out_at, out_step):
    """Copy `n` voltages a step from the span's rows to the recording's."""
    for t in range(n_steps):
        for i in range(n):
            out[out_at + t * out_step + i] = trace[t * row_length + i]


@simulation_jit
def keep_spikes(pop, bits_at, n_steps, out, out_at, out_step, bits):
    """Write all spikes of a population as booleans."""
    n_blocks = pop.n_padded // LANES
    whole = pop.n // LANES
    for t in range(n_steps):
        at, o = bits_at + t * n_blocks, out_at + t * out_step
        for block in range(whole):
            spread_word(out, o + block * LANES, element(bits, at + block))
        for i in range(whole * LANES, pop.n):
            out[o + i] = (bits[at + whole] >> (i - whole * LANES)) & 1
