"""NeuroBench's metrics of a sparse network, counted on the sparse arrays, equal to its harness on the dense copy.

Definitions: NeuroBench algorithm track, harness 2.3.0 (Yik et al. 2025, Nature Communications 16:1545). The harness
divides operations by samples, not by time steps; both are given here, and the number of steps with them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.analysis.metrics import stored_bytes
from neurosparse.core.matching import matching_inputs
from neurosparse.core.network import INPUT, Network, is_readout
from neurosparse.core.recording import Recording

__all__ = ["NeuroBench", "neurobench"]


@dataclass(frozen=True)
class NeuroBench:
    """A row of a NeuroBench table. Operations are per sample, over all its `n_steps` time steps.

    Parameters
    ----------
    footprint : int
        Bytes by NeuroBench's rule: every weight of the full matrices, zeros included, and the neurons' parameters.
    footprint_stored : int
        Bytes of what really is stored: live weights, their index, the neurons' parameters.
    connection_sparsity : float
        Zero weights / weights of the full matrices, to 4 decimals; 0 is fully connected.
    activation_sparsity : float
        Share of (neuron, step, sample) without a spike, over all populations that can spike.
    effective_macs, effective_acs : float
        Operations with a non-zero weight and a non-zero input. A step of a projection counts as accumulates (ACs) if
        all its inputs are -1, 0 or 1 in the whole batch, else as multiply-accumulates (MACs).
    dense_operations : float
        Operations if no weight and no input were zero.
    n_steps, n_samples : int
        What it was measured on.
    """

    footprint: int
    footprint_stored: int
    connection_sparsity: float
    activation_sparsity: float
    effective_macs: float
    effective_acs: float
    dense_operations: float
    n_steps: int
    n_samples: int

    def per_step(self) -> dict[str, float]:
        """Return the operations per time step (NeuroBench: per model execution), as published tables count them."""
        names = ("effective_macs", "effective_acs", "dense_operations")
        return {name: getattr(self, name) / max(self.n_steps, 1) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers, ready for JSON."""
        return {**asdict(self), "per_step": self.per_step()}


def neurobench(network: Network, recording: Recording, inputs: ArrayLike) -> NeuroBench:
    """Return NeuroBench's metrics of `network` on the samples that `recording` was made of.

    Parameters
    ----------
    network : Network
    recording : Recording
        Of all populations; the reference's and every exact engine's are the same.
    inputs : array, shape (time, batch, n_inputs) or (time, n_inputs)
        What the recording was made with. A graded input (payload / 256 on the wire) makes the first layer's
        operations MACs, as it does in the harness.
    """
    x = matching_inputs("neurobench", network, recording, inputs)
    size = stored_bytes(network)
    macs = acs = dense = zeros = possible = 0
    for p in network.projections:
        live = p.weights != 0
        fan_out = np.bincount(p.indices[live], minlength=p.n_source)
        source = x if p.source == INPUT else recording.spikes[p.source]
        arrived = source[: max(0, len(source) - p.delay)]
        binary = _all_unit(arrived, graded=p.source == INPUT and network.input.kind == "graded")
        operations = np.count_nonzero(arrived, axis=1) @ fan_out
        acs += int(operations[binary].sum())
        macs += int(operations[~binary].sum())
        dense += recording.n_steps * recording.n_samples * p.shape[0] * p.shape[1]
        possible += p.shape[0] * p.shape[1]
        zeros += p.shape[0] * p.shape[1] - int(np.count_nonzero(live))
    spiking = [recording.spikes[p.name] for p in network.populations if not is_readout(p)]
    activations = sum(raster.size for raster in spiking)
    silent = activations - sum(int(np.count_nonzero(raster)) for raster in spiking)
    n = max(recording.n_samples, 1)
    return NeuroBench(
        footprint=size.dense_weights + size.neurons,
        footprint_stored=size.total,
        connection_sparsity=round(zeros / possible, 4) if possible else 0.0,
        activation_sparsity=silent / activations if activations else 0.0,
        effective_macs=macs / n,
        effective_acs=acs / n,
        dense_operations=dense / n,
        n_steps=recording.n_steps,
        n_samples=recording.n_samples,
    )


def _all_unit(arrived: NDArray[Any], *, graded: bool) -> NDArray[np.bool_]:
    """Return for each step of (time, batch, n) whether all values are -1, 0 or 1; a graded payload p means p / 256."""
    if arrived.dtype == np.bool_:
        return np.ones(len(arrived), bool)
    unit = (arrived == 0) if graded else np.isin(arrived, (-1, 0, 1))
    return np.logical_and.reduce(unit, axis=(1, 2))
