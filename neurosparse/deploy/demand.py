"""What a run of neurons needs of a core: neurons, synapse memory, axons in and out, different decays and thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.deploy.axons import Memory, synapse_memory
from neurosparse.deploy.chip import ChipSpec, CoreLimits, Synapses
from neurosparse.deploy.wiring import Connection, Wiring
from neurosparse.errors import UnsupportedError

__all__ = [
    "RESOURCES",
    "Demand",
    "Slices",
    "Usage",
    "core_sections",
    "least_out_degrees",
    "limits_of",
    "most_out_degrees",
    "out_degrees",
]

RESOURCES = ("neurons", "synapse_bits", "in_axons", "out_axons", "decay_sets", "threshold_sets")
"""The resources of a core, by the names of ``[core]`` in a chip file."""

Usage = dict[str, int]


def core_sections(chip: ChipSpec) -> tuple[CoreLimits, Synapses]:
    """Return ``[core]`` and ``[synapses]`` of a chip; `UnsupportedError` for chips of another kind."""
    if chip.core is None or chip.synapses is None:
        raise UnsupportedError(
            f"chip {chip.name!r}: is of kind {chip.kind!r}, which has no cores to place neurons on; "
            "`neurosparse deploy` reports its limits only"
        )
    return chip.core, chip.synapses


def limits_of(chip: ChipSpec) -> dict[str, int]:
    """Return the limits of one core of `chip` that exist."""
    core, _ = core_sections(chip)
    stated = {name: getattr(core, name) for name in RESOURCES}
    return {name: limit.value for name, limit in stated.items() if limit is not None}


Slices = dict[str, tuple[int, int]]
"""What a core holds: per population the part (start, stop) of its order, in the order of the populations."""


class Demand:
    """What any slices of the populations need of a core.

    Parameters
    ----------
    wiring : Wiring
    orders : dict of population name to int array (n,)
        The order in which the neurons of each population lie; slices count along it.
    synapses : Synapses
    out_degrees : dict of population name to int array (n,), optional
        Cores that each neuron sends its spikes to, as far as known; 1 for every neuron that has a target by default.
    """

    def __init__(
        self,
        wiring: Wiring,
        orders: dict[str, NDArray[np.int64]],
        synapses: Synapses,
        out_degrees: dict[str, NDArray[np.int64]] | None = None,
    ) -> None:
        self.orders, self._synapses = orders, synapses
        self._into: dict[str, list[Connection]] = {
            name: [c.ordered(order) for c in wiring.into(name)] for name, order in orders.items()
        }
        sources = dict.fromkeys(c.source for c in wiring.connections)
        sizes = [wiring.sizes.get(name, wiring.n_input) for name in sources]
        self._base = dict(zip(sources, np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(int), strict=True))
        self._n_sources = int(sum(sizes))
        self._ids: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {
            name: (wiring.decay_ids[name][order], wiring.threshold_ids[name][order]) for name, order in orders.items()
        }
        self._uniform = all(np.ptp(part) == 0 for ids in self._ids.values() for part in ids)
        self.send(out_degrees or least_out_degrees(wiring))

    def send(self, out_degrees: dict[str, NDArray[np.int64]]) -> None:
        """Set how many cores each neuron sends its spikes to."""
        self._sent = {
            name: np.concatenate([[0], np.cumsum(out_degrees[name][order])]) for name, order in self.orders.items()
        }

    def usage(self, slices: Slices) -> Usage:
        """Return what `slices` need of the core they share."""
        memory = self.blocks(slices)
        return {
            "neurons": sum(b - a for a, b in slices.values()),
            "synapse_bits": sum(block.bits for _, block, _ in memory),
            "in_axons": self.n_in_axons(slices),
            "out_axons": sum(int(self._sent[name][b] - self._sent[name][a]) for name, (a, b) in slices.items()),
            "decay_sets": self._n_different(slices, 0),
            "threshold_sets": self._n_different(slices, 1),
        }

    def blocks(self, slices: Slices) -> list[tuple[Connection, Memory, NDArray[np.int64]]]:
        """Return, for each connection into `slices`, its memory and its synapses per source neuron (n_source,)."""
        found, position = [], 0
        for name, (a, b) in slices.items():
            for connection in self._into[name]:
                taken = connection.indices[connection.indptr[a] : connection.indptr[b]]
                if taken.size:
                    lengths = np.bincount(taken, minlength=connection.n_source)
                    memory = synapse_memory(lengths, b - a, position, connection.own_bits, self._synapses)
                    found.append((connection, memory, lengths))
            position += b - a
        return found

    def n_in_axons(self, slices: Slices) -> int:
        """Return how many different source neurons have a synapse onto `slices`."""
        reached = np.zeros(self._n_sources, bool)
        for name, (a, b) in slices.items():
            for connection in self._into[name]:
                taken = connection.indices[connection.indptr[a] : connection.indptr[b]]
                reached[self._base[connection.source] + taken] = True
        return int(np.count_nonzero(reached))

    def least(self) -> dict[str, list[NDArray[np.int64]]]:
        """Return what each neuron adds at the least, by resource and population: axons out; memory in any coding."""
        memory = []
        for name, order in self.orders.items():
            total = np.zeros(order.size, np.int64)
            for connection in self._into[name]:
                total += connection.fan_in() * connection.own_bits
            memory.append(total)
        return {"out_axons": [np.diff(sent) for sent in self._sent.values()], "synapse_bits": memory}

    def fits(self, slices: Slices, limits: dict[str, int]) -> bool:
        """Return whether a core of these `limits` holds `slices`."""
        usage = self.usage(slices)
        return all(usage[name] <= limit for name, limit in limits.items())

    def _n_different(self, slices: Slices, which: int) -> int:
        if self._uniform:  # the usual case, and a hundred times faster
            return len({int(self._ids[name][which][a]) for name, (a, _) in slices.items()})
        return int(np.unique(np.concatenate([self._ids[name][which][a:b] for name, (a, b) in slices.items()])).size)


def least_out_degrees(wiring: Wiring) -> dict[str, NDArray[np.int64]]:
    """Return for every neuron 1 if it has a target, else 0: what it needs at the least."""
    degrees = {name: np.zeros(n, np.int64) for name, n in wiring.sizes.items()}
    for connection in wiring.connections:
        if connection.source in degrees:
            degrees[connection.source] |= connection.fan_out() > 0
    return degrees


def most_out_degrees(wiring: Wiring) -> dict[str, NDArray[np.int64]]:
    """Return the synapses out of every neuron: more cores than that none can send to."""
    degrees = {name: np.zeros(n, np.int64) for name, n in wiring.sizes.items()}
    for connection in wiring.connections:
        if connection.source in degrees:
            degrees[connection.source] += connection.fan_out()
    return degrees


def out_degrees(wiring: Wiring, core_of: dict[str, NDArray[np.int64]], n_cores: int) -> dict[str, NDArray[np.int64]]:
    """Return how many different cores each neuron sends its spikes to, given the core of every neuron."""
    degrees: dict[str, NDArray[np.int64]] = {}
    for name, n in wiring.sizes.items():
        pairs: list[NDArray[Any]] = [np.zeros(0, np.int64)]
        for connection in wiring.out_of(name):
            cores = np.repeat(core_of[connection.target], connection.fan_in())
            pairs.append(connection.indices.astype(np.int64) * n_cores + cores)
        degrees[name] = np.bincount(np.unique(np.concatenate(pairs)) // n_cores, minlength=n).astype(np.int64)
    return degrees
