"""What a rewirer knows about one layer: its synapses, their signs and their births."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from neurosparse.core.network import INPUT
from neurosparse.nn.network import SparseSNN
from neurosparse.nn.sparse import SparseLinear
from neurosparse.rewiring.history import History

__all__ = ["SparseLayer", "as_numpy", "populations"]


@dataclass
class SparseLayer:
    """The rewirer's view of a `SparseLinear`; every array has one entry per live synapse, in the layer's order.

    Attributes
    ----------
    name : str
        Of the population it leads to in a `SparseSNN`, else of the module in its model.
    index : int
        Position among the model's sparse layers; names this layer's fixed signs.
    source : str
        The population its synapses come from; layers with the same one share Dale's signs.
    module : SparseLinear
    initial_density : float
        At attachment; weighs the layer in a global budget.
    sites : int64 (K,)
        Sorted keys ``target * n_source + source``.
    signs : int8 (K,) or None
        The sign each synapse may have, for methods that constrain it; None until they are set, too.
    born_at : int64 (K,)
        `clock` when the synapse was born; 0 for those there from the start.
    clock : int
        Optimizer steps these weights have made: Adam's own count where it keeps one, else the rewirer's.
    topology_version : int
        Of the module, when the arrays here were last true of it.
    seed : int
        Of the rewirer; names fixed signs.
    history : History
        Of its births and deaths.
    """

    name: str
    index: int
    source: str
    module: SparseLinear
    initial_density: float
    sites: NDArray[np.int64]
    signs: NDArray[np.int8] | None
    born_at: NDArray[np.int64]
    clock: int = 0
    topology_version: int = 0
    seed: int = 0
    history: History = field(init=False)

    def __post_init__(self) -> None:
        self.history = History(self.sites, self.n_sites, seed=self.seed, name=self.index)

    @property
    def values(self) -> Tensor:
        """Weights of the live synapses (K,), without gradient; a view to write through."""
        return self.module.values.data

    @property
    def array(self) -> NDArray[Any]:
        """The same as a NumPy array: the weights themselves if they are on a CPU, else a copy."""
        return as_numpy(self.values)

    @property
    def n_live(self) -> int:
        """Number of live synapses."""
        return self.sites.size

    @property
    def n_sites(self) -> int:
        """Number of possible synapses."""
        return self.module.n_sites


def as_numpy(values: Tensor) -> NDArray[Any]:
    """Return `values`, without gradient, as NumPy array: themselves if they are on a CPU, else a copy."""
    array: NDArray[Any] = (values if values.is_cpu else values.cpu()).numpy()
    return array


def populations(model: nn.Module) -> dict[SparseLinear, tuple[str, str]]:
    """Return name and source of each `SparseLinear` of a `SparseSNN` in `model`; other modules do not say.

    The name is that of the population it leads to, with `` (recurrent)`` for a connection to itself, as in the metrics
    of a training run; the source is the population its synapses come from.
    """
    found: dict[SparseLinear, tuple[str, str]] = {}
    for path, part in model.named_modules():
        if isinstance(part, SparseSNN):
            source, prefix = INPUT, f"{path}." if path else ""
            for name, layer in zip(part.names or (), part.layers(), strict=True):
                connections = ((layer.connection, name, source), (layer.recurrent, f"{name} (recurrent)", name))
                for connection, label, population in connections:
                    if isinstance(connection, SparseLinear):
                        found[connection] = (f"{prefix}{label}", f"{prefix}{population}")
                source = name
    return found
