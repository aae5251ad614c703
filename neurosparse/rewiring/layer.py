"""What a rewirer knows about one layer: its synapses, their signs and their births."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neurosparse.nn.sparse import SparseLinear

__all__ = ["SparseLayer"]


@dataclass
class SparseLayer:
    """The rewirer's view of a `SparseLinear`; every array has one entry per live synapse, in the layer's order.

    Attributes
    ----------
    name : str
        Of the module in its model.
    index : int
        Position among the model's sparse layers; names this layer's fixed signs.
    module : SparseLinear
    initial_density : float
        At attachment; weighs the layer in a global budget.
    sites : int64 (K,)
        Sorted keys ``target * n_source + source``.
    signs : int8 (K,) or None
        The sign each synapse may have, for methods that constrain it.
    born_at : int64 (K,)
        Optimizer step after which the synapse was born; 0 for those there from the start.
    """

    name: str
    index: int
    module: SparseLinear
    initial_density: float
    sites: NDArray[np.int64]
    signs: NDArray[np.int8] | None
    born_at: NDArray[np.int64]

    @property
    def values(self) -> Tensor:
        """Weights of the live synapses (K,), without gradient; a view to write through."""
        return self.module.values.data

    @property
    def n_live(self) -> int:
        """Number of live synapses."""
        return self.sites.size

    @property
    def n_sites(self) -> int:
        """Number of possible synapses."""
        return self.module.n_sites

    def signed_values(self) -> Tensor:
        """Return theta = sign * w (K,): positive while a synapse keeps to its sign."""
        if self.signs is None:
            raise TypeError(f"{self.name}: this method has no signs")
        return self.values * torch.from_numpy(self.signs).to(self.values)
