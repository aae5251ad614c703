"""The fused backward pass over a layer, compiled: private to layers.py, which checks every argument first.

As forwards, a neuron's row is cut into chunks of time steps that fit the L1 cache; the surrogate, the recursion and the
gradients of the cell's parameters and of its synapses are done while a chunk is there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from neurosparse.kernels import simd, simd_events
from neurosparse.kernels.compiled import TILE, aligned
from neurosparse.kernels.jit import jit
from neurosparse.kernels.membrane import (
    SUBTRACT_NOW,
    add_products,
    all_zero,
    differentiate_row,
    filter_row_backward,
    parameter_row,
    row_total,
    slope_row,
)
from neurosparse.kernels.vectors import LANES, load, splat, store


class Gradients(NamedTuple):
    """Where the backward pass writes; an array of size 0 is not wanted.

    `values` (K,) and the per-neuron ones are added to. `tiles` (n_tiles, n, TILE) and `rows` (n, n_lanes), or (n,
    padded) summed over time, hold the gradients of the currents. `carry_v` and `carry_c` (n, padded) are the
    gradients of the membrane sum and the synaptic current one step after the last, and on return of the first: chunks
    of time chain. With size 0 they start from zero and are not returned. `active` (n,) says which neurons have any
    gradient at all: one from which no path leads to the loss has none, and everything about it is skipped; one whose
    voltages all lie outside the compact support of its surrogate has none to hand on. It is False to begin with.
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
    active: NDArray


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


@jit
def _nothing_to_do(j, n_lanes, g_spikes, g_voltages, gradients):
    """Whether all incoming gradients of neuron j are zero: then all its outgoing ones are."""
    if g_spikes.size and not all_zero(g_spikes, j * n_lanes, n_lanes):
        return False
    if g_voltages.size and not all_zero(g_voltages, j * n_lanes, n_lanes):
        return False
    padded = gradients.carry_v.shape[1]
    if gradients.carry_v.size:
        return all_zero(gradients.carry_v[j], 0, padded) and all_zero(gradients.carry_c[j], 0, padded)
    return True


@jit
def _keep_zero(j, gradients):
    """Store the current gradients of a neuron that has none."""
    zero = splat(gradients.values.dtype.type(0))
    if gradients.tiles.size:
        tiles = gradients.tiles.reshape(-1)
        n_tiles, n = gradients.tiles.shape[:2]
        for tile in range(n_tiles):
            for i in range(0, TILE, LANES):
                store(tiles, (tile * n + j) * TILE + i, zero)
    if gradients.rows.size:
        row = gradients.rows[j]
        for i in range(0, row.size, LANES):
            store(row, i, zero)


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
    g_values, active = gradients.values, gradients.active  # through the tuple, the parallel loop would change copies
    for part in prange(n_parts):
        out, slope = aligned(capacity + LANES, state.v), aligned(capacity, state.v)
        out[capacity:] = 0  # what lists of events are filled up with
        none = aligned(capacity, state.v)
        none[:] = 0
        sums = aligned(2 * padded, state.v)
        rest = np.zeros(padded, state.v.dtype)
        carry_v = gradients.carry_v if chained else np.empty((1, padded), state.v.dtype)
        carry_c = gradients.carry_c if chained else np.empty((1, padded), state.v.dtype)
        for j in range(part * n // n_parts, (part + 1) * n // n_parts):
            if _nothing_to_do(j, n_lanes, g_spikes, g_voltages, gradients):
                _keep_zero(j, gradients)
                continue
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
                if all_zero(out, 0, steps * padded):  # as for voltages outside a surrogate's compact support
                    continue
                active[j] = True
                if g_values.size:
                    vectors = steps * padded // LANES
                    for k in range(indptr[j], indptr[j + 1]):
                        i = np.intp(indices[k])
                        if use_events:
                            e = i * n_chunks + chunk
                            g = simd_events.dot_events(out, events, starts[e], starts[e + 1])
                        else:
                            g = simd.dot(out, 0, rows, (i * n_lanes + t * padded) // unit, vectors)
                        g_values[k] += g
