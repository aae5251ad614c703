"""What the engines that run a `QuantizedNetwork` share: its inputs as integers and empty arrays to record into."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.core.integers import ALIGNMENT_BITS, PAYLOAD_BITS
from neurosparse.core.quantized import QuantizedNetwork
from neurosparse.core.recording import Recording

__all__ = ["integer_inputs", "integer_recording"]


def integer_inputs(network: QuantizedNetwork, inputs: ArrayLike) -> NDArray[np.uint8]:
    """Return `inputs` as what multiplies the weights, shape (time, batch, n): spikes 0 or 1, or payloads 0 to 255."""
    values = network.input.values(inputs, np.float32)
    # a payload p is read as p / 256, which float32 holds exactly
    return (np.ldexp(values, PAYLOAD_BITS) if network.input.kind == "graded" else values).astype(np.uint8)


def integer_recording(
    network: QuantizedNetwork, n_steps: int, n_samples: int, record: frozenset[Any], backend: str
) -> Recording:
    """Return a recording of zeros, for the engine `backend` to fill in: int32 voltages and currents where wanted."""

    def empty(wanted: list[str], dtype: Any) -> dict[str, NDArray[Any]]:
        return {name: np.zeros((n_steps, n_samples, network[name].n), dtype) for name in wanted}

    names = [p.name for p in network.populations]
    readouts = [p.name for p in network.populations if p.readout]
    return Recording(
        spikes=empty(names, bool),
        voltages=empty(names if "voltages" in record else readouts, np.int32),
        v_thresholds={p.name: p.v_threshold << ALIGNMENT_BITS for p in network.populations if not p.readout},
        dt=network.dt,
        backend=backend,
        info={},
        currents=empty(names if "currents" in record else [], np.int32),
    )
