"""Where synapses are born, and with which sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.rng import sample_distinct, signs_from_hash, stream
from neurosparse.errors import ValidationError
from neurosparse.kernels.topology import dormant_sites
from neurosparse.rewiring.layer import SparseLayer

__all__ = ["BirthSites", "DaleSigns", "FixedSigns", "FreeSigns", "RedrawnSigns", "Signs", "UniformDormant"]

Sites = NDArray[np.int64]
SignArray = NDArray[np.int8]


class BirthSites(Protocol):
    """Chooses dormant sites."""

    def choose(self, layer: SparseLayer, survivors: Sites, n: int, generator: np.random.Generator) -> Sites:
        """Return `n` distinct sorted sites of `layer` that are not among `survivors` (sorted)."""


@dataclass(frozen=True)
class UniformDormant:
    """Uniformly over all dormant sites, those that have just died included, without replacement; O(n log K)."""

    def choose(self, layer: SparseLayer, survivors: Sites, n: int, generator: np.random.Generator) -> Sites:
        """See `BirthSites`."""
        return dormant_sites(survivors, sample_distinct(generator, layer.n_sites - survivors.size, n))


class Signs(Protocol):
    """Gives synapses the sign they must keep."""

    def of(self, layer: SparseLayer, sites: Sites, seed: int, generator: np.random.Generator) -> SignArray | None:
        """Return +1 or -1 for each of `sites`, or None where signs are free."""


@dataclass(frozen=True)
class FreeSigns:
    """Any synapse may change its sign."""

    def of(self, layer: SparseLayer, sites: Sites, seed: int, generator: np.random.Generator) -> SignArray | None:
        """See `Signs`."""
        return None


@dataclass(frozen=True)
class FixedSigns:
    """Every *potential* synapse has one sign for life (Bellec et al. 2018): a hash of its site, no memory."""

    def of(self, layer: SparseLayer, sites: Sites, seed: int, generator: np.random.Generator) -> SignArray | None:
        """See `Signs`."""
        return signs_from_hash(sites, seed, layer.index).astype(np.int8)


@dataclass(frozen=True)
class RedrawnSigns:
    """A fresh random sign at each birth, as in the authors' sparse-matrix script; initial weights keep theirs."""

    def of(self, layer: SparseLayer, sites: Sites, seed: int, generator: np.random.Generator) -> SignArray | None:
        """See `Signs`."""
        drawn = (1 - 2 * generator.integers(2, size=sites.size)).astype(np.int8)
        if layer.signs is not None:
            return drawn
        present = np.sign(layer.values.cpu().numpy()).astype(np.int8)  # at attachment `sites` are the layer's own
        return np.where(present != 0, present, drawn)


@dataclass(frozen=True)
class DaleSigns:
    """Dale's law: the sign belongs to the presynaptic neuron; a fraction of them, at random, excites (LSNN: 0.75).

    In a `SparseSNN` a neuron has the same sign in all its projections, recurrent and forward; in other models the
    layers do not say which population they come from, and each has signs of its own.
    """

    excitatory: float = 0.75

    def __post_init__(self) -> None:
        if not 0 <= self.excitatory <= 1:
            raise ValidationError(f"DaleSigns.excitatory: must lie in [0, 1], got {self.excitatory}")

    def of(self, layer: SparseLayer, sites: Sites, seed: int, generator: np.random.Generator) -> SignArray | None:
        """See `Signs`."""
        n_source = layer.module.in_features
        excites = stream(seed, "dale", layer.source).random(n_source) < self.excitatory
        return np.where(excites[sites % n_source], 1, -1).astype(np.int8)
