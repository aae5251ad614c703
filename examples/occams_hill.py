"""Occam's hill: does a network generalise better at some density than when dense? (Hoefler et al. 2021, figure 4)

    python examples/occams_hill.py                     all arms (hours on two cores; resumed if killed)
    python examples/occams_hill.py --arms 2000 --jobs 2

MNIST (NEUROSPARSE_DATA), 784-300-100-10 spiking network, 10 steps, training sets of 500, 2 000, 10 000 and 55 000
images, and 2 000 and 10 000 images of which 20 % carry a wrong label. Arms:

- DEEP R and static random connectivity at densities from 1 to 50 %;
- the dense network, its learning rate and weight decay chosen on the validation split for every training set;
- small dense networks with as many weights as the sparse ones have synapses.

What would falsify the hill: no density whose paired difference to the tuned dense network is above zero.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from neurosparse.analysis.palette import GREY, logarithmic, new_grid, png, series, style_axes
from neurosparse.analysis.tradeoff import Point, paired_tests, points
from neurosparse.sweep import Sweep, SweepPlan, read_results
from neurosparse.sweep.work import run_sweep
from neurosparse.training.config import RunConfig

EPOCHS = {"500": 120, "2000": 60, "10000": 24, "55000": 10, "2000-noise": 60, "10000-noise": 24}
DENSITIES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
DENSE_TUNING = {"training.learning_rate": [1e-3, 3e-3, 1e-2], "training.weight_decay": [0.0, 0.1]}
# hidden layers whose dense weights are as many as the synapses of the sparse network at these densities
SMALL = {0.02: [6, 2], 0.05: [16, 5], 0.1: [33, 11], 0.2: [65, 22]}
SEEDS = 3


def plans(arm: str) -> dict[str, SweepPlan]:
    """Return the sweeps of one training set, by name."""
    size, _, noise = arm.partition("-")
    base: dict[str, Any] = {
        "data": {"name": "mnist", "label_noise": 0.2 if noise else 0.0},
        "network": {"hidden": [300, 100], "gain": [0.6, 1.5, 1.5]},
        "training": {"epochs": EPOCHS[arm], "samples": int(size), "learning_rate": 1e-2, "optimizer": "adamw"},
        "method": {"name": "deep_r", "alpha": 3e-2, "optimizer_state": "layer_mean"},
    }
    made = {
        "sparse": SweepPlan.make(
            base=_resolved(base), densities=DENSITIES, methods=["deep_r", "static"], seeds=SEEDS, samples=200
        ),
        "dense": SweepPlan.make(
            base=_resolved(base), densities=[1.0], methods=["dense"], vary=DENSE_TUNING, seeds=SEEDS, samples=200
        ),
    }
    for density, hidden in SMALL.items() if not noise else ():
        small = {**base, "network": {**base["network"], "hidden": hidden}}
        small["training"] = {**base["training"], "learning_rate": 3e-3}
        plan = SweepPlan.make(base=_resolved(small), densities=[1.0], methods=["dense"], seeds=SEEDS, samples=200)
        made[f"small-{density:g}"] = plan
    return made


def _resolved(content: dict[str, Any]) -> dict[str, Any]:
    return RunConfig.load(content).model_dump(exclude_none=True)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of one training set: sparse ones, the dense ones as tuned, small dense ones at their density."""
    rows = [vars(result) for result in read_results(folder / "sparse")]
    tuned: dict[str, list[dict[str, Any]]] = {}
    for result in read_results(folder / "dense"):
        tuned.setdefault(json.dumps(result.varied, sort_keys=True), []).append(vars(result))
    if tuned:
        best = max(tuned.values(), key=lambda runs: np.mean([run["validation_accuracy"] for run in runs]))
        rows += [{**run, "varied": {}} for run in best]
    for density in SMALL:
        found = read_results(folder / f"small-{density:g}")
        rows += [{**vars(result), "method": "small dense", "density": density} for result in found]
    return rows


