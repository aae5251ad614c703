"""What Loihi's integers cost on MNIST: float, quantised after training, and trained in integers, at 8, 6 and 4 bits.

    python examples/deep_r_against_static.py mnist-1.33% --seeds 1 --conditions deep_r      # the networks to start from
    python examples/deep_r_against_static.py mnist-5% --seeds 1 --conditions deep_r
    python examples/integers_on_mnist.py

784-300-100-10 with 3 552 and 13 304 synapses. Integers are chosen on 200 training images; a fine-tuning then trains
a few epochs in exactly those integers, rewiring included. The test split is read once per network.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import neurosparse as ns
from neurosparse.training.config import RunConfig
from neurosparse.training.inputs import load_inputs
from neurosparse.training.integers import INTEGERS, QUANTIZED, finetuning, prepare
from neurosparse.training.run import CONFIG, evaluate, read_metrics, train

NETWORKS = {"1.33 %": "mnist-1.33pc", "5 %": "mnist-5pc"}
BITS = (8, 6, 4)


def accuracy(network: ns.QuantizedNetwork, run: Path) -> float:
    """Return the test accuracy of `network` in integers."""
    inputs, labels = load_inputs(run, "test")
    recording = ns.simulate(network, inputs, backend="native")
    return float((recording.decisions(network.outputs[0]) == labels).mean())


def measure(run: Path, bits: int, out: Path, epochs: int) -> dict[str, float]:
    """Return accuracies and synapses of the network of `run` in `bits` bits, before and after training in integers."""
    network, config = ns.Network.load(run / "network.safetensors"), RunConfig.load(run / CONFIG)
    if not (out / INTEGERS).is_file():
        calibration, _ = load_inputs(run, "train", 200)
        prepare(out, network, ns.quantize(network, bits=bits, calibration=calibration))
    after = ns.QuantizedNetwork.load(out / INTEGERS)
    train(finetuning(config, bits, epochs=epochs), out, resume=True)
    trained = ns.QuantizedNetwork.load(out / QUANTIZED)
    return {
        "after_training": accuracy(after, run),
        "trained": accuracy(trained, run),
        "validation": read_metrics(out)[-1]["validation_accuracy"],
        "synapses_after_training": after.n_synapses,
        "synapses_trained": trained.n_synapses,
        "seconds": sum(row["seconds"] for row in read_metrics(out)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=Path("runs/integers"))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    path = Path(__file__).parent / "results" / "integers_on_mnist.json"
    table: dict[str, dict[str, dict[str, float] | float]] = {}
    for title, name in NETWORKS.items():
        run = arguments.runs / name / f"deep_r-{arguments.seed}"
        table[title] = {"float": evaluate(run)["accuracy"]}
        print(f"{title}: float {table[title]['float']:.2%}", flush=True)
        for bits in BITS:
            row = measure(run, bits, arguments.out / f"{name}-{bits}", arguments.epochs)
            table[title][str(bits)] = row
            print(
                f"{title}, {bits} bits: quantised after training {row['after_training']:.2%}, "
                f"trained in integers {row['trained']:.2%}, {row['synapses_trained']} synapses, {row['seconds']:.0f} s",
                flush=True,
            )
            path.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
