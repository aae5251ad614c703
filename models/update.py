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
from neurosparse.analysis.neurobench import neurobench
from neurosparse.cli.runs import report_on
from neurosparse.training.config import RunConfig
from neurosparse.training.inputs import load_inputs
from neurosparse.training.integers import INTEGERS, QUANTIZED, finetuning, prepare
from neurosparse.training.run import CONFIG, NETWORK, evaluate, read_metrics, train

MODELS = Path(__file__).resolve().parent
SAMPLES = 1000
RECIPE = "recipe.toml"
"""The recipe of a model in integers: a float network that is fine-tuned in them. Its config.toml is the latter's."""

CHIP, BITS, EPOCHS = "loihi2", 8, 5


def recipe_of(name: str) -> Path:
    """Return the file that says how a model is trained."""
    special = MODELS / name / RECIPE
    return special if special.is_file() else MODELS / name / CONFIG


def names() -> list[str]:
    """Return the models that have a recipe."""
    return sorted({path.parent.name for file in (CONFIG, RECIPE) for path in MODELS.glob(f"*/{file}")})


def network_of(folder: Path) -> ns.Network | ns.QuantizedNetwork:
    """Return what is deployed of a run, or of a model: integers if it has some."""
    if (folder / QUANTIZED).is_file():
        return ns.QuantizedNetwork.load(folder / QUANTIZED)
    return ns.Network.load(folder / NETWORK)


def measure(run: Path) -> dict[str, Any]:
    """Return what the card says about a trained run."""
    network, floats = network_of(run), ns.Network.load(run / NETWORK)
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
        "stored_bytes": (run / (QUANTIZED if (run / QUANTIZED).is_file() else NETWORK)).stat().st_size,
        "neurobench": neurobench(floats, recording, inputs).to_dict(),
    }


def card(name: str, results: dict[str, Any]) -> str:
    """Return the model card in Markdown."""
    recipe = recipe_of(name).read_text(encoding="utf-8")
    train_it = f"neurosparse train models/{name}/{recipe_of(name).name} --out runs/{name}"
    try_it = f"neurosparse simulate models/{name} --backend brian2"
    if recipe_of(name).name == RECIPE:
        train_it += (
            f" && neurosparse finetune runs/{name} --bits {BITS} --epochs {EPOCHS} --chip {CHIP} --out runs/in{BITS}"
        )
        try_it = f"neurosparse simulate models/{name} --integer --backend native"
    about = " ".join(line.lstrip("# ") for line in recipe.splitlines() if line.startswith("#"))
    counted = results["neurobench"]
    rows = {
        "Test accuracy": f"{results['test_accuracy']:.2%} of {results['test_samples']} images",
        "Validation accuracy": f"{results['validation_accuracy']:.2%}",
        "Shape": "-".join(str(n) for n in results["shape"]),
        "Synapses": f"{results['synapses']} (density {results['density']:.2%})",
        "Stored": f"{results['stored_bytes']} bytes as a file; as dense float matrices {counted['footprint']} bytes",
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

Made by `{train_it}`. Try it at once:

```console
$ {try_it}
```

Measured on one seed; for the spread over seeds see the results in the project's README. Trained and tested on the
data named in the recipe and on nothing else. Written by `python models/update.py {name}`.
"""


def update(name: str, runs: Path) -> None:
    """Train `name`, or continue, and write everything about it."""
    run, folder = runs / name, MODELS / name
    train(recipe_of(name), run, resume=(run / CONFIG).exists())
    if recipe_of(name).name == RECIPE:
        run = _in_integers(run, runs / f"{name}-in-integers")
    report_on(run)
    results = measure(run)
    for file in (NETWORK, QUANTIZED, INTEGERS, CONFIG):
        if (run / file).is_file() and (file != CONFIG or recipe_of(name).name == RECIPE):
            shutil.copyfile(run / file, folder / file)
    shutil.copyfile(run / "figures" / "overview.png", folder / "overview.png")
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "README.md").write_text(card(name, results), encoding="utf-8")
    print(f"{name}: {results['test_accuracy']:.2%}, {results['synapses']} synapses, {results['training_seconds']} s")


def _in_integers(run: Path, out: Path) -> Path:
    """Fine-tune `run` in integers, or continue, and return the new run."""
    config = RunConfig.load(run / CONFIG)
    if not (out / INTEGERS).is_file():
        network = ns.Network.load(run / NETWORK)
        calibration, _ = load_inputs(run, "train", 200)
        prepare(out, network, ns.quantize(network, CHIP, bits=BITS, calibration=calibration))
    train(finetuning(config, BITS, epochs=EPOCHS), out, resume=True)
    return out


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
