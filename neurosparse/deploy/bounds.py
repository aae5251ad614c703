"""Fewer cores than this no placement can have, contiguous or not: one bound per resource, each provable.

Neurons, axons and parameter sets are counted and divided. Synapse memory is bounded from below by what the cheapest
list costs per synapse: in sparse coding a list of the best length, with no more neurons at short indices than the cores
have room for; in dense coding a slice of the best width, of which only those places count that are filled. How full a
dense slice can be follows from how many sources two neurons share at most (Bonferroni: m neurons of k sources each, any
two with at most o in common, reach at least ``m k - m (m - 1) o / 2`` sources).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from neurosparse.deploy.axons import fitting, list_bits
from neurosparse.deploy.chip import Synapses
from neurosparse.deploy.wiring import Connection, Wiring

__all__ = ["lower_bounds"]

_MAX_PAIRS = 6 * 10**7
_ROWS = 512
_QUANTILES = (0.0, 0.01, 0.1, 0.25, 0.5)


def lower_bounds(wiring: Wiring, synapses: Synapses, limits: dict[str, int]) -> dict[str, int]:
    """Return, per resource that is limited, the number of cores below which no placement exists."""
    least = {
        "neurons": _per_core(wiring.n_neurons, limits["neurons"]),
        "synapse_bits": _memory_bound(wiring, synapses, limits),
        "in_axons": _per_core(_n_sources(wiring), limits["in_axons"]),
        "out_axons": _per_core(_n_out_axons(wiring, limits["neurons"]), limits["out_axons"]),
    }
    for name, ids in (("decay_sets", wiring.decay_ids), ("threshold_sets", wiring.threshold_ids)):
        if name in limits:
            least[name] = _per_core(np.unique(np.concatenate(list(ids.values()))).size, limits[name])
    return {name: max(1, bound) for name, bound in least.items()}


def _per_core(total: int, limit: int) -> int:
    return -(-int(total) // limit)


def _n_sources(wiring: Wiring) -> int:
    """Return how many inputs and neurons have a target: each is an in-axon of at least one core."""
    reached: dict[str, NDArray[np.bool_]] = {}
    for c in wiring.connections:
        reached[c.source] = reached.get(c.source, np.zeros(c.n_source, bool)) | (c.fan_out() > 0)
    return sum(int(np.count_nonzero(part)) for part in reached.values())


def _n_out_axons(wiring: Wiring, neurons_per_core: int) -> int:
    """Return how many pairs of a neuron and a core that it sends to there must be."""
    total = 0
    for name, n in wiring.sizes.items():
        most = np.zeros(n, np.int64)
        for c in wiring.out_of(name):  # the targets of two projections may lie on the same cores
            most = np.maximum(most, -(-c.fan_out() // neurons_per_core))
        total += int(most.sum())
    return total


def _memory_bound(wiring: Wiring, synapses: Synapses, limits: dict[str, int]) -> int:
    parts = [_part(c, synapses, limits["neurons"]) for c in wiring.connections if c.n_synapses]
    low, high = 1, 1
    while _least_bits(parts, high, synapses) > high * limits["synapse_bits"]:
        low, high = high + 1, 2 * high
    while low < high:
        middle = (low + high) // 2
        if _least_bits(parts, middle, synapses) > middle * limits["synapse_bits"]:
            low = middle + 1
        else:
            high = middle
    return low


@dataclass(frozen=True)
class _Part:
    """What the synapses of one projection take at the least.

    ``fan_in`` of the targets that are counted, largest first; bits of a synapse without its index; bits per synapse
    that dense coding cannot beat; bits of all counted synapses, given that no list is longer than its source's fan-out.
    """

    fan_in: NDArray[np.int64]
    own_bits: int
    dense_rate: float
    by_source: float


def _least_bits(parts: list[_Part], n_cores: int, synapses: Synapses) -> float:
    """Return the bits that the synapses take at least on `n_cores` cores, a hair less for rounding."""
    total = 0.0
    for part in parts:
        by_target, start = 0.0, 0
        for width in synapses.index_bits.value:  # 2**width neurons per core have indices as short as this
            stop = min(part.fan_in.size, n_cores << width)
            rate = min(_best_rate(part.own_bits + width, synapses), part.dense_rate)
            by_target += float(part.fan_in[start:stop].sum()) * rate
            start = stop
        by_target += float(part.fan_in[start:].sum()) * rate
        total += max(by_target, part.by_source)
    return total * (1 - 1e-12)


def _best_rate(bits_per_synapse: int, synapses: Synapses) -> float:
    lengths = np.arange(1, synapses.list_length.value + 1)
    return float((list_bits(lengths, bits_per_synapse, synapses) / lengths).min())


def _part(c: Connection, synapses: Synapses, neurons_per_core: int) -> _Part:
    """Return what the synapses of `c` take, from the cut of its targets that says most.

    Neurons with few sources say little about how full a dense slice can be, so the smallest may be left out of the
    count: what is left is still needed.
    """
    fan_in = c.fan_in()
    widths = np.arange(1, min(neurons_per_core, fan_in.size) + 1)
    lists = list_bits(widths, c.own_bits, synapses)
    floor = float((lists / widths).min())
    index = fitting(int(widths[-1] - 1).bit_length(), synapses.index_bits.value)
    cap = _best_rate(c.own_bits + index, synapses)
    smallest, rate, gain = 0, floor, float(fan_in.sum()) * min(floor, cap)
    overlap = _largest_overlap(c) if floor < cap else None
    for quantile in _QUANTILES if overlap is not None else ():
        least = max(1, int(np.quantile(fan_in, quantile)))
        found = max(floor, _dense_rate(lists, least, overlap or 0, int(np.count_nonzero(fan_in >= least))))
        counted = float(fan_in[fan_in >= least].sum()) * min(found, cap)
        if counted > gain:
            smallest, rate, gain = least, found, counted
    kept = fan_in >= smallest
    sources = np.bincount(c.indices[np.repeat(kept, fan_in)], minlength=c.n_source)
    rates = _source_rates(c, synapses, widths, lists, rate)
    return _Part(np.sort(fan_in[kept])[::-1], c.own_bits, rate, float(sources @ rates))


def _dense_rate(lists: NDArray[np.int64], least: int, overlap: int, n: int) -> float:
    """Return the bits per synapse of the best dense slice of `n` neurons that have `least` sources or more."""
    m = np.arange(1, min(n, lists.size) + 1, dtype=np.float64)
    reached = np.maximum.accumulate(m - m * (m - 1) / 2 * overlap / least)  # sources, in units of the mean fan-in
    return float((reached / m * lists[: m.size]).min())


def _source_rates(
    c: Connection, synapses: Synapses, widths: NDArray[np.int64], lists: NDArray[np.int64], dense_rate: float
) -> NDArray[np.float64]:
    """Return the fewest bits per synapse for each source: no list of it has more synapses than its fan-out."""
    fan_out = c.fan_out()
    lengths = np.arange(1, synapses.list_length.value + 1)
    bits = list_bits(lengths, c.own_bits + synapses.index_bits.value[0], synapses)
    sparse = np.minimum.accumulate(bits / lengths)
    rates = np.zeros(fan_out.size)
    for n in np.unique(fan_out[fan_out > 0]).tolist():
        dense = max(dense_rate, float((lists / np.minimum(widths, n)).min()))
        rates[fan_out == n] = min(float(sparse[min(n, lengths.size) - 1]), dense)
    return rates


def _largest_overlap(c: Connection) -> int | None:
    """Return the most sources that any two targets share; None where finding it would take long."""
    if float((c.fan_out().astype(np.float64) ** 2).sum()) > _MAX_PAIRS:
        return None
    n = c.indptr.size - 1
    matrix = sp.csr_array((np.ones(c.indices.size, np.int32), c.indices, c.indptr), shape=(n, c.n_source))
    transposed = matrix.T.tocsr()
    largest = 0
    for start in range(0, n, _ROWS):  # in strips, so that no matrix of all pairs is ever held
        shared = (matrix[start : start + _ROWS] @ transposed).tocoo()
        other = shared.col != shared.row + start
        largest = max(largest, int(shared.data[other].max(initial=0)))
    return largest
