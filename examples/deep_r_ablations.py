"""What of DEEP R matters? One part changed at a time at 2 % density: noise, L1, signs, births, state, interval.

    python examples/deep_r_ablations.py                 train what is missing, report (ten minutes on one core)
    python examples/deep_r_ablations.py --only-report
    python examples/deep_r_ablations.py --states        what newborns get, by density and length (ten minutes)

The training of `methods_on_mnist.py` (784-300-100-10 spiking network, 10 000 MNIST images, 6 epochs, Adam), ten
seeds, compared seed by seed with the reference: L1 of 0.1, no noise, signs fixed per possible synapse, newborns at 0,
Adam's bias correction by the age of each synapse, rewiring after every step. The L1 of the reference was chosen on the
validation split; nothing was chosen for any of the variants.

What would falsify the mechanism: static random connectivity that does as well as the reference.

``--states`` compares three policies for the optimizer's state of newborns on the validation images, with seeds 100 to
109: at 10, 2 and 1 % in that training, and at 2 % in one of 30 epochs. The L1 is that of the reference throughout.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurosparse.analysis.palette import GREY, SERIES, new_row, png, style_axes
from neurosparse.rewiring.base import Parts
from neurosparse.rewiring.birth import NormalValues
from neurosparse.rewiring.deep_r import DeepR
from neurosparse.sweep import Sweep, SweepPlan, read_results
from neurosparse.sweep.work import run_sweep
from neurosparse.training.build import build_network, build_optimizer
from neurosparse.training.config import RunConfig
from neurosparse.training.inputs import dataset_of, encoder_of, load_inputs, split_of
from neurosparse.training.run import read_metrics
from neurosparse.training.trainer import Trainer, accuracy

DENSITY, SEEDS = 0.02, 10
REFERENCE: dict[str, Any] = {"alpha": 0.1, "temperature": 0.0, "signs": "fixed", "every": 1}
REFERENCE["optimizer_state"] = "age_corrected"
VARIANTS: dict[str, dict[str, Any]] = {
    "reference": {},
    "static random": {},
    "no L1": {"alpha": 0.0},
    "L1 of 0.01": {"alpha": 0.01},
    "noise of 1e-6 per step (the authors')": {"temperature": 2.5e-11},
    "noise of 1e-3 per step": {"temperature": 2.5e-5},
    "noise of 1e-2 per step": {"temperature": 2.5e-3},
    "signs drawn anew at birth": {"signs": "redrawn"},
    "signs by Dale's law, 3 of 4 excite": {"signs": "dale"},
    "newborns away from 0, sd 0.1": {"birth_std": 0.1},
    "Adam: age ignored": {"optimizer_state": "zero"},
    "Adam: mean second moment": {"optimizer_state": "layer_mean"},
    "Adam: state of the dead": {"optimizer_state": "carry"},
    "rewired every 10 steps": {"every": 10},
    "rewired every 100 steps": {"every": 100},
}
"""Noise is given as the standard deviation at the start of the learning rate's cosine, ``sqrt(2 lr T)``."""
RESULTS = Path(__file__).parent / "results"
STATES = ["age_corrected", "layer_mean", "zero"]
TRAININGS = [(0.1, 6), (0.02, 6), (0.01, 6), (0.02, 30)]  # density, epochs
FIRST_SEED = 100  # of the comparison of states: not those of the tables


@dataclass(frozen=True)
class DeepRBornAway(DeepR):
    """DEEP R whose newborns do not start at 0."""

    birth_std: float = 0.1

    def parts(self) -> Parts:
        """See `Method`."""
        return dataclasses.replace(super().parts(), values=NormalValues(self.birth_std))


def content(name: str, seed: int = 0) -> dict[str, Any]:
    """Return the configuration of a variant, all but the one that no configuration can name."""
    method = {"name": "deep_r", **REFERENCE, **VARIANTS[name]}
    method.pop("birth_std", None)
    return {
        "seed": seed,
        "data": {"name": "mnist"},
        "network": {"hidden": [300, 100], "gain": [0.6, 1.5, 1.5], "density": DENSITY},
        "training": {"epochs": 6, "samples": 10_000, "learning_rate": 2e-2},
        "method": {"name": "static"} if name == "static random" else method,
    }


def train(out: Path, name: str) -> None:
    """Make the runs of a variant that are missing."""
    if "birth_std" in VARIANTS[name]:
        for seed in range(SEEDS):
            train_by_hand(out / folder(name) / f"seed{seed}.json", name, seed)
        return
    base = RunConfig.load(content(name)).model_dump(exclude_none=True)
    plan = SweepPlan.make(base=base, densities=[DENSITY], methods=[base["method"]["name"]], seeds=SEEDS, samples=500)
    run_sweep(Sweep(out / folder(name), plan))


def train_by_hand(path: Path, name: str, seed: int) -> None:
    """Train with a method of this file's own, which the registry does not know."""
    if path.is_file():
        return
    config = RunConfig.load(content(name, seed))
    dataset, settings = dataset_of(config), config.training
    part = split_of(dataset, "train", settings.samples)
    model = build_network(config, dataset.n_features, dataset.n_classes)
    optimizer = build_optimizer(settings, model)
    rewirer = DeepRBornAway(**REFERENCE, **VARIANTS[name]).attach(model, optimizer, seed=seed)
    trainer = Trainer(config, model, optimizer, rewirer, encoder_of(config), part, dataset.validation)
    metrics = list(trainer.epochs())
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "config.toml").write_text(config.to_toml())
    inputs, labels = load_inputs(path.parent, "test")
    found = {
        "seed": seed,
        "test_accuracy": accuracy(model.on_grid(), inputs, labels, config.network.readout),
        "validation_accuracy": metrics[-1].validation_accuracy,
        "births": sum(epoch.births for epoch in metrics),
        "synapses": metrics[-1].synapses,
    }
    path.write_text(json.dumps(found))


