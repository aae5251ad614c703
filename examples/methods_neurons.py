"""Structured pruning for the table of `methods_on_mnist.py`: whole neurons go, and a dense network of that size beside.

Not a script. A dense network is trained for half of the epochs, its best neurons by the norm of their weights are kept,
as many as have the wanted number of synapses between them, and trained for the other half with an optimizer and a
learning-rate schedule of their own. What stays is stored as sparse, though nothing in it is missing.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from neurosparse.analysis.metrics import stored_bytes
from neurosparse.nn.network import SparseSNN
from neurosparse.pruning.neurons import prune_neurons
from neurosparse.sweep import read_results
from neurosparse.sweep.costs import OperationsMeter, operations_per_sample
from neurosparse.sweep.results import Result, write_result
from neurosparse.training.build import build_optimizer
from neurosparse.training.config import RunConfig
from neurosparse.training.footprint import training_bytes
from neurosparse.training.inputs import dataset_of, encoder_of, load_inputs, split_of
from neurosparse.training.run import evaluate, load_model, train
from neurosparse.training.trainer import Trainer, accuracy

HIDDEN, N_INPUTS, N_CLASSES = [300, 100], 784, 10
FEWEST = 10  # neurons of the second layer: with the share of the first one, 1 % of the synapses would leave it one
RATES = {"neurons": [3e-3, 1e-2, 2e-2], "small_dense": [3e-3, 1e-2, 2e-2]}


def sizes_at(density: float) -> list[int]:
    """The hidden neurons whose dense network is nearest to `density` of the large one's synapses."""
    wanted = density * synapses_of(HIDDEN)
    return min(([n, max(FEWEST, n // 3)] for n in range(1, HIDDEN[0] + 1)), key=lambda h: abs(synapses_of(h) - wanted))


def synapses_of(hidden: list[int]) -> int:
    return N_INPUTS * hidden[0] + hidden[0] * hidden[1] + hidden[1] * N_CLASSES


def config_of(hidden: list[int], seed: int, rate: float, epochs: int) -> RunConfig:
    return RunConfig.load(
        {
            "seed": seed,
            "data": {"name": "mnist"},
            "network": {"hidden": hidden, "gain": [0.6, 1.5, 1.5], "connections": "dense", "density": 1.0},
            "method": {"name": "static"},
            "training": {"epochs": epochs, "samples": 10_000, "learning_rate": rate},
        }
    )


def choose_and_train(out: Path, name: str, densities: list[float], seeds: int, tuning: tuple[int, float]) -> None:
    """Make the runs of a row that are not there yet: the learning rate is chosen as for the other rows."""
    for rate in RATES[name]:
        _run(out / "choose" / name, name, tuning[1], tuning[0], rate)
    rate = float(max(read_results(out / "choose" / name), key=lambda r: r.validation_accuracy).varied[_KEY])
    for density in densities:
        for seed in range(seeds):
            _run(out / "table" / name, name, density, seed, rate)


_KEY = "training.learning_rate"


def _run(folder: Path, name: str, density: float, seed: int, rate: float) -> None:
    run = folder / "runs" / f"{density:g}-rate{rate:g}-seed{seed}"
    if (run / "result.json").is_file():
        return
    hidden, whole = sizes_at(density), name == "small_dense"
    config = config_of(hidden if whole else HIDDEN, seed, rate, 6 if whole else 3)
    meter, start = OperationsMeter(run), time.perf_counter()
    trained = train(config, run, resume=True, on_epoch=meter)
    inputs, labels = load_inputs(run, "test")
    found: dict[str, Any] = {"network": trained.network, "operations": meter.total(len(trained.metrics), 10_000)}
    if whole:
        found |= {split: evaluate(run, split)["accuracy"] for split in ("test", "validation")}
    else:
        found = _pruned(run, config, hidden, found["operations"], inputs, labels)
    result = Result(
        run=f"runs/{run.name}",
        method=name,
        density=density,
        seed=seed,
        test_accuracy=found["test"],
        validation_accuracy=found["validation"],
        synapses=found["network"].n_synapses,
        synaptic_operations=operations_per_sample(found["network"], inputs[:, :500]),
        seconds=time.perf_counter() - start,
        stored_bytes=stored_bytes(found["network"]).total,
        varied={_KEY: rate},
        training_operations=found["operations"],
        training_bytes=training_bytes(config),
    )
    write_result(run, result)


def _pruned(
    run: Path, config: RunConfig, hidden: list[int], operations: float, inputs: Any, labels: Any
) -> dict[str, Any]:
    """Keep the best neurons of the dense network of `run`, train them as long again, and measure what comes out."""
    model = load_model(run)
    names = list(model.names or ())[:-1]
    keep = {name: n / all_of_them for name, n, all_of_them in zip(names, hidden, HIDDEN, strict=True)}
    model = prune_neurons(model, keep, by="input_norm")
    dataset, read = dataset_of(config), config.network.readout
    samples, _ = load_inputs(run, "train", 500)
    optimizer = build_optimizer(config.training, model)
    part = split_of(dataset, "train", config.training.samples)
    trainer = Trainer(config, model, optimizer, None, encoder_of(config), part, dataset.validation)
    for _ in trainer.epochs():
        operations += operations_per_sample(model.to_network(), samples) * len(part.labels)
    network = model.to_network()
    deployed = SparseSNN.from_network(network, engine=config.training.engine)
    return {
        "network": network,
        "operations": operations,
        "test": accuracy(deployed, inputs, labels, read),
        "validation": trainer.validation_accuracy(),
    }
