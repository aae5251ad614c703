"""An order of neurons in which those that share sources lie together.

Greedy: the next neuron is the one that brings the fewest new sources to the core that is being filled. Fewer and longer
lists take fewer axons, and less memory is lost to rounding them up to words.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosparse.deploy.chip import Synapses
from neurosparse.deploy.wiring import Connection, Wiring

__all__ = ["clustered"]

# Every step looks at all neurons of a population, and every core at all synapses: 10^8 looks are about a second.
_MAX_LOOKS = 2 * 10**8
_DENSE = 1.0
"""Where every synapse exists all neurons share all sources, and no order is better than another."""


def clustered(wiring: Wiring, synapses: Synapses, limits: dict[str, int]) -> dict[str, NDArray[np.int64]] | None:
    """Return such an order of every population; None where finding it would take long."""
    looks = 0
    for c in wiring.connections:
        bits = c.n_synapses * (c.own_bits + synapses.index_bits.value[0])
        n_target = c.indptr.size - 1
        cores = 1 + max(bits // limits["synapse_bits"], n_target // limits["neurons"])
        looks += cores * c.n_synapses + n_target * n_target
    density = wiring.n_synapses / max(1, sum((c.indptr.size - 1) * c.n_source for c in wiring.connections))
    if looks > _MAX_LOOKS or density >= _DENSE:
        return None
    return {name: _grow(wiring.into(name), n, synapses, limits) for name, n in wiring.sizes.items()}


def _grow(into: list[Connection], n: int, synapses: Synapses, limits: dict[str, int]) -> NDArray[np.int64]:
    if not into or n == 1:
        return np.arange(n)
    bases = np.concatenate([[0], np.cumsum([c.n_source for c in into])])
    rows = np.concatenate([np.repeat(np.arange(n), c.fan_in()) for c in into])
    sources = np.concatenate([c.indices + base for c, base in zip(into, bases, strict=False)])
    bits = max(c.own_bits for c in into) + synapses.index_bits.value[0]
    row_ends, sources_of = _lists(rows, sources, n)
    source_ends, targets_of = _lists(sources, rows, int(bases[-1]))
    fan_in = np.diff(row_ends)
    order, left = np.empty(n, np.int64), np.ones(n, bool)
    covered, new = np.zeros(bases[-1], bool), fan_in.copy()
    taken = n_covered = n_bits = 0
    for i in range(n):
        row = int(np.argmin(np.where(left, new, np.iinfo(np.int64).max)))
        full = taken == limits["neurons"] or n_covered + new[row] > limits["in_axons"]
        if full or n_bits + fan_in[row] * bits > limits["synapse_bits"]:  # a new core, begun by the largest neuron
            covered[:], new, taken, n_covered, n_bits = False, fan_in.copy(), 0, 0, 0
            row = int(np.argmax(np.where(left, fan_in, -1)))
        order[i], left[row] = row, False
        mine = sources_of[row_ends[row] : row_ends[row + 1]]
        fresh = mine[~covered[mine]]
        covered[fresh] = True
        taken, n_covered, n_bits = taken + 1, n_covered + fresh.size, n_bits + int(fan_in[row]) * bits
        new -= np.bincount(_join(targets_of, source_ends, fresh), minlength=n)
    return order


def _lists(keys: NDArray[np.int64], values: NDArray[np.int64], n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Group `values` by key: those of key k lie at ``ends[k]`` to ``ends[k + 1]``."""
    ends = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=n))])
    return ends, values[np.argsort(keys, kind="stable")]


def _join(values: NDArray[np.int64], ends: NDArray[np.int64], keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the lists of several keys as one."""
    sizes = ends[keys + 1] - ends[keys]
    shifts = np.repeat(ends[keys] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
    return np.asarray(values[shifts + np.arange(int(sizes.sum()))])
