"""Every family of methods at 10, 5, 2 and 1 % of the synapses, on MNIST: accuracy, operations, bytes and seconds.

    python examples/methods_on_mnist.py                 choose, train, report (about an hour on one core; resumed)
    python examples/methods_on_mnist.py --methods deep_r static
    python examples/methods_on_mnist.py --only-report   train nothing, report what is there

A short training, the same for all: 784-300-100-10 spiking network, 10 steps, 10 000 training images, 6 epochs of
batches of 128 (474 optimizer steps), Adam on a cosine. Methods that rewire now and then do so every 20 steps. What a
method has to choose (`Entry.choices`) is chosen at 2 % on the validation split with a seed that is not used again. The
learning rate of all sparse methods is the one that is best for static random connectivity, which favours none of those
that rewire. Runs go to ``--out``; numbers and the figure to ``examples/results``.
"""

from __future__ import annotations

import argparse
import functools
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neurosparse.analysis.palette import GREY, SERIES, new_row, png, style_axes
from neurosparse.core.container import write_atomically
from neurosparse.sweep import Sweep, SweepPlan, read_results
from neurosparse.sweep.work import run_sweep
from neurosparse.training.config import RunConfig
from neurosparse.training.run import train

DENSITIES = [0.1, 0.05, 0.02, 0.01]
SEEDS = 3
TUNING_SEED, TUNING_DENSITY = 100, 0.02
EVERY = 20  # optimizer steps between two events, for methods that have events
TIMES = "step_times.json"
ALPHAS = [1e-2, 3e-2, 1e-1]


@dataclass(frozen=True)
class Entry:
    """A method of the table: options that are given, options to choose from, and how many synapses it starts with."""

    options: dict[str, Any] = field(default_factory=dict)
    choices: dict[str, list[Any]] = field(default_factory=dict)
    start: float = 1.0  # density at the start / density at the end


_STATES = ["age_corrected", "layer_mean"]
SPARSE = {
    "static": Entry(choices={"training.learning_rate": [1e-2, 2e-2, 3e-2]}),
    "deep_r": Entry(choices={"method.alpha": ALPHAS, "method.optimizer_state": _STATES}),
    "rigl": Entry({"every": EVERY}, {"method.fraction": [0.1, 0.3, 0.5]}),
    "set": Entry(
        choices={"method.every": [EVERY, "epoch"], "method.zeta": [0.05, 0.3], "method.birth_std": [0.0, 0.1]}
    ),
    "dsr": Entry({"every": EVERY}, {"method.fraction": [0.02, 0.05, 0.1]}),
    "deep_r_global": Entry({"optimizer_state": "layer_mean"}, {"method.alpha": ALPHAS}),
    "deep_r_rigl": Entry({"every": EVERY}, {"method.alpha": ALPHAS}),
    "ndsnn": Entry({"every": EVERY, "final": 0.25}, {"method.fraction": [0.1, 0.3]}, start=4.0),
}
_RATES = [3e-3, 1e-2, 2e-2]
DENSE = {
    "gradual_magnitude": Entry(choices={"training.learning_rate": _RATES}),
    "one_shot": Entry(choices={"training.learning_rate": [1e-2, 2e-2], "pruning.at": [0.25, 0.5]}),
    "dnw": Entry(choices={"training.learning_rate": _RATES}),
    "dense": Entry(choices={"training.learning_rate": [1e-3, 3e-3, 1e-2]}),
}
ENTRIES = SPARSE | DENSE


