"""The currents that one projection adds in a span of steps, by target or by source, whichever is less work.

Currents lie in planes, one for each word of the span; a plane has a vector of 16 steps for each target neuron.
*By source* is event-driven: a word without a spike costs nothing, and a source neuron's spikes of 16 steps are
one masked addition per synapse. *By target* keeps vectors in registers while it visits all their synapses, which costs
a third as much per synapse and word, whatever the words hold. Either way a neuron's current at a step is added
up over its sources in ascending order, one rounding each, as the reference does it.
"""

from __future__ import annotations

import numpy as np

from neurosparse.kernels.simulation_bits import element, lowest_bit, put, put_span_word, span_word
from neurosparse.kernels.simulation_gather import add_group, add_group_pair, add_group_split
from neurosparse.kernels.simulation_jit import simulation_jit
from neurosparse.kernels.simulation_plan import LANES, ROW
from neurosparse.kernels.simulation_synapses import GROUP
from neurosparse.kernels.vectors import load, splat, store, where, word_mask

__all__ = ["add_projection", "add_segment", "add_step"]

_BLOCK_SHIFT = 8  # a block's 16 vectors of 16 currents
# Nanoseconds, of which only the ratios count: a masked addition by source, turning to another source, and a synapse by
# target in one word and in two. Measured with AVX-512 on 40 000 random synapses at 0.5 to 12 % activity.
_SCATTER_COST, _COLUMN_COST = 0.65, 7.0
_GATHER_COST, _GATHER_PAIR_COST = 0.42, 0.6
_SILENT, _ONE = np.uint16(0), np.uint16(1)


