"""Deaths of DEEP R, births of RigL.

B. Meszaros, J. C. Knight, T. Nowotny, *Learning delays through gradients and structure: emergence of spatiotemporal
patterns in spiking neural networks*, Frontiers in Computational Neuroscience 18, 2024, train sparse delayed networks
with synapses that die when they cross zero and are born where the gradient is largest. Only the idea is theirs here:
their constants were not at hand.

Signs stay fixed per site, so the largest gradients that count are those that pull a synapse to its own side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from neurosparse.errors import UnknownNameError
from neurosparse.rewiring.base import Method, Parts
from neurosparse.rewiring.birth import DaleSigns, FixedSigns, Signs
from neurosparse.rewiring.death import SignCrossing
from neurosparse.rewiring.drift import L1Proximal
from neurosparse.rewiring.gradient_birth import LargestGradient
from neurosparse.rewiring.optimizer_state import StatePolicy, checked_policy
from neurosparse.rewiring.schedule import EveryStep

__all__ = ["DeepRRigL"]

_SignPolicy = Literal["fixed", "dale"]


@dataclass(frozen=True)
class DeepRRigL(Method):
    """DEEP R's deaths (L1 drift, sign crossing) with RigL's births (largest gradient).

    Parameters
    ----------
    alpha : float
        Strength of the L1 drift, as in `DeepR`.
    every : int
        Rewire after every `every`-th optimizer step. Each event costs a dense gradient's arithmetic (not its memory).
    signs : {"fixed", "dale"}
        Per potential synapse, or per presynaptic neuron.
    optimizer_state : {"age_corrected", "layer_mean", "zero", "carry"}
        What newborns get; see `neurosparse.rewiring.optimizer_state`.
    """

    alpha: float = 1e-2
    every: int = 20
    signs: _SignPolicy = "fixed"
    optimizer_state: StatePolicy = "age_corrected"

    def __post_init__(self) -> None:
        self.parts()

    def parts(self) -> Parts:
        """See `Method`."""
        if self.signs not in get_args(_SignPolicy):
            raise UnknownNameError("DeepRRigL.signs", str(self.signs), get_args(_SignPolicy))
        signs: Signs = DaleSigns() if self.signs == "dale" else FixedSigns()
        return Parts(
            schedule=EveryStep(self.every),
            death=SignCrossing(),
            sites=LargestGradient(signs),
            signs=signs,
            drift=(L1Proximal(self.alpha),),
            optimizer_state=checked_policy("DeepRRigL", self.optimizer_state),
        )
