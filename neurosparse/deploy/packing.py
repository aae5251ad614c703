"""Packing neurons onto as few cores as possible.

In a fixed order, filling every core as far as it goes gives the fewest cores there can be: whatever fits on a core, a
part of it fits too. The axons out of a core depend on where all targets lie, so they are found by repeating the cut
with what the last one needed, never less, until it holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from neurosparse.deploy.chip import Synapses
from neurosparse.deploy.demand import Demand, Slices, least_out_degrees, most_out_degrees, out_degrees
from neurosparse.deploy.wiring import Wiring

__all__ = ["Packing", "by_halving", "interleaved", "pack", "separate", "stacked"]

_ROUNDS = 12
_MAX_MERGES = 2000

Limits = dict[str, int]
Orders = dict[str, NDArray[np.int64]]
Filler = Callable[[Demand, Limits], list[Slices]]


@dataclass(frozen=True)
class Packing:
    """The slices of every core, with the demand that they are counted by."""

    cores: tuple[Slices, ...]
    demand: Demand

    @property
    def n_cores(self) -> int:
        """Number of cores."""
        return len(self.cores)

    def core_of(self) -> dict[str, NDArray[np.int64]]:
        """Return the core of every neuron, by population, shape (n,)."""
        found = {name: np.empty(order.size, np.int64) for name, order in self.demand.orders.items()}
        for i, slices in enumerate(self.cores):
            for name, (start, stop) in slices.items():
                found[name][self.demand.orders[name][start:stop]] = i
        return found


def pack(wiring: Wiring, orders: Orders, synapses: Synapses, limits: Limits, fill: Filler) -> Packing:
    """Return the cores that `fill` makes of the neurons in these `orders`.

    A neuron that does not even fit alone gets a core of its own; whoever asks finds it over its limits there.
    """
    estimate = least_out_degrees(wiring)
    demand = Demand(wiring, orders, synapses, estimate)
    for _ in range(_ROUNDS):
        packing = Packing(tuple(fill(demand, limits)), demand)
        needed = out_degrees(wiring, packing.core_of(), packing.n_cores)
        demand.send(needed)
        if all(_n(slices) == 1 or demand.fits(slices, limits) for slices in packing.cores):
            return packing
        estimate = {name: np.maximum(estimate[name], needed[name]) for name in needed}
        demand.send(estimate)
    demand.send(most_out_degrees(wiring))
    packing = Packing(tuple(fill(demand, limits)), demand)
    demand.send(out_degrees(wiring, packing.core_of(), packing.n_cores))
    return packing


def stacked(demand: Demand, limits: Limits) -> list[Slices]:
    """Fill cores with one population after the other; a core may hold the end of one and the beginning of the next."""
    sizes = [order.size for order in demand.orders.values()]
    return _fill(demand, limits, np.repeat(np.arange(len(sizes)), sizes))


def interleaved(demand: Demand, limits: Limits) -> list[Slices]:
    """Fill cores with a share of every population.

    Pays where some populations fill the memory of a core and others its neurons.
    """
    sizes = [order.size for order in demand.orders.values()]
    places = np.concatenate([(np.arange(n) + 0.5) / n for n in sizes])
    which = np.repeat(np.arange(len(sizes)), sizes)
    return _fill(demand, limits, which[np.argsort(places, kind="stable")])


def separate(demand: Demand, limits: Limits) -> list[Slices]:
    """Fill cores with every population by itself, then let cores with room to spare share one, the emptiest first.

    A population on fewer cores needs fewer axons from its sources.
    """
    cores: list[Slices] = []
    for i, order in enumerate(demand.orders.values()):
        cores += _fill(demand, limits, np.full(order.size, i))
    return _merge(demand, limits, cores)


def _fill(demand: Demand, limits: Limits, which: NDArray[np.int64]) -> list[Slices]:
    """Cut the sequence in which position p is the next neuron of population ``which[p]`` into cores filled up."""
    names = list(demand.orders)
    counts = np.zeros((which.size + 1, len(names)), np.int64)
    counts[np.arange(1, which.size + 1), which] = 1
    counts = np.cumsum(counts, axis=0)

    def run(start: int, stop: int) -> Slices:
        ends = zip(names, counts[start].tolist(), counts[stop].tolist(), strict=True)
        return {name: (first, last) for name, first, last in ends if last > first}

    # what a core needs at the least, summed along the sequence: no run that exceeds it need be looked at
    least = {name: _along(which, parts) for name, parts in demand.least().items()}
    cores: list[Slices] = []
    start, size = 0, limits["neurons"]
    while start < which.size:
        high = min(start + limits["neurons"], which.size)
        for name, sums in least.items():
            high = min(high, int(np.searchsorted(sums, sums[start] + limits[name], side="right")) - 1)
        low = start + 1  # fits, or has a core of its own
        stop = _last(low, max(low, high), start + size, partial(_holds, demand, limits, run, start))
        cores.append(run(start, stop))
        start, size = stop, stop - start
    return cores


def _holds(demand: Demand, limits: Limits, run: Callable[[int, int], Slices], start: int, stop: int) -> bool:
    return demand.fits(run(start, stop), limits)


def _along(which: NDArray[np.int64], parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the sums of the populations' values along a sequence, from 0 on."""
    values = np.empty(which.size, np.int64)
    for i, part in enumerate(parts):
        places = np.flatnonzero(which == i)
        values[places] = part[: places.size]
    return np.concatenate([[0], np.cumsum(values)])


