"""Grad R: gradient rewiring, in which dormant synapses feel the gradient they would have if they were live.

Y. Chen, Z. Yu, W. Fang, T. Huang, Y. Tian, *Pruning of deep spiking neural networks through gradient rewiring*, IJCAI
2021, arXiv:2105.04916. ``w = s * max(theta, 0)`` with a fixed sign s; dE/dtheta is taken as s * dE/dw also where theta
< 0, so that the loss can pull a dormant synapse back. The drift is that of a Laplace prior around mu < 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neurosparse.errors import ValidationError
from neurosparse.pruning.base import Pruner, PruningMethod
from neurosparse.pruning.layer import DenseLayer

__all__ = ["GradR", "add_signs", "signed_relu"]


@dataclass(frozen=True)
class GradR(PruningMethod):
    """``theta <- theta - lr * s * dE/dw - lr * alpha * sign(theta - mu)`` for all theta, live or not.

    Holds dense matrices of theta and of signs beside the sparse weights. The density is a result: `density` sets only
    the prior, ``mu = ln(2 * density) / alpha``, whose own mass above 0 is `density`.

    Parameters
    ----------
    density : float in (0, 0.5]
        p of the prior.
    alpha : float
        Slope of the prior. The authors use 1e-3 and hundreds of epochs; short trainings need more.
    """

    density: float = 0.05
    alpha: float = 1e-3
    keeps_latent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.density <= 0.5:
            raise ValidationError(
                f"GradR.density: the prior's mean is negative only for densities in (0, 0.5], got {self.density}"
            )
        if not 0 < self.alpha < math.inf:
            raise ValidationError(f"GradR.alpha: must be finite and > 0, got {self.alpha}")

    @property
    def mean(self) -> float:
        """mu of the prior."""
        return math.log(2 * self.density) / self.alpha

    def prepare(self, run: Pruner) -> None:
        """See `PruningMethod`: theta starts at |w|."""
        for layer in run.layers:
            add_signs(layer)
            layer.set_effective(signed_relu(layer))

    def before_step(self, run: Pruner) -> None:
        """See `PruningMethod`. The optimizer moves s * theta by dE/dw, live or not: that is theta by s * dE/dw."""

    def after_step(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        for layer in run.layers:
            strength = float(run.group_of(layer)["lr"]) * self.alpha
            sign = layer.arrays["sign"]
            theta = layer.latent * sign
            layer.latent.sub_(strength * torch.sign(theta - self.mean) * sign)
            layer.set_effective(signed_relu(layer))


def add_signs(layer: DenseLayer) -> None:
    """Keep the sign of every initial weight, +1 for those that are 0."""
    layer.arrays["sign"] = torch.where(layer.latent < 0, -1.0, 1.0).to(layer.latent)


def signed_relu(layer: DenseLayer) -> Tensor:
    """Return ``s * max(theta, 0)`` of latent weights s * theta."""
    return torch.where(layer.latent * layer.arrays["sign"] > 0, layer.latent, 0.0)
