"""The fused forward pass over a layer, compiled: private to layers.py, which checks every argument first.

Both directions walk the target neurons. A neuron's row is cut into chunks of time steps that fit the L1 cache, and all
that is done to a chunk (linear part, synaptic filter, membrane, spikes; or surrogate, recursion, gradients of the
parameters and of the synapses) is done while it is there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from neurosparse.kernels import simd, simd_events
from neurosparse.kernels.jit import jit
from neurosparse.kernels.membrane import filter_row, integrate_row
from neurosparse.kernels.vectors import LANES, load, store

TILE = 64  # lanes of a tile of current gradients: n x 256 bytes, which for thousands of neurons stays in the L2 cache


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
def _integrate_chunk(j, t, steps, current, c_start, c_step, cells, shape, state, v_now, c_now, past_caches):
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
        padded, cells.beta[j], cells.threshold[j], v_now, past_caches,
    )  # fmt: skip
    rest = shape.n_samples % LANES
    if rest and words.size:  # padding samples may fire (a bias is enough), but nobody may see it
        for s in range(steps):
            words[(start + s * padded + shape.n_samples) // LANES] &= np.uint16((1 << rest) - 1)


@jit(parallel=True)
def forward_sparse(indptr, indices, values, bias, rows, unit, events, bounds, use_events, cells, shape, state,
                   past_caches, n_parts):  # fmt: skip
    """Fused forward pass over spike words (`unit` 16) or rows of floats (`unit` 1)."""
    n, padded = indptr.size - 1, shape.padded
    n_lanes = shape.n_steps * padded
    n_chunks = (shape.n_steps + shape.chunk_steps - 1) // shape.chunk_steps
    for part in prange(n_parts):
        current = aligned(shape.chunk_steps * padded + LANES, values)  # beyond the chunk: what lists are filled up with
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
                        simd_events.scatter_events(current, values[k], events, bounds[e, 0], bounds[e, 1])
                else:
                    simd.accumulate(
                        current, 0, bias[j], values, indices, first, last, rows, t * padded // unit, n_lanes // unit,
                        steps * padded // LANES,
                    )  # fmt: skip
                _integrate_chunk(j, t, steps, current, 0, padded, cells, shape, state, v_now, c_now, past_caches)


@jit(parallel=True)
def forward_given(rows, constant, cells, shape, state, past_caches, n_parts):
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
                    _integrate_chunk(j, t, steps, current, 0, padded, cells, shape, state, v_now, c_now, past_caches)
                else:
                    _integrate_chunk(j, t, steps, flat, start, step, cells, shape, state, v_now, c_now, past_caches)
