"""ESL-SNN: evolutionary structure learning of spiking networks.

J. Shen, Q. Xu, J. K. Liu, Y. Wang, G. Pan, H. Tang, *ESL-SNNs: An Evolutionary Structure Learning Strategy for Spiking
Neural Networks*, AAAI 2023. SET and RigL carried over to spiking networks: constant density from an Erdos-Renyi start,
the smallest weights of a cosine-annealed fraction die, births are random or by gradient. No official code was found;
the annealing and the constants are those of RigL, which the paper builds on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from neurosparse.errors import UnknownNameError
from neurosparse.rewiring.base import Method, Parts
from neurosparse.rewiring.birth import BirthSites, UniformDormant
from neurosparse.rewiring.death import SmallestMagnitude
from neurosparse.rewiring.gradient_birth import LargestGradient
from neurosparse.rewiring.optimizer_state import StatePolicy, checked_policy
from neurosparse.rewiring.schedule import CosineFraction

__all__ = ["ESLSNN"]

_GROWTH: dict[str, type[UniformDormant] | type[LargestGradient]] = {
    "random": UniformDormant,
    "gradient": LargestGradient,
}


@dataclass(frozen=True)
class ESLSNN(Method):
    """Evolutionary structure learning: magnitude deaths, random or gradient births; needs ``n_steps``.

    Parameters
    ----------
    growth : {"gradient", "random"}
        Where synapses are born.
    fraction, every, end
        Fraction replaced at the start, optimizer steps between two events, part of the training with events.
    optimizer_state : {"age_corrected", "layer_mean", "zero", "carry"}
        What newborns get; see `neurosparse.rewiring.optimizer_state`.
    """

    growth: Literal["gradient", "random"] = "gradient"
    fraction: float = 0.3
    every: int = 100
    end: float = 0.75
    optimizer_state: StatePolicy = "age_corrected"

    def __post_init__(self) -> None:
        self.parts()

    def parts(self) -> Parts:
        """See `Method`."""
        if self.growth not in _GROWTH:
            raise UnknownNameError("ESLSNN.growth", str(self.growth), _GROWTH)
        sites: BirthSites = _GROWTH[self.growth]()
        return Parts(
            schedule=CosineFraction(self.fraction, self.every, self.end),
            death=SmallestMagnitude(),
            sites=sites,
            optimizer_state=checked_policy("ESLSNN", self.optimizer_state),
        )
