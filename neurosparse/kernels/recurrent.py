"""Layers whose own spikes come back one step later: ``I(t) = current(t) + R s(t-1)``.

The neurons of a recurrent layer cannot be walked one after the other over the whole sequence, so here time is the
outer loop and the samples are what is shared out: a task takes one or more vectors of 16 samples through all steps,
which needs no synchronisation. The linear part into the layer is computed before and differentiated after
(products.py); so is the gradient of R's values, a product of gradients and spikes one step apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import get_num_threads, prange
from numpy.typing import NDArray

from neurosparse.errors import ValidationError
from neurosparse.kernels import simd
from neurosparse.kernels.checks import check_array, check_csr
from neurosparse.kernels.compiled import Cells, State, aligned
from neurosparse.kernels.jit import jit, run
from neurosparse.kernels.lanes import Lanes
from neurosparse.kernels.layer_parts import DEFAULT, Adjoint, Keep, check_cells, check_current, gradient_rows, new_state
from neurosparse.kernels.membrane import (
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

__all__ = ["Recurrence", "backward_recurrent", "forward_recurrent"]


@dataclass(frozen=True)
class Recurrence:
    """R (n, n): CSR index and values, and its transposed index (as `csc_from_csr` returns it) for the backward pass."""

    indptr: NDArray[np.int32]
    indices: NDArray[np.int32]
    values: NDArray
    csc: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]] | None = None


def forward_recurrent(
    current: NDArray,
    recurrence: Recurrence,
    cells: Cells,
    lanes: Lanes,
    *,
    keep: Keep = DEFAULT,
    start: tuple[NDArray, NDArray] | None = None,
    start_words: NDArray[np.uint16] | None = None,
) -> State:
    """Run a recurrent layer over a sequence.

    Parameters
    ----------
    current : (n, n_lanes), or (n, padded) for a current that is the same at every step
        What reaches the neurons from outside, biases included.
    recurrence : Recurrence
    cells, lanes, keep, start
        As in `layers.forward`; the spikes are kept in any case.
    start_words : (n, padded / 16) uint16, optional
        Spikes of the step before the first; none by default.

    Raises
    ------
    ValidationError
        For any argument that does not fit the others.
    """
    owner = "forward_recurrent"
    n, constant = check_current(owner, current, cells, lanes)
    _check_recurrence(owner, recurrence, n, current.dtype)
    state = new_state(owner, n, cells, lanes, current.dtype, Keep(True, keep.post, keep.synaptic), start)
    if start_words is None:
        start_words = np.zeros((0, 0), np.uint16)
    else:
        check_array(owner, "start_words", start_words, np.uint16, (n, lanes.padded // LANES))
    if state.v.size:
        run(
            _forward, 4 * state.v.size + recurrence.indices.size * lanes.n_words,
            current.reshape(-1), current.shape[1], 0 if constant else lanes.padded, recurrence.indptr,
            recurrence.indices, recurrence.values, cells, state, start_words.reshape(-1), lanes.n_steps,
            lanes.n_samples, lanes.padded, _width(lanes),
        )  # fmt: skip
    return state


@jit(parallel=True)
def _forward(current, c_row, c_step, indptr, indices, values, cells, state, start_words, n_steps, n_samples, padded,
             width):  # fmt: skip
    n = indptr.size - 1
    groups = padded // LANES
    v, post, synaptic = state.v.reshape(-1), state.post.reshape(-1), state.synaptic.reshape(-1)
    words = state.words.reshape(-1)
    zero = values.dtype.type(0)
    rest = n_samples % LANES
    for task in prange((groups + width - 1) // width):
        group = task * width
        mine = min(width, groups - group)
        size, lane = mine * LANES, group * LANES
        row = aligned(size, values)
        voltages, filtered = np.zeros((n, size), values.dtype), np.zeros((n, size), values.dtype)
        if state.start_v.size:
            voltages[:] = state.start_v[:, lane : lane + size]
            filtered[:] = state.start_c[:, lane : lane + size]
        for t in range(n_steps):
            for j in range(n):
                start = (j * n_steps + t) * padded + lane
                if t > 0 or start_words.size:
                    simd.accumulate(
                        row, 0, zero, values, indices, np.intp(indptr[j]), np.intp(indptr[j + 1]),
                        words if t else start_words, (t - 1) * groups + group if t else group,
                        n_steps * groups if t else groups, mine,
                    )  # fmt: skip
                    for b in range(0, size, LANES):
                        store(row, b, load(current, j * c_row + t * c_step + lane + b) + load(row, b))
                else:
                    for b in range(0, size, LANES):
                        store(row, b, load(current, j * c_row + lane + b))
                if cells.filtered:
                    filter_row(row, 0, 1, size, cells.alpha[j], filtered[j])
                    if synaptic.size:
                        for b in range(0, size, LANES):
                            store(synaptic, start + b, load(row, b))
                integrate_row(
                    cells.mode, row, 0, 0, v, start, post, start, words, 1, size, cells.beta[j], cells.threshold[j],
                    voltages[j], False,
                )  # fmt: skip
                if rest and group + mine == groups:
                    words[(start + size) // LANES - 1] &= np.uint16((1 << rest) - 1)


def backward_recurrent(
    state: State,
    recurrence: Recurrence,
    cells: Cells,
    lanes: Lanes,
    surrogate: int,
    steepness: float,
    *,
    g_spikes: NDArray | None,
    g_voltages: NDArray | None,
    want_alpha: bool = False,
    want_beta: bool = False,
    want_threshold: bool = False,
    carry: tuple[NDArray, NDArray] | None = None,
    g_last_spikes: NDArray | None = None,
) -> Adjoint:
    """Differentiate a recurrent layer's run with respect to its cells and its currents.

    Parameters
    ----------
    recurrence : Recurrence
        With its transposed index.
    state, cells, lanes, surrogate, steepness, g_spikes, g_voltages, want_alpha, want_beta, want_threshold, carry
        As in `layers.backward`.
    g_last_spikes : (n, padded), optional
        Gradient of the last step's spikes through the step after it.

    Returns
    -------
    Adjoint
        `current` in rows (n, n_lanes), `bias` its sum over lanes; `values` is None, see `products.value_gradient`.
    """
    owner = "backward_recurrent"
    n, dtype = cells.beta.size, cells.beta.dtype
    check_cells(owner, cells, n, dtype)
    check_array(owner, "state.v", state.v, dtype, (n, lanes.n_lanes))
    _check_recurrence(owner, recurrence, n, dtype)
    if recurrence.csc is None:
        raise ValidationError(
            f"{owner}.recurrence.csc: is None, the backward pass needs the transposed index (csc_from_csr)"
        )
    rows = [
        gradient_rows(owner, name, g, n, lanes, dtype)
        for name, g in (("g_spikes", g_spikes), ("g_voltages", g_voltages))
    ]
    none = np.zeros((0, 0), dtype)
    carry_v, carry_c = carry or (none, none)
    if carry is not None:
        for name, array in (("carry[0]", carry_v), ("carry[1]", carry_c)):
            check_array(owner, name, array, dtype, (n, lanes.padded), writable=True)
    last = none if g_last_spikes is None else g_last_spikes
    if g_last_spikes is not None:
        check_array(owner, "g_last_spikes", last, dtype, (n, lanes.padded))
    current = lanes.rows(n, dtype)
    bias, alpha, beta, threshold = (np.zeros(n, dtype) for _ in range(4))
    if state.v.size:
        pointers, targets, slots = recurrence.csc
        partial = run(
            _backward, 4 * state.v.size + recurrence.indices.size * lanes.n_words,
            pointers, targets, recurrence.values[slots], rows[0].reshape(-1), rows[1].reshape(-1), surrogate,
            dtype.type(steepness), cells, state, carry_v, carry_c, last, lanes.n_steps, lanes.padded, _width(lanes),
            current,
            (want_alpha and cells.filtered, want_beta or want_threshold),
        )  # fmt: skip
        bias, alpha, beta, threshold = partial.sum(axis=0)
    return Adjoint(
        None,
        bias,
        alpha if want_alpha else None,
        beta if want_beta else None,
        threshold if want_threshold else None,
        current,
    )


@jit(parallel=True)
def _backward(pointers, targets, values, g_spikes, g_voltages, surrogate, steepness, cells, state, later_v, later_c,
              g_last, n_steps, padded, width, current, wanted):  # fmt: skip
    n = pointers.size - 1
    groups = padded // LANES
    n_tasks = (groups + width - 1) // width
    partial = np.zeros((n_tasks, 4, n), values.dtype)
    v, post, synaptic = state.v.reshape(-1), state.post.reshape(-1), state.synaptic.reshape(-1)
    flat = current.reshape(-1)
    zero = values.dtype.type(0)
    want_alpha, want_cells = wanted
    for task in prange(n_tasks):
        group = task * width
        size, lane = min(width, groups - group) * LANES, group * LANES
        g_spike, g_voltage, slope, out = aligned(size, v), aligned(size, v), aligned(size, v), aligned(size, v)
        sums = aligned(2 * size, v)
        before = np.zeros(size, values.dtype)
        carry_v, carry_c = np.zeros((n, size), values.dtype), np.zeros((n, size), values.dtype)
        flat_v, flat_c = carry_v.reshape(-1), carry_c.reshape(-1)
        if later_v.size:
            carry_v[:] = later_v[:, lane : lane + size]
            carry_c[:] = later_c[:, lane : lane + size]
        for t in range(n_steps - 1, -1, -1):
            for j in range(n):
                start = (j * n_steps + t) * padded + lane
                if t + 1 < n_steps:
                    simd.accumulate(
                        g_spike, 0, zero, values, targets, np.intp(pointers[j]), np.intp(pointers[j + 1]), flat,
                        (t + 1) * padded + lane, n_steps * padded, size // LANES,
                    )  # fmt: skip
                elif g_last.size:
                    g_spike[:] = g_last[j, lane : lane + size]
                else:
                    g_spike[:] = 0
                for b in range(0, size, LANES):
                    if g_spikes.size:
                        store(g_spike, b, load(g_spike, b) + load(g_spikes, start + b))
                    if g_voltages.size:
                        store(g_voltage, b, load(g_voltages, start + b))
                slope_row(surrogate, steepness, v, start, cells.threshold[j], slope, size)
                if t == 0 and state.start_v.size:
                    before[:] = state.start_v[j, lane : lane + size]
                sums[:] = 0
                differentiate_row(
                    cells.mode, v, start, padded, t > 0, before, post, slope, g_spike, 0, g_voltage, 0,
                    g_voltages.size > 0, out, 1, size, cells.beta[j], cells.threshold[j], flat_v, j * size, sums,
                )  # fmt: skip
                if want_cells:
                    parameter_row(
                        cells.mode, v, start, padded, t > 0, before, post, slope, g_spike, 0, out, 1, size,
                        cells.threshold[j], sums,
                    )  # fmt: skip
                    partial[task, 2, j] += row_total(sums, 0, size)
                    partial[task, 3, j] += row_total(sums, size, size)
                if cells.filtered:
                    filter_row_backward(out, 0, 1, size, cells.alpha[j], flat_c, j * size)
                    if want_alpha and (t > 0 or state.start_c.size):
                        sums[:] = 0
                        if t > 0:
                            add_products(out, 0, synaptic, start - padded, size, sums, size)
                        else:
                            add_products(out, 0, state.start_c[j], lane, size, sums, size)
                        partial[task, 1, j] += row_total(sums, 0, size)
                partial[task, 0, j] += row_total(out, 0, size)
                for b in range(0, size, LANES):
                    store(flat, start + b, load(out, b))
        if later_v.size:
            later_v[:, lane : lane + size] = carry_v
            later_c[:, lane : lane + size] = carry_c
    return partial


def _width(lanes: Lanes) -> int:
    """Vectors of samples a task takes: all there are, shared evenly."""
    groups = lanes.padded // LANES
    return max(1, -(-groups // get_num_threads()))


def _check_recurrence(owner: str, recurrence: Recurrence, n: int, dtype: np.dtype) -> None:
    check_csr(owner, recurrence.indptr, recurrence.indices, n_target=n, n_source=n)
    check_array(owner, "values", recurrence.values, dtype, (recurrence.indices.size,))
