"""Where synapses are born, with which weight and which sign; by gradient: `neurosparse.rewiring.gradient_birth`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.rng import sample_distinct, stream
from neurosparse.errors import ValidationError
from neurosparse.kernels.hashing import signs_from_hash
from neurosparse.kernels.topology import draw_dormant
from neurosparse.rewiring.layer import SparseLayer

__all__ = [
    "BirthSites",
    "BirthValues",
    "DaleSigns",
    "FixedSigns",
    "FreeSigns",
    "NormalValues",
    "RedrawnSigns",
    "Signs",
    "UniformDormant",
    "ZeroValues",
]

Sites = NDArray[np.int64]
Slots = NDArray[np.int64]
SignArray = NDArray[np.int8]


class BirthSites(Protocol):
    """Chooses dormant sites.

    One that needs the gradient there has a class attribute ``needs_gradient = True``: the layers of the model then
    carry a `GradientProbe` in the steps that the schedule foresees.
    """

    def choose(self, layer: SparseLayer, dead: Slots, n: int, generator: np.random.Generator) -> Sites:
        """Return `n` distinct sorted sites of `layer` that hold no synapse, or one of those in the slots `dead`.

        `dead` (D,) are increasing positions in ``layer.sites``; ``np.delete(layer.sites, dead)`` are the survivors.
        """


@dataclass(frozen=True)
class UniformDormant:
    """Uniformly over all dormant sites, without replacement; O(n log K).

    Parameters
    ----------
    exclude_just_dead : bool
        Leave out the sites that die in this event, as DSR does, unless there are not enough others.
    """

    exclude_just_dead: bool = False

    def choose(self, layer: SparseLayer, dead: Slots, n: int, generator: np.random.Generator) -> Sites:
        """See `BirthSites`."""
        free = dead[:0] if self.exclude_just_dead else dead
        n_others = min(n, layer.n_sites - layer.n_live + free.size)
        born = draw_dormant(layer.sites, layer.n_sites, n_others, generator, dead=free)
        if born.size == n:
            return born
        just_dead = layer.sites[dead]
        return np.union1d(born, just_dead[sample_distinct(generator, dead.size, n - born.size)])


class BirthValues(Protocol):
    """Gives newborns their weights."""

    def of(self, layer: SparseLayer, sites: Sites, generator: np.random.Generator) -> NDArray[np.float64] | None:
        """Return the weights of newborns at `sites`, or None for zeros; signed methods take their size only."""


@dataclass(frozen=True)
class ZeroValues:
    """Newborns start at 0: the network's function does not change by a birth."""

    def of(self, layer: SparseLayer, sites: Sites, generator: np.random.Generator) -> NDArray[np.float64] | None:
        """See `BirthValues`."""
        return None


@dataclass(frozen=True)
class NormalValues:
    """Newborns start at N(0, std**2), as in the sparse code of SET's authors (std 0.1)."""

    std: float

    def __post_init__(self) -> None:
        if not 0 <= self.std < math.inf:
            raise ValidationError(f"NormalValues.std: must be finite and >= 0, got {self.std}")

    def of(self, layer: SparseLayer, sites: Sites, generator: np.random.Generator) -> NDArray[np.float64] | None:
        """See `BirthValues`."""
        return generator.standard_normal(sites.size) * self.std if self.std else None


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
        return signs_from_hash(sites, seed, layer.index)


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
