"""Dormant sites and indices of a sparse projection, each in at most one linear pass over its K live synapses.

A *site* is a possible synapse, written as one integer key: ``target * n_source + source``. The live synapses of a
projection are a sorted vector of distinct keys, which is CSR order; so the row pointers, the column indices and the
transposed (CSC) index follow from the keys alone, and nothing of size n_target x n_source is ever made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.rng import sample_distinct
from neurosparse.errors import ValidationError
from neurosparse.kernels.checks import check_array, check_csr, check_size
from neurosparse.kernels.jit import jit

__all__ = ["csc_from_csr", "csr_from_sites", "dormant_sites", "draw_dormant", "order_message"]

_OK, _RANK_ORDER, _DEAD_RANGE = 0, 1, 2
_NOBODY = np.zeros(0, np.int64)


def csr_from_sites(
    sites: NDArray[np.int64], n_target: int, n_source: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Make the CSR index of sorted site keys.

    Parameters
    ----------
    sites : (K,) int64, strictly increasing, in [0, n_target * n_source)
    n_target, n_source : int

    Returns
    -------
    indptr : (n_target + 1,) int32
        Synapses of target i are ``indptr[i]:indptr[i + 1]``.
    indices : (K,) int32
        Source neuron of each synapse, increasing inside a row.

    Raises
    ------
    ValidationError
        For keys out of order or range, or K above the int32 range.

    Examples
    --------
    >>> import numpy as np
    >>> indptr, indices = csr_from_sites(np.array([0, 2, 7]), 3, 3)
    >>> indptr.tolist(), indices.tolist()
    ([0, 2, 2, 3], [0, 2, 1])
    """
    owner = "csr_from_sites"
    check_array(owner, "sites", sites, np.int64, (None,))
    n_target = check_size(owner, "n_target", n_target)
    n_source = check_size(owner, "n_source", n_source)
    check_size(owner, "sites.size", sites.size)
    n_sites = n_target * n_source
    if sites.size and not (sites[0] >= 0 and sites[-1] < n_sites):
        raise ValidationError(
            f"{owner}.sites: keys run from {sites[0]} to {sites[-1]}, would have to be in [0, {n_sites}) "
            f"for {n_target} targets x {n_source} sources"
        )
    indptr = np.zeros(n_target + 1, np.int32)
    indices = np.empty(sites.size, np.int32)
    bad = _csr_from_sites(sites, np.int64(n_source), indptr, indices)
    if bad >= 0:
        raise ValidationError(order_message(owner, "sites", sites, bad))
    return indptr, indices


@jit
def _csr_from_sites(sites, n_source, indptr, indices):
    # Sorted keys visit the rows in order, so the row advances by comparison and no key costs a 64-bit division.
    row, row_start, row_end = 0, np.int64(0), n_source
    previous = np.int64(-1)
    for k in range(sites.size):
        site = sites[k]
        if site <= previous:
            return k
        previous = site
        while site >= row_end:
            row += 1
            indptr[row] = k
            row_start = row_end
            row_end += n_source
        indices[k] = site - row_start
    for i in range(row + 1, indptr.size):
        indptr[i] = sites.size
    return -1