def _last(low: int, high: int, guess: int, fits: Callable[[int], bool]) -> int:
    """Return the last of `low` to `high` that fits (`low` counts as fitting), looking around `guess` first."""
    step = 1
    while low < high:
        middle = guess if low < guess <= high else (low + high + 1) // 2
        if fits(middle):
            low, guess = middle, middle + step
        else:
            high, guess = middle - 1, middle - step
        step *= 2
    return low


def _merge(demand: Demand, limits: Limits, cores: list[Slices]) -> list[Slices]:
    names, tries = list(demand.orders), 0
    todo = sorted(cores, key=_n)
    kept: list[Slices] = []
    while todo:
        small, others = todo[0], todo[1:]
        for other in others:
            tries += 1
            if tries > _MAX_MERGES:
                return _in_order(names, kept + todo)
            if set(small) & set(other) or _n(small) + _n(other) > limits["neurons"]:
                continue
            both = {**small, **other}
            both = {name: both[name] for name in names if name in both}
            if demand.fits(both, limits):
                others.remove(other)
                others.append(both)
                break
        else:
            kept.append(small)
        todo = sorted(others, key=_n)
    return _in_order(names, kept)


def _in_order(names: list[str], cores: list[Slices]) -> list[Slices]:
    def first(slices: Slices) -> tuple[int, int]:
        return min((names.index(name), start) for name, (start, _) in slices.items())

    return sorted(cores, key=first)


def _n(slices: Slices) -> int:
    return sum(stop - start for start, stop in slices.values())


def by_halving(wiring: Wiring, synapses: Synapses, limits: Limits) -> int:
    """Return how many cores it takes to halve each population until all its parts fit, with no core shared.

    This is how Lava's compiler for Loihi 2 is reported to partition (OzU-CAST/LoihiScalingEfficiency, README).
    """
    parts = dict.fromkeys(wiring.sizes, 1)
    demand = Demand(wiring, {name: np.arange(n) for name, n in wiring.sizes.items()}, synapses)
    while True:
        cores: list[Slices] = []
        for name, n in wiring.sizes.items():
            edges = np.linspace(0, n, parts[name] + 1).astype(int).tolist()
            cores += [{name: pair} for pair in pairwise(edges)]
        demand.send(out_degrees(wiring, Packing(tuple(cores), demand).core_of(), len(cores)))
        full = {name for slices in cores for name in slices if _n(slices) > 1 and not demand.fits(slices, limits)}
        if not full:
            return len(cores)
        for name in full:
            parts[name] = min(2 * parts[name], wiring.sizes[name])
