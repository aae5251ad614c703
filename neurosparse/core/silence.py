"""Which neurons provably never fire, and which fire at every step, whatever the input.

Under a constant current and without a spike, a step is a monotone map of the state, in floats too, because every
rounding is monotone. So if the state has stopped growing below the threshold, the neuron is silent for good; with a
spike in every step and a state that has stopped falling, it fires for good. Where sums have no rounding error, on the
exact grid and in integers, the same holds for any input, with the largest and the smallest possible current in the
place of the constant one. A register that could wrap around would break the monotony; such a neuron stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core import integers as z
from neurosparse.core.graph import INPUT
from neurosparse.core.network import Network
from neurosparse.core.neurons import LI
from neurosparse.core.quantized import QuantizedNetwork, QuantizedPopulation

__all__ = ["judge"]

Mask = NDArray[np.bool_]
State = dict[str, NDArray[Any]]

_LARGEST_INPUT = {"spikes": 1.0, "graded": 255 / 256}  # analog inputs have no bound, and no grid
_MAX_STEPS = 10_000
"""A neuron not decided by then, such as one without decay that slowly charges, stays."""


def judge(network: Network | QuantizedNetwork, live: list[Mask]) -> tuple[dict[str, Mask], dict[str, Mask]]:
    """Return which neurons never fire and which fire at every step, per population, bool (n,).

    Parameters
    ----------
    network : Network or QuantizedNetwork
    live : list of bool arrays, one per projection
        The synapses that count.
    """
    if isinstance(network, QuantizedNetwork):
        return _judge_integers(network, live)
    silent, firing = {}, {}
    for population in network.populations:
        lowest, highest, n_inputs = _currents(network, live, population.name)
        neuron = population.neuron
        if isinstance(neuron, LI):
            never, always = _silent_readout(population.n)
        else:
            state, names = neuron.initial_state((population.n,), network.dtype), neuron.state_names
            never = _under_constant(neuron.step, dict(state), names, highest)[0]
            always = _under_constant(neuron.step, dict(state), names, lowest)[1]
        if network.grid is None:  # a rounded sum may lie on the other side of the threshold
            never, always = never & (n_inputs == 0), always & (n_inputs == 0)
        silent[population.name], firing[population.name] = never, always
    return silent, firing


def _judge_integers(network: QuantizedNetwork, live: list[Mask]) -> tuple[dict[str, Mask], dict[str, Mask]]:
    silent, firing = {}, {}
    for population in network.populations:
        if population.readout:
            silent[population.name], firing[population.name] = _silent_readout(population.n)
            continue
        lowest, highest = _sums(network, live, population.name)
        bounded = ~_may_wrap(population, np.maximum(-lowest, highest))
        state, names = population.initial_state((population.n,)), ("u", "v", "s")
        silent[population.name] = bounded & _under_constant(population.step, dict(state), names, highest)[0]
        firing[population.name] = bounded & _under_constant(population.step, dict(state), names, lowest)[1]
    return silent, firing


def _silent_readout(n: int) -> tuple[Mask, Mask]:
    return np.ones(n, bool), np.zeros(n, bool)


def _may_wrap(population: QuantizedPopulation, largest: NDArray[np.int64]) -> Mask:
    """Return where a current could leave 24 bits: abs(u) <= A + (1 - d) abs(u), so at most A / d; d = (du + 1) / 4096.

    `largest` is the largest abs(a). Rounding goes toward zero, which only makes u smaller.
    """
    parts = np.where(population.du == z.NO_CURRENT, z.DECAY_UNITY, population.du.astype(np.int64) + 1)
    bound = (largest << z.ALIGNMENT_BITS) * z.DECAY_UNITY
    return np.asarray(bound >= parts * (z.STATE_SPAN // 2))


def _sums(network: QuantizedNetwork, live: list[Mask], name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the smallest and the largest sum ``a`` that can reach each neuron of `name`."""
    lowest, highest = np.zeros((2, network[name].n), np.int64)
    for p, mask in zip(network.projections, live, strict=True):
        if p.target != name:
            continue
        factor = z.MAX_PAYLOAD if p.source == INPUT and network.input.kind == "graded" else 1
        weights = factor * (p.weights[mask].astype(np.int64) << p.exponent)
        np.add.at(highest, p.rows[mask], np.maximum(weights, 0))
        np.add.at(lowest, p.rows[mask], np.minimum(weights, 0))
    return lowest, highest


def _currents(network: Network, live: list[Mask], name: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
    """Return the smallest and the largest current that can reach each neuron of `name`, and its number of synapses.

    On the exact grid these sums are exact; off it both are the bias.
    """
    population = network[name]
    lowest = population.neuron.bias.astype(np.float64)
    highest, n_inputs = lowest.copy(), np.zeros(population.n, np.int64)
    for p, mask in zip(network.projections, live, strict=True):
        if p.target != name:
            continue
        rows, weights = p.rows[mask], p.weights[mask].astype(np.float64)
        n_inputs += np.bincount(rows, minlength=population.n)
        if network.grid is not None:
            weights = weights * (_LARGEST_INPUT[network.input.kind] if p.source == INPUT else 1.0)
            highest += np.bincount(rows, np.maximum(weights, 0), minlength=population.n)
            lowest += np.bincount(rows, np.minimum(weights, 0), minlength=population.n)
    return lowest.astype(network.dtype), highest.astype(network.dtype), n_inputs


def _under_constant(
    step: Callable[[State, NDArray[Any]], Mask], state: State, variables: tuple[str, ...], current: NDArray[Any]
) -> tuple[Mask, Mask]:
    """Return which neurons provably never fire, and which provably fire at every step, under a constant `current`."""
    n = current.size
    never, always, ever = np.zeros(n, bool), np.zeros(n, bool), np.zeros(n, bool)
    so_far = np.ones(n, bool)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(_MAX_STEPS):
            before = dict(state)
            spikes = step(state, current)
            ever, so_far = ever | spikes, so_far & spikes
            never |= ~ever & np.all([state[v] <= before[v] for v in variables], axis=0)
            always |= so_far & (before["s"] == 1) & np.all([state[v] >= before[v] for v in variables], axis=0)
            if (never | always | (ever & ~so_far)).all():
                break
    return never, always
