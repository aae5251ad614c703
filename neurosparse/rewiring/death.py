"""Which live synapses die."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neurosparse.rewiring.layer import SparseLayer
from neurosparse.rewiring.schedule import Event

__all__ = ["Death", "SignCrossing"]


class Death(Protocol):
    """Marks the synapses of every layer that die in an event."""

    def select(self, layers: list[SparseLayer], event: Event) -> list[NDArray[np.bool_]]:
        """Return one mask (K,) per layer."""


@dataclass(frozen=True)
class SignCrossing:
    """DEEP R: a synapse lives while ``theta = sign * w > 0`` (Bellec et al. 2018, Algorithm 1).

    The test is strict: a newborn starts at 0, and if its first step does not move it to its own side it dies at once. Births where
    nothing pulls (a dead pixel) are thus drawn again for free, as in the sparse-matrix script of the authors.
    """

    def select(self, layers: list[SparseLayer], event: Event) -> list[NDArray[np.bool_]]:
        """See `Death`."""
        return [(~(layer.signed_values() > 0)).cpu().numpy() for layer in layers]