def draw(arms: dict[str, list[dict[str, Any]]]) -> bytes:
    """Return the figure: for each training set, test accuracy against density beside the tuned dense network.

    Three panels a row; with a scale of its own each, and small dense networks far below it left out of the panel.
    """
    n_columns = min(len(arms), 3)
    n_rows = -(-len(arms) // n_columns)
    axes = new_grid(n_rows, n_columns, (max(5.0, 3.3 * n_columns), 3.2 * n_rows + 0.3))
    for ax in axes[len(arms) :]:
        ax.set_visible(False)
    for i, (ax, (arm, rows)) in enumerate(zip(axes, arms.items(), strict=False)):
        found = points(rows)
        for point in found:
            if point.method == "dense":
                ax.axhspan(100 * point.low, 100 * point.high, color=GREY, alpha=0.15, linewidth=0)
                ax.axhline(100 * point.mean, color=GREY, linestyle=(0, (2, 2)), linewidth=1.2, label="dense, tuned")
        for j, method in enumerate(("deep_r", "static", "small dense")):
            mine = [point for point in found if point.method == method]
            x, y, error = ([100 * value for value in values] for values in _columns(mine))
            if mine:
                look = {"linewidth": 1.4, "markersize": 3.5, "marker": "osD"[j], **series(j)}
                ax.errorbar(x, y, yerr=error, label=method, **look)
        large = [100 * point.mean for point in found if point.method != "small dense"]
        margin = 0.15 * (max(large) - min(large))
        ax.set_ylim(min(large) - margin, max(large) + margin)
        logarithmic(ax, "x", [100 * density for density in DENSITIES])
        ax.set_xlim(0.85, 60)
        size, _, noise = arm.partition("-")
        style_axes(
            ax,
            x="density (%)" if i + n_columns >= len(arms) else "",
            y="test accuracy (%)" if i % n_columns == 0 else "",
            title=f"{int(size):,} images".replace(",", " ") + (", 20 % wrong labels" if noise else ""),
        )
    axes[0].legend(fontsize=7, frameon=False, loc="lower right")
    return png(axes[0].figure)


def _columns(found: list[Point]) -> tuple[list[float], list[float], list[float]]:
    return [p.density for p in found], [p.mean for p in found], [p.sd for p in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arms", nargs="+", choices=list(EPOCHS), default=list(EPOCHS))
    parser.add_argument("--out", type=Path, default=Path("runs/occams_hill"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only-report", action="store_true", help="train nothing, report what is there")
    arguments = parser.parse_args()
    for arm in arguments.arms if not arguments.only_report else []:
        for name, plan in plans(arm).items():
            sweep = Sweep(arguments.out / arm / name, plan)
            run_sweep(sweep, jobs=arguments.jobs)
            print(f"{arm} {name}: {sweep.counts()}", flush=True)
    found = {arm: rows_of(arguments.out / arm) for arm in EPOCHS}
    # the dense networks are trained after the sparse ones: without them an arm is not finished
    arms = {arm: rows for arm, rows in found.items() if any(row["method"] == "dense" for row in rows)}
    results = Path(__file__).parent / "results"
    kept = (
        "method",
        "density",
        "seed",
        "test_accuracy",
        "validation_accuracy",
        "synapses",
        "synaptic_operations",
        "seconds",
    )
    content = {arm: [{key: row[key] for key in kept} for row in rows] for arm, rows in arms.items()}
    (results / "occams_hill.json").write_text(json.dumps(content, indent=1) + "\n")
    (results / "occams_hill.png").write_bytes(draw(arms))
    for arm, rows in arms.items():
        print(f"\n{arm}")
        for point in points(rows):
            print(f"  {point.method:12s} {point.density:6.1%}  {point.mean:.2%} +- {100 * point.sd:.2f}  n={point.n}")
        for test in paired_tests(rows):
            if test.second == "dense" and test.first == "deep_r":
                print(f"  deep_r {test.density:.1%} - dense: {100 * test.difference:+.2f} points, p = {test.p:.3f}")


if __name__ == "__main__":
    main()
