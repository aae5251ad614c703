"""DEEP R without noise and with its L1 in the gradient, as mlGeNN has it.

J. C. Knight, J. Senk, T. Nowotny, *A flexible framework for structural plasticity in GPU-accelerated sparse spiking
neural networks*, Neuromorphic Computing and Engineering 6 014019, 2026. After every batch: ``gradient += C * sign``;
Adam, with the optimizer's own t for all synapses; deaths where the weight has crossed to the other side of its fixed
sign; as many births per projection, with all state zero.

Three differences: signs come from a hash of the site instead of a bit per potential synapse, and travel in
checkpoints; births are uniform over all sites, where mlGeNN draws a row first; and a newborn that no gradient has moved
dies whatever its sign (there 0 counts as positive). C is per mean gradient of the batch, as theirs before their sum
over it.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurosparse.rewiring.base import Method, Parts
from neurosparse.rewiring.before_step import GradientL1
from neurosparse.rewiring.birth import FixedSigns
from neurosparse.rewiring.death import SignCrossing
from neurosparse.rewiring.optimizer_state import StatePolicy, checked_policy
from neurosparse.rewiring.schedule import EveryStep

__all__ = ["MLGeNNDeepR"]


@dataclass(frozen=True)
class MLGeNNDeepR(Method):
    """Noise-free DEEP R with L1 in the gradient and newborns of zero state, after mlGeNN.

    Parameters
    ----------
    strength : float
        C, added to the gradient with the synapse's sign (mlGeNN's example: 1e-8; its paper's runs: 0.01 to 0.5).
    every : int
        Rewire after every `every`-th optimizer step.
    optimizer_state : {"zero", "age_corrected", "layer_mean", "carry"}
        What newborns get. ``zero`` is mlGeNN's: with Adam, whose bias correction goes by the optimizer's t, their first
        steps are then 3 to 6 times the learning rate.
    """

    strength: float = 1e-2
    every: int = 1
    optimizer_state: StatePolicy = "zero"

    def __post_init__(self) -> None:
        self.parts()

    def parts(self) -> Parts:
        """See `Method`."""
        return Parts(
            schedule=EveryStep(self.every),
            death=SignCrossing(),
            signs=FixedSigns(),
            gradient_terms=(GradientL1(self.strength),),
            optimizer_state=checked_policy("MLGeNNDeepR", self.optimizer_state),
        )