@simulation_jit
def add_projection(p, k, into, quiet_at, n_words, span, count, n_steps, defer, layout, work):
    """Add what projection `p`, number `k`, transmits in a span of `count` words to the planes from `into` on.

    `quiet_at` is the target's first block in `touched`, -1 if nobody keeps account of touched blocks. With `defer`,
    what can be added a segment of targets at a time may be left to `add_segment`, as ``work.deferred[k]`` then says.
    Return how many additions were or will be made.
    """
    work.deferred[k] = 0
    if p.delay >= n_steps or p.n_synapses == 0:
        return 0
    n_spans = (n_words + 1) // 2
    at, words = p.source * n_spans + span * p.source_padded, work.words
    if p.delay:
        _shift_words(p.source * n_spans, p.source_padded, span, p.delay, words, work.shifted)
        at, words = 0, work.shifted
    events, n_active = _count_events(p, layout.columns, words, at)
    if events == 0:
        return 0
    row_length = work.rows.size // p.n_source if p.valued else 0
    step = row_length + (span * 2 - n_words) * LANES - p.delay
    plane = p.target_padded * LANES
    by_target = p.n_synapses * (_GATHER_COST if count == 1 else _GATHER_PAIR_COST)
    if events * _SCATTER_COST + n_active * _COLUMN_COST < by_target:
        for q in range(count):
            _add_by_source(p, words, at, q, into + q * plane, step + q * LANES, row_length, quiet_at, layout, work)
        return events
    if quiet_at >= 0:
        for block in range(p.target_padded // LANES):
            work.touched[quiet_at + block] = 1
    if p.valued:
        _gather_values(p, layout, work.rows, step, row_length, count, work.slots, into, plane)
    elif defer and p.delay == 0:
        work.deferred[k] = 1
    else:
        _gather(p, 0, p.n_groups, layout, words, at, count, work.slots, into, plane)
    return p.n_synapses * count


@simulation_jit
def add_segment(p, first, last, into, n_words, span, count, layout, work):
    """Add what a deferred projection transmits to the targets [first, last) of one segment."""
    at = p.source * ((n_words + 1) // 2) + span * p.source_padded
    last = min(last, p.n_groups * GROUP)
    _gather(p, first // GROUP, last // GROUP, layout, work.words, at, count, work.slots, into, p.target_padded * LANES)


@simulation_jit
def _add_by_source(p, words, at, q, plane, step, row_length, quiet_at, layout, work):
    """Add one word's spikes of all sources that have any, in ascending order."""
    columns, targets, weights, slots = layout.columns, layout.targets, layout.column_weights, work.slots
    for i in range(_list_active(p, words, at, q, work.active)):
        j = element(work.active, i)
        first, last = element(columns, p.column_at + j), element(columns, p.column_at + j + 1)
        if p.valued:
            x = load(work.rows, j * row_length + step)
            for k in range(first, last):
                o = plane + element(targets, k)
                store(slots, o, load(slots, o) + splat(element(weights, k)) * x)
        else:
            mask = word_mask(element(words, (at + j) * 2 + q))
            for k in range(first, last):
                o = plane + element(targets, k)
                current = load(slots, o)
                store(slots, o, where(mask, current + splat(element(weights, k)), current))
        if quiet_at >= 0:
            for k in range(first, last):
                work.touched[quiet_at + (element(targets, k) >> _BLOCK_SHIFT)] = 1


@simulation_jit
def _count_events(p, columns, words, at):
    """How many additions by source there are, and from how many sources (twice where it spikes in two words)."""
    events, n_active = np.int64(0), np.int64(0)
    for j in range(p.n_source):
        spikes = np.int64(element(words, (at + j) * 2) != _SILENT)
        spikes += np.int64(element(words, (at + j) * 2 + 1) != _SILENT)
        events += (element(columns, p.column_at + j + 1) - element(columns, p.column_at + j)) * spikes
        n_active += spikes
    return events, n_active


@simulation_jit
def _list_active(p, words, at, q, active):
    """List the sources with a spike in word `q` of a span; return how many there are."""
    n = np.int64(0)
    for j in range(p.n_source):
        put(active, n, np.int32(j))
        n += np.int64(element(words, (at + j) * 2 + q) != _SILENT)
    return n


@simulation_jit
def _shift_words(source, stride, span, delay, words, shifted):
    """Words of the steps `delay` earlier: each is made of parts of two."""
    back, bits = delay // ROW, np.uint32(delay % ROW)
    rest, w = np.uint32(ROW) - bits, span - back
    for j in range(stride):
        word = np.uint32(0)
        if w >= 0:
            word = np.uint32(span_word(words, source + w * stride + j) << bits)
        if w >= 1 and bits:
            word |= np.uint32(span_word(words, source + (w - 1) * stride + j) >> rest)
        put_span_word(shifted, j, word)


@simulation_jit
def _gather(p, first_group, last_group, layout, words, at, count, slots, into, plane):
    groups, members, sources = layout.groups, layout.members, layout.sources
    scale = layout.scales[p.scale_at] if p.shift else slots.dtype.type(0)
    for group in range(first_group, last_group):
        first, last = element(groups, p.group_at + group), element(groups, p.group_at + group + 1)
        member = p.member_at + group * GROUP
        if count == 1:
            add_group(slots, into, plane, members, member, sources, layout.weights, first, last, words, at)
        elif not p.shift:
            add_group_pair(slots, into, plane, members, member, sources, layout.weights, first, last, words, at)
        else:
            for start in range(first, last, p.chunk * GROUP):
                end = min(last, start + p.chunk * GROUP)
                add_group_split(
                    slots, into, plane, members, member, sources, layout.halves, start, end, words, at,
                    np.int32(p.shift), scale,
                )  # fmt: skip


@simulation_jit
def _gather_values(p, layout, values, step, row_length, count, slots, into, plane):
    """Add values by target. An entry without a synapse adds 0 times the first line's value, which is finite."""
    groups, members, sources, weights = layout.groups, layout.members, layout.sources, layout.weights
    for group in range(p.n_groups):
        first, last = element(groups, p.group_at + group), element(groups, p.group_at + group + 1)
        member = p.member_at + group * GROUP
        for q in range(count):
            start, at = into + q * plane, step + q * LANES
            o_a = start + np.int64(element(members, member)) * LANES
            o_b = start + np.int64(element(members, member + 1)) * LANES
            o_c = start + np.int64(element(members, member + 2)) * LANES
            o_d = start + np.int64(element(members, member + 3)) * LANES
            a, b, c, d = load(slots, o_a), load(slots, o_b), load(slots, o_c), load(slots, o_d)
            for k in range(first, last, GROUP):  # four sums that do not wait for each other
                a = a + splat(element(weights, k)) * load(values, element(sources, k) * row_length + at)
                b = b + splat(element(weights, k + 1)) * load(values, element(sources, k + 1) * row_length + at)
                c = c + splat(element(weights, k + 2)) * load(values, element(sources, k + 2) * row_length + at)
                d = d + splat(element(weights, k + 3)) * load(values, element(sources, k + 3) * row_length + at)
            store(slots, o_a, a)
            store(slots, o_b, b)
            store(slots, o_c, c)
            store(slots, o_d, d)


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
