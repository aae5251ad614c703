"""STDS: state transition of dendritic spines, a soft threshold that rises while latent weights keep learning.

Y. Chen, Z. Yu, W. Fang, Z. Ma, T. Huang, Y. Tian, *State transition of dendritic spines improves learning of sparse
spiking neural networks*, ICML 2022, PMLR 162:3701-3715.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch

from neurosparse.errors import UnknownNameError, ValidationError
from neurosparse.pruning.base import Pruner, PruningMethod

__all__ = ["STDS"]

Ramp = Literal["sine", "linear"]


@dataclass(frozen=True)
class STDS(PruningMethod):
    """``w = sign(theta) * max(|theta| - d, 0)`` with dw/dtheta taken as 1; the threshold d grows to `threshold`.

    Holds a dense matrix of latent weights beside the sparse ones. The density is a result of the threshold, not set.

    Parameters
    ----------
    threshold : float
        D, in the units of the weights: of the order of their initial standard deviation and above.
    ramp : {"sine", "linear"}
        ``d = D (1 + sin(pi (x - 1/2))) / 2`` or ``d = D x``, x from 0 to 1 over the training.
    """

    threshold: float = 0.1
    ramp: Ramp = "sine"
    keeps_latent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < math.inf:
            raise ValidationError(f"STDS.threshold: must be finite and >= 0, got {self.threshold}")
        if self.ramp not in get_args(Ramp):
            raise UnknownNameError("STDS.ramp", str(self.ramp), get_args(Ramp))

    def threshold_at(self, progress: float) -> float:
        """Return d at `progress` in [0, 1]."""
        if self.ramp == "linear":
            return self.threshold * progress
        return self.threshold * 0.5 * (1 + math.sin(math.pi * (progress - 0.5)))

    def before_step(self, run: Pruner) -> None:
        """See `PruningMethod`: every latent weight learns, but one that is exactly 0 has no sign to learn by."""
        for layer in run.layers:
            if layer.gradient is not None:
                layer.gradient.mul_(layer.latent != 0)

    def after_step(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        for layer in run.layers:
            layer.set_effective(torch.nn.functional.softshrink(layer.latent, self.threshold_at(run.progress)))

    def conclude(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        for layer in run.layers:
            layer.set_effective(torch.nn.functional.softshrink(layer.latent, self.threshold_at(1.0)))
