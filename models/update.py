"""Train a model of the zoo from its recipe and write its card, figure, results and network file.

    python models/update.py digits                     trains into runs/zoo/digits (resumed if it is there), then writes
    python models/update.py --check                    fails if a card is not what its results say

No number in a card is typed by hand.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import neurosparse as ns
from neurosparse.analysis.metrics import stored_bytes
from neurosparse.analysis.neurobench import neurobench
from neurosparse.cli.runs import report_on
from neurosparse.training.config import RunConfig
from neurosparse.training.inputs import load_inputs
from neurosparse.training.run import CONFIG, evaluate, read_metrics, train

MODELS = Path(__file__).resolve().parent
SAMPLES = 1000


def names() -> list[str]:
    """Return the models that have a recipe."""
    return sorted(path.parent.name for path in MODELS.glob(f"*/{CONFIG}"))


def measure(run: Path) -> dict[str, Any]:
    """Return what the card says about a trained run."""
    network = ns.Network.load(run / "network.safetensors")
    result = evaluate(run, "test")
    inputs, _ = load_inputs(run, "test", min(SAMPLES, result["samples"]))
    recording = ns.simulate(network, inputs)
    last = read_metrics(run)[-1]
    return {
        "test_accuracy": result["accuracy"],
        "test_samples": result["samples"],
        "validation_accuracy": last["validation_accuracy"],
        "synapses": network.n_synapses,
        "density": network.density,
        "shape": [network.input.n, *(p.n for p in network.populations)],
        "seed": RunConfig.load(run / CONFIG).seed,
        "training_seconds": round(sum(row["seconds"] for row in read_metrics(run)), 1),
        "stored_bytes": stored_bytes(network).total,
        "neurobench": neurobench(network, recording, inputs).to_dict(),
    }


def card(name: str, results: dict[str, Any]) -> str:
    """Return the model card in Markdown."""
    recipe = (MODELS / name / CONFIG).read_text(encoding="utf-8")
    about = " ".join(line.lstrip("# ") for line in recipe.splitlines() if line.startswith("#"))
    counted = results["neurobench"]
    rows = {
        "Test accuracy": f"{results['test_accuracy']:.2%} of {results['test_samples']} images",
        "Validation accuracy": f"{results['validation_accuracy']:.2%}",
        "Shape": "-".join(str(n) for n in results["shape"]),
        "Synapses": f"{results['synapses']} (density {results['density']:.2%})",
        "Stored": f"{results['stored_bytes']} bytes; as dense matrices {counted['footprint']} bytes",
        "Operations per sample": f"{counted['effective_acs']:.0f} ACs, {counted['effective_macs']:.0f} MACs "
        f"in {counted['n_steps']} steps; dense {counted['dense_operations']:.0f}",
        "Activation sparsity": f"{counted['activation_sparsity']:.4f}",
        "Training": f"{results['training_seconds']:.0f} s on two CPU cores, seed {results['seed']}",
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    return f"""# {name}

{about}

![Training and wiring](overview.png)

| | |
|---|---|
{table}

Made by `neurosparse train models/{name}/config.toml --out runs/{name}`. Try it at once:

```console
$ neurosparse simulate models/{name} --backend brian2
```

Measured on one seed; for the spread over seeds see the results in the project's README. Trained and tested on the
data named in `config.toml` and on nothing else. Written by `python models/update.py {name}`.
"""


def update(name: str, runs: Path) -> None:
    """Train `name`, or continue, and write everything about it."""
    run, folder = runs / name, MODELS / name
    train(folder / CONFIG, run, resume=(run / CONFIG).exists())
    report_on(run)
    results = measure(run)
    shutil.copyfile(run / "network.safetensors", folder / "network.safetensors")
    shutil.copyfile(run / "figures" / "overview.png", folder / "overview.png")
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "README.md").write_text(card(name, results), encoding="utf-8")
    print(f"{name}: {results['test_accuracy']:.2%}, {results['synapses']} synapses, {results['training_seconds']} s")


def check() -> list[str]:
    """Return the models whose card is not what their results say."""
    wrong = []
    for name in names():
        results = json.loads((MODELS / name / "results.json").read_text())
        if (MODELS / name / "README.md").read_text(encoding="utf-8") != card(name, results):
            wrong.append(name)
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", choices=[*names(), []], help="all without a name")
    parser.add_argument("--runs", type=Path, default=Path("runs/zoo"))
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.check:
        wrong = check()
        if wrong:
            sys.exit(f"{', '.join(wrong)}: the card is not what the results say; run python models/update.py --check")
        return
    for name in arguments.models or names():
        update(name, arguments.runs)


if __name__ == "__main__":
    main()
