"""Every method at 10, 5, 2 and 1 % of the synapses, on MNIST: accuracy, operations, bytes and seconds.

    python examples/methods_on_mnist.py                 choose, train, report (about two hours on one core; resumed)
    python examples/methods_on_mnist.py --methods deep_r static
    python examples/methods_on_mnist.py --only-report   train nothing, report what is there

A short training, the same for all: 784-300-100-10 spiking network, 10 steps, 10 000 training images, 6 epochs of
batches of 128 (474 optimizer steps), Adam on a cosine. Methods that rewire now and then do so every 20 steps. What a
method has to choose (`methods_entries.Entry.choices`) is chosen at 2 % on the validation split with a seed that is not
used again. The learning rate of all sparse methods is the one that is best for static random connectivity, which
favours none of those that rewire. Methods whose density is a result are trained at several values of the option that it
follows from. Runs go to ``--out``; numbers and figures to ``examples/results``.
"""

from __future__ import annotations

import argparse
import functools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from methods_entries import EMERGENT, ENTRIES, SPARSE, STAYS_DENSE, STRUCTURED, registered_name
from methods_figures import draw, draw_emergent
from methods_neurons import choose_and_train

from neurosparse.core.container import write_atomically
from neurosparse.sweep import Result, Sweep, SweepPlan, read_results
from neurosparse.sweep.work import run_sweep
from neurosparse.training.config import RunConfig
from neurosparse.training.run import train

DENSITIES = [0.1, 0.05, 0.02, 0.01]
SEEDS = 3
TUNING_SEED, TUNING_DENSITY = 100, 0.02
TIMES = "step_times.json"
SITES = 784 * 300 + 300 * 100 + 100 * 10


def base(name: str, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """Return what all runs of a method share, with `options` ("section.key") set."""
    entry, method = ENTRIES[name], registered_name(name)
    content: dict[str, Any] = {
        "seed": seed,
        "data": {"name": "mnist"},
        "network": {"hidden": [300, 100], "gain": [0.6, 1.5, 1.5]},
        "training": {"epochs": 6, "samples": 10_000, "learning_rate": 2e-2},
        "method": {"name": name, **entry.options} if name in SPARSE else {"name": "static"},
    }
    if name not in SPARSE and entry.options:
        content["pruning"] = {"method": method, **entry.options}
    for key, value in options.items():
        section, _, option = key.partition(".")
        content.setdefault(section, {"method": method} if section == "pruning" else {})[option] = value
    return RunConfig.load(content).model_dump(exclude_none=True)


def densities_of(name: str) -> list[float]:
    """Return the densities at which the runs of a row start, or those that their method is told."""
    if name in EMERGENT or name in STAYS_DENSE:
        return [ENTRIES[name].options.get("density", 1.0)]
    return [round(density * ENTRIES[name].start, 6) for density in DENSITIES]


def tuning(name: str) -> SweepPlan:
    """Return the runs from which a method's options are chosen."""
    entry = ENTRIES[name]
    fixed = name in EMERGENT or name in STAYS_DENSE
    knob = {} if entry.knob is None else {entry.knob[0]: entry.knob[1][len(entry.knob[1]) // 2]}
    return SweepPlan.make(
        base=base(name, TUNING_SEED, knob),
        densities=densities_of(name) if fixed else [TUNING_DENSITY * entry.start],
        methods=[registered_name(name)],
        vary=entry.choices,
        seeds=1,
        samples=200,
    )


def chosen(folder: Path) -> dict[str, Any]:
    """Return the options of the run with the best validation accuracy."""
    return max(read_results(folder), key=lambda result: result.validation_accuracy).varied


def grid(name: str, options: dict[str, Any]) -> SweepPlan:
    """Return the runs of a method for the table."""
    knob = ENTRIES[name].knob
    return SweepPlan.make(
        base=base(name, 0, options),
        densities=densities_of(name),
        methods=[registered_name(name)],
        vary={} if knob is None else {knob[0]: knob[1]},
        seeds=SEEDS,
        samples=500,
    )


def train_all(out: Path, names: list[str], jobs: int) -> None:
    """Choose the options of every method, then make its runs for the table; what is there is not made again."""
    for name in names:
        if name in STRUCTURED:
            choose_and_train(out, name, DENSITIES, SEEDS, (TUNING_SEED, TUNING_DENSITY))
            continue
        choice = Sweep(out / "choose" / name, tuning(name))
        run_sweep(choice, jobs=jobs)
        options = chosen(choice.path)
        sweep = Sweep(out / "table" / name, grid(name, options))
        run_sweep(sweep, jobs=jobs)
        print(f"{name} {options}: {sweep.counts()} {sweep.failures() or ''}", flush=True)
        if name not in EMERGENT and not (sweep.path / TIMES).is_file():
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
        found[f"{_asked(name, point['density']):g}"] = 1e3 * float(np.mean(steps))
    return found


def _note_time(times: list[float], done: int, n_batches: int) -> None:
    times.append(time.process_time())


def results(out: Path) -> dict[str, Any]:
    """Return what the runs in `out` have found: the options chosen, one row per run of the table, and of the others."""
    found: dict[str, Any] = {"chosen": {}, "step_milliseconds": {}, "rows": [], "emergent": []}
    for name in [*ENTRIES, *STRUCTURED]:
        if not (rows := read_results(out / "table" / name)):
            continue
        found["chosen"][name] = chosen(out / "choose" / name)
        if (file := out / "table" / name / TIMES).is_file():
            found["step_milliseconds"][name] = json.loads(file.read_text())
        found["emergent" if name in EMERGENT else "rows"] += [_row(name, row) for row in rows]
    return found


def _row(name: str, row: Result) -> dict[str, Any]:
    content = {key: value for key, value in vars(row).items() if key not in ("run", "varied", "stored_bytes")}
    content |= {"method": name, "holds_dense": name not in SPARSE}
    if name in EMERGENT:
        return content | {"density": row.synapses / SITES, "knob": row.varied}
    return content | {"density": _asked(name, row.density)}


def _asked(name: str, density: float) -> float:
    """Return the density of the table's column."""
    start = 1.0 if name in STRUCTURED else ENTRIES[name].start
    return 1.0 if name in STAYS_DENSE else round(density / start, 6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=[*ENTRIES, *STRUCTURED], default=[*ENTRIES, *STRUCTURED])
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
    (folder / "methods_emergent.png").write_bytes(draw_emergent(found))


if __name__ == "__main__":
    main()
