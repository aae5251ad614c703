"""UPR: weights behind gates that learn, by a penalty on the expected number of synaptic operations, whether to open.

X. Shi, J. Ding, Z. Hao, Z. Yu, *Towards energy efficient spiking neural networks: an unstructured pruning framework*,
ICLR 2024. During the search ``w_eff = sigma(beta a) w`` with beta growing exponentially; then gates with a > 0 are open
for good, the others closed, and the weights are fine-tuned. A gate of a fully connected layer costs one operation per
input spike, whichever it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from neurosparse.errors import ValidationError
from neurosparse.pruning.base import Pruner, PruningMethod
from neurosparse.pruning.layer import DenseLayer
from neurosparse.pruning.selection import largest
from neurosparse.pruning.targets import check_fraction

__all__ = ["UPR"]

_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # of the gates' Adam


@dataclass(frozen=True)
class UPR(PruningMethod):
    """Learn a gate beside every weight, then keep the weights whose gates are open.

    Holds dense matrices of weights, gates and the gates' Adam moments. The density is a result of `penalty`.

    Parameters
    ----------
    penalty : float
        Added to the loss per open gate: ``penalty * sum sigma(beta a)``.
    gate_rate : float
        Learning rate of the gates.
    search : float in (0, 1]
        Fraction of the training that learns the gates; the rest fine-tunes the open weights.
    sharpness : (float, float)
        beta at the beginning and at the end of the search.
    """

    penalty: float = 1e-5
    gate_rate: float = 1e-3
    search: float = 0.8
    sharpness: tuple[float, float] = (5.0, 1000.0)
    keeps_latent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_fraction("UPR", "search", self.search, low_included=False)
        for name in ("penalty", "gate_rate"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValidationError(f"UPR.{name}: must be finite and >= 0, got {getattr(self, name)}")
        object.__setattr__(self, "sharpness", tuple(self.sharpness))  # TOML has lists
        if len(self.sharpness) != 2 or not 0 < self.sharpness[0] <= self.sharpness[1] < math.inf:
            raise ValidationError(f"UPR.sharpness: must be two numbers 0 < first <= last, got {self.sharpness}")

    def beta(self, progress: float) -> float:
        """Return the sharpness at `progress` in [0, 1] of the whole training."""
        first, last = self.sharpness
        return float(first * (last / first) ** min(1.0, progress / self.search))

    def prepare(self, run: Pruner) -> None:
        """See `PruningMethod`: all gates half open."""
        for layer in run.layers:
            for name in ("gate", "first_moment", "second_moment"):
                layer.arrays[name] = torch.zeros_like(layer.latent)
            self._gate(run, layer)

    def before_step(self, run: Pruner) -> None:
        """See `PruningMethod`: the chain rule through the gates, and a step of Adam for them."""
        if run.meta.get("decided"):
            run.mask_gradients()
            return
        beta = self.beta(run.progress)
        for layer in run.layers:
            gradient = layer.gradient
            if gradient is None:
                continue
            opening = torch.sigmoid(beta * layer.arrays["gate"])
            slope = beta * opening * (1 - opening)
            _adam(layer, gradient * layer.latent * slope + self.penalty * slope, self.gate_rate, run.n_steps + 1)
            gradient.mul_(opening)

    def after_step(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        if not run.meta.get("decided") and run.progress >= self.search and run.n_steps < run.total_steps:
            self._decide(run)
            run.forget_optimizer()
        for layer in run.layers:
            if run.meta.get("decided"):
                layer.apply_mask()
            else:
                self._gate(run, layer)

    def conclude(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        if not run.meta.get("decided"):
            self._decide(run)

    def _gate(self, run: Pruner, layer: DenseLayer) -> None:
        torch.mul(layer.latent, torch.sigmoid(self.beta(run.progress) * layer.arrays["gate"]), out=layer.effective)

    def _decide(self, run: Pruner) -> None:
        run.meta["decided"] = True
        for layer in run.layers:
            gates = layer.arrays["gate"]
            layer.keep((gates > 0) | largest(gates, 1))  # never an empty layer: it would cut the network


def _adam(layer: DenseLayer, gradient: torch.Tensor, rate: float, step: int) -> None:
    """Make step `step` (1, 2, ...) of Adam (Kingma and Ba 2015) on the layer's gates."""
    first, second = layer.arrays["first_moment"], layer.arrays["second_moment"]
    first.lerp_(gradient, 1 - _BETAS[0])
    second.lerp_(gradient.square(), 1 - _BETAS[1])
    denominator = (second / (1 - _BETAS[1] ** step)).sqrt() + _EPSILON
    layer.arrays["gate"].sub_(rate / (1 - _BETAS[0] ** step) * first / denominator)
