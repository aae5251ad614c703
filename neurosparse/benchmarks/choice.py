"""Whether the engine chooses well: a layer step by each of its three methods, and by the one that it takes itself.

Masked additions over words of spikes, lists of single spikes, a dense product: which is cheapest depends on density and
rate. All four contestants are the same layer between two others, each in a process of its own, in turn.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neurosparse.benchmarks import workload
from neurosparse.benchmarks.contest import Contest, Contestant
from neurosparse.benchmarks.lineup import Lineup
from neurosparse.benchmarks.rounds import best, ratio

__all__ = ["AUTO", "DENSITIES", "METHODS", "RATES", "loss", "run"]

AUTO, METHODS = "auto", ("words", "events", "dense")
CONTESTANTS = (
    Contestant(AUTO, "neurosparse", "InnerLayerStep"),
    Contestant("words", "neurosparse", "WordsStep"),
    Contestant("events", "neurosparse", "EventsStep"),
    Contestant("dense", "neurosparse", "DenseStep"),
)
DENSITIES, RATES = (0.5, 0.2, 0.05, 0.01), (0.01, 0.05, 0.2)


def run(
    lineup: Lineup,
    *,
    densities: Sequence[float] = DENSITIES,
    rates: Sequence[float] = RATES,
    n: int = 1024,
    n_steps: int = 52,
    batch: int = 64,
    n_rounds: int = 5,
    n_threads: int,
    seed: int = 0,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Measure the step at each density and rate; return settings and one row each, as `layer_step.run` does."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary, Contest(CONTESTANTS, lineup, n_threads=n_threads) as contest:
        for density, rate in itertools.product(densities, rates):
            tell(f"choice of a method, density {density:g}, rate {rate:g}")
            shape = {"n": n, "n_synapses": round(density * n * n), "n_steps": n_steps, "batch": batch}
            workload.layer_step(Path(temporary), **shape, rate=rate, seed=seed)
            measured = contest.measure(Path(temporary), n_rounds=n_rounds)
            rows.append({"density": density, "rate": rate, **measured.to_dict()})
    settings = {"n": n, "n_steps": n_steps, "batch": batch, "seed": seed, "n_threads": n_threads}
    return {"settings": settings, "rows": rows}


def loss(row: Mapping[str, Any]) -> float:
    """Return how many times as long the engine's own choice takes as the best of its methods."""
    return ratio(row["times"], AUTO, best(row["times"], list(METHODS)))
