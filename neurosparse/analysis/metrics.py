"""Numbers about a network and about what it did: accuracy, firing rates, synaptic operations, bytes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.core.matching import matching_inputs
from neurosparse.core.network import Network
from neurosparse.core.projection import Projection
from neurosparse.core.recording import Recording
from neurosparse.deploy.events import arrived
from neurosparse.errors import ValidationError

__all__ = [
    "Activity",
    "Degrees",
    "StoredBytes",
    "accuracy",
    "activity",
    "degrees",
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
    saturated : int
        Neurons that spike at every step they can, in every sample: from the first step at which any neuron of the
        population does. Like the silent ones they say nothing about the input. At least two such steps are needed.
    """

    n: int
    spikes: int
    mean_rate: float
    max_rate: float
    silent: int
    saturated: int = 0


@dataclass(frozen=True)
class Degrees:
    """How many synapses the neurons at one end of a projection have.

    Parameters
    ----------
    least, most : int
    mean : float
    none : int
        Neurons without any.
    """

    least: int
    mean: float
    most: int
    none: int

    def __str__(self) -> str:
        unconnected = f", {self.none} with none" if self.none else ""
        return f"{self.least} / {self.mean:.1f} / {self.most}{unconnected}"


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
            _saturated(spikes, counts),
        )
    return found


def _saturated(spikes: NDArray[np.bool_], counts: NDArray[np.int64]) -> int:
    if not counts.any():
        return 0
    possible = spikes.shape[0] - int(spikes.any(axis=(1, 2)).argmax())
    return int((counts == possible * spikes.shape[1]).sum()) if possible > 1 else 0


def degrees(projection: Projection) -> tuple[Degrees, Degrees]:
    """Return fan-in (synapses into each target) and fan-out (synapses out of each source) of `projection`.

    >>> into, out_of = degrees(Projection.from_dense("a", "b", [[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]]))
    >>> print(into)
    1 / 1.5 / 2
    >>> print(out_of)
    0 / 1.0 / 2, 1 with none
    """
    counts = np.diff(projection.indptr), np.bincount(projection.indices, minlength=projection.n_source)
    into, out_of = (Degrees(int(n.min()), float(n.mean()), int(n.max()), int((n == 0).sum())) for n in counts)
    return into, out_of


def synaptic_operations(network: Network, recording: Recording, inputs: ArrayLike) -> int:
    """Return how often a synapse was crossed: for every spike, and every non-zero input, the fan-out of its source.

    A spike still under way in a delay when the recording ends has crossed nothing and does not count. Divide by
    ``recording.n_samples`` for operations per sample (over all its steps), by ``n_steps`` also for operations per step.

    Parameters
    ----------
    inputs : array, shape (time, batch, n_inputs) or (time, n_inputs)
        What the recording was made with.
    """
    x = matching_inputs("synaptic_operations", network, recording, inputs)
    operations = 0
    for projection in network.projections:
        events = arrived(projection, recording, x)
        operations += int(events @ np.bincount(projection.indices, minlength=projection.n_source))
    return operations


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
