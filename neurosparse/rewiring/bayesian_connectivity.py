"""Bayesian connectivity sampling: global DEEP R with weight decay.

O. Özdenizci, R. Legenstein, *Training Adversarially Robust Sparse Networks via Bayesian Connectivity Sampling*, ICML
2021. After every step: decoupled weight decay, noise on the live weights, deaths at zero, and births in layers drawn in
proportion to their possible synapses, the total fixed. There is no L1. The other half of the paper is the adversarial
objective, which is a matter of the loss and not of rewiring: combine this method with one.

The authors keep the momentum of dead sites, so that a synapse born where one has just died inherits a pull downwards;
here newborns start without.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurosparse.rewiring.base import Method, Parts
from neurosparse.rewiring.birth import FixedSigns
from neurosparse.rewiring.budget import GlobalPool
from neurosparse.rewiring.death import SignCrossing
from neurosparse.rewiring.drift import Langevin, WeightDecay
from neurosparse.rewiring.optimizer_state import StatePolicy, checked_policy
from neurosparse.rewiring.schedule import EveryStep

__all__ = ["BayesianConnectivity"]


@dataclass(frozen=True)
class BayesianConnectivity(Method):
    """Bayesian connectivity sampling: sign crossing, one budget for the network, weight decay and noise.

    Parameters
    ----------
    weight_decay : float
        Decoupled (do not give the optimizer one as well); the authors use 5e-4 to 1e-3 with a learning rate of 0.1.
    temperature : float
        T of the noise ``sqrt(2 * lr * T)``. The authors add ``lr * N(0, 1e-6)``, at a rate of 0.1 the default
        (`neurosparse.rewiring.drift.temperature_from_code`): next to the gradient's own noise, nothing.
    every : int
        Rewire after every `every`-th optimizer step.
    optimizer_state : {"age_corrected", "layer_mean", "zero", "carry"}
        What newborns get; see `neurosparse.rewiring.optimizer_state`.
    """

    weight_decay: float = 5e-4
    temperature: float = 5e-14
    every: int = 1
    optimizer_state: StatePolicy = "age_corrected"

    def __post_init__(self) -> None:
        self.parts()

    def parts(self) -> Parts:
        """See `Method`."""
        return Parts(
            schedule=EveryStep(self.every),
            death=SignCrossing(),
            budget=GlobalPool(by="sites"),
            signs=FixedSigns(),
            drift=(WeightDecay(self.weight_decay), Langevin(self.temperature)),
            optimizer_state=checked_policy("BayesianConnectivity", self.optimizer_state),
        )
