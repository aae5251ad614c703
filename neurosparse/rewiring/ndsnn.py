"""NDSNN: drop and grow, with fewer synapses each time.

S. Huang et al., *Neurogenesis Dynamics-inspired Spiking Neural Network Training Acceleration*, DAC 2023. It starts
at a moderate sparsity s_i and ends at s_f along the cubic of Zhu and Gupta 2017. At an event a cosine-annealed fraction
dies, the smallest by magnitude, and births, where the gradient is largest, bring the layer to its present number:
``G = N (1 - s_t) - (K - D)``. The peak of memory is the start. No official code was found.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurosparse.rewiring.base import Method, Parts
from neurosparse.rewiring.budget import Ramp, ToRamp
from neurosparse.rewiring.death import SmallestMagnitude
from neurosparse.rewiring.gradient_birth import LargestGradient
from neurosparse.rewiring.optimizer_state import StatePolicy, checked_policy
from neurosparse.rewiring.schedule import CubicRamp

__all__ = ["NDSNN"]


@dataclass(frozen=True)
class NDSNN(Method):
    """Drop and grow while the network shrinks; needs ``attach(..., n_steps=...)``.

    Parameters
    ----------
    final : float in (0, 1]
        Synapses at the end as a part of those at the start, in every layer: a network of density 0.2 with
        ``final=0.1`` ends at 0.02.
    fraction : float in (0, 1]
        Of the live synapses that die at the first events.
    every : int
        Optimizer steps between two events.
    end : float in (0, 1]
        Part of the training after which the final number is reached.
    optimizer_state : {"age_corrected", "layer_mean", "zero", "carry"}
        What newborns get; see `neurosparse.rewiring.optimizer_state`.
    """

    final: float = 0.25
    fraction: float = 0.3
    every: int = 100
    end: float = 0.75
    optimizer_state: StatePolicy = "age_corrected"

    def __post_init__(self) -> None:
        self.parts()

    def parts(self) -> Parts:
        """See `Method`."""
        ramp = Ramp(self.final)
        return Parts(
            schedule=CubicRamp(self.fraction, self.every, self.end),
            death=SmallestMagnitude(ramp=ramp),
            budget=ToRamp(ramp),
            sites=LargestGradient(),
            optimizer_state=checked_policy("NDSNN", self.optimizer_state),
        )
