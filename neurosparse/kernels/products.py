"""Products of a sparse matrix with rows of lanes: the linear part alone, and the gradient of a layer's input.

Used where the fused passes do not apply: constant currents, recurrent layers, `SparseLinear` on its own, and for every
layer's input gradient, which needs the transposed index and all current gradients at once.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numba import prange
from numpy.typing import NDArray

from neurosparse.errors import ValidationError
from neurosparse.kernels import simd
from neurosparse.kernels.buffers import borrow
from neurosparse.kernels.checks import FLOATS, check_array, check_csr, check_indices
from neurosparse.kernels.compiled import TILE
from neurosparse.kernels.jit import jit, parts, run
from neurosparse.kernels.lanes import Lanes, scatter_block
from neurosparse.kernels.vectors import LANES

__all__ = ["input_gradient", "product", "value_gradient"]


def product(
    indptr: NDArray[np.int32],
    indices: NDArray[np.int32],
    values: NDArray,
    rows: NDArray,
    *,
    bias: NDArray | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Return ``W @ rows + bias``.

    Parameters
    ----------
    indptr, indices, values : CSR index (int32) and values (K,) float32 or float64 of W, (n_target, n_source)
    rows : (n_source, n_words) uint16 spike words, or (n_source, n_lanes) floats of the type of `values`
    bias : (n_target,), optional
    out : (n_target, n_lanes), optional
        Receives the result.

    Returns
    -------
    (n_target, n_lanes), n_lanes a multiple of 16

    Raises
    ------
    ValidationError
        For anything else. That `indices` stay inside `rows` is checked too.
    """
    owner = "product"
    n_target, n_lanes, unit = check_operands(owner, indptr, indices, values, rows)
    if bias is None:
        bias = np.zeros(n_target, values.dtype)
    check_array(owner, "bias", bias, values.dtype, (n_target,))
    if out is None:
        out = borrow((n_target, n_lanes), values.dtype)
    check_array(owner, "out", out, values.dtype, (n_target, n_lanes), writable=True)
    if out.size:
        run(
            _product,
            indices.size * n_lanes // LANES,
            indptr,
            indices,
            values,
            rows.reshape(-1),
            unit,
            bias,
            out,
            parts(n_target),
        )
    return out