def csc_from_csr(
    indptr: NDArray[np.int32], indices: NDArray[np.int32], n_source: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Transpose a CSR index by one stable counting sort.

    Parameters
    ----------
    indptr : (n_target + 1,) int32
    indices : (K,) int32, in [0, n_source)
    n_source : int

    Returns
    -------
    indptr : (n_source + 1,) int32
        Synapses leaving source j are ``indptr[j]:indptr[j + 1]`` of the other two.
    rows : (K,) int32
        Target neuron of each synapse, increasing inside a column.
    slots : (K,) int32
        Position of each synapse in CSR order: ``values[slots]`` are the values in CSC order.

    Raises
    ------
    ValidationError
        For an index that is not a CSR index of this width.

    Examples
    --------
    >>> import numpy as np
    >>> csc = csc_from_csr(np.array([0, 2, 3], np.int32), np.array([0, 2, 0], np.int32), 3)
    >>> [part.tolist() for part in csc]
    [[0, 2, 2, 3], [0, 1, 0], [0, 2, 1]]
    """
    owner = "csc_from_csr"
    check_csr(owner, indptr, indices)
    n_source = check_size(owner, "n_source", n_source)
    column_indptr = np.zeros(n_source + 1, np.int32)
    rows, slots = np.empty(indices.size, np.int32), np.empty(indices.size, np.int32)
    bad = _csc_from_csr(indptr, indices, column_indptr, rows, slots)
    if bad >= 0:
        raise ValidationError(f"{owner}.indices: entry {bad} is {indices[bad]}, would have to be in [0, {n_source})")
    return column_indptr, rows, slots


@jit
def _csc_from_csr(indptr, indices, column_indptr, rows, slots):
    n_source = column_indptr.size - 1
    for k in range(indices.size):
        j = indices[k]
        if j < 0 or j >= n_source:
            return k
        column_indptr[j + 1] += 1
    for j in range(n_source):
        column_indptr[j + 1] += column_indptr[j]
    place = column_indptr[:-1].copy()
    for i in range(indptr.size - 1):
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            p = place[j]
            place[j] = p + 1
            rows[p] = i
            slots[p] = k
    return -1


def dormant_sites(
    live: NDArray[np.int64], ranks: NDArray[np.int64], dead: NDArray[np.int64] = _NOBODY
) -> NDArray[np.int64]:
    """Find the r-th dormant site for each rank r: uniform distinct ranks give uniform births without replacement.

    Before live site ``live[k]`` lie ``live[k] - k`` dormant ones, and one more for every synapse before it that dies: a
    non-decreasing sequence, so a binary search a rank finds the number of survivors to step over. O(G (log D + log K)),
    and independent of the number of possible sites N.

    Parameters
    ----------
    live : (K,) int64, strictly increasing, non-negative
        Site keys of the live synapses.
    ranks : (G,) int64, strictly increasing, in [0, N - K + D)
        Which dormant sites, counted from 0 in key order.
    dead : (D,) int64, strictly increasing, in [0, K)
        Slots of the synapses that die now: their sites are dormant, too.

    Returns
    -------
    (G,) int64, strictly increasing
        Their site keys.

    Raises
    ------
    ValidationError
        For negative or unsorted ranks, or slots out of range. `live` and `dead` are trusted to be sorted: checking it
        would cost more than the search.

    Examples
    --------
    >>> import numpy as np
    >>> dormant_sites(np.array([0, 1, 4]), np.array([0, 1, 2, 5])).tolist()
    [2, 3, 5, 8]
    >>> dormant_sites(np.array([0, 1, 4]), np.array([0, 1, 2, 5]), dead=np.array([1])).tolist()
    [1, 2, 3, 7]
    """
    owner = "dormant_sites"
    check_array(owner, "live", live, np.int64, (None,))
    check_array(owner, "ranks", ranks, np.int64, (None,))
    check_array(owner, "dead", dead, np.int64, (None,))
    sites = np.empty(ranks.size, np.int64)
    status, where = _dormant_sites(live, ranks, dead, sites)
    if status == _RANK_ORDER:
        raise ValidationError(order_message(owner, "ranks", ranks, where))
    if status == _DEAD_RANGE:
        raise ValidationError(
            f"{owner}.dead: position {where} is slot {dead[where]}, there are {live.size} live synapses"
        )
    return sites


@jit
def _dormant_sites(live, ranks, dead, sites):
    for d in range(dead.size):
        if dead[d] < 0 or dead[d] >= live.size:
            return _DEAD_RANGE, d
    previous = np.int64(-1)
    low = d = 0  # ranks increase, so no search has to look left of the last answer
    for g in range(ranks.size):
        rank = ranks[g]
        if rank <= previous:
            return _RANK_ORDER, g
        previous = rank
        high = dead.size
        while d < high:  # how many of the dead to step over
            middle = (d + high) >> 1
            if live[dead[middle]] - dead[middle] + middle > rank:
                high = middle
            else:
                d = middle + 1
        # between two of the dead their number is the same everywhere
        low = max(low, dead[d - 1] + 1 if d > 0 else 0)
        high = dead[d] if d < dead.size else live.size
        while low < high:
            middle = (low + high) >> 1
            if live[middle] - middle + d > rank:
                high = middle
            else:
                low = middle + 1
        sites[g] = rank + low - d
    return _OK, 0


def draw_dormant(
    live: NDArray[np.int64],
    n_sites: int,
    n: int,
    generator: np.random.Generator,
    *,
    dead: NDArray[np.int64] = _NOBODY,
) -> NDArray[np.int64]:
    """Draw `n` distinct ones of the sites below `n_sites` that are not `live`, or whose slots are `dead`; sorted."""
    ranks = sample_distinct(generator, n_sites - live.size + dead.size, n)
    return dormant_sites(live, ranks, dead)


def order_message(owner: str, field: str, keys: NDArray[np.int64], where: int) -> str:
    """Say that `keys` (n,) do not increase at position `where`, or start below 0."""
    if where == 0:
        return f"{owner}.{field}: starts at {keys[0]}, may not be negative"
    return (
        f"{owner}.{field}: position {where} holds {keys[where]} after {keys[where - 1]}, "
        "would have to be strictly increasing"
    )
