"""Soft-DEEP R: DEEP R without a fixed number of synapses.

G. Bellec, D. Kappel, W. Maass, R. Legenstein, *Deep Rewiring: Training very sparse deep networks*, ICLR 2018. Every
potential synapse has a theta that walks at random; live ones (theta > 0) also feel the gradient and the L1 drift, and
dormant ones only walk, above a floor theta_min < 0 that keeps them within reach. Unlike DEEP R it holds a dense matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from neurosparse.errors import ValidationError
from neurosparse.pruning.base import Pruner, PruningMethod
from neurosparse.pruning.grad_r import add_signs, signed_relu

__all__ = ["SoftDeepR"]


@dataclass(frozen=True)
class SoftDeepR(PruningMethod):
    """Langevin sampling with a floor for dormant synapses instead of a hard number of synapses.

    Holds dense matrices of theta and of signs beside the sparse weights. Without a gradient, the tail above 0 is
    exponential with scale T / alpha and the box below it flat, so ``theta_min = -(1 - p) T / (p alpha)`` gives density
    p; with one, the density is a result.

    Parameters
    ----------
    density : float in (0, 1)
        p. Initial synapses are drawn with probability p and have the magnitude of the dense weights (the authors' code
        makes half of them negative, hence dormant).
    alpha : float
        Strength of the L1 drift.
    temperature : float
        T of the noise, in the paper's sense; > 0, because the noise alone brings synapses back.
    """

    density: float = 0.05
    alpha: float = 1e-3
    temperature: float = 1e-7
    keeps_latent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.density < 1:
            raise ValidationError(f"SoftDeepR.density: must lie in (0, 1), got {self.density}")
        for name in ("alpha", "temperature"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValidationError(f"SoftDeepR.{name}: must be finite and > 0, got {getattr(self, name)}")

    @property
    def floor(self) -> float:
        """theta_min."""
        return -(1 - self.density) * self.temperature / (self.density * self.alpha)

    def prepare(self, run: Pruner) -> None:
        """See `PruningMethod`: a random fraction p lives, the others are spread over the box below 0."""
        for layer in run.layers:
            add_signs(layer)
            drawn = torch.from_numpy(run.generator.random((2, *layer.shape))).to(layer.latent)
            theta = torch.where(drawn[0] < self.density, layer.latent.abs(), drawn[1] * self.floor)
            layer.latent.copy_(theta * layer.arrays["sign"])
            layer.set_effective(signed_relu(layer))

    def before_step(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        run.mask_gradients()
        for layer in run.layers:
            layer.before = layer.latent.clone()

    def after_step(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        for layer in run.layers:
            sign = layer.arrays["sign"]
            # Left-over momentum and weight decay move dormant weights, too; only the noise may.
            before = layer.latent if layer.before is None else layer.before
            theta, layer.before = torch.where(layer.mask, layer.latent, before) * sign, None
            rate = float(run.group_of(layer)["lr"])
            noise = torch.from_numpy(run.generator.standard_normal(layer.shape)).to(theta)
            theta += math.sqrt(2 * rate * self.temperature) * noise - rate * self.alpha * (theta > 0)
            layer.latent.copy_(theta.clamp(min=self.floor) * sign)
            layer.set_effective(signed_relu(layer))