def states(out: Path) -> list[dict[str, Any]]:
    """Return the validation accuracies of every policy for newborns in every training; make the missing runs."""
    rows = []
    for density, epochs in TRAININGS:
        base = content("reference", FIRST_SEED)
        base["training"]["epochs"] = epochs
        plan = SweepPlan.make(
            base=RunConfig.load(base).model_dump(exclude_none=True),
            densities=[density],
            methods=["deep_r"],
            vary={"method.optimizer_state": STATES},
            seeds=SEEDS,
            samples=200,
        )
        sweep = Sweep(out / f"states-{density:g}-{epochs}", plan)
        run_sweep(sweep)
        for result in read_results(sweep.path):
            row = {
                "density": density,
                "epochs": epochs,
                "seed": result.seed,
                "state": next(iter(result.varied.values())),
            }
            rows.append({**row, "validation_accuracy": result.validation_accuracy})
        for state in STATES:
            found = [100 * r["validation_accuracy"] for r in rows[-len(STATES) * SEEDS :] if r["state"] == state]
            print(
                f"{density:g}, {epochs} epochs, {state}: {np.mean(found):.2f} +- {np.std(found, ddof=1):.2f}",
                flush=True,
            )
    return rows


def folder(name: str) -> str:
    """Return the folder name of a variant."""
    return "".join(c if c.isalnum() else "_" for c in name)


def rows_of(out: Path, name: str) -> list[dict[str, Any]]:
    """Return one row per finished run of a variant."""
    if "birth_std" in VARIANTS[name]:
        return [json.loads(path.read_text()) for path in sorted((out / folder(name)).glob("seed*.json"))]
    return [
        {
            "seed": result.seed,
            "test_accuracy": result.test_accuracy,
            "validation_accuracy": result.validation_accuracy,
            "births": sum(line["births"] for line in read_metrics(out / folder(name) / result.run)),
            "synapses": result.synapses,
        }
        for result in read_results(out / folder(name))
    ]


def differences(rows: dict[str, list[dict[str, Any]]], name: str) -> list[float]:
    """Return the differences of test accuracy to the reference in points, seed by seed."""
    reference = {row["seed"]: row["test_accuracy"] for row in rows["reference"]}
    return [100 * (row["test_accuracy"] - reference[row["seed"]]) for row in rows[name] if row["seed"] in reference]


def draw(rows: dict[str, list[dict[str, Any]]]) -> bytes:
    """Return the figure: for each variant the difference to the reference, every seed and the mean; and the births."""
    names = [name for name in rows if name != "reference"]
    left, right = new_row(2, (9.2, 0.8 + 0.27 * len(names)))
    for i, name in enumerate(names):
        found = differences(rows, name)
        left.plot(found, [i] * len(found), "o", color=SERIES[0], markersize=4, alpha=0.6)
        left.plot(np.mean(found), i, "|", color=SERIES[1], markersize=14, markeredgewidth=2.5)
        per_synapse = np.mean([row["births"] / row["synapses"] for row in rows[name]])
        right.barh(i, per_synapse, color=SERIES[2], height=0.6)
        right.text(per_synapse, i, f" {per_synapse:.1f}", va="center", fontsize=8, color=GREY)
    reference = np.mean([row["births"] / row["synapses"] for row in rows["reference"]])
    right.set_xscale("symlog", linthresh=1)
    right.set_xlim(0, 3 * max(np.mean([r["births"] / r["synapses"] for r in found]) for found in rows.values()))
    left.axvline(0, color=GREY, linewidth=1)
    right.axvline(reference, color=GREY, linewidth=1)
    left.set_yticks(range(len(names)), names)
    right.set_yticks(range(len(names)), [""] * len(names))
    style_axes(left, x="test accuracy minus reference (points)", y="", grid=False)
    style_axes(right, x=f"births per synapse in the training (line: reference, {reference:.1f})", y="", grid=False)
    for ax in (left, right):
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.grid(axis="x", color="#d9dbdf", linewidth=0.6)
        ax.set_axisbelow(True)
    return png(left.figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--out", type=Path, default=Path("runs/deep_r_ablations"))
    parser.add_argument("--only-report", action="store_true", help="train nothing, report what is there")
    parser.add_argument("--states", action="store_true", help="compare what newborns get, and nothing else")
    arguments = parser.parse_args()
    if arguments.states:
        (RESULTS / "deep_r_states.json").write_text(json.dumps(states(arguments.out), indent=1) + "\n")
        return
    for name in arguments.variants if not arguments.only_report else []:
        train(arguments.out, name)
        print(f"{name}: {[round(row['test_accuracy'], 4) for row in rows_of(arguments.out, name)]}", flush=True)
    rows = {name: found for name in VARIANTS if (found := rows_of(arguments.out, name))}
    (RESULTS / "deep_r_ablations.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "deep_r_ablations.png").write_bytes(draw(rows))


if __name__ == "__main__":
    main()
