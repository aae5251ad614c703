"""The fused passes over a layer, compiled: private to layers.py, which checks every argument first.

Both directions walk the target neurons. A neuron's row is cut into chunks of time steps that fit the L1 cache, and all
that is done to a chunk (linear part, synaptic filter, membrane, spikes; or surrogate, recursion, gradients of the
parameters and of the synapses) is done while it is there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from neurosparse.kernels import simd
from neurosparse.kernels.jit import jit
from neurosparse.kernels.lanes import gather_block
from neurosparse.kernels.membrane import (
    SUBTRACT_NOW,
    add_products,
    differentiate_row,
    filter_row,
    filter_row_backward,
    integrate_row,
    parameter_row,
    row_total,
    slope_row,
)
from neurosparse.kernels.vectors import LANES, load, store

TILE = 64  # lanes of a tile of current gradients: n x 256 bytes, which for thousands of neurons stays in the L2 cache

ABSENT, ROWS, STEPS = range(3)
"""Layout of an incoming gradient: none, neuron-major rows, or (time, batch, neuron)."""


class Cells(NamedTuple):
    """The neurons of a layer as the compiled code takes them: reset mode, synaptic filter or not, (n,) parameters."""

    mode: int
    filtered: bool
    alpha: NDArray
    beta: NDArray
    threshold: NDArray


class Shape(NamedTuple):
    """Time steps, samples, samples padded to whole vectors, and time steps of a chunk."""

    n_steps: int
    n_samples: int
    padded: int
    chunk_steps: int


class State(NamedTuple):
    """What a layer keeps of its activity; an array of size 0 is not kept.

    Rows of what the threshold saw, of voltages after the reset (NOW modes), of synaptic currents, and of spike words;
    `start_v` and `start_c` (n, padded) are the state before the first step, rest if of size 0.
    """

    v: NDArray
    post: NDArray
    synaptic: NDArray
    words: NDArray
    start_v: NDArray
    start_c: NDArray


class Incoming(NamedTuple):
    """Gradients of the spikes and voltages, flat, each in its layout (`ABSENT`, `ROWS`, `STEPS`)."""

    spikes: NDArray
    spikes_layout: int
    voltages: NDArray
    voltages_layout: int


class Gradients(NamedTuple):
    """Where the backward pass writes; an array of size 0 is not wanted.

    `values` (K,) and the per-neuron ones are added to. `tiles` (n_tiles, n, TILE) and `rows` (n, n_lanes), or (n,
    padded) summed over time, hold the gradients of the currents. `carry_v` and `carry_c` (n, padded) are the
    gradients of the membrane sum and the synaptic current one step after the last, and on return of the first: chunks
    of time chain. With size 0 they start from zero and are not returned.
    """

    values: NDArray
    bias: NDArray
    alpha: NDArray
    beta: NDArray
    threshold: NDArray
    tiles: NDArray
    rows: NDArray
    carry_v: NDArray
    carry_c: NDArray


@jit
def aligned(n, like):
    """Scratch row of `n` elements on a cache line, of the type of `like`."""
    raw = np.empty(n + 64, like.dtype)
    start = simd.aligned_start(raw)
    return raw[start : start + n]


@jit
def _begin(row, start, j):
    """Set the state of neuron j before the first step: zero where `start` is not given."""
    if start.size:
        row[:] = start[j]
    else:
        row[:] = 0


@jit
def _integrate_chunk(j, t, steps, current, c_start, c_step, cells, shape, state, v_now, c_now):
    """Synaptic filter, membrane and spikes of one chunk of neuron j; filtered cells overwrite `current`."""
    padded = shape.padded
    start = (j * shape.n_steps + t) * padded
    if cells.filtered:
        filter_row(current, c_start, steps, padded, cells.alpha[j], c_now)
        if state.synaptic.size:
            synaptic = state.synaptic.reshape(-1)
            for i in range(0, steps * padded, LANES):
                store(synaptic, start + i, load(current, c_start + i))
    words = state.words.reshape(-1)
    integrate_row(
        cells.mode, current, c_start, c_step, state.v.reshape(-1), start, state.post.reshape(-1), start, words, steps,
        padded, cells.beta[j], cells.threshold[j], v_now,
    )  # fmt: skip
    rest = shape.n_samples % LANES
    if rest and words.size:  # padding samples may fire (a bias is enough), but nobody may see it
        for s in range(steps):
            words[(start + s * padded + shape.n_samples) // LANES] &= np.uint16((1 << rest) - 1)


@jit(parallel=True)
def forward_sparse(indptr, indices, values, bias, rows, unit, events, starts, use_events, cells, shape, state, n_parts):
    """Fused forward pass over spike words (`unit` 16) or rows of floats (`unit` 1)."""
    n, padded = indptr.size - 1, shape.padded
    n_lanes = shape.n_steps * padded
    n_chunks = (shape.n_steps + shape.chunk_steps - 1) // shape.chunk_steps
    for part in prange(n_parts):
        current = aligned(shape.chunk_steps * padded, values)
        v_now, c_now = aligned(padded, values), aligned(padded, values)
        for j in range(part * n // n_parts, (part + 1) * n // n_parts):
            _begin(v_now, state.start_v, j)
            _begin(c_now, state.start_c, j)
            first, last = np.intp(indptr[j]), np.intp(indptr[j + 1])
            for chunk in range(n_chunks):
                t = chunk * shape.chunk_steps
                steps = min(shape.chunk_steps, shape.n_steps - t)
                if use_events:
                    current[: steps * padded] = bias[j]
                    for k in range(first, last):
                        e = indices[k] * n_chunks + chunk
                        simd.scatter_events(current, 0, values[k], events, starts[e], starts[e + 1])
                else:
                    simd.accumulate(
                        current, 0, bias[j], values, indices, first, last, rows, t * padded // unit, n_lanes // unit,
                        steps * padded // LANES,
                    )  # fmt: skip
                _integrate_chunk(j, t, steps, current, 0, padded, cells, shape, state, v_now, c_now)


@jit(parallel=True)
def forward_given(rows, constant, cells, shape, state, n_parts):
    """Forward pass of the neurons alone on rows of currents (n, n_lanes), or (n, padded) for a constant current."""
    n, padded = rows.shape[0], shape.padded
    flat = rows.reshape(-1)
    step = 0 if constant else padded
    n_chunks = (shape.n_steps + shape.chunk_steps - 1) // shape.chunk_steps
    for part in prange(n_parts):
        current = aligned(shape.chunk_steps * padded, flat)
        v_now, c_now = aligned(padded, flat), aligned(padded, flat)
        for j in range(part * n // n_parts, (part + 1) * n // n_parts):
            _begin(v_now, state.start_v, j)
            _begin(c_now, state.start_c, j)
            for chunk in range(n_chunks):
                t = chunk * shape.chunk_steps
                steps = min(shape.chunk_steps, shape.n_steps - t)
                start = j * rows.shape[1] + t * step
                if cells.filtered:
                    for s in range(steps):
                        for b in range(0, padded, LANES):
                            store(current, s * padded + b, load(flat, start + s * step + b))
                    _integrate_chunk(j, t, steps, current, 0, padded, cells, shape, state, v_now, c_now)
                else:
                    _integrate_chunk(j, t, steps, flat, start, step, cells, shape, state, v_now, c_now)


@jit
def _incoming_block(array, layout, block, t, steps, neuron, end, n, shape, capacity):
    """Bring the gradients of a block of up to 16 neurons and one chunk into `block`, row by row, padding lanes zero."""
    padded, n_samples = shape.padded, shape.n_samples
    if layout == STEPS:
        for s in range(steps):
            gather_block(array, block, s * padded, capacity, t + s, neuron, end - neuron, n_samples, n, padded)
    else:
        for q in range(end - neuron):
            source = ((neuron + q) * shape.n_steps + t) * padded
            for i in range(0, steps * padded, LANES):
                store(block, q * capacity + i, load(array, source + i))


@jit
def _differentiate_chunk(j, t, steps, g_spike, s_start, g_voltage, has_voltage, surrogate, steepness, cells, shape,
                         state, out, slope, sums, rest, carry_v, carry_c, gradients):  # fmt: skip
    """Gradient of the input current of one chunk of neuron j into `out`, parameters' gradients on the way."""
    padded = shape.padded
    start = (j * shape.n_steps + t) * padded
    n = steps * padded
    v, post, threshold = state.v.reshape(-1), state.post.reshape(-1), cells.threshold[j]
    slope_row(surrogate, steepness, v, start, threshold, slope, n)
    before = rest
    if t == 0 and state.start_v.size:
        before = state.start_v[j]
    elif t > 0:
        before = post[start - padded : start] if cells.mode == SUBTRACT_NOW else v[start - padded : start]
    sums[:] = 0
    g_beta, g_threshold = sums[:padded], sums[padded:]
    differentiate_row(
        cells.mode, v, start, before, post, slope, g_spike, s_start, g_voltage, has_voltage, out, steps, padded,
        cells.beta[j], threshold, carry_v, g_threshold,
    )  # fmt: skip
    if gradients.beta.size or gradients.threshold.size:
        parameter_row(
            cells.mode, v, start, before, post, slope, g_spike, s_start, out, steps, padded, threshold, g_beta,
            g_threshold,
        )  # fmt: skip
        if gradients.beta.size:
            gradients.beta[j] += row_total(g_beta, padded)
        if gradients.threshold.size:
            gradients.threshold[j] += row_total(g_threshold, padded)
    if cells.filtered:
        filter_row_backward(out, 0, steps, padded, cells.alpha[j], carry_c)
        if gradients.alpha.size:
            sums[:] = 0
            synaptic = state.synaptic.reshape(-1)
            if t == 0:
                if state.start_c.size:
                    add_products(out, 0, state.start_c[j], 0, padded, sums, padded)
                add_products(out, padded, synaptic, start, n - padded, sums, padded)
            else:
                add_products(out, 0, synaptic, start - padded, n, sums, padded)
            gradients.alpha[j] += row_total(sums, padded)
    if gradients.bias.size:
        gradients.bias[j] += row_total(out, n)


