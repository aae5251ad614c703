"""How many synapses are born in each layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np

from neurosparse.rewiring.layer import SparseLayer

__all__ = ["Budget", "GlobalPool", "KeepPerLayer", "Promise"]

Promise = Literal["layer", "total", "none"]
"""Whose number of synapses a budget keeps exactly: every layer's, the network's, or nobody's."""


class Budget(Protocol):
    """Turns deaths into births."""

    keeps: ClassVar[Promise]

    def births(self, layers: list[SparseLayer], deaths: list[int], generator: np.random.Generator) -> list[int]:
        """Return the number of births per layer; never more than the layer's dormant sites after the deaths."""


@dataclass(frozen=True)
class KeepPerLayer:
    """Every layer keeps its number of synapses exactly."""

    keeps: ClassVar[Promise] = "layer"

    def births(self, layers: list[SparseLayer], deaths: list[int], generator: np.random.Generator) -> list[int]:
        """See `Budget`."""
        return list(deaths)


@dataclass(frozen=True)
class GlobalPool:
    """Only the total is kept: births go to layer l with probability proportional to n_sites_l * initial density_l.

    As in the authors' ``rewiring_global_constraint`` and in LSNN (Bellec et al. 2018). What a full layer cannot take is
    drawn again.
    """

    keeps: ClassVar[Promise] = "total"

    def births(self, layers: list[SparseLayer], deaths: list[int], generator: np.random.Generator) -> list[int]:
        """See `Budget`."""
        weight = np.array([layer.n_sites * layer.initial_density for layer in layers])
        room = np.array([layer.n_sites - layer.n_live + dead for layer, dead in zip(layers, deaths, strict=True)])
        births = np.zeros(len(layers), np.int64)
        left = sum(deaths)
        while left > 0:
            open_layers = np.where(births < room, weight, 0.0)
            drawn = generator.multinomial(left, open_layers / open_layers.sum())
            births = np.minimum(births + drawn, room)
            left = sum(deaths) - int(births.sum())
        return [int(n) for n in births]
