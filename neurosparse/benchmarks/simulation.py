"""Simulation of one network, a sample at a time: ours beside Brian2, Lava and snnTorch, all with the same spikes.

A 784-1024-1024-10 network (LIF, LIF, leaky integrator) of given density on the exact grid, each hidden layer scaled
until it fires at a given rate on rate-coded input. Every contestant compares its spikes with the reference's before it
is timed. Brian2 and Lava are timed by their own clocks, the time steps alone, without start, loading and saving; we by
the whole call of `simulate`. Both favour the peer. Short times count with their median: ours and snnTorch's over
samples, Brian2's over runs of the first sample, which is built into its project (the facts of both say how many
``synaptic_events`` that is); Lava's run of that sample takes long enough to stand for itself.
"""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.backends import simulate
from neurosparse.benchmarks.contest import Contest, Contestant
from neurosparse.benchmarks.lineup import Lineup
from neurosparse.benchmarks.workload import random_connectivity, write
from neurosparse.core.grid import snap_to_grid
from neurosparse.core.network import Input, Network, Population
from neurosparse.core.neurons import LI, LIF
from neurosparse.core.projection import Projection
from neurosparse.core.rng import stream

__all__ = ["BRIAN2", "CONTESTANTS", "LAVA", "OURS", "firing_network", "run"]

OURS, BRIAN2, LAVA = "neurosparse native", "Brian2 C++ standalone, time steps", "Lava CPU float, time steps"
CONTESTANTS = (
    Contestant(OURS, "neurosparse", "Simulation"),
    Contestant("snnTorch, dense", "snntorch", "Simulation"),
    Contestant(BRIAN2, "brian2", "Simulation"),
    Contestant(LAVA, "lava", "Simulation"),
)


def run(
    lineup: Lineup,
    *,
    sizes: Sequence[int] = (784, 1024, 1024, 10),
    density: float = 0.05,
    input_rate: float = 0.07,
    rate: float = 0.07,
    n_steps: int = 25,
    n_samples: int = 20,
    n_rounds: int = 7,
    budget_s: float = 40.0,
    seed: int = 0,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Measure seconds per sample; return settings, the firing rates, and what `Measured.to_dict` returns.

    Everybody gets one thread: a sample has no work for two. The facts of ours hold the mean ``synaptic_events`` of a
    sample, those of Brian2 the first sample's.
    """
    tell(f"simulation of {'-'.join(map(str, sizes))}, density {density:g}, one sample at a time")
    x = stream(seed, "benchmark", "spikes").random((n_steps, n_samples, sizes[0]), np.float32) < input_rate
    network = firing_network(sizes, x, density=density, rate=rate, seed=seed)
    expected = simulate(network, x, backend="reference").spikes
    arrays: dict[str, NDArray[Any]] = {"x": x.view(np.uint8)}
    arrays |= {f"expected_{name}": raster.view(np.uint8) for name, raster in expected.items()}
    arrays |= {f"dense{i}": p.to_scipy().toarray() for i, p in enumerate(network.projections)}
    rates = {name: float(raster.mean()) for name, raster in expected.items()}
    settings = {
        "sizes": list(sizes),
        "density": density,
        "input_rate": input_rate,
        "n_steps": n_steps,
        "n_samples": n_samples,
        "seed": seed,
    }
    with tempfile.TemporaryDirectory() as temporary, Contest(CONTESTANTS, lineup, n_threads=1) as contest:
        folder = Path(temporary)
        network.save(folder / "network.safetensors")
        populations = [population.name for population in network.populations]
        write(folder, {**settings, "folder": temporary, "populations": populations}, arrays)
        measured = contest.measure(folder, n_rounds=n_rounds, budget_s=budget_s)
        versions = contest.versions()
    return {"settings": settings, "rates": rates, "versions": versions, **measured.to_dict()}


def firing_network(sizes: Sequence[int], x: NDArray[np.bool_], *, density: float, rate: float, seed: int) -> Network:
    """Return a random network on the exact grid whose hidden layers fire at about `rate` on `x` (time, batch, n).

    The scale of each layer's weights is found by bisection; the last population is a leaky integrator.
    """
    names = ["input", *(f"hidden{i + 1}" for i in range(len(sizes) - 2)), "output"]
    populations: list[Population] = []
    projections: list[Projection] = []
    for i, (n_source, n) in enumerate(itertools.pairwise(sizes)):
        last = i == len(sizes) - 2
        count = max(n, round(density * n_source * n))
        indptr, indices, values = random_connectivity(n_source, n, count, gain=1.0, seed=seed + i)
        projection = Projection(names[i], names[i + 1], indptr.astype(np.int64), indices, values, n_source)
        populations.append(Population(names[i + 1], n, LI(beta=0.9) if last else LIF(beta=0.9)))
        low, high = 0.0, 32.0
        for _ in range(0 if last else 14):
            scale = (low + high) / 2
            trial = Network(Input(sizes[0]), populations, [*projections, _scaled(projection, scale)])
            fires = simulate(trial, x, backend="reference").spikes[names[i + 1]].mean() > rate
            low, high = (low, scale) if fires else (scale, high)
        projections.append(projection if last else _scaled(projection, low))
    return snap_to_grid(Network(Input(sizes[0]), populations, projections))[0]


def _scaled(projection: Projection, scale: float) -> Projection:
    return dataclasses.replace(projection, weights=projection.weights * np.float32(scale))
