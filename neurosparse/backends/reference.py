"""The judge: the written semantics (`neurosparse.core.stepping`). All other engines are compared with this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import ArrayLike, NDArray

from neurosparse.backends.base import Quantity, float_recording
from neurosparse.backends.integers import integer_inputs, integer_recording
from neurosparse.core.network import Network
from neurosparse.core.quantized import QuantizedNetwork
from neurosparse.core.recording import Recording
from neurosparse.core.stepping import step_through

__all__ = ["Reference"]


@dataclass(frozen=True)
class Reference:
    """NumPy and scipy.sparse, one step after the other, all samples at once; in floats or in integers."""

    name: ClassVar[str] = "reference"
    integers: ClassVar[bool] = True

    def missing(self) -> str | None:
        """It is always there."""
        return None

    def unsupported(self, network: Network | QuantizedNetwork) -> list[str]:
        """It runs every network: it is what a network means."""
        return []

    def simulate(
        self, network: Network | QuantizedNetwork, inputs: ArrayLike, *, record: frozenset[Quantity], seed: int
    ) -> Recording:
        """Run `network`; see `neurosparse.simulate`."""
        if isinstance(network, QuantizedNetwork):
            x: NDArray[Any] = integer_inputs(network, inputs)
            recording = integer_recording(network, x.shape[0], x.shape[1], record, self.name)
        else:
            x = network.input.values(inputs, network.dtype)
            recording = float_recording(network, x.shape[0], x.shape[1], record, self.name)
        step_through(network, x, recording)
        return recording
