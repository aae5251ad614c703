"""Parts whose behaviour a test writes down, so that births and deaths happen where it wants them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from neurosparse import SparseLinear
from neurosparse.rewiring.base import Parts, Rewirer
from neurosparse.rewiring.layer import SparseLayer
from neurosparse.rewiring.schedule import Event, EveryStep


@dataclass
class Script:
    """Death and birth by list: at rewirer step t the sites ``dies[t]`` die and the sites ``born[t]`` are born."""

    dies: Mapping[int, list[int]] = field(default_factory=dict)
    born: Mapping[int, list[int]] = field(default_factory=dict)
    step: int = 0

    def select(self, layers: list[SparseLayer], event: Event) -> list[NDArray[np.bool_]]:
        self.step += 1
        return [np.isin(layer.sites, self.dies.get(self.step, [])) for layer in layers]

    def choose(self, layer: SparseLayer, dead: NDArray[np.int64], n: int, generator: object) -> NDArray[np.int64]:
        sites = np.array(self.born[self.step], np.int64)
        assert sites.size == n
        return sites


def one_layer(n_in: int, n_out: int, sites: list[int], values: list[float]) -> SparseLinear:
    """A float64 layer with exactly these synapses."""
    layer = SparseLinear(n_in, n_out, n_synapses=n_out, dtype=torch.float64)
    layer.set_topology(np.array(sites, np.int64), torch.tensor(values, dtype=torch.float64))
    return layer


def scripted(layer: SparseLinear, optimizer: torch.optim.Optimizer, script: Script, **parts: object) -> Rewirer:
    """A rewirer of one layer that follows `script`."""
    return Rewirer(Parts(EveryStep(), script, sites=script, **parts), nn.Sequential(layer), optimizer)
