"""DSR: dynamic sparse reparameterization.

H. Mostafa, X. Wang, *Parameter Efficient Training of Deep Convolutional Neural Networks by Dynamic Sparse
Reparameterization*, ICML 2019, Algorithm 1. At every event all synapses below one adaptive threshold H die; H doubles
after too few deaths and halves after too many. The same number is born, in each layer in proportion to its survivors,
at random among the sites that have not just died, at 0. The total is exact; layers find their own densities.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurosparse.rewiring.base import Method, Parts
from neurosparse.rewiring.birth import UniformDormant
from neurosparse.rewiring.budget import BySurvivors
from neurosparse.rewiring.death import AdaptiveThreshold
from neurosparse.rewiring.optimizer_state import StatePolicy, checked_policy
from neurosparse.rewiring.schedule import Periods

__all__ = ["DSR"]


@dataclass(frozen=True)
class DSR(Method):
    """Dynamic sparse reparameterization: a global threshold, and synapses move to the layers that keep theirs.

    Parameters
    ----------
    fraction : float in (0, 1)
        Of all synapses, how many an event should replace; the authors' N_p (600 on MNIST) as a share.
    threshold : float > 0
        H at the start.
    every : int
        Optimizer steps between two events.
    doublings : tuple of float in (0, 1]
        Parts of the training after which `every` doubles (the authors on CIFAR-10: 1/8, 2/5, 7/10). Needs
        ``attach(..., n_steps=...)``.
    end : float in (0, 1]
        Part of the training after which nothing is rewired (the authors: 0.95). Below 1 needs ``n_steps``.
    optimizer_state : {"age_corrected", "layer_mean", "zero", "carry"}
        What newborns get; see `neurosparse.rewiring.optimizer_state`.
    """

    fraction: float = 0.02
    threshold: float = 1e-3
    every: int = 100
    doublings: tuple[float, ...] = ()
    end: float = 1.0
    optimizer_state: StatePolicy = "age_corrected"

    def __post_init__(self) -> None:
        object.__setattr__(self, "doublings", tuple(self.doublings))  # TOML has lists
        self.parts()

    def parts(self) -> Parts:
        """See `Method`."""
        return Parts(
            schedule=Periods(self.every, self.doublings, self.end),
            death=AdaptiveThreshold(self.fraction, self.threshold),
            budget=BySurvivors(),
            sites=UniformDormant(exclude_just_dead=True),
            optimizer_state=checked_policy("DSR", self.optimizer_state),
        )
