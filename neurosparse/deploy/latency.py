"""A model of latency: steps, and where times per event are published, how long the busiest core takes for one.

A step ends when the last core has updated its neurons and delivered its spikes, so the mean step takes
``synchronisation + max over cores (synaptic operations * t + neurons * t + spikes * t)``, each t the time of one such
event. Congestion and input are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.graph import Graph
from neurosparse.core.recording import Recording
from neurosparse.deploy.chip import ChipSpec
from neurosparse.deploy.events import arrived
from neurosparse.deploy.placement import Placement

__all__ = ["Latency", "latency"]


@dataclass(frozen=True)
class Latency:
    """How long a sample takes.

    Attributes
    ----------
    n_steps, hops : int
        Steps of the input, and those by which the last population runs behind: a sample takes both together.
    step_us : tuple of two floats or None
        Modelled time of a step, for the shortest and the longest synchronisation; None where nothing is published.
    sample_us : tuple of two floats or None
    busiest_core : int or None
    source : str
    label : str
        Always ``"model"``.
    """

    n_steps: int
    hops: int
    step_us: tuple[float, float] | None
    sample_us: tuple[float, float] | None
    busiest_core: int | None
    source: str
    label: str = "model"

    @property
    def total_steps(self) -> int:
        """Steps from the first input to the last spike of the last population."""
        return self.n_steps + self.hops


def latency(
    network: Graph[Any, Any],
    recording: Recording,
    inputs: NDArray[Any],
    chip: ChipSpec,
    placement: Placement | None,
    hops: int,
) -> Latency:
    """Return the modelled latency of a sample; `inputs` are (time, batch, n_inputs)."""
    steps = recording.n_steps
    if chip.timing is None or placement is None:
        reason = "no public figure" if chip.timing is None else "not placed"
        return Latency(steps, hops, None, None, None, reason)
    timing = chip.timing
    work = np.zeros(placement.n_cores)  # nanoseconds per step
    per_step = 1.0 / (recording.n_steps * recording.n_samples)
    for projection in network.projections:
        events = arrived(projection, recording, inputs)
        rows = np.repeat(np.arange(projection.shape[0]), np.diff(projection.indptr))
        crossings = np.bincount(rows, weights=events[projection.indices], minlength=projection.shape[0])
        np.add.at(work, placement.core_of[projection.target], crossings * per_step * timing.synaptic_operation_ns)
    for population in network.populations:
        cores = placement.core_of[population.name]
        spikes = np.count_nonzero(recording.spikes[population.name], axis=(0, 1)) * per_step
        np.add.at(work, cores, timing.neuron_update_ns + spikes * timing.spike_ns)
    busiest = int(np.argmax(work))
    low, high = (us + work[busiest] * 1e-3 for us in timing.synchronisation_us)
    total = steps + hops
    return Latency(
        steps,
        hops,
        (float(low), float(high)),
        (float(low * total), float(high * total)),
        busiest,
        chip.source_of(timing),
    )
