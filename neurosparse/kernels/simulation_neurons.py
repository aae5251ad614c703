"""The neurons' side of the simulator: 16 neurons at a time through a span of steps, or through one step.

Compiled code only; simulation.py is the checked way in. Spikes leave in two forms: *bits*, a word per step and 16
neurons, and *words*, a word per neuron and 16 steps, which is what projections read.
"""

from __future__ import annotations

import numpy as np

from neurosparse.kernels.simd_blocks import transpose_block
from neurosparse.kernels.simulation_bits import element, put, spread_word, turn_words
from neurosparse.kernels.simulation_jit import simulation_jit
from neurosparse.kernels.simulation_plan import LANES, ROW
from neurosparse.kernels.vectors import load, mask_word, splat, store, where, word_mask

__all__ = ["clear", "keep_spikes", "keep_voltages", "run_span", "run_step", "turn_bits", "turn_currents"]

_SILENT = np.uint16(0)


@simulation_jit
def advance(
    pop, n_steps, n, currents, at, step, parameters, v, c, pending, bits, bits_at, bits_step, trace, trace_at,
    trace_step,
):  # fmt: skip
    """Run neurons [n, n + 16) for `n_steps` steps; return the word of those that spiked.

    The currents of a step are 16 values from ``currents[at]`` on, `step` further at every step; likewise bits and
    voltages.
    """
    # Each call becomes a loop of its own: with the model looked up in the loop, it takes three times as long.
    if pop.filtered:
        return _advance(
            True, pop.wipe != 0, n_steps, n, currents, at, step, parameters, v, c, pending, bits, bits_at, bits_step,
            trace, trace_at, trace_step,
        )  # fmt: skip
    if pop.wipe:
        return _advance(
            False, True, n_steps, n, currents, at, step, parameters, v, c, pending, bits, bits_at, bits_step,
            trace, trace_at, trace_step,
        )  # fmt: skip
    return _advance(
        False, False, n_steps, n, currents, at, step, parameters, v, c, pending, bits, bits_at, bits_step,
        trace, trace_at, trace_step,
    )  # fmt: skip


@simulation_jit
def _advance(
    filtered, wipe, n_steps, n, currents, at, step, parameters, v, c, pending, bits, bits_at, bits_step,
    trace, trace_at, trace_step,
):  # fmt: skip
    """Update 16 neurons. What a reset subtracts is 0 for neurons without that reset: x - 0 is x."""
    width = v.size
    beta, alpha, threshold = load(parameters, n), load(parameters, width + n), load(parameters, 2 * width + n)
    subtracted, bias = load(parameters, 3 * width + n), load(parameters, 4 * width + n)
    nothing = splat(v.dtype.type(0))
    voltage, synaptic = load(v, n), load(c, n)
    fired, spoke = word_mask(pending[n // LANES]), _SILENT
    for t in range(n_steps):
        x = load(currents, at + t * step) + bias
        if filtered:
            synaptic = alpha * synaptic + x
            x = synaptic
        voltage = beta * voltage + x
        if wipe:
            fired = voltage > threshold
            voltage = where(fired, nothing, voltage)
        else:
            voltage = where(fired, voltage - subtracted, voltage)
            fired = voltage > threshold
        word = mask_word(fired)
        spoke |= word
        put(bits, bits_at + t * bits_step, word)
        store(trace, trace_at + t * trace_step, voltage)
    store(v, n, voltage)
    store(c, n, synaptic)
    pending[n // LANES] = mask_word(fired)
    return spoke


@simulation_jit
def run_span(
    pop, word_at, bits_at, count, n_steps, parameters, slots, v, c, pending, resting, touched, tile, bits, words, trace
):
    """Run a population through `count` words of `n_steps` steps in all; its currents in `slots` are cleared.

    Leaves out the blocks at rest where the population keeps account of them.
    """
    n_blocks = pop.n_padded // LANES
    traced = pop.trace_first >= 0
    for block in range(n_blocks):
        n = pop.first + block * LANES
        at = bits_at + block
        if resting[n // LANES] and _untouched(pop, block, count, slots, touched):
            _stay(pop, block, count, load(v, n), word_at, at, bits, words, trace)
            continue
        for q in range(count):
            vectors = pop.slot_at * ROW + (q * pop.n_padded + block * LANES) * LANES
            for slot in range(1, pop.slots):
                _add_vectors(slots, vectors, vectors + slot * pop.n_padded * ROW)
            transpose_block(tile, q * LANES * LANES, LANES, slots, vectors, LANES)
            _clear_vectors(slots, vectors)
        before, before_c = load(v, n), load(c, n)
        spoke = advance(
            pop, n_steps, n, tile, 0, LANES, parameters, v, c, pending, bits, at, n_blocks, trace,
            block * LANES if traced else 0, pop.n_padded if traced else 0,
        )  # fmt: skip
        for t in range(n_steps, count * LANES):
            bits[at + t * n_blocks] = _SILENT
        for q in range(count):
            turn_words(bits, at + q * LANES * n_blocks, n_blocks, words, word_at + q * pop.n_padded + block * LANES)
        changed = _differ(before, load(v, n)) | _differ(before_c, load(c, n)) | spoke
        resting[n // LANES] = changed == 0 and _all_zero(tile, 0, count)
        touched[n // LANES] = 0


@simulation_jit
def run_step(pop, into, parameters, currents, v, c, pending, bits, bits_at, trace):
    """Run a population of a loop through one step; its currents are the rows from `into` on, one per slot."""
    for block in range(pop.n_padded // LANES):
        at = into + block * LANES
        for slot in range(1, pop.slots):
            other = at + slot * pop.n_padded * ROW
            store(currents, at, load(currents, at) + load(currents, other))
        n = pop.first + block * LANES
        advance(pop, 1, n, currents, at, 0, parameters, v, c, pending, bits, bits_at + block, 0, trace, 0, 0)


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
    """Word of the lanes that differ; a NaN differs from nothing, and it stays one."""
    return mask_word(a < b) | mask_word(a > b)


@simulation_jit
def _stay(pop, block, count, voltage, word_at, at, bits, words, trace):
    """Write what a block at rest does in a span: nothing."""
    n_blocks = pop.n_padded // LANES
    for t in range(count * LANES):
        bits[at + t * n_blocks] = _SILENT
        if pop.trace_first >= 0:
            store(trace, t * pop.n_padded + block * LANES, voltage)
    for q in range(count):
        turn_words(bits, at + q * LANES * n_blocks, n_blocks, words, word_at + q * pop.n_padded + block * LANES)


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
            turn_words(bits, at, n_blocks, words, word_at + q * pop.n_padded + block * LANES)


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