def base(name: str, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """Return what all runs of a method share, with `options` ("section.key") set."""
    entry = ENTRIES[name]
    content: dict[str, Any] = {
        "seed": seed,
        "data": {"name": "mnist"},
        "network": {"hidden": [300, 100], "gain": [0.6, 1.5, 1.5]},
        "training": {"epochs": 6, "samples": 10_000, "learning_rate": 2e-2},
        "method": {"name": name, **entry.options} if name in SPARSE else {"name": "static"},
    }
    for key, value in options.items():
        section, _, option = key.partition(".")
        content.setdefault(section, {"method": name} if section == "pruning" else {})[option] = value
    return RunConfig.load(content).model_dump(exclude_none=True)


def tuning(name: str) -> SweepPlan:
    """Return the runs from which a method's options are chosen."""
    entry = ENTRIES[name]
    return SweepPlan.make(
        base=base(name, TUNING_SEED, {}),
        densities=[TUNING_DENSITY * entry.start],
        methods=[name],
        vary=entry.choices,
        seeds=1,
        samples=200,
    )


def chosen(folder: Path) -> dict[str, Any]:
    """Return the options of the run with the best validation accuracy."""
    return max(read_results(folder), key=lambda result: result.validation_accuracy).varied


def grid(name: str, options: dict[str, Any]) -> SweepPlan:
    """Return the runs of a method for the table."""
    start = ENTRIES[name].start
    return SweepPlan.make(
        base=base(name, 0, options),
        densities=[round(density * start, 6) for density in DENSITIES],
        methods=[name],
        seeds=SEEDS,
        samples=500,
    )


def train_all(out: Path, names: list[str], jobs: int) -> None:
    """Choose the options of every method, then make its runs for the table; what is there is not made again."""
    for name in names:
        choice = Sweep(out / "choose" / name, tuning(name))
        run_sweep(choice, jobs=jobs)
        options = chosen(choice.path)
        sweep = Sweep(out / "table" / name, grid(name, options))
        run_sweep(sweep, jobs=jobs)
        print(f"{name} {options}: {sweep.counts()} {sweep.failures() or ''}", flush=True)
        if not (sweep.path / TIMES).is_file():
            write_atomically(sweep.path / TIMES, json.dumps(step_times(sweep.path)).encode())


def step_times(folder: Path) -> dict[str, float]:
    """Return CPU milliseconds of an optimizer step, by density: the mean of 40 steps of 128 images, two events."""
    name, found = folder.name, {}
    plan = SweepPlan.load(folder / "sweep.json")
    for point in plan.points()[::SEEDS]:
        short = plan.config(point).model_dump(exclude_none=True)
        short["training"].update(epochs=2, samples=21 * 128)
        times: list[float] = []
        with tempfile.TemporaryDirectory() as run:
            train(RunConfig.load(short), run, on_batch=functools.partial(_note_time, times))
        steps = [*np.diff(times[:21]), *np.diff(times[21:])]  # not what lies between two epochs
        density = 1.0 if name == "dense" else round(point["density"] / ENTRIES[name].start, 6)
        found[f"{density:g}"] = 1e3 * float(np.mean(steps))
    return found


def _note_time(times: list[float], done: int, n_batches: int) -> None:
    times.append(time.process_time())


def results(out: Path) -> dict[str, Any]:
    """Return what the runs in `out` have found: the options chosen and one row per run of the table."""
    found: dict[str, Any] = {"chosen": {}, "step_milliseconds": {}, "rows": []}
    for name, entry in ENTRIES.items():
        if not (rows := read_results(out / "table" / name)):
            continue
        found["chosen"][name] = chosen(out / "choose" / name)
        if (file := out / "table" / name / TIMES).is_file():
            found["step_milliseconds"][name] = json.loads(file.read_text())
        for row in rows:
            content = {key: value for key, value in vars(row).items() if key not in ("run", "varied", "stored_bytes")}
            content["density"] = 1.0 if name == "dense" else round(row.density / entry.start, 6)
            found["rows"].append({**content, "holds_dense": name in DENSE})
    return found


def draw(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return the figure: one panel per density, one line per method, every seed a point and the mean a bar."""
    names = [name for name in ENTRIES if name != "dense" and any(row["method"] == name for row in rows)]
    dense = [100 * row["test_accuracy"] for row in rows if row["method"] == "dense"]
    axes = new_row(len(DENSITIES), (11.0, 0.9 + 0.27 * len(names)))
    for ax, density in zip(axes, DENSITIES, strict=True):
        for i, name in enumerate(names):
            mine = [100 * r["test_accuracy"] for r in rows if (r["method"], r["density"]) == (name, density)]
            colour = SERIES[1] if name in DENSE else SERIES[0]
            if mine:
                ax.plot(mine, [i] * len(mine), "s" if name in DENSE else "o", color=colour, markersize=4, alpha=0.6)
                ax.plot(np.mean(mine), i, "|", color=colour, markersize=14, markeredgewidth=2.5)
        control = [100 * r["test_accuracy"] for r in rows if (r["method"], r["density"]) == ("static", density)]
        if control:
            ax.axvline(float(np.mean(control)), color=GREY, linewidth=0.9, linestyle=(0, (2, 2)))
        if dense:
            ax.axvline(float(np.mean(dense)), color=GREY, linewidth=1.2)
        ax.set_yticks(range(len(names)), names if ax is axes[0] else [""] * len(names))
        ax.set_ylim(len(names) - 0.5, -0.5)
        style_axes(ax, x="test accuracy (%)", y="", title=f"{100 * density:g} % of the synapses", grid=False)
        ax.grid(axis="x", color="#d9dbdf", linewidth=0.6)
        ax.set_axisbelow(True)
    return png(axes[0].figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=list(ENTRIES), default=list(ENTRIES))
    parser.add_argument("--out", type=Path, default=Path("runs/methods_on_mnist"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only-report", action="store_true", help="train nothing, report what is there")
    arguments = parser.parse_args()
    if not arguments.only_report:
        train_all(arguments.out, arguments.methods, arguments.jobs)
    found = results(arguments.out)
    folder = Path(__file__).parent / "results"
    (folder / "methods_on_mnist.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "methods_on_mnist.png").write_bytes(draw(found["rows"]))


if __name__ == "__main__":
    main()
