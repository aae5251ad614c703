"""Are sparse networks more robust? Adversarial pixels against density, at matched clean accuracy.

    python examples/robustness_and_density.py               train and attack what is missing, report
    python examples/robustness_and_density.py --only-report

The training of `methods_on_mnist.py`, natural images only. DEEP R and static random connectivity at 10 and 2 %, and
dense networks trained for 1, 2, 3 and 6 epochs, so that for each sparse network there is a dense one of about the same
clean accuracy. Attacked are the pixels of 1 000 test images: FGSM and PGD (20 steps, 2 starts) through three surrogate
gradients, and Square, which needs none; a sample counts as robust if nothing gets it misread. The checks against masked
gradients are part of the result.

What would falsify it: a dense network of the same clean accuracy that is as robust.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neurosparse.analysis.palette import new_row, png, series, style_axes
from neurosparse.core.container import write_atomically
from neurosparse.core.network import Network
from neurosparse.nn.network import SparseSNN
from neurosparse.training.attacks import PGD
from neurosparse.training.config import RunConfig
from neurosparse.training.inputs import dataset_of, encoder_of
from neurosparse.training.pixels import PixelClassifier
from neurosparse.training.robustness import evaluate_robustness
from neurosparse.training.run import NETWORK, evaluate, train

EPSILONS = [0.02, 0.05, 0.1]
SAMPLES, SEEDS = 1000, 5
FILE = "robustness.json"
RESULTS = Path(__file__).parent / "results"
SPARSE: dict[str, dict[str, Any]] = {
    f"{method} {density:.0%}": {
        "network": {"density": density},
        "training": {"epochs": 6, "learning_rate": 2e-2},
        "method": {"name": method, **options},
    }
    for method, options in (("deep_r", {"alpha": 0.1}), ("static", {}))
    for density in (0.1, 0.02)
}
DENSE: dict[str, dict[str, Any]] = {
    f"dense, {epochs} epoch{'s' * (epochs > 1)}": {
        "network": {"connections": "dense"},
        "training": {"epochs": epochs, "learning_rate": 3e-3},
        "method": {"name": "static"},
    }
    for epochs in (1, 2, 3, 6)
}
NETWORKS = SPARSE | DENSE


def configuration(name: str, seed: int) -> RunConfig:
    """Return the configuration of a network."""
    content = NETWORKS[name]
    return RunConfig.load(
        {
            "seed": seed,
            "data": {"name": "mnist"},
            "network": {"hidden": [300, 100], "gain": [0.6, 1.5, 1.5], **content["network"]},
            "training": {"samples": 10_000, **content["training"]},
            "method": content["method"],
        }
    )


def attack(run: Path, config: RunConfig) -> dict[str, Any]:
    """Return what attacks leave of the deployed network in `run`."""
    model = SparseSNN.from_network(Network.load(run / NETWORK))
    test = dataset_of(config).test.take(SAMPLES)
    pixels = torch.from_numpy(test.flat / np.float32(255))
    report = evaluate_robustness(
        PixelClassifier(model, encoder_of(config), config.data.n_steps),
        pixels,
        torch.from_numpy(test.labels),
        epsilons=EPSILONS,
        pgd=PGD(n_steps=20, restarts=2),
        image_shape=(28, 28),
        n_queries=100,
        seed=config.seed,
    )
    return {
        "clean": report.clean,
        "robust": {str(epsilon): value for epsilon, value in report.robust.items()},
        "by_attack": [[epsilon, name, value] for (epsilon, name), value in report.by_attack.items()],
        "checks": [asdict(check) for check in report.checks],
    }


def run_of(out: Path, name: str, seed: int) -> Path:
    """Return the run directory of a network."""
    return out / f"{''.join(c if c.isalnum() else '_' for c in name)}-{seed}"


def row(run: Path, name: str, seed: int) -> dict[str, Any]:
    """Return the result of one network; train and attack it if that has not been done."""
    file = run / FILE
    if not file.is_file():
        config = configuration(name, seed)
        train(config, run, resume=True)
        accuracies = {f"{split}_accuracy": evaluate(run, split)["accuracy"] for split in ("validation", "test")}
        found = {"name": name, "seed": seed, **accuracies, **attack(run, config)}
        write_atomically(file, json.dumps(found).encode())
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def draw(rows: list[dict[str, Any]]) -> bytes:
    """Return the figure: robust against clean accuracy, one panel per radius; at equal clean accuracy, who is above?"""
    axes = new_row(len(EPSILONS), (9.6, 3.3))
    for ax, epsilon in zip(axes, EPSILONS, strict=True):
        for i, family in enumerate(("dense", "deep_r", "static")):
            mine = [r for r in rows if r["name"].startswith(family)]
            x = [100 * r["test_accuracy"] for r in mine]
            y = [100 * r["robust"][str(epsilon)] for r in mine]
            label = {"dense": "dense, 1 to 6 epochs", "deep_r": "DEEP R", "static": "static random"}[family]
            ax.plot(x, y, "osD"[i], color=series(i)["color"], markersize=5, alpha=0.75, label=label)
        style_axes(
            ax,
            x="clean test accuracy (%)",
            y="robust accuracy (%)" if ax is axes[0] else "",
            title=f"radius {epsilon:g}",
        )
    axes[-1].legend(fontsize=7, frameon=False)
    return png(axes[0].figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/robustness_and_density"))
    parser.add_argument("--only-report", action="store_true", help="train and attack nothing, report what is there")
    arguments = parser.parse_args()
    rows = []
    for seed in range(SEEDS):
        for name in NETWORKS:
            run = run_of(arguments.out, name, seed)
            if arguments.only_report and not (run / FILE).is_file():
                continue
            rows.append(row(run, name, seed))
            print(name, seed, rows[-1]["clean"], rows[-1]["robust"], flush=True)
    (RESULTS / "robustness_and_density.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "robustness_and_density.png").write_bytes(draw(rows))


if __name__ == "__main__":
    main()
