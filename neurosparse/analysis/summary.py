"""The tables of a report: a run in a few lines, its populations, its projections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.analysis.comparison import Simulation
from neurosparse.analysis.lifetimes import history_of
from neurosparse.analysis.metrics import activity, degrees, possible_synapses, stored_bytes, synaptic_operations
from neurosparse.analysis.neurobench import neurobench
from neurosparse.core.network import Network
from neurosparse.core.projection import Projection
from neurosparse.core.recording import Recording

__all__ = [
    "Example",
    "connections",
    "costs",
    "count",
    "neurobench_rows",
    "populations",
    "same_projection",
    "summary",
    "turnover_rows",
]


@dataclass(frozen=True)
class Example:
    """A few samples that the deployed network has run on, for raster, voltages and activity.

    Parameters
    ----------
    recording : Recording
        With voltages, of `inputs` on the network of the run.
    inputs : array, shape (time, batch, n_inputs)
    labels : int array, shape (batch,)
    """

    recording: Recording
    inputs: ArrayLike
    labels: NDArray[np.int64]


def summary(
    network: Network | None, metrics: list[dict[str, Any]], simulations: list[Simulation], example: Example | None
) -> list[tuple[str, str]]:
    """Return the rows (label, value) of the summary table, those whose numbers exist."""
    rows = []
    judged = [row for row in simulations if row.accuracy is not None]
    if judged:
        rows.append(("Test accuracy", f"{judged[0].accuracy:.2%} of {count(judged[0].samples)} samples"))
    measured = [row for row in metrics if "validation_accuracy" in row]
    if measured:
        best = max(measured, key=lambda row: row["validation_accuracy"])
        text = (
            f"{measured[-1]['validation_accuracy']:.2%} (best {best['validation_accuracy']:.2%}, epoch {best['epoch']})"
        )
        rows.append(("Validation accuracy", text))
    if network is not None:
        rows += _size(network)
    if network is not None and example is not None:
        recording = example.recording
        spikes = recording.n_spikes / recording.n_samples
        operations = synaptic_operations(network, recording, example.inputs) / recording.n_samples
        text = f"{recording.n_steps} steps, {spikes:.0f} spikes, {operations:.0f} synaptic operations"
        rows.append(("Per sample", f"{text} (mean of {recording.n_samples})"))
    if any(row.get("seconds") for row in metrics):
        seconds = sum(row.get("seconds", 0.0) for row in metrics)
        rows.append(("Training", f"{len(metrics)} epochs, {seconds:.1f} s"))
    return rows


def populations(network: Network | None, example: Example | None) -> list[dict[str, Any]]:
    """Return one row per population, with its activity where an example shows it."""
    if network is None:
        return []
    active = activity(example.recording) if example is not None else {}
    return [
        {"name": p.name, "n": p.n, "model": type(p.neuron).__name__, "active": active.get(p.name)}
        for p in network.populations
    ]


def connections(network: Network | None, initial: Network | None) -> list[dict[str, Any]]:
    """Return one row per projection, with its number of synapses before training where `initial` knows it."""
    rows = []
    for i, p in enumerate(network.projections if network is not None else ()):
        (fan_in, fan_out), before = degrees(p), same_projection(p, initial, i)
        row = {"source": p.source, "target": p.target, "shape": p.shape, "density": p.density, "delay": p.delay}
        row["synapses"], row["before"] = p.n_synapses, before.n_synapses if before is not None else None
        row["fan_in"], row["fan_out"] = str(fan_in), str(fan_out)
        rows.append(row)
    return rows


def same_projection(projection: Projection, initial: Network | None, i: int) -> Projection | None:
    """Return the i-th projection of the initial network if it is the same connection."""
    if initial is None or i >= len(initial.projections):
        return None
    before = initial.projections[i]
    same = (before.source, before.target, before.shape) == (projection.source, projection.target, projection.shape)
    return before if same else None


def count(n: int) -> str:
    """Return `n` with its digits in groups of three."""
    return f"{n:,}".replace(",", "\u202f")  # narrow space that does not break


def _size(network: Network) -> list[tuple[str, str]]:
    size, possible = stored_bytes(network), sum(possible_synapses(network).values())
    return [
        ("Network", "-".join(str(n) for n in (network.input.n, *(p.n for p in network.populations)))),
        ("Synapses", f"{count(network.n_synapses)} of {count(possible)} possible: density {network.density:.2%}"),
        ("Stored bytes", f"{count(size.total)}; dense, the weights alone would take {count(size.dense_weights)}"),
    ]


def turnover_rows(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per rewired layer: deaths, lifetimes and sites visited, over the whole run."""
    rows = []
    for name, found in history_of(metrics).items():
        share, error = (100 * found[key] / found["n_sites"] for key in ("visited", "visited_error"))
        lived = found["mean_lifetime"]
        rows.append(
            {
                "name": name,
                "deaths": found["deaths"],
                "lifetime": "none died" if lived is None else f"{lived:.1f}",
                "one_step": found["lifetimes"][0] / found["deaths"] if found["deaths"] else None,
                "visited": f"{share:.2f}%" + (f" ± {error:.2f}" if error else ""),
            }
        )
    return rows


def costs(
    network: Network | None, metrics: list[dict[str, Any]], training_state: Mapping[str, int]
) -> list[tuple[str, str]]:
    """Return the rows (label, value) about memory and speed, those whose numbers exist."""
    rows = []
    if network is not None:
        size = stored_bytes(network)
        parts = f"weights {count(size.weights)}, indices {count(size.indices)}, neurons {count(size.neurons)}"
        rows.append(("Network, bytes", f"{count(size.total)}: {parts}"))
        rows.append(("Dense weights, bytes", f"{count(size.dense_weights)}, for comparison"))
    if training_state:
        parts = ", ".join(f"{name} {count(n)}" for name, n in training_state.items() if n)
        rows.append(("State of the training, bytes", f"{count(sum(training_state.values()))}: {parts}"))
    memory = max((row.get("rss_mb", 0.0) for row in metrics), default=0.0)
    if memory:
        rows.append(("Memory of the process", f"at most {memory:.0f} MiB, libraries and data included"))
    seconds = sorted(row["seconds"] for row in metrics if row.get("seconds"))
    if seconds:
        middle = seconds[len(seconds) // 2]
        text = f"{middle:.2f} s per epoch (median, validation included), {sum(seconds):.1f} s in all"
        rows.append(("Time of the training", text))
    return rows


def neurobench_rows(network: Network | None, example: Example | None) -> list[tuple[str, str, str]]:
    """Return the rows (metric, per sample, per step) of the NeuroBench table; empty without an example."""
    if network is None or example is None:
        return []
    found = neurobench(network, example.recording, example.inputs)
    per_step = found.per_step()
    operations = {
        "Effective accumulates (ACs)": "effective_acs",
        "Effective multiply-accumulates (MACs)": "effective_macs",
        "Dense operations": "dense_operations",
    }
    return [
        ("Footprint as if dense (bytes)", count(found.footprint), ""),
        ("Footprint stored (bytes)", count(found.footprint_stored), ""),
        ("Connection sparsity", f"{found.connection_sparsity:.4f}", ""),
        ("Activation sparsity", f"{found.activation_sparsity:.4f}", ""),
        *(
            (label, count(round(getattr(found, name))), count(round(per_step[name])))
            for label, name in operations.items()
        ),
        ("Time steps", str(found.n_steps), ""),
    ]
