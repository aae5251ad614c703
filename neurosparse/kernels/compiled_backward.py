"""The fused backward pass over a layer, compiled: private to layers.py, which checks every argument first.

As forwards, a neuron's row is cut into chunks of time steps that fit the L1 cache; the surrogate, the recursion and the
gradients of the cell's parameters and of its synapses are done while a chunk is there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from neurosparse.kernels import simd
from neurosparse.kernels.compiled import TILE, aligned
from neurosparse.kernels.jit import jit
from neurosparse.kernels.membrane import (
    SUBTRACT_NOW,
    add_products,
    differentiate_row,
    filter_row_backward,
    parameter_row,
    row_total,
    slope_row,
)
from neurosparse.kernels.vectors import LANES, load, store


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
def backward(indptr, indices, rows, unit, events, starts, use_events, g_spikes, g_voltages, surrogate, steepness, cells,
             shape, state, gradients, n_parts):  # fmt: skip
    """Fused backward pass; without `gradients.values` the source rows and the index are not looked at.

    `g_spikes` and `g_voltages` are flat rows (n * n_lanes,), or of size 0.
    """
    n, padded = state.v.shape[0], shape.padded
    n_lanes = shape.n_steps * padded
    n_chunks = (shape.n_steps + shape.chunk_steps - 1) // shape.chunk_steps
    capacity = shape.chunk_steps * padded
    chained = gradients.carry_v.size > 0
    g_values = gradients.values  # through the tuple, the parallel loop would add to a copy
    for part in prange(n_parts):
        out, slope, none = aligned(capacity, state.v), aligned(capacity, state.v), aligned(capacity, state.v)
        none[:] = 0
        sums = aligned(2 * padded, state.v)
        rest = np.zeros(padded, state.v.dtype)
        carry_v = gradients.carry_v if chained else np.empty((1, padded), state.v.dtype)
        carry_c = gradients.carry_c if chained else np.empty((1, padded), state.v.dtype)
        for j in range(part * n // n_parts, (part + 1) * n // n_parts):
            place = j if chained else 0
            if not chained:
                carry_v[:] = 0
                carry_c[:] = 0
            for chunk in range(n_chunks - 1, -1, -1):
                t = chunk * shape.chunk_steps
                steps = min(shape.chunk_steps, shape.n_steps - t)
                start = j * n_lanes + t * padded
                _differentiate_chunk(
                    j, t, steps, g_spikes if g_spikes.size else none, start if g_spikes.size else 0,
                    g_voltages[start:] if g_voltages.size else none, g_voltages.size > 0, surrogate, steepness, cells,
                    shape, state, out, slope, sums, rest, carry_v[place], carry_c[place], gradients,
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
