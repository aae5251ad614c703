"""The currents that one projection adds in a span of steps, by target or by source, whichever is less work.

Currents lie in planes, one for each word of the span; a plane has a vector of 16 steps for each target neuron.
*By source* is event-driven: a word without a spike costs nothing, and a source neuron's spikes of 16 steps are
one masked addition per synapse. *By target* keeps a vector in registers while it visits all its synapses, which costs
less than half as much per synapse and word, whatever the words hold. Either way a neuron's current at a step is added
up over its sources in ascending order, one rounding each, as the reference does it.
"""

from __future__ import annotations

import numpy as np

from neurosparse.kernels.simulation_bits import element, lowest_bit, put
from neurosparse.kernels.simulation_jit import simulation_jit
from neurosparse.kernels.simulation_plan import LANES
from neurosparse.kernels.vectors import load, splat, store, where, word_mask

__all__ = ["add_projection", "add_step"]

_BLOCK_SHIFT = 8  # a block's 16 vectors of 16 currents
# Cost of a masked addition by source, and of turning to another source, measured in masked additions by target.
_SCATTER_COST, _COLUMN_COST = 2.0, 15.0
_SILENT, _ONE = np.uint16(0), np.uint16(1)


@simulation_jit
def add_projection(
    p, into, quiet_at, n_words, first_word, count, n_steps, rows, sources, row_weights, columns, targets,
    column_weights, words, shifted, active, values, slots, touched,
):  # fmt: skip
    """Add what projection `p` transmits in words [first_word, first_word + count) to the planes from `into` on.

    `quiet_at` is the target's first block in `touched`, -1 if nobody keeps account of touched blocks. Return how many
    additions were made.
    """
    if p.delay >= n_steps or p.n_synapses == 0:
        return 0
    at = p.source * n_words + first_word * p.source_padded
    if p.delay:
        _shift_words(p.source * n_words, p.source_padded, first_word, count, p.delay, words, shifted)
        at, words = 0, shifted
    events, n_active = _count_events(p, columns, words, at, count)
    if events == 0:
        return 0
    row_length = values.size // p.n_source if p.valued else 0
    step = row_length + (first_word - n_words) * LANES - p.delay
    if events * _SCATTER_COST + n_active * _COLUMN_COST < p.n_synapses * count:
        for q in range(count):
            _add_by_source(
                p, words, at + q * p.source_padded, active, columns, targets, column_weights, values,
                step + q * LANES, row_length, slots, into + q * p.target_padded * LANES, quiet_at, touched,
            )  # fmt: skip
        return events
    if quiet_at >= 0:
        for block in range(p.target_padded // LANES):
            touched[quiet_at + block] = 1
    plane = p.target_padded * LANES
    if p.valued:
        _gather_values(p, rows, sources, row_weights, values, step, row_length, count, slots, into, plane)
    else:
        _gather(p, rows, sources, row_weights, words, at, count, slots, into, plane)
    return p.n_synapses * count


@simulation_jit
def _add_by_source(
    p, words, at, active, columns, targets, weights, values, step, row_length, slots, plane, quiet_at, touched
):
    """Add one word's spikes of all sources that have any, in ascending order."""
    for i in range(_list_active(p, words, at, active)):
        j = element(active, i)
        first, last = element(columns, p.column_at + j), element(columns, p.column_at + j + 1)
        if p.valued:
            x = load(values, j * row_length + step)
            for k in range(first, last):
                o = plane + element(targets, k)
                store(slots, o, load(slots, o) + splat(element(weights, k)) * x)
        else:
            mask = word_mask(element(words, at + j))
            for k in range(first, last):
                o = plane + element(targets, k)
                current = load(slots, o)
                store(slots, o, where(mask, current + splat(element(weights, k)), current))
        if quiet_at >= 0:
            for k in range(first, last):
                touched[quiet_at + (element(targets, k) >> _BLOCK_SHIFT)] = 1


@simulation_jit
def _count_events(p, columns, words, at, count):
    """How many additions by source there are, and from how many sources (twice where it spikes in two words)."""
    events, n_active = np.int64(0), np.int64(0)
    for q in range(count):
        first = at + q * p.source_padded
        for j in range(p.n_source):
            spikes = np.int64(element(words, first + j) != _SILENT)
            events += (element(columns, p.column_at + j + 1) - element(columns, p.column_at + j)) * spikes
            n_active += spikes
    return events, n_active


@simulation_jit
def _list_active(p, words, at, active):
    """List the sources with a spike; return how many there are."""
    n = np.int64(0)
    for j in range(p.n_source):
        put(active, n, np.int32(j))
        n += np.int64(element(words, at + j) != _SILENT)
    return n


@simulation_jit
def _shift_words(source, stride, first_word, count, delay, words, shifted):
    """Words of the steps `delay` earlier: each is made of parts of two."""
    back, bits = delay // LANES, np.uint16(delay % LANES)
    rest = np.uint16(LANES) - bits
    for q in range(count):
        w = first_word + q - back
        for j in range(stride):
            late = words[source + w * stride + j] if w >= 0 else _SILENT
            early = words[source + (w - 1) * stride + j] if w >= 1 and bits else _SILENT
            shifted[q * stride + j] = np.uint16((late << bits) | (early >> rest if bits else _SILENT))


@simulation_jit
def _gather(p, rows, sources, weights, words, at, count, slots, into, plane):
    """Two targets in two words at a time: four sums that do not wait for each other."""
    n, stride = p.n_target, p.source_padded
    for i in range(0, n - 1, 2):
        row = p.row_at + i
        first, middle, last = rows[row], rows[row + 1], rows[row + 2]
        shared = min(middle - first, last - middle)
        for q in range(0, count, 2):
            here, next_word = at + q * stride, stride if q + 1 < count else 0
            o = into + q * plane + i * LANES
            beyond = plane if q + 1 < count else 0
            a, b = load(slots, o), load(slots, o + beyond)
            c, d = load(slots, o + LANES), load(slots, o + beyond + LANES)
            for k in range(shared):
                j, w = here + element(sources, first + k), splat(element(weights, first + k))
                a = where(word_mask(element(words, j)), a + w, a)
                b = where(word_mask(element(words, j + next_word)), b + w, b)
                j, w = here + element(sources, middle + k), splat(element(weights, middle + k))
                c = where(word_mask(element(words, j)), c + w, c)
                d = where(word_mask(element(words, j + next_word)), d + w, d)
            for k in range(first + shared, middle):
                j, w = here + element(sources, k), splat(element(weights, k))
                a = where(word_mask(element(words, j)), a + w, a)
                b = where(word_mask(element(words, j + next_word)), b + w, b)
            for k in range(middle + shared, last):
                j, w = here + element(sources, k), splat(element(weights, k))
                c = where(word_mask(element(words, j)), c + w, c)
                d = where(word_mask(element(words, j + next_word)), d + w, d)
            store(slots, o, a)
            store(slots, o + beyond, b)
            store(slots, o + LANES, c)
            store(slots, o + beyond + LANES, d)
    if n % 2:
        for q in range(count):
            o = into + q * plane + (n - 1) * LANES
            a = load(slots, o)
            for k in range(rows[p.row_at + n - 1], rows[p.row_at + n]):
                j = at + q * stride + element(sources, k)
                a = where(word_mask(element(words, j)), a + splat(element(weights, k)), a)
            store(slots, o, a)


@simulation_jit
def _gather_values(p, rows, sources, weights, values, step, row_length, count, slots, into, plane):
    for i in range(p.n_target):
        for q in range(count):
            o = into + q * plane + i * LANES
            a = load(slots, o)
            for k in range(rows[p.row_at + i], rows[p.row_at + i + 1]):
                a = a + splat(element(weights, k)) * load(values, element(sources, k) * row_length + step + q * LANES)
            store(slots, o, a)


@simulation_jit
def add_step(p, bits, bits_at, columns, targets, weights, currents, into):
    """Add what the neurons that spiked in one step transmit to the currents of one step; return the additions.

    The step's spikes are the words of 16 neurons from ``bits[bits_at]`` on.
    """
    events = 0
    for block in range(p.source_padded // LANES):
        word = element(bits, bits_at + block)
        while word:
            j = p.column_at + block * LANES + lowest_bit(word)
            word = np.uint16(word & (word - _ONE))
            first, last = element(columns, j), element(columns, j + 1)
            for k in range(first, last):
                o = into + element(targets, k)
                put(currents, o, element(currents, o) + element(weights, k))
            events += last - first
    return events
