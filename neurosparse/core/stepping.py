"""The written semantics as one loop over time, in NumPy, short enough to read: what a network means.

The arithmetic of a neuron stands in `neurosparse.core.neurons` (floats) and `QuantizedPopulation.step` (integers).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.network import INPUT, Network
from neurosparse.core.quantized import QuantizedNetwork
from neurosparse.core.recording import Recording

__all__ = ["step_through"]


def step_through(network: Network | QuantizedNetwork, x: NDArray[Any], recording: Recording) -> None:
    """Run `network` from rest on `x`, one step after the other, all samples at once, and fill in `recording`.

    Parameters
    ----------
    network : Network or QuantizedNetwork
    x : array, shape (time, batch, n_lines)
        What multiplies the weights: ``network.input.values``, of a quantised network spikes or payloads as integers.
    recording : Recording
        Arrays of zeros: spikes of every population, and voltages and currents of those that are wanted.
    """
    integers = isinstance(network, QuantizedNetwork)
    dtype = np.dtype(np.int64) if isinstance(network, QuantizedNetwork) else network.dtype
    n_steps, n_samples = x.shape[:2]
    populations: dict[str, Any] = {p.name: p for p in network.populations}
    neurons = {name: p if integers else p.neuron for name, p in populations.items()}
    shapes = {name: (n_samples, p.n) for name, p in populations.items()}
    states = {name: neuron.initial_state(shapes[name], dtype) for name, neuron in neurons.items()}
    projections: list[Any] = list(network.projections)
    matrices = [projection.to_scipy().astype(dtype) for projection in projections]
    for t in range(n_steps):
        for name in network.order:
            total = np.zeros(shapes[name], dtype)
            for projection, matrix in zip(projections, matrices, strict=True):
                if projection.target == name and t >= projection.delay:
                    source = x if projection.source == INPUT else recording.spikes[projection.source]
                    received = _transmit(matrix, source[t - projection.delay])
                    total += received << projection.exponent if integers else received
            if not integers:
                total += neurons[name].bias  # integers have theirs at the voltage
            recording.spikes[name][t] = neurons[name].step(states[name], total)
            for kind, arrays in (("v", recording.voltages), ("u", recording.currents)):
                if name in arrays:
                    arrays[name][t] = states[name][kind]


def _transmit(matrix: Any, values: NDArray[Any]) -> NDArray[Any]:
    """Return what `values` (batch, n_source) cause in the targets, shape (batch, n_target)."""
    received: NDArray[Any] = (matrix @ values.T.astype(matrix.dtype)).T
    return received
