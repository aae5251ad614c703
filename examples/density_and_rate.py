"""Few synapses and few spikes: do the savings multiply? Accuracy against synaptic operations, density x rate penalty.

    python examples/density_and_rate.py                 train what is missing, report (six minutes on one core)
    python examples/density_and_rate.py --only-report

The training of `methods_on_mnist.py`; DEEP R at 10 and 2 % and the dense network, each with three strengths of an L1
penalty on the firing rates of hidden neurons, ten seeds. Operations are counted on 500 test images, those that hidden
spikes cause apart from those of the input, whose pixels no penalty can change.

What would falsify it: a penalty that saves fewer of the hidden operations in a sparse network than in the dense one at
the same loss of accuracy.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from neurosparse.analysis.metrics import synaptic_operations
from neurosparse.analysis.palette import new_axes, png, series, style_axes
from neurosparse.backends.base import fastest_exact, simulate
from neurosparse.core.network import INPUT, Network
from neurosparse.sweep import Sweep, SweepPlan, read_results
from neurosparse.sweep.work import run_sweep
from neurosparse.training.config import RunConfig
from neurosparse.training.inputs import load_inputs
from neurosparse.training.run import NETWORK

STRENGTHS = [0.0, 1e-3, 1e-2]
DENSITIES = {"deep_r": [0.1, 0.02], "dense": [1.0]}
LEARNING_RATES = {"deep_r": 2e-2, "dense": 3e-3}
SEEDS = 10
RESULTS = Path(__file__).parent / "results"


def plan(method: str, strength: float) -> SweepPlan:
    """Return the runs of a method at one strength of the penalty."""
    base: dict[str, Any] = {
        "data": {"name": "mnist"},
        "network": {"hidden": [300, 100], "gain": [0.6, 1.5, 1.5]},
        "training": {"epochs": 6, "samples": 10_000, "learning_rate": LEARNING_RATES[method]},
        "method": {"name": "deep_r", "alpha": 0.1},
        "regularizers": {"l1_rate": {"strength": strength}} if strength else {},
    }
    resolved = RunConfig.load(base).model_dump(exclude_none=True)
    return SweepPlan.make(base=resolved, densities=DENSITIES[method], methods=[method], seeds=SEEDS, samples=500)


def rows_of(folder: Path, strength: float) -> list[dict[str, Any]]:
    """Return one row per finished run of a sweep."""
    rows = []
    for result in read_results(folder):
        network = Network.load(folder / result.run / NETWORK)
        inputs, _ = load_inputs(folder / result.run, "test", 500)
        recording = simulate(network, inputs, backend=fastest_exact(network))
        events = np.count_nonzero(inputs, axis=(0, 1))
        first = [p for p in network.projections if p.source == INPUT]
        driven = sum(int(events @ np.bincount(p.indices, minlength=p.n_source)) for p in first)
        total = synaptic_operations(network, recording, inputs)
        rows.append(
            {
                "method": result.method,
                "density": result.density,
                "strength": strength,
                "seed": result.seed,
                "test_accuracy": result.test_accuracy,
                "synapses": result.synapses,
                "input_operations": driven / recording.n_samples,
                "hidden_operations": (total - driven) / recording.n_samples,
            }
        )
    return rows


def draw(rows: list[dict[str, Any]]) -> bytes:
    """Return the figure: test accuracy against hidden operations, one line per density, every seed a point."""
    ax = new_axes(None, (6.4, 3.8))
    for i, density in enumerate(sorted({row["density"] for row in rows}, reverse=True)):
        mine = [row for row in rows if row["density"] == density]
        means = []
        for strength in STRENGTHS:
            group = [row for row in mine if row["strength"] == strength]
            x = [row["hidden_operations"] for row in group]
            y = [100 * row["test_accuracy"] for row in group]
            if group:
                ax.plot(x, y, "osD"[i % 3], color=series(i)["color"], markersize=4, alpha=0.6)
                means.append((np.mean(x), np.mean(y)))
        label = "dense" if density == 1 else f"DEEP R, {density:.0%}"
        ax.plot(*zip(*means, strict=True), label=label, linewidth=1.4, **series(i))
    ax.set_xscale("log")
    ax.legend(fontsize=8, frameon=False)
    style_axes(ax, x="synaptic operations by hidden spikes, per image", y="test accuracy (%)")
    return png(ax.figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/density_and_rate"))
    parser.add_argument("--only-report", action="store_true", help="train nothing, report what is there")
    arguments = parser.parse_args()
    rows = []
    for method in DENSITIES:
        for strength in STRENGTHS:
            folder = arguments.out / f"{method}-{strength:g}"
            if not arguments.only_report:
                sweep = Sweep(folder, plan(method, strength))
                run_sweep(sweep)
                print(f"{folder.name}: {sweep.counts()} {sweep.failures() or ''}", flush=True)
            rows += rows_of(folder, strength)
    (RESULTS / "density_and_rate.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "density_and_rate.png").write_bytes(draw(rows))


if __name__ == "__main__":
    main()
