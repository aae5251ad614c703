"""Between a sparse matrix and a dense one, for layers so full that a dense product is the cheapest way through them."""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from neurosparse.kernels.buffers import borrow
from neurosparse.kernels.checks import FLOATS, check_array, check_csr, check_size
from neurosparse.kernels.jit import jit, parts, run

__all__ = ["gathered", "scattered"]


def scattered(indptr: NDArray[np.int32], indices: NDArray[np.int32], values: NDArray, n_source: int) -> NDArray:
    """Return the dense matrix (n_target, n_source) of a CSR index and its `values` (K,); a view where all are there."""
    owner = "scattered"
    n_source = check_size(owner, "n_source", n_source)
    check_csr(owner, indptr, indices, n_source=n_source)
    check_array(owner, "values", values, FLOATS, (indices.size,))
    n_target = indptr.size - 1
    if indices.size == n_target * n_source and _is_full(indptr, indices, n_source):
        return values.reshape(n_target, n_source)
    out = borrow((n_target, n_source), values.dtype)
    if out.size:
        run(_scatter, out.size, indptr, indices, values, out, parts(n_target))
    return out


def gathered(indptr: NDArray[np.int32], indices: NDArray[np.int32], dense: NDArray) -> NDArray:
    """Return the entries (K,) of `dense` (n_target, n_source) at the sites of a CSR index; a view where it has all."""
    owner = "gathered"
    check_array(owner, "dense", dense, FLOATS, (None, None))
    n_target, n_source = dense.shape
    check_csr(owner, indptr, indices, n_target=n_target, n_source=n_source)
    if indices.size == dense.size and _is_full(indptr, indices, n_source):
        return dense.reshape(-1)
    values = np.empty(indices.size, dense.dtype)
    if values.size:
        run(_gather, values.size, indptr, indices, dense, values, parts(n_target))
    return values


@jit
def _is_full(indptr, indices, n_source):
    """Whether every row holds 0, 1, ..., n_source - 1."""
    for i in range(indptr.size - 1):
        if indptr[i + 1] - indptr[i] != n_source:
            return False
        for j in range(n_source):
            if indices[indptr[i] + j] != j:
                return False
    return True


@jit(parallel=True)
def _scatter(indptr, indices, values, out, n_parts):
    n = out.shape[0]
    for part in prange(n_parts):
        for i in range(part * n // n_parts, (part + 1) * n // n_parts):
            out[i, :] = 0
            for k in range(indptr[i], indptr[i + 1]):
                out[i, indices[k]] = values[k]


@jit(parallel=True)
def _gather(indptr, indices, dense, values, n_parts):
    n = dense.shape[0]
    for part in prange(n_parts):
        for i in range(part * n // n_parts, (part + 1) * n // n_parts):
            for k in range(indptr[i], indptr[i + 1]):
                values[k] = dense[i, indices[k]]
