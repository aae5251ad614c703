"""A run directory from start to end: train, resume, evaluate.

config.toml                 fully resolved
metrics.jsonl               one line per epoch
checkpoint.safetensors      everything needed to go on; manifest.json says what is in the directory
network.safetensors         the deployed network, on the exact grid: of the last epoch or, with patience, of the best
initial_network.safetensors the network before training
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurosparse.core.container import write_atomically
from neurosparse.core.network import Network
from neurosparse.core.rng import stream
from neurosparse.data.datasets import Dataset
from neurosparse.errors import ArtifactError, ValidationError
from neurosparse.nn.network import SparseSNN
from neurosparse.nn.quantized import QuantizedSNN
from neurosparse.training.build import build_network, build_optimizer, build_rewirer, surrogate_of
from neurosparse.training.checkpoint import load_checkpoint, load_weights, save_checkpoint, write_manifest
from neurosparse.training.config import RunConfig
from neurosparse.training.inputs import SplitName, dataset_of, encoder_of, load_inputs, split_of
from neurosparse.training.integers import QUANTIZED, build_quantized
from neurosparse.training.trainer import EpochMetrics, Trainer, accuracy

__all__ = ["RunResult", "deployed_model", "evaluate", "load_model", "read_metrics", "resume", "train"]

logger = logging.getLogger(__name__)

CHECKPOINT, NETWORK, INITIAL, METRICS, CONFIG = (
    "checkpoint.safetensors",
    "network.safetensors",
    "initial_network.safetensors",
    "metrics.jsonl",
    "config.toml",
)


@dataclass(frozen=True)
class RunResult:
    """A finished run: its directory, the deployed network, and the metrics of all epochs."""

    path: Path
    network: Network
    metrics: list[dict[str, Any]]


def train(
    config: RunConfig | str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    on_epoch: Callable[[EpochMetrics], None] | None = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> RunResult:
    """Train as `config` says and write everything into `out`.

    Parameters
    ----------
    config : RunConfig or path of a TOML file
    out : path
        The run directory; must be new or empty unless `resume`.
    resume : bool
        Continue from the last checkpoint in `out`; the result is bit for bit that of an uninterrupted run.
    on_epoch, on_batch : callables
        Told of progress: the metrics of each epoch; batches done and batches in this epoch.
    """
    config = config if isinstance(config, RunConfig) else RunConfig.load(config)
    out = Path(out)
    if not resume and out.is_dir() and any(out.iterdir()):
        raise ValidationError(
            f"out: {out} is not empty; choose a new directory, or continue the run there with --resume {out}"
        )
    dataset = dataset_of(config)
    model = _model(config, out, dataset)
    optimizer = build_optimizer(config.training, model)
    train_split = split_of(dataset, "train", config.training.samples)
    if config.data.label_noise:
        train_split = train_split.with_label_noise(
            config.data.label_noise, dataset.n_classes, stream(config.seed, "label noise")
        )
    steps_per_epoch = -(-len(train_split.labels) // config.training.batch_size)
    rewirer = build_rewirer(config, model, optimizer, steps_per_epoch)
    trainer = Trainer(config, model, optimizer, rewirer, encoder_of(config), train_split, dataset.validation)

    text = config.to_toml()
    if resume and (out / CHECKPOINT).exists():
        state: dict[str, Any] = {"model": model, "optimizer": optimizer, "rewirer": rewirer, "config": text}
        trainer.progress = load_checkpoint(out / CHECKPOINT, **state)
    else:
        write_atomically(out / CONFIG, text.encode())
        model.to_network().save(out / INITIAL)
    # Metrics may be one epoch ahead of the checkpoint if the run died between the two; that epoch is trained again.
    metrics = [line for line in read_metrics(out) if line["epoch"] <= trainer.progress.epoch]
    trainer.history = [line["validation_accuracy"] for line in metrics]
    for epoch in trainer.epochs(on_batch):
        metrics.append(epoch.to_dict())
        write_atomically(out / METRICS, "".join(json.dumps(line) + "\n" for line in metrics).encode())
        if trainer.best_epoch == epoch.epoch:
            _deploy(model, out)
        save_checkpoint(
            out / CHECKPOINT, model=model, optimizer=optimizer, rewirer=rewirer, progress=trainer.progress, config=text
        )
        if epoch.epoch in _snapshot_epochs(config):
            model.to_network().save(out / "snapshots" / f"{epoch.epoch:05d}.safetensors")
        if on_epoch is not None:
            on_epoch(epoch)
    if trainer.finish():  # after the last checkpoint, which is of the training's own kind of weights
        _deploy(model, out)
    write_manifest(out, trainer.progress)
    return RunResult(out, Network.load(out / NETWORK), metrics)


def resume(run: str | Path, **callbacks: Any) -> RunResult:
    """Continue the run in directory `run` from its last checkpoint; see `train`."""
    run = Path(run)
    if not (run / CONFIG).is_file():
        raise ArtifactError(
            f"{run}: is no run directory, it has no {CONFIG}; start one with: neurosparse train CONFIG --out {run}"
        )
    return train(run / CONFIG, run, resume=True, **callbacks)


def load_model(run: str | Path) -> SparseSNN:
    """Return the trained network of `run` as torch modules, its weights as the optimizer left them (off the grid)."""
    run = Path(run)
    config = RunConfig.load(run / CONFIG)
    dataset = dataset_of(config)
    model = _model(config, run, dataset)
    load_weights(run / CHECKPOINT, model)
    return model


def evaluate(run: str | Path, split: SplitName = "test", samples: int | None = None) -> dict[str, Any]:
    """Return the accuracy of the deployed network of `run` on a split, with what is needed to read the number.

    Runs in torch; ``simulate`` runs the same network in any other engine, with the same spikes. A run that was
    fine-tuned in integers is evaluated in integers.
    """
    run = Path(run)
    config = RunConfig.load(run / CONFIG)
    network = Network.load(run / NETWORK)
    inputs, labels = load_inputs(run, split, samples)
    model = deployed_model(run)
    return {
        "accuracy": accuracy(model, inputs, labels, config.network.readout),
        "split": split,
        "samples": int(np.size(labels)),
        "n_steps": config.data.n_steps,
        "synapses": network.n_synapses,
        "density": network.density,
        "dtype": str(network.dtype),
    }


def deployed_model(run: str | Path) -> SparseSNN:
    """Return the deployed network of `run` as torch modules; of a run fine-tuned in integers, one that computes so."""
    run = Path(run)
    config = RunConfig.load(run / CONFIG)
    if config.quantization is not None:
        return build_quantized(config, run, NETWORK)
    surrogate = surrogate_of(config.network)
    return SparseSNN.from_network(Network.load(run / NETWORK), engine=config.training.engine, spike_grad=surrogate)


def _snapshot_epochs(config: RunConfig) -> set[int]:
    """Return the epochs after which the network is kept: evenly over the run, the last included."""
    n = config.training.snapshots
    return set() if n is None else set(np.linspace(0, config.training.epochs, n + 1).round().astype(int)[1:].tolist())


def _model(config: RunConfig, run: Path, dataset: Dataset) -> SparseSNN:
    if config.quantization is None:
        return build_network(config, dataset.n_features, dataset.n_classes)
    return build_quantized(config, run)


def _deploy(model: SparseSNN, out: Path) -> None:
    """Write the network that `model` is now, and its integers if it computes in them."""
    model.to_network().save(out / NETWORK)
    if isinstance(model, QuantizedSNN):
        model.to_quantized().save(out / QUANTIZED)


def read_metrics(run: str | Path) -> list[dict[str, Any]]:
    """Return the lines of ``metrics.jsonl``, empty if there is none. Raises `ArtifactError` for a damaged one."""
    path = Path(run) / METRICS
    if not path.is_file():
        return []
    lines = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise ArtifactError(f"{path}: line {number} is not JSON ({error})") from error
        if not isinstance(entry, dict) or not isinstance(entry.get("epoch"), int):
            raise ArtifactError(f"{path}: line {number} is no epoch's metrics")
        lines.append(entry)
    return lines
