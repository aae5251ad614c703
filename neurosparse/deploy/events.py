"""What happened, counted: synaptic operations, neuron updates, spikes and messages of a recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.core.graph import INPUT, Graph
from neurosparse.core.matching import matching_inputs
from neurosparse.core.recording import Recording

if TYPE_CHECKING:
    from neurosparse.deploy.placement import Placement

__all__ = ["EventCounts", "arrived", "count_events"]


@dataclass(frozen=True)
class EventCounts:
    """Events per sample, over all its steps: means over the samples.

    Parameters
    ----------
    synaptic_operations : float
        Crossings of a synapse by a spike, or by a non-zero input.
    neuron_updates : float
        Neurons times steps: every neuron is updated at every step.
    spikes : float
        Of neurons; input lines are not counted.
    messages : float or None
        Spikes times the cores they go to; None without a placement.
    """

    synaptic_operations: float
    neuron_updates: float
    spikes: float
    messages: float | None = None


def count_events(
    network: Graph[Any, Any],
    recording: Recording,
    inputs: ArrayLike,
    *,
    placement: Placement | None = None,
    dense: bool = False,
) -> EventCounts:
    """Return the events per sample of `recording`.

    Parameters
    ----------
    network : Network or QuantizedNetwork
    recording : Recording
        Of this network, with the spikes of every population.
    inputs : array, shape (time, batch, n_inputs) or (time, n_inputs)
        What it was made with.
    placement : Placement, optional
        For the number of messages.
    dense : bool
        Count as if every possible synapse of the existing projections were there.

    Raises
    ------
    ValidationError
        If inputs, recording and network are not of one size.
    """
    x = matching_inputs("energy", network, recording, inputs, empty=False)
    operations = 0
    for projection in network.projections:
        events = arrived(projection, recording, x)
        fan_out = np.bincount(projection.indices, minlength=projection.n_source)
        operations += int(events.sum()) * projection.shape[0] if dense else int(events @ fan_out)
    messages = None
    if placement is not None and not dense:
        messages = sum(
            int(_counts(recording.spikes[name]) @ placement.out_degrees[name]) for name in placement.out_degrees
        )
    n = recording.n_samples
    return EventCounts(
        synaptic_operations=operations / n,
        neuron_updates=float(network.n_neurons * recording.n_steps),
        spikes=sum(int(np.count_nonzero(recording.spikes[p.name])) for p in network.populations) / n,
        messages=None if messages is None else messages / n,
    )


def arrived(projection: Any, recording: Recording, inputs: NDArray[Any]) -> NDArray[np.int64]:
    """Return how many events of each source cross `projection` before the recording ends, shape (n_source,)."""
    source = inputs if projection.source == INPUT else recording.spikes[projection.source]
    return _counts(source[: max(0, len(source) - projection.delay)])


def _counts(events: NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray(np.count_nonzero(events, axis=(0, 1)), np.int64)
