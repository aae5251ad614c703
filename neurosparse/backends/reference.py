"""The judge: the written semantics in NumPy, short enough to read. All other engines are compared with this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.backends.base import Quantity, thresholds
from neurosparse.core.network import INPUT, Network, is_readout
from neurosparse.core.recording import Recording

__all__ = ["Reference"]


@dataclass(frozen=True)
class Reference:
    """NumPy and scipy.sparse, one step after the other, all samples of the batch at once."""

    name: ClassVar[str] = "reference"

    def missing(self) -> str | None:
        """It is always there."""
        return None

    def unsupported(self, network: Network) -> list[str]:
        """It runs every network: it is what a network means."""
        return []

    def simulate(self, network: Network, inputs: ArrayLike, *, record: frozenset[Quantity], seed: int) -> Recording:
        """Run `network`; see `neurosparse.simulate`."""
        x = network.input.values(inputs, network.dtype)
        n_steps, n_samples = x.shape[:2]
        matrices = [projection.to_scipy() for projection in network.projections]
        states, spikes, voltages = {}, {}, {}
        for p in network.populations:
            states[p.name] = p.neuron.initial_state((n_samples, p.n), network.dtype)
            spikes[p.name] = np.zeros((n_steps, n_samples, p.n), bool)
            if "voltages" in record or is_readout(p):
                voltages[p.name] = np.zeros((n_steps, n_samples, p.n), network.dtype)

        for t in range(n_steps):
            for name in network.order:
                population = network[name]
                current = np.zeros((n_samples, population.n), network.dtype)
                for projection, matrix in zip(network.projections, matrices, strict=True):
                    if projection.target == name and t >= projection.delay:
                        source = x if projection.source == INPUT else spikes[projection.source]
                        current += _transmit(matrix, source[t - projection.delay])
                current += population.neuron.bias
                spikes[name][t] = population.neuron.step(states[name], current)
                if name in voltages:
                    voltages[name][t] = states[name]["v"]
        return Recording(spikes, voltages, thresholds(network), network.dt, self.name)


def _transmit(matrix: Any, values: NDArray[Any]) -> NDArray[Any]:
    """Return the current (batch, n_target) that `values` (batch, n_source) cause."""
    return (matrix @ values.T.astype(matrix.dtype)).T
