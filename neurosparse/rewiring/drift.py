"""What happens to live weights after each optimizer step, beside the gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from neurosparse.errors import ValidationError
from neurosparse.rewiring.layer import SparseLayer

__all__ = ["Drift", "L1Proximal", "Langevin", "WeightDecay", "temperature_from_code"]


class Drift(Protocol):
    """Changes the live values of a layer in place."""

    def apply(self, layer: SparseLayer, learning_rate: float, generator: np.random.Generator) -> None:
        """`learning_rate`: of the optimizer group the layer's values are in."""


@dataclass(frozen=True)
class L1Proximal:
    """Soft threshold ``w <- sign(w) max(|w| - learning_rate * alpha, 0)``: the proximal step of alpha * |w|.

    Unlike a gradient of alpha * |w| it never steps over 0, and it is never amplified by Adam.
    """

    alpha: float

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < math.inf:
            raise ValidationError(f"alpha: the strength of L1 must be finite and >= 0, got {self.alpha}")

    def apply(self, layer: SparseLayer, learning_rate: float, generator: np.random.Generator) -> None:
        """See `Drift`."""
        if self.alpha:
            values = layer.values
            values.copy_(torch.nn.functional.softshrink(values, learning_rate * self.alpha))


@dataclass(frozen=True)
class Langevin:
    """Gaussian noise of standard deviation ``sqrt(2 * learning_rate * T)`` on every live weight that is not 0.

    T in the sense of Bellec et al. 2018. A newborn that no gradient has moved gets none: noise alone must not decide
    that a useless synapse lives.
    """

    temperature: float

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise ValidationError(f"temperature: must be finite and >= 0, got {self.temperature}")

    def apply(self, layer: SparseLayer, learning_rate: float, generator: np.random.Generator) -> None:
        """See `Drift`."""
        std = math.sqrt(2 * learning_rate * self.temperature)
        if std:
            values = layer.values
            noise = torch.from_numpy(generator.standard_normal(values.numel())).to(values)
            values += std * noise * (values != 0)


@dataclass(frozen=True)
class WeightDecay:
    """Decoupled weight decay ``w <- (1 - learning_rate * strength) w`` of live weights (Loshchilov and Hutter 2019)."""

    strength: float

    def __post_init__(self) -> None:
        if not 0 <= self.strength < math.inf:
            raise ValidationError(f"weight_decay: must be finite and >= 0, got {self.strength}")

    def apply(self, layer: SparseLayer, learning_rate: float, generator: np.random.Generator) -> None:
        """See `Drift`."""
        if self.strength:
            layer.values.mul_(1 - learning_rate * self.strength)


def temperature_from_code(learning_rate: float, sigma: float) -> float:
    """Return the T for which the paper's noise equals the authors' code, which adds ``learning_rate * N(0, sigma)``.

    >>> f"{temperature_from_code(0.5, 1e-5):.3g}"
    '2.5e-11'
    """
    return learning_rate * sigma**2 / 2