@jit(parallel=True)
def _product(indptr, indices, values, rows, unit, bias, out, n_parts):
    n, n_lanes = out.shape
    flat = out.reshape(-1)
    n_tiles = (n_lanes + TILE - 1) // TILE
    for task in prange(n_tiles * n_parts):
        tile, part = task // n_parts, task % n_parts
        lane = tile * TILE
        vectors = min(TILE, n_lanes - lane) // LANES
        for j in range(part * n // n_parts, (part + 1) * n // n_parts):
            simd.accumulate(
                flat, j * n_lanes + lane, bias[j], values, indices, np.intp(indptr[j]), np.intp(indptr[j + 1]), rows,
                lane // unit, n_lanes // unit, vectors,
            )  # fmt: skip


def value_gradient(
    indptr: NDArray[np.int32],
    indices: NDArray[np.int32],
    rows: NDArray,
    g: NDArray,
    *,
    shift: int = 0,
) -> NDArray:
    """Return ``sum over lanes of g[target] * rows[source]`` for each synapse: the product g @ rows^T, sampled.

    Parameters
    ----------
    indptr, indices : CSR index (int32)
    rows : (n_source, n_words) uint16 spike words or (n_source, n_lanes) floats
    g : (n_target, n_lanes) float32 or float64
        Gradients of the currents.
    shift : int
        Lanes, a multiple of 16, by which `g` is later than `rows`: one padded time step for a recurrent connection.

    Returns
    -------
    (K,) of the type of `g`
    """
    owner = "value_gradient"
    check_array(owner, "g", g, FLOATS, (None, None))
    values = np.zeros(indices.size, g.dtype)
    n_target, n_lanes, unit = check_operands(owner, indptr, indices, values, rows)
    check_array(owner, "g", g, g.dtype, (n_target, n_lanes))
    if shift < 0 or shift % LANES:
        raise ValidationError(f"{owner}.shift: is {shift}, would have to be a non-negative multiple of {LANES}")
    if n_lanes > shift:
        run(
            _value_gradient,
            indices.size * n_lanes // LANES,
            indptr,
            indices,
            rows.reshape(-1),
            unit,
            g,
            shift,
            values,
            parts(n_target),
        )
    return values


@jit(parallel=True)
def _value_gradient(indptr, indices, rows, unit, g, shift, values, n_parts):
    n, n_lanes = g.shape
    flat = g.reshape(-1)
    vectors = (n_lanes - shift) // LANES
    for part in prange(n_parts):
        for j in range(part * n // n_parts, (part + 1) * n // n_parts):
            for k in range(indptr[j], indptr[j + 1]):
                row = np.intp(indices[k]) * (n_lanes // unit)
                values[k] = simd.dot(flat, j * n_lanes + shift, rows, row, vectors)


def input_gradient(
    indptr: NDArray[np.int32],
    targets: NDArray[np.int32],
    slots: NDArray[np.int32],
    values: NDArray,
    g: NDArray,
    lanes: Lanes,
    *,
    steps_layout: bool,
    active: NDArray[np.bool_] | None = None,
) -> NDArray:
    """Return the gradient of a layer's input, ``W^T g``.

    Parameters
    ----------
    indptr, targets, slots : transposed index as `csc_from_csr` returns it
    values : (K,) float32 or float64, in CSR order
    g : (n_tiles, n_target, TILE) or (n_target, n_lanes)
        Gradients of the currents, in tiles (as `backward` leaves them: they stay in the L2 cache) or rows.
    lanes : Lanes
    steps_layout : bool
        True for a result of shape (time, batch, n_source), False for rows (n_source, n_lanes) whose padding is zero
        where that of `g` is.
    active : (n_target,) bool, optional
        Which targets have a gradient that is not zero; the synapses of the others are left out.
    """
    owner = "input_gradient"
    check_array(owner, "values", values, FLOATS, (None,))
    check_csr(owner, indptr, targets, field="targets")
    check_array(owner, "slots", slots, np.int32, (targets.size,))
    check_array(owner, "values", values, values.dtype, (targets.size,))
    n_source = indptr.size - 1
    if g.ndim == 3:
        check_array(owner, "g", g, values.dtype, (-(-lanes.n_lanes // TILE), None, TILE))
        n_target, tile_stride, row_stride = g.shape[1], g.shape[1] * TILE, TILE
    else:
        check_array(owner, "g", g, values.dtype, (None, lanes.n_lanes))
        n_target, tile_stride, row_stride = g.shape[0], TILE, lanes.n_lanes
    check_indices(owner, "targets", targets, n_target)
    check_indices(owner, "slots", slots, values.size)
    if active is not None:
        check_array(owner, "active", active, np.bool_, (n_target,))
    some = None if active is None or active.all() else active
    pointers, rows, weights = _outgoing(indptr, targets, slots, values, some)
    shape = (lanes.n_steps, lanes.n_samples, n_source) if steps_layout else (n_source, lanes.n_lanes)
    out = borrow(shape, values.dtype)
    if out.size:
        run(
            _input_gradient, out.size + weights.size * lanes.n_words,
            pointers, rows, weights, g.reshape(-1), tile_stride, row_stride, lanes.n_samples, lanes.padded,
            lanes.n_lanes, out.reshape(-1), steps_layout, parts(n_source // LANES),
        )  # fmt: skip
    return out


def _outgoing(
    pointers: NDArray[np.int32],
    targets: NDArray[np.int32],
    slots: NDArray[np.int32],
    values: NDArray,
    active: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray]:
    """Return pointers, targets and weights of the synapses of each source, those to inactive targets left out.

    The first three arguments are a transposed index, `values` (K,) in CSR order; None keeps all.
    """
    if active is None:
        weights = np.empty(slots.size, values.dtype)
        run(_gather, slots.size * LANES, slots, values, weights)
        return pointers, targets, weights
    return cast(Any, _kept(pointers, targets, slots, values, active))


@jit(parallel=True)
def _gather(slots, values, weights):
    for k in prange(slots.size):
        weights[k] = values[slots[k]]


@jit
def _kept(indptr, targets, slots, values, active):
    pointers, rows, weights = np.zeros_like(indptr), np.empty_like(targets), np.empty(slots.size, values.dtype)
    count = 0
    for j in range(indptr.size - 1):
        for k in range(indptr[j], indptr[j + 1]):
            rows[count], weights[count] = targets[k], values[slots[k]]
            count += active[targets[k]]
        pointers[j + 1] = count
    return pointers, rows[:count], weights[:count]


@jit(parallel=True)
def _input_gradient(
    indptr, targets, weights, g, tile_stride, row_stride, n_samples, padded, n_lanes, out, steps_layout, n_parts
):
    n = indptr.size - 1
    n_tiles = (n_lanes + TILE - 1) // TILE
    n_blocks = (n + LANES - 1) // LANES
    zero = weights.dtype.type(0)
    # A thread's tasks are neighbours: mostly one tile after the other, so the tile of g it reads stays in its L2 cache.
    for task in prange(n_tiles * n_parts):
        tile, part = task // n_parts, task % n_parts
        lane = tile * TILE
        vectors = min(TILE, n_lanes - lane) // LANES
        raw = np.empty(LANES * TILE + 64, weights.dtype)
        local = raw[simd.aligned_start(raw) :]
        for block in range(part * n_blocks // n_parts, (part + 1) * n_blocks // n_parts):
            begin = block * LANES
            width = min(LANES, n - begin)
            for q in range(width):
                j = begin + q
                start = np.intp(q * TILE) if steps_layout else np.intp(j * n_lanes + lane)
                first, last = np.intp(indptr[j]), np.intp(indptr[j + 1])
                simd.accumulate(
                    local if steps_layout else out, start, zero, weights, targets, first, last, g, tile * tile_stride,
                    row_stride, vectors,
                )  # fmt: skip
            if steps_layout:
                for v in range(vectors):
                    scatter_block(
                        out, local, v * LANES, TILE, tile * TILE // LANES + v, begin, width, n_samples, n, padded
                    )


def check_operands(
    owner: str, indptr: NDArray[np.int32], indices: NDArray[np.int32], values: NDArray, rows: NDArray
) -> tuple[int, int, int]:
    """Check a CSR matrix against the rows it is applied to; return n_target, n_lanes and lanes per element of a row."""
    check_array(owner, "values", values, FLOATS, (None,))
    check_array(owner, "values", values, values.dtype, (indices.size,))
    check_array(owner, "rows", rows, (np.uint16, values.dtype), (None, None))
    unit = LANES if rows.dtype == np.uint16 else 1
    n_lanes = rows.shape[1] * unit
    if n_lanes % LANES:
        raise ValidationError(f"{owner}.rows: has {n_lanes} lanes a row, would have to be a multiple of {LANES}")
    check_csr(owner, indptr, indices, n_source=rows.shape[0])
    return indptr.size - 1, n_lanes, unit
