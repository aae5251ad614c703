"""Numbers about a network and about what it did: accuracy, firing rates, synaptic operations, bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.core.network import Network
from neurosparse.core.recording import Recording
from neurosparse.deploy.events import arrived
from neurosparse.errors import ValidationError

__all__ = [
    "Activity",
    "StoredBytes",
    "accuracy",
    "activity",
    "check_inputs",
    "possible_synapses",
    "stored_bytes",
    "synaptic_operations",
]


@dataclass(frozen=True)
class Activity:
    """How active one population was.

    Parameters
    ----------
    n : int
        Neurons.
    spikes : int
        Spikes of all neurons, steps and samples.
    mean_rate, max_rate : float
        Spikes per step of the mean and of the busiest neuron, mean over steps and samples; divide by ``dt`` for Hz.
    silent : int
        Neurons without a single spike.
    """

    n: int
    spikes: int
    mean_rate: float
    max_rate: float
    silent: int


@dataclass(frozen=True)
class StoredBytes:
    """Bytes of a stored network, by what they hold; `dense_weights`: what its weights would take as full matrices."""

    weights: int
    indices: int
    neurons: int
    dense_weights: int

    @property
    def total(self) -> int:
        """Weights, indices and neuron parameters together."""
        return self.weights + self.indices + self.neurons


def accuracy(decisions: ArrayLike, labels: ArrayLike) -> float:
    """Return the share of `decisions` (batch,) that equal `labels` (batch,), in [0, 1]."""
    decided, given = np.asarray(decisions), np.asarray(labels)
    if decided.shape != given.shape or decided.ndim != 1 or not decided.size:
        raise ValidationError(
            f"accuracy: needs one decision per label and at least one, got {decided.shape} and {given.shape}"
        )
    return float((decided == given).mean())


def activity(recording: Recording) -> dict[str, Activity]:
    """Return the activity of every population that can spike (of all, if `recording` does not know thresholds)."""
    found = {}
    for name, spikes in recording.spikes.items():
        if recording.v_thresholds and name not in recording.v_thresholds:
            continue
        counts = spikes.sum(axis=(0, 1))
        per_step = counts / max(recording.n_steps * recording.n_samples, 1)
        found[name] = Activity(
            spikes.shape[2],
            int(counts.sum()),
            float(per_step.mean()),
            float(per_step.max(initial=0.0)),
            int((counts == 0).sum()),
        )
    return found


def synaptic_operations(network: Network, recording: Recording, inputs: ArrayLike) -> int:
    """Return how often a synapse was crossed: for every spike, and every non-zero input, the fan-out of its source.

    A spike still under way in a delay when the recording ends has crossed nothing and does not count. Divide by
    ``recording.n_samples`` for operations per sample (over all its steps), by ``n_steps`` also for operations per step.

    Parameters
    ----------
    inputs : array, shape (time, batch, n_inputs) or (time, n_inputs)
        What the recording was made with.
    """
    x = check_inputs("synaptic_operations", network, recording, inputs)
    operations = 0
    for projection in network.projections:
        events = arrived(projection, recording, x)
        operations += int(events @ np.bincount(projection.indices, minlength=projection.n_source))
    return operations


def check_inputs(owner: str, network: Network, recording: Recording, inputs: ArrayLike) -> NDArray[Any]:
    """Return `inputs` as (time, batch, n_inputs); `ValidationError` in `owner`'s name if `recording` is of others."""
    x = np.asarray(inputs)
    x = x[:, np.newaxis, :] if x.ndim == 2 else x
    expected = (recording.n_steps, recording.n_samples, network.input.n)
    if x.shape != expected:
        raise ValidationError(f"{owner}: inputs have shape {x.shape}, the recording of this network needs {expected}")
    return x


def possible_synapses(network: Network) -> dict[str, int]:
    """Return the synapses that could exist, by the layer names of a training run's metrics.

    A layer is called after the population it feeds; a recurrent one is ``"<population> (recurrent)"``.
    """
    sites: dict[str, int] = {}
    for p in network.projections:
        name = f"{p.target} (recurrent)" if p.source == p.target else p.target
        sites[name] = sites.get(name, 0) + p.shape[0] * p.shape[1]
    return sites


def stored_bytes(network: Network) -> StoredBytes:
    """Return the bytes of the arrays of `network`, as its file holds them; the file adds a header of about 1 kB."""
    return StoredBytes(
        weights=sum(p.weights.nbytes for p in network.projections),
        indices=sum(p.indices.nbytes + p.indptr.nbytes for p in network.projections),
        neurons=sum(getattr(p.neuron, name).nbytes for p in network.populations for name in p.neuron.parameters),
        dense_weights=sum(p.shape[0] * p.shape[1] * network.dtype.itemsize for p in network.projections),
    )
