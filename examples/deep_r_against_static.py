"""DEEP R against static random connectivity and the dense network: accuracy of every seed, mean and spread.

    python examples/deep_r_against_static.py digits --seeds 5 --dense
    python examples/deep_r_against_static.py mnist-1.33% --seeds 3        (needs MNIST; see `neurosparse doctor`)
    python examples/deep_r_against_static.py mnist-5% --seeds 3

Every condition sees the same data in the same order from the same initial numbers of a seed. Hyper-parameters were
chosen on the validation split; the test split is read once per trained network. Runs go to ``--out`` and are resumed if
they are there.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from neurosparse.training.config import RunConfig
from neurosparse.training.run import CONFIG, evaluate, read_metrics, train

MNIST_GAIN = [0.6, 1.5, 1.5]
STUDIES = {
    "digits": {
        "network": {"hidden": [256, 128], "density": 0.05},
        "training": {"epochs": 60, "batch_size": 32, "learning_rate": 1e-2},
        "deep_r": {"name": "deep_r", "alpha": 1e-2},
        "dense_learning_rate": 3e-3,
    },
    "mnist-1.33%": {
        "data": {"name": "mnist"},
        "network": {"hidden": [300, 100], "density": [0.01, 0.03, 0.3], "gain": MNIST_GAIN},
        "training": {"epochs": 40, "learning_rate": 1.5e-2},
        "deep_r": {"name": "deep_r", "alpha": 3e-2, "optimizer_state": "layer_mean"},
        "dense_learning_rate": 1e-3,
    },
    "mnist-5%": {
        "data": {"name": "mnist"},
        "network": {"hidden": [300, 100], "density": [0.0385, 0.111, 0.919], "gain": MNIST_GAIN},
        "training": {"epochs": 20, "learning_rate": 1e-2},
        "deep_r": {"name": "deep_r", "alpha": 3e-2, "optimizer_state": "layer_mean"},
        "dense_learning_rate": 1e-3,
    },
}


def configuration(study: dict, condition: str, seed: int) -> RunConfig:
    content = {
        "seed": seed,
        "data": dict(study.get("data", {})),
        "network": dict(study["network"]),
        "training": dict(study["training"]),
        "method": dict(study["deep_r"]) if condition == "deep_r" else {"name": "static"},
    }
    if condition == "dense":
        content["network"]["connections"] = "dense"
        content["training"]["learning_rate"] = study["dense_learning_rate"]
    return RunConfig.load(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=list(STUDIES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dense", action="store_true", help="train the dense network of the same shape too")
    parser.add_argument("--conditions", nargs="+", choices=["deep_r", "static", "dense"], help="only these")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    arguments = parser.parse_args()

    study, table = STUDIES[arguments.study], {}
    for condition in arguments.conditions or ["deep_r", "static", *(["dense"] if arguments.dense else [])]:
        for seed in range(arguments.seeds):
            run = arguments.out / arguments.study.replace("%", "pc") / f"{condition}-{seed}"
            start = time.perf_counter()
            train(configuration(study, condition, seed), run, resume=(run / CONFIG).exists())
            result, last = evaluate(run), read_metrics(run)[-1]
            row = {
                "seed": seed,
                "test": result["accuracy"],
                "validation": last["validation_accuracy"],
                "synapses": result["synapses"],
                "seconds": sum(line["seconds"] for line in read_metrics(run)),
            }
            table.setdefault(condition, []).append(row)
            print(
                f"{condition:7s} seed {seed}: test {row['test']:.4f}  validation {row['validation']:.4f}  "
                f"{row['synapses']} synapses  {row['seconds']:.0f} s  (wall {time.perf_counter() - start:.0f} s)",
                flush=True,
            )
    print()
    for condition, rows in table.items():
        test = np.array([row["test"] for row in rows]) * 100
        spread = f" +- {test.std(ddof=1):.2f}" if len(test) > 1 else ""
        print(f"{condition:7s} {test.mean():.2f}{spread} % test, mean of {len(test)}; {rows[0]['synapses']} synapses")
    path = Path(__file__).parent / "results" / f"{arguments.study.replace(chr(37), 'pc')}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