@jit
def _keep_gradient(j, t, steps, out, shape, gradients):
    """Store a chunk of current gradients in the layout that was asked for."""
    padded = shape.padded
    lane = t * padded
    if gradients.tiles.size:
        tiles = gradients.tiles.reshape(-1)
        n = gradients.tiles.shape[1]
        for i in range(0, steps * padded, LANES):
            tile, at = (lane + i) // TILE, (lane + i) % TILE
            store(tiles, (tile * n + j) * TILE + at, load(out, i))
    if gradients.rows.size:
        row = gradients.rows[j]
        if row.size == padded:
            none = row[:0]
            add_products(out, 0, none, 0, steps * padded, row, padded)
        else:
            for i in range(0, steps * padded, LANES):
                store(row, lane + i, load(out, i))


@jit(parallel=True)
def backward(indptr, indices, rows, unit, events, starts, use_events, incoming, surrogate, steepness, cells, shape,
             state, gradients, block_size, n_parts):  # fmt: skip
    """Fused backward pass; without `gradients.values` the source rows and the index are not looked at."""
    n, padded = state.v.shape[0], shape.padded
    n_lanes = shape.n_steps * padded
    n_chunks = (shape.n_steps + shape.chunk_steps - 1) // shape.chunk_steps
    capacity = shape.chunk_steps * padded
    n_blocks = (n + block_size - 1) // block_size
    has_voltage = incoming.voltages_layout != ABSENT
    direct = incoming.spikes_layout == ROWS
    chained = gradients.carry_v.size > 0
    g_values = gradients.values  # through the tuple, the parallel loop would add to a copy
    for part in prange(n_parts):
        out, slope = aligned(capacity, state.v), aligned(capacity, state.v)
        sums = aligned(2 * padded, state.v)
        rest = np.zeros(padded, state.v.dtype)
        carry_v = gradients.carry_v if chained else np.empty((block_size, padded), state.v.dtype)
        carry_c = gradients.carry_c if chained else np.empty((block_size, padded), state.v.dtype)
        g_spikes = aligned(LANES if direct else block_size * capacity, state.v)
        g_voltages = aligned(block_size * capacity if has_voltage else LANES, state.v)
        if incoming.spikes_layout == ABSENT:
            g_spikes[:] = 0
        for block in range(part * n_blocks // n_parts, (part + 1) * n_blocks // n_parts):
            begin = block * block_size
            end = min(begin + block_size, n)
            for chunk in range(n_chunks - 1, -1, -1):
                t = chunk * shape.chunk_steps
                steps = min(shape.chunk_steps, shape.n_steps - t)
                if incoming.spikes_layout == STEPS:
                    _incoming_block(incoming.spikes, STEPS, g_spikes, t, steps, begin, end, n, shape, capacity)
                if has_voltage:
                    _incoming_block(
                        incoming.voltages,
                        incoming.voltages_layout,
                        g_voltages,
                        t,
                        steps,
                        begin,
                        end,
                        n,
                        shape,
                        capacity,
                    )
                for j in range(begin, end):
                    q = (j - begin) * capacity
                    place = j if chained else j - begin
                    if chunk == n_chunks - 1 and not chained:
                        carry_v[place] = 0
                        carry_c[place] = 0
                    _differentiate_chunk(
                        j, t, steps, incoming.spikes if direct else g_spikes,
                        (j * n_lanes + t * padded) if direct else q, g_voltages[q:] if has_voltage else g_voltages,
                        has_voltage, surrogate, steepness, cells, shape, state, out, slope, sums, rest,
                        carry_v[place], carry_c[place], gradients,
                    )  # fmt: skip
                    _keep_gradient(j, t, steps, out, shape, gradients)
                    if g_values.size:
                        vectors = steps * padded // LANES
                        for k in range(indptr[j], indptr[j + 1]):
                            i = np.intp(indices[k])
                            if use_events:
                                e = i * n_chunks + chunk
                                g = simd.dot_events(out, 0, events, starts[e], starts[e + 1])
                            else:
                                g = simd.dot(out, 0, rows, (i * n_lanes + t * padded) // unit, vectors)
                            g_values[k] += g
