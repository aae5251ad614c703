"""Reading a run directory for the commands that work on one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neurosparse.analysis.lifetimes import history_of
from neurosparse.analysis.metrics import activity, degrees, stored_bytes, synaptic_operations
from neurosparse.analysis.neurobench import neurobench
from neurosparse.analysis.report import Example, write_report
from neurosparse.cli.output import say
from neurosparse.core.network import Network
from neurosparse.core.quantized import QuantizedNetwork
from neurosparse.core.quantized_io import QUANTIZED_FILE
from neurosparse.errors import ArtifactError, DataNotFoundError

__all__ = ["any_network_of", "measure", "network_of", "report_on"]

_EXAMPLES = 100


def network_of(run: Path) -> Network:
    """Return the trained network of `run`; `ArtifactError` says what to do if there is none."""
    path = run / "network.safetensors"
    if not run.is_dir():
        raise ArtifactError(f"{run}: no such run directory; make one with: neurosparse train CONFIG --out {run}")
    if not path.is_file():
        raise ArtifactError(
            f"{run}: has no network.safetensors; continue its training with: neurosparse train --resume {run}"
        )
    return Network.load(path)


def any_network_of(path: Path, *, integer: bool = False) -> Network | QuantizedNetwork:
    """Return the network of a run directory or in a network's own file; `integer`: a `QuantizedNetwork`.

    Raises `ArtifactError` where it is missing; the integers of a run are chosen by ``neurosparse deploy``.
    """
    if path.is_file():
        return QuantizedNetwork.load(path) if integer else Network.load(path)
    if integer:
        quantized = path / QUANTIZED_FILE
        if not quantized.is_file():
            network_of(path)
            raise ArtifactError(
                f"{path}: has no {QUANTIZED_FILE}; choose its integers first with: neurosparse deploy {path}"
            )
        return QuantizedNetwork.load(quantized)
    return network_of(path)


def measure(run: Path, network: Network, split: Any, samples: int | None) -> dict[str, Any]:
    """Return what `network` did on a split, exactly: spikes, synaptic operations, silent neurons, bytes."""
    from neurosparse.backends.base import fastest_exact, simulate
    from neurosparse.training.inputs import load_inputs

    inputs, _ = load_inputs(run, split, samples)
    recording = simulate(network, inputs, backend=fastest_exact(network))
    active, size = activity(recording), stored_bytes(network)
    return {
        "spikes_per_sample": recording.n_spikes / recording.n_samples,
        "synaptic_operations_per_sample": synaptic_operations(network, recording, inputs) / recording.n_samples,
        "firing_rates": {name: found.mean_rate for name, found in active.items()},
        "silent_neurons": {name: found.silent for name, found in active.items()},
        "saturated_neurons": {name: found.saturated for name, found in active.items()},
        **_degrees(network),
        **_turnover(run),
        "stored_bytes": size.total,
        "dense_weight_bytes": size.dense_weights,
        "neurobench": neurobench(network, recording, inputs).to_dict(),
    }


def _degrees(network: Network) -> dict[str, Any]:
    """Return fan-in and fan-out of every projection: least, mean and most synapses, and neurons without any."""
    found = {f"{p.source} -> {p.target}": degrees(p) for p in network.projections}
    return {
        "fan_in": {name: vars(into) for name, (into, _) in found.items()},
        "fan_out": {name: vars(out_of) for name, (_, out_of) in found.items()},
    }


def _turnover(run: Path) -> dict[str, Any]:
    """Return deaths, mean lifetime and sites visited of every layer that the training of `run` rewired."""
    from neurosparse.training.run import read_metrics

    found = history_of(read_metrics(run))
    if not any(layer["deaths"] for layer in found.values()):
        return {}
    return {
        "deaths": {name: layer["deaths"] for name, layer in found.items()},
        "mean_lifetime_steps": {name: layer["mean_lifetime"] for name, layer in found.items()},
        "sites_visited": {name: layer["visited"] / layer["n_sites"] for name, layer in found.items()},
    }


def report_on(run: Path, title: str = "") -> Path:
    """Write the report of `run`, or of a sweep, and return its path.

    A run's example are test samples in the reference; without the data set on this machine, it has none.
    """
    from neurosparse.backends.base import simulate
    from neurosparse.training.checkpoint import state_bytes
    from neurosparse.training.config import RunConfig
    from neurosparse.training.inputs import dataset_of, load_inputs

    if (run / "sweep.json").is_file():
        from neurosparse.cli.sweeping import summarise
        from neurosparse.sweep import Sweep

        summarise(Sweep(run))
        return run / "report.html"
    checkpoint = run / "checkpoint.safetensors"
    state = state_bytes(checkpoint) if checkpoint.is_file() else None
    if not (run / "network.safetensors").is_file() or not (run / "config.toml").is_file():
        return write_report(run, training_state=state, title=title)
    try:
        shape = dataset_of(RunConfig.load(run / "config.toml")).shape
        inputs, labels = load_inputs(run, "test")
    except DataNotFoundError as error:
        say(f"the report has no raster and no activity: {error}")
        return write_report(run, training_state=state, title=title)
    inputs, labels = inputs[:, :_EXAMPLES], labels[:_EXAMPLES]
    recording = simulate(network_of(run), inputs, record="voltages")
    example = Example(recording, inputs, labels)
    return write_report(run, example=example, image_shape=shape, training_state=state, title=title)
