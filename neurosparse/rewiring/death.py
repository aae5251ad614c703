"""Which live synapses die."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from neurosparse.errors import NeurosparseError
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

    The test is strict: a newborn starts at 0, and if its first step does not move it to its own side it dies at once.
    Births where nothing pulls (a dead pixel) are thus drawn again for free, as in the sparse-matrix script of the
    authors.
    """

    def select(self, layers: list[SparseLayer], event: Event) -> list[NDArray[np.bool_]]:
        """See `Death`."""
        return [self._crossed(layer) for layer in layers]

    def _crossed(self, layer: SparseLayer) -> NDArray[np.bool_]:
        theta = layer.signed_values()
        if bool(torch.isnan(theta).any()):
            # NaN is not > 0 either: rewiring would quietly replace a diverged layer by newborns
            raise NeurosparseError(
                f"{layer.name}.values: {int(torch.isnan(theta).sum())} of {layer.n_live} weights are NaN after the "
                "optimizer step; the training diverged, try a smaller learning rate or clip the gradient"
            )
        return (theta <= 0).cpu().numpy()
