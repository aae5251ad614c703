"""The whole training step of 784-1024-1024-10, time and memory: forward, loss, backward, Adam, and rewiring (ours).

The peers train dense networks with the same weights, zeros where we have no synapse. Every contestant runs in a fresh
process, so the peak of its resident memory is its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from neurosparse.benchmarks import workload
from neurosparse.benchmarks.contest import Contest, Contestant, Measured, in_passes
from neurosparse.benchmarks.lineup import Lineup

__all__ = ["CONTESTANTS", "DENSITIES", "OURS", "SNNTORCH", "run"]

SNNTORCH, OURS = "snnTorch, dense", "neurosparse, DEEP R"
CONTESTANTS = (
    Contestant(SNNTORCH, "snntorch", "TrainingStep"),
    Contestant("SpikingJelly, dense", "spikingjelly", "TrainingStep"),
    Contestant(OURS, "neurosparse", "TrainingStep"),
)
DENSITIES = (1.0, 0.1, 0.05, 0.01)


def run(
    lineup: Lineup,
    *,
    densities: Sequence[float] = DENSITIES,
    sizes: Sequence[int] = (784, 1024, 1024, 10),
    rate: float = 0.05,
    n_steps: int = 25,
    batch: int = 128,
    n_passes: int = 3,
    n_rounds: int = 3,
    n_threads: int,
    seed: int = 0,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Measure the training step at each density; return settings and one row per density, as `layer_step.run` does.

    The facts of a contestant hold its memory in bytes: ``weights_bytes``, ``index_bytes`` (connectivity and what
    rewiring keeps), ``optimizer_bytes``, ``peak_rss`` of its process and ``rss_before`` (after imports and a tiny
    step); its ``synaptic_operations`` (spikes times fan-out, one forward pass) and, ours, ``rewiring_share``.
    """
    settings: dict[float, dict[str, Any]] = {}

    def measure(density: float, in_pass: str) -> Measured:
        tell(f"training step {'-'.join(map(str, sizes))}, density {density:g}{in_pass}")
        with tempfile.TemporaryDirectory() as temporary, Contest(CONTESTANTS, lineup, n_threads=n_threads) as contest:
            shape: dict[str, Any] = {"sizes": list(sizes), "density": density, "rate": rate, "seed": seed}
            rehearsal, stage = Path(temporary) / "rehearsal", Path(temporary) / "stage"
            workload.training_step(rehearsal, **shape, n_steps=2, batch=2)
            settings[density] = workload.training_step(stage, **shape, n_steps=n_steps, batch=batch)
            return contest.measure(stage, n_rounds=n_rounds, rehearsal=rehearsal)

    found = in_passes(densities, n_passes, measure)
    rows = [{"density": d, "n_synapses": sum(settings[d]["n_synapses"]), **m.to_dict()} for d, m in found.items()]
    shared = {"sizes": list(sizes), "rate": rate, "n_steps": n_steps, "batch": batch, "seed": seed}
    return {"settings": shared, "rows": rows}
