"""Leave out what cannot matter: neurons that never fire, neurons that nothing depends on. Exact, no retraining.

A sparse network has neurons without live inputs, neurons without outputs, and neurons whose inputs cannot lift them to
their threshold. `compact` removes them, again and again until nothing changes, and every neuron that stays does the
same in every step. It is a function from `Network` to `Network`, without a chip and without torch, so that training,
simulation and deployment can all use it; that is why it lives in the core.

What is proved, and how, is written in `neurosparse.core.silence` (Evci et al. 2020 remove neurons without connections
from RigL's networks by the same idea).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.graph import INPUT, Graph
from neurosparse.core.network import Network, is_readout
from neurosparse.core.quantized import QuantizedNetwork
from neurosparse.core.silence import judge
from neurosparse.core.subnetwork import select_neurons
from neurosparse.errors import UnknownNameError

__all__ = ["CompactReport", "compact", "compact_with_report"]

Mask = NDArray[np.bool_]
NetworkT = TypeVar("NetworkT", bound="Network | QuantizedNetwork")


@dataclass(frozen=True)
class CompactReport:
    """What `compact` did.

    Attributes
    ----------
    kept : dict of population name to int array
        Which neurons stay, by their old index; empty for a population that is gone.
    silent, unobservable : dict of population name to int
        Neurons removed because they never fire, and because no neuron that is read out depends on them.
    folded_synapses : int
        Synapses of neurons that fire at every step, whose weight is now part of a bias.
    zero_synapses : int
        Synapses of weight 0, which are removed, too.
    n_neurons, n_synapses : (int, int)
        Before and after.
    used_inputs : int
        Input lines with a synapse left.
    """

    kept: dict[str, NDArray[np.int64]]
    silent: dict[str, int]
    unobservable: dict[str, int]
    folded_synapses: int
    zero_synapses: int
    n_neurons: tuple[int, int]
    n_synapses: tuple[int, int]
    used_inputs: int

    def __str__(self) -> str:
        return (
            f"compact: {self.n_neurons[0]} -> {self.n_neurons[1]} neurons ({sum(self.silent.values())} never fire, "
            f"{sum(self.unobservable.values())} have no effect), {self.n_synapses[0]} -> {self.n_synapses[1]} synapses "
            f"({self.folded_synapses} folded into biases, {self.zero_synapses} of weight 0); "
            f"{self.used_inputs} input lines in use"
        )


def compact(network: NetworkT, *, keep: Iterable[str] = ()) -> NetworkT:
    """Return `network` without the neurons and synapses that cannot matter; see `compact_with_report`.

    >>> from neurosparse import LIF, Input, Population, Projection
    >>> weights = Projection.from_dense("input", "a", np.float32([[1], [0]]))
    >>> out = Projection.from_dense("a", "out", np.float32([[1, 1]]))
    >>> compact(Network(Input(1), [Population("a", 2, LIF()), Population("out", 1, LIF())], [weights, out]))
    Network(1->1->1, 2 synapses, density 1)
    """
    return compact_with_report(network, keep=keep)[0]


def compact_with_report(network: NetworkT, *, keep: Iterable[str] = ()) -> tuple[NetworkT, CompactReport]:
    """Return `network` without the neurons and synapses that cannot matter, and what they were.

    Every remaining neuron spikes at the same steps as before, for any input; in integers and on the exact grid in every
    engine, off it in those that sum in the order of the index. Off the grid, only neurons without inputs are judged.

    Parameters
    ----------
    network : Network or QuantizedNetwork
        In integers nothing is folded into a bias, whose mantissa could not say it.
    keep : iterable of str
        Populations to leave whole, beside those that are read out: `Network.outputs` and every `LI` population (all of
        them, if that is none).

    Raises
    ------
    UnknownNameError
        For a population in `keep` that does not exist.
    """
    observed = set(network.outputs) | {p.name for p in network.populations if _is_readout(p)}
    observed = observed or {p.name for p in network.populations}
    for name in keep:
        if name not in {p.name for p in network.populations}:
            raise UnknownNameError("population", name, [p.name for p in network.populations])
        observed.add(name)
    live = [p.weights != 0 for p in network.projections]
    zeros = sum(int((~mask).sum()) for mask in live)
    current: Any = network
    n_folded = 0
    silent = {p.name: np.zeros(p.n, bool) for p in network.populations}
    while True:
        silent, firing = judge(current, live)
        before = sum(int(mask.sum()) for mask in live)
        if isinstance(current, Network):
            current, folded = _fold(current, live, firing)
            n_folded += folded
        for k, p in enumerate(current.projections):
            if p.source != INPUT:
                live[k] &= ~silent[p.source][p.indices]
            if p.target not in observed:
                live[k] &= ~silent[p.target][p.rows]
        if sum(int(mask.sum()) for mask in live) == before:
            break
    current = _with(current, live)
    needed = _needed(current, observed)
    compacted = select_neurons(current, needed)
    inputs = [p.indices for p in compacted.projections if p.source == INPUT]
    report = CompactReport(
        kept={name: np.flatnonzero(mask) for name, mask in needed.items()},
        silent={name: int((silent[name] & ~mask).sum()) for name, mask in needed.items()},
        unobservable={name: int((~silent[name] & ~mask).sum()) for name, mask in needed.items()},
        folded_synapses=n_folded,
        zero_synapses=zeros,
        n_neurons=(network.n_neurons, compacted.n_neurons),
        n_synapses=(network.n_synapses, compacted.n_synapses),
        used_inputs=int(np.unique(np.concatenate(inputs)).size) if inputs else 0,
    )
    return compacted, report


def _is_readout(population: Any) -> bool:
    return bool(population.readout if hasattr(population, "readout") else is_readout(population))


def _fold(network: Network, live: list[Mask], firing: dict[str, Mask]) -> tuple[Network, int]:
    """Move the synapses of always-firing neurons into biases, in `live` and in the network returned.

    Only without delay, because a bias acts from the first step on, and only on the exact grid, where the order of a sum
    does not matter.
    """
    if network.grid is None:
        return network, 0
    added = {p.name: np.zeros(p.n, network.dtype) for p in network.populations}
    n = 0
    for k, p in enumerate(network.projections):
        if p.source == INPUT or p.delay:
            continue
        chosen = live[k] & firing[p.source][p.indices]
        added[p.target] += np.bincount(p.rows[chosen], p.weights[chosen], minlength=p.shape[0]).astype(network.dtype)
        live[k] &= ~chosen
        n += int(chosen.sum())
    if not n:
        return network, 0
    populations = [
        dataclasses.replace(p, neuron=dataclasses.replace(p.neuron, bias=p.neuron.bias + added[p.name]))
        for p in network.populations
    ]
    # in this order, because the check of the grid would count synapse and bias both
    folded = dataclasses.replace(_with(network, live), populations=populations)
    for k, p in enumerate(folded.projections):
        live[k] = np.ones(p.n_synapses, bool)
    return folded, n


def _with(network: Any, live: list[Mask]) -> Any:
    """Return `network` with only the synapses in `live`."""
    projections = []
    for p, mask in zip(network.projections, live, strict=True):
        counts = np.bincount(p.rows[mask], minlength=p.shape[0])
        indptr = np.concatenate([[0], np.cumsum(counts)])
        projections.append(dataclasses.replace(p, indptr=indptr, indices=p.indices[mask], weights=p.weights[mask]))
    return dataclasses.replace(network, projections=projections)


def _needed(network: Graph[Any, Any], observed: set[str]) -> dict[str, Mask]:
    """Return which neurons are observed or have a path of synapses to one that is."""
    needed = {p.name: np.full(p.n, p.name in observed) for p in network.populations}
    found = True
    while found:
        found = False
        for p in network.projections:
            if p.source == INPUT:
                continue
            reached = np.zeros(p.n_source, bool)
            reached[p.indices[needed[p.target][p.rows]]] = True
            if (reached & ~needed[p.source]).any():
                needed[p.source] |= reached
                found = True
    return needed
