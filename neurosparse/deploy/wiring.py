"""A network as a placement sees it: who is connected to whom, in what order neurons may lie, what they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.graph import INPUT, Graph
from neurosparse.core.network import Network
from neurosparse.core.pipeline import pipeline
from neurosparse.core.quantized import QuantizedNetwork
from neurosparse.deploy.axons import fitting
from neurosparse.deploy.chip import Synapses
from neurosparse.errors import ValidationError

__all__ = ["FLOAT_BITS", "Connection", "Wiring", "wiring"]

FLOAT_BITS = 8
"""Bits per weight that are assumed for a network that is not quantised yet."""


@dataclass(frozen=True)
class Connection:
    """The synapses of one projection: CSR by target neuron, and the bits that each takes without its index.

    ``index`` is its place among the projections, ``chip_delay`` its delay in steps beyond the one that every hop costs
    on a chip.
    """

    index: int
    source: str
    target: str
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    n_source: int
    weight_bits: int
    chip_delay: int
    own_bits: int

    @property
    def name(self) -> str:
        """How messages and tables call it."""
        return f"{self.source}->{self.target}"

    @property
    def n_synapses(self) -> int:
        """Number of live synapses."""
        return int(self.indices.size)

    def fan_in(self) -> NDArray[np.int64]:
        """Return the synapses into each target, shape (n_target,)."""
        return np.diff(self.indptr)

    def fan_out(self) -> NDArray[np.int64]:
        """Return the synapses out of each source, shape (n_source,)."""
        return np.bincount(self.indices, minlength=self.n_source)

    def ordered(self, order: NDArray[np.int64]) -> Connection:
        """Return this connection with its targets in another order: row i becomes what row ``order[i]`` was."""
        if np.array_equal(order, np.arange(order.size)):
            return self
        sizes = np.diff(self.indptr)[order]
        indptr = np.concatenate([[0], np.cumsum(sizes)])
        taken = np.repeat(self.indptr[:-1][order] - indptr[:-1], sizes) + np.arange(indptr[-1])
        return Connection(**{**vars(self), "indptr": indptr, "indices": self.indices[taken]})


@dataclass(frozen=True)
class Wiring:
    """Populations with their sizes, connections, and which decays and thresholds each neuron has, by number.

    ``hops`` is the number of steps by which the last population runs behind the input on a chip.
    """

    sizes: dict[str, int]
    n_input: int
    connections: tuple[Connection, ...]
    decay_ids: dict[str, NDArray[np.int64]]
    threshold_ids: dict[str, NDArray[np.int64]]
    hops: int

    @property
    def n_neurons(self) -> int:
        """Number of neurons, input lines not counted."""
        return sum(self.sizes.values())

    @property
    def n_synapses(self) -> int:
        """Number of live synapses."""
        return sum(c.n_synapses for c in self.connections)

    def into(self, population: str) -> list[Connection]:
        """Return the connections into `population`."""
        return [c for c in self.connections if c.target == population]

    def out_of(self, population: str) -> list[Connection]:
        """Return the connections out of `population`."""
        return [c for c in self.connections if c.source == population]


def wiring(network: Graph[Any, Any], synapses: Synapses, bits: int | None = None) -> Wiring:
    """Return what a placement of `network` needs to know.

    Parameters
    ----------
    network : Network or QuantizedNetwork
    synapses : Synapses
        The chip's way to store synapses.
    bits : int, optional
        Bits per weight of a `Network` (default 8); a `QuantizedNetwork` knows its own.

    Raises
    ------
    ValidationError, UnsupportedError
        For `bits` that contradict the network, and for loops that a chip's delays cannot express.
    """
    if bits is not None and (isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= 64):
        raise ValidationError(f"place.bits: must be a number of bits per weight in [1, 64], got {bits!r}")
    if bits is not None and isinstance(network, QuantizedNetwork):
        raise ValidationError("place.bits: a QuantizedNetwork says itself how many bits its weights have; leave it out")
    timed = pipeline(network)
    connections = []
    for i, (projection, engine_delay) in enumerate(zip(network.projections, timed.delays, strict=True)):
        weight_bits = getattr(projection, "bits", bits or FLOAT_BITS)
        stored = fitting(weight_bits, synapses.weight_bits.value)
        delay = engine_delay - 1
        own = stored + delay.bit_length() + synapses.tag_bits.value
        connections.append(
            Connection(
                i,
                projection.source,
                projection.target,
                projection.indptr,
                projection.indices,
                projection.n_source,
                weight_bits,
                delay,
                own,
            )
        )
    decays, thresholds = _shared(network)
    sizes = {p.name: p.n for p in network.populations}
    return Wiring(sizes, network.size_of(INPUT), tuple(connections), decays, thresholds, timed.n_extra)


def _shared(network: Graph[Any, Any]) -> tuple[dict[str, NDArray[np.int64]], dict[str, NDArray[np.int64]]]:
    """Number the different decays and thresholds of all neurons, by population."""
    populations = network.populations
    decays, thresholds = [], []
    for population in populations:
        n = population.n
        if isinstance(network, Network):
            neuron = population.neuron
            alpha = getattr(neuron, "alpha", np.zeros(n))
            decays.append(np.stack([np.broadcast_to(alpha, n), np.broadcast_to(neuron.beta, n)], axis=1))
            thresholds.append(np.broadcast_to(getattr(neuron, "v_threshold", np.full(n, np.inf)), n))
        else:
            decays.append(np.stack([population.du, population.dv], axis=1))
            thresholds.append(population.v_threshold)
    ends = np.cumsum([p.n for p in populations])[:-1]
    names = [p.name for p in populations]
    all_decays = np.unique(np.concatenate(decays), axis=0, return_inverse=True)[1].reshape(-1)
    all_thresholds = np.unique(np.concatenate(thresholds), return_inverse=True)[1].reshape(-1)
    return (
        dict(zip(names, np.split(all_decays, ends), strict=True)),
        dict(zip(names, np.split(all_thresholds, ends), strict=True)),
    )
