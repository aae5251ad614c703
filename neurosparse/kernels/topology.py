"""Births, deaths and indices of a sparse projection, each in one linear pass over its K live synapses.

A *site* is a possible synapse, written as one integer key: ``target * n_source + source``. The live synapses of a
projection are a sorted vector of distinct keys, which is CSR order; so the row pointers, the column indices, the
transposed (CSC) index and the place of every newborn follow from the keys alone, and nothing of size
n_target x n_source is ever made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import ValidationError
from neurosparse.kernels.checks import check_array, check_csr, check_size
from neurosparse.kernels.jit import jit

__all__ = ["csc_from_csr", "csr_from_sites", "dormant_sites", "merge_sites"]

_OK, _LIVE_ORDER, _BORN_ORDER, _COLLISION = 0, 1, 2, 3


def merge_sites(
    live: NDArray[np.int64], dead: NDArray[np.bool_], born: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Remove the dead synapses, insert the newborn ones, and say where each survivor came from.

    Parameters
    ----------
    live : (K,) int64, strictly increasing
        Site keys of the live synapses.
    dead : (K,) bool
        True where the synapse dies; D of them.
    born : (G,) int64, strictly increasing
        Site keys of the newborn synapses. None may be a survivor's; the site of one that dies now is allowed.

    Returns
    -------
    sites : (K - D + G,) int64, strictly increasing
        Site keys after the change.
    source : (K - D + G,) int64
        For each new slot its old slot, or -1 for a newborn. Any per-synapse array `a` moves by
        ``np.where(source < 0, newborn_value, a[source])``.

    Raises
    ------
    ValidationError
        For keys out of order or a birth where a synapse lives.

    Examples
    --------
    >>> import numpy as np
    >>> sites, source = merge_sites(np.array([1, 4, 7]), np.array([False, True, False]), np.array([2, 9]))
    >>> sites.tolist(), source.tolist()
    ([1, 2, 7, 9], [0, -1, 2, -1])
    """
    owner = "merge_sites"
    check_array(owner, "live", live, np.int64, (None,))
    check_array(owner, "dead", dead, np.bool_, (live.size,))
    check_array(owner, "born", born, np.int64, (None,))
    sites = np.empty(live.size - int(np.count_nonzero(dead)) + born.size, np.int64)
    source = np.empty(sites.size, np.int64)
    status, where = _merge_sites(live, dead, born, sites, source)
    if status == _LIVE_ORDER:
        raise ValidationError(_order_message(owner, "live", live, where))
    if status == _BORN_ORDER:
        raise ValidationError(_order_message(owner, "born", born, where))
    if status == _COLLISION:
        raise ValidationError(
            f"{owner}.born: site {born[where]} (position {where}) is the site of a surviving synapse, "
            "births would have to be on dormant sites"
        )
    return sites, source


@jit
def _merge_sites(live, dead, born, sites, source):
    n_live, n_born = live.size, born.size
    for b in range(1, n_born):
        if born[b] <= born[b - 1]:
            return _BORN_ORDER, b
    b = 0
    n = 0
    previous = np.int64(-1)
    for k in range(n_live):
        site = live[k]
        if site <= previous:
            return _LIVE_ORDER, k
        previous = site
        if dead[k]:
            continue
        while b < n_born and born[b] < site:
            sites[n] = born[b]
            source[n] = -1
            b += 1
            n += 1
        if b < n_born and born[b] == site:
            return _COLLISION, b
        sites[n] = site
        source[n] = k
        n += 1
    while b < n_born:
        sites[n] = born[b]
        source[n] = -1
        b += 1
        n += 1
    return _OK, 0


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
        raise ValidationError(_order_message(owner, "sites", sites, bad))
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


def dormant_sites(live: NDArray[np.int64], ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the r-th dormant site for each rank r: uniform distinct ranks give uniform births without replacement.

    Before live site ``live[i]`` lie ``live[i] - i`` dormant ones, a non-decreasing sequence, so one binary search a
    rank finds the number of live sites to step over. O(G log K), and independent of the number of possible sites N.

    Parameters
    ----------
    live : (K,) int64, strictly increasing, non-negative
        Site keys of the live synapses.
    ranks : (G,) int64, strictly increasing, in [0, N - K)
        Which dormant sites, counted from 0 in key order.

    Returns
    -------
    (G,) int64, strictly increasing
        Their site keys.

    Raises
    ------
    ValidationError
        For negative or unsorted ranks. `live` is trusted to be sorted: checking it would cost more than the search.

    Examples
    --------
    >>> import numpy as np
    >>> dormant_sites(np.array([0, 1, 4]), np.array([0, 1, 2, 5])).tolist()
    [2, 3, 5, 8]
    """
    owner = "dormant_sites"
    check_array(owner, "live", live, np.int64, (None,))
    check_array(owner, "ranks", ranks, np.int64, (None,))
    sites = np.empty(ranks.size, np.int64)
    bad = _dormant_sites(live, ranks, sites)
    if bad >= 0:
        raise ValidationError(_order_message(owner, "ranks", ranks, bad))
    return sites


@jit
def _dormant_sites(live, ranks, sites):
    previous = np.int64(-1)
    low = 0
    for g in range(ranks.size):
        rank = ranks[g]
        if rank <= previous:
            return g
        previous = rank
        high = live.size
        while low < high:  # ranks increase, so the search never has to look left of the last answer
            middle = (low + high) >> 1
            if live[middle] - middle > rank:
                high = middle
            else:
                low = middle + 1
        sites[g] = rank + low
    return -1


def _order_message(owner: str, field: str, keys: NDArray[np.int64], where: int) -> str:
    if where == 0:
        return f"{owner}.{field}: starts at {keys[0]}, may not be negative"
    return (
        f"{owner}.{field}: position {where} holds {keys[where]} after {keys[where - 1]}, "
        "would have to be strictly increasing"
    )
