"""DEEP R: rewiring as sampling of network configurations.

G. Bellec, D. Kappel, W. Maass, R. Legenstein, *Deep Rewiring: Training very sparse deep networks*, ICLR 2018. Every
potential synapse k has a fixed sign s_k; a live one has w_k = s_k * theta_k with theta_k > 0. In each step::

    theta_k <- theta_k - lr * dE/dtheta_k - lr * alpha + sqrt(2 * lr * T) * nu_k,   nu_k ~ N(0, 1)
    theta_k <= 0: the synapse becomes dormant, and a dormant site, drawn uniformly, is activated with theta = 0

The noise comes before the L1 drift, which stops at 0: a synapse then survives exactly if the sum of all three terms is
positive, as in the paper, whatever their order there. One deviation, the authors' own in their sparse-matrix script: a
newborn that no gradient has moved yet gets no noise, so it dies and is drawn again (`SignCrossing`, `Langevin`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from neurosparse.errors import UnknownNameError
from neurosparse.rewiring.base import Method, Parts
from neurosparse.rewiring.birth import DaleSigns, FixedSigns, RedrawnSigns, Signs
from neurosparse.rewiring.budget import Budget, GlobalPool, KeepPerLayer
from neurosparse.rewiring.death import SignCrossing
from neurosparse.rewiring.drift import L1Proximal, Langevin
from neurosparse.rewiring.optimizer_state import StatePolicy, checked_policy
from neurosparse.rewiring.schedule import EveryStep

__all__ = ["DeepR", "GlobalDeepR"]

SignPolicy = Literal["fixed", "redrawn", "dale"]
_SIGNS: dict[str, type[FixedSigns] | type[RedrawnSigns] | type[DaleSigns]] = {
    "fixed": FixedSigns,
    "redrawn": RedrawnSigns,
    "dale": DaleSigns,
}


@dataclass(frozen=True)
class DeepR(Method):
    """DEEP R with an exact number of synapses per layer.

    Parameters
    ----------
    alpha : float
        Strength of the L1 drift: a live weight shrinks by ``lr * alpha`` per step. With Adam, whose steps are of size
        lr whatever the loss, useful values are 1e-3 to 3e-2; the authors used 1e-5 with SGD.
    temperature : float
        T of the Langevin noise in the paper's sense; `neurosparse.rewiring.drift.temperature_from_code` translates the
        authors' code, whose T is 2.5e-11. Turnover comes from the gradient's own noise and the newborns; 0 is a good
        default.
    every : int
        Rewire after every `every`-th optimizer step.
    signs : {"fixed", "redrawn", "dale"}
        ``fixed``: per potential synapse, for life (the paper); ``redrawn`` at each birth; ``dale``: per presynaptic
        neuron.
    optimizer_state : {"age_corrected", "layer_mean", "zero", "carry"}
        What newborns get; see `neurosparse.rewiring.optimizer_state`.
    """

    alpha: float = 1e-2
    temperature: float = 0.0
    every: int = 1
    signs: SignPolicy = "fixed"
    optimizer_state: StatePolicy = "age_corrected"

    def __post_init__(self) -> None:
        self.parts()  # every wrong hyper-parameter is an error here, where it was given

    def parts(self) -> Parts:
        """See `Method`."""
        return Parts(
            schedule=EveryStep(self.every),
            death=SignCrossing(),
            budget=self._budget(),
            signs=self._signs(),
            drift=(Langevin(self.temperature), L1Proximal(self.alpha)),
            optimizer_state=checked_policy("DeepR", self.optimizer_state),
        )

    def _budget(self) -> Budget:
        return KeepPerLayer()

    def _signs(self) -> Signs:
        if self.signs not in _SIGNS:
            raise UnknownNameError("DeepR.signs", str(self.signs), _SIGNS)
        return _SIGNS[self.signs]()


@dataclass(frozen=True)
class GlobalDeepR(DeepR):
    """DEEP R with one budget for the whole network: the total is exact, layers gain and lose synapses."""

    def _budget(self) -> Budget:
        return GlobalPool()
