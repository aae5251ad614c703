"""RigL: births where the gradient is largest.

U. Evci, T. Gale, J. Menick, P. S. Castro, E. Elsen, *Rigging the Lottery: Making All Tickets Winners*, ICML 2020,
Algorithm 1. Every Delta T steps t < T_end each layer drops a fraction ``f(t) = alpha / 2 * (1 + cos(pi t / T_end))`` of
its synapses, the smallest by magnitude, and grows as many where ``|dL/dW|`` is largest, at 0. A synapse dropped and
grown in the same event keeps its weight and its moments, as in the authors' code; so does their rule that an event
takes the place of the gradient step. Their noise of 1e-5 on the drop scores, which breaks ties, is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurosparse.rewiring.base import Method, Parts
from neurosparse.rewiring.death import SmallestMagnitude
from neurosparse.rewiring.gradient_birth import LargestGradient
from neurosparse.rewiring.optimizer_state import StatePolicy, checked_policy
from neurosparse.rewiring.schedule import CosineFraction

__all__ = ["RigL"]


@dataclass(frozen=True)
class RigL(Method):
    """RigL: drop the smallest weights, grow the largest gradients; needs ``attach(..., n_steps=...)``.

    The gradient of dormant synapses is formed in blocks from the activity of one step, never as a matrix.

    Parameters
    ----------
    fraction : float in (0, 1]
        alpha, the fraction replaced at the start.
    every : int
        Delta T, optimizer steps between two events.
    end : float in (0, 1]
        T_end as a part of the training.
    skip_update : bool
        Whether the optimizer leaves out its step where there is an event (the paper's Algorithm 1).
    optimizer_state : {"age_corrected", "layer_mean", "zero", "carry"}
        What newborns get; see `neurosparse.rewiring.optimizer_state`.
    """

    fraction: float = 0.3
    every: int = 100
    end: float = 0.75
    skip_update: bool = True
    optimizer_state: StatePolicy = "age_corrected"

    def __post_init__(self) -> None:
        self.parts()

    def parts(self) -> Parts:
        """See `Method`."""
        return Parts(
            schedule=CosineFraction(self.fraction, self.every, self.end),
            death=SmallestMagnitude(),
            sites=LargestGradient(),
            optimizer_state=checked_policy("RigL", self.optimizer_state),
            skip_update=self.skip_update,
            keep_regrown=True,
        )
