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
from neurosparse.kernels.lanes import gather_block
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
    gradient at all: one from which no path leads to the loss has none, and everything about it is skipped, with
    `holes` even its tiles, which are then left as they were; one whose voltages all lie outside the compact support of
    its surrogate has none to hand on. It is False to begin with.
    """

    values: NDArray
    bias: NDArray
    alpha: NDArray
    beta: NDArray
    threshold: NDArray
    tiles: NDArray
    holes: bool
    rows: NDArray
    carry_v: NDArray
    carry_c: NDArray
    active: NDArray


@jit
def _differentiate_chunk(j, t, steps, g_spike, s_start, g_voltage, u_start, has_voltage, surrogate, steepness, cells,
                        shape, state, v, post, synaptic, out, slope, sums, rest, carry_v, carry_c, c_start,
                        gradients):  # fmt: skip
    """Gradient of the input current of one chunk of neuron j into `out`, parameters' gradients on the way.

    `v`, `post` and `synaptic` are the arrays of `state`, flat; the carries are flat, too. `rest` (padded,) is zero.
    """
    padded = shape.padded
    start = (j * shape.n_steps + t) * padded
    n = steps * padded
    threshold = cells.threshold[j]
    wanted = gradients.beta.size > 0 or gradients.threshold.size > 0
    started = t == 0 and state.start_v.size > 0
    slope_row(surrogate, steepness, v, start, threshold, slope, n)
    if started:
        rest[:] = state.start_v[j]
    if wanted or cells.mode >= SUBTRACT_NOW:
        sums[:] = 0
    differentiate_row(
        cells.mode, v, start, padded, t > 0, rest, post, slope, g_spike, s_start, g_voltage, u_start, has_voltage, out,
        steps, padded, cells.beta[j], threshold, carry_v, c_start, sums,
    )  # fmt: skip
    if wanted:
        parameter_row(
            cells.mode, v, start, padded, t > 0, rest, post, slope, g_spike, s_start, out, steps, padded,
            threshold, sums,
        )  # fmt: skip
        if gradients.beta.size:
            gradients.beta[j] += row_total(sums, 0, padded)
        if gradients.threshold.size:
            gradients.threshold[j] += row_total(sums, padded, padded)
    if started:
        rest[:] = 0
    if cells.filtered:
        filter_row_backward(out, 0, steps, padded, cells.alpha[j], carry_c, c_start)
        if gradients.alpha.size:
            sums[:] = 0
            if t == 0:
                if state.start_c.size:
                    add_products(out, 0, state.start_c[j], 0, padded, sums, padded)
                add_products(out, padded, synaptic, start, n - padded, sums, padded)
            else:
                add_products(out, 0, synaptic, start - padded, n, sums, padded)
            gradients.alpha[j] += row_total(sums, 0, padded)
    if gradients.bias.size:
        gradients.bias[j] += row_total(out, 0, n)


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
def _nothing_to_do(j, n_lanes, g_spike, s_start, g_voltages, gradients):
    """Whether all incoming gradients of neuron j are zero: then all its outgoing ones are."""
    if g_spike.size and not all_zero(g_spike, s_start, n_lanes):
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
    if gradients.tiles.size and not gradients.holes:
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
def backward(indptr, indices, rows, unit, events, bounds, use_events, g_spikes, in_steps, outgoing, g_voltages,
             surrogate, steepness, cells, shape, state, gradients, n_parts):  # fmt: skip
    """Fused backward pass; without `gradients.values` the source rows and the index are not looked at.

    `g_spikes` and `g_voltages` are flat rows (n * n_lanes,), or of size 0; `g_spikes` may be (time, batch, neuron),
    flat, if `in_steps`: then it is turned into rows here, 16 neurons at a time. Or each row is computed here, from
    `outgoing`: CSR pointers, targets and weights of the synapses that leave the neurons, and flat rows of the gradients
    at their targets; pointers of size 0 say that there is nothing to compute them from.
    """
    n, padded = state.v.shape[0], shape.padded
    n_lanes = shape.n_steps * padded
    n_groups = (n + LANES - 1) // LANES
    chained = gradients.carry_v.size > 0
    out_indptr, out_targets, out_weights, out_g = outgoing
    wired = out_indptr.size > 0
    for part in prange(n_parts):
        capacity = shape.chunk_steps * padded
        out, slope = aligned(capacity + LANES, state.v), aligned(capacity, state.v)
        out[capacity:] = 0  # what lists of events are filled up with
        none = aligned(capacity, state.v)
        none[:] = 0
        sums = aligned(2 * padded, state.v)
        rest = np.zeros(padded, state.v.dtype)
        gathered = aligned(LANES * n_lanes if in_steps else n_lanes if wired else 0, state.v)
        v, post, synaptic = state.v.reshape(-1), state.post.reshape(-1), state.synaptic.reshape(-1)
        carry_v = gradients.carry_v.reshape(-1) if chained else np.empty(padded, state.v.dtype)
        carry_c = gradients.carry_c.reshape(-1) if chained else np.empty(padded, state.v.dtype)
        for group in range(part * n_groups // n_parts, (part + 1) * n_groups // n_parts):
            begin, end = group * LANES, min(n, (group + 1) * LANES)
            if in_steps:
                for t in range(shape.n_steps):
                    gather_block(
                        g_spikes, gathered, t * padded, n_lanes, t, begin, end - begin, shape.n_samples, n, padded
                    )
            for j in range(begin, end):
                incoming, first, has_spike = none, 0, False
                if wired and out_indptr[j] < out_indptr[j + 1]:
                    incoming, has_spike = gathered, True
                    simd.accumulate(
                        gathered, 0, state.v.dtype.type(0), out_weights, out_targets, np.intp(out_indptr[j]),
                        np.intp(out_indptr[j + 1]), out_g, 0, n_lanes, n_lanes // LANES,
                    )  # fmt: skip
                elif in_steps:
                    incoming, first, has_spike = gathered, (j - begin) * n_lanes, True
                elif g_spikes.size:
                    incoming, first, has_spike = g_spikes, j * n_lanes, True
                if _nothing_to_do(j, n_lanes, incoming if has_spike else g_spikes, first, g_voltages, gradients):
                    _keep_zero(j, gradients)
                    continue
                if not chained:
                    carry_v[:] = 0
                    carry_c[:] = 0
                _differentiate_neuron(
                    j, indptr, indices, rows, unit, events, bounds, use_events, incoming, first, has_spike,
                    g_voltages, surrogate, steepness, cells, shape, state, v, post, synaptic, out, slope, sums, rest,
                    carry_v, carry_c, j * padded if chained else 0, gradients,
                )  # fmt: skip


@jit
def _differentiate_neuron(j, indptr, indices, rows, unit, events, bounds, use_events, g_spike, s_start, has_spike,
                          g_voltages, surrogate, steepness, cells, shape, state, v, post, synaptic, out, slope, sums,
                          rest, carry_v, carry_c, c_start, gradients):  # fmt: skip
    """Everything about one neuron, from its last chunk of time steps to the first."""
    padded = shape.padded
    n_lanes = shape.n_steps * padded
    n_chunks = (shape.n_steps + shape.chunk_steps - 1) // shape.chunk_steps
    for chunk in range(n_chunks - 1, -1, -1):
        t = chunk * shape.chunk_steps
        steps = min(shape.chunk_steps, shape.n_steps - t)
        _differentiate_chunk(
            j, t, steps, g_spike, s_start + t * padded if has_spike else 0, g_voltages, j * n_lanes + t * padded,
            g_voltages.size > 0, surrogate, steepness, cells, shape, state, v, post, synaptic, out, slope, sums, rest,
            carry_v, carry_c, c_start, gradients,
        )  # fmt: skip
        _keep_gradient(j, t, steps, out, shape, gradients)
        if all_zero(out, 0, steps * padded):  # as for voltages outside a surrogate's compact support
            continue
        gradients.active[j] = True
        if gradients.values.size:
            first, last = np.intp(indptr[j]), np.intp(indptr[j + 1])
            if use_events:
                for k in range(first, last):
                    e = np.intp(indices[k]) * n_chunks + chunk
                    gradients.values[k] += simd_events.dot_events(out, events, bounds[e, 0], bounds[e, 1])
            else:
                simd.add_dots(
                    gradients.values, out, 0, rows, t * padded // unit, n_lanes // unit, indices, first, last,
                    steps * padded // LANES,
                )  # fmt: skip
