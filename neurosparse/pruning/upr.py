"""UPR: weights behind gates that learn, by a penalty on the expected number of synaptic operations, whether to open.

X. Shi, J. Ding, Z. Hao, Z. Yu, *Towards energy efficient spiking neural networks: an unstructured pruning framework*,
ICLR 2024. During the search ``w_eff = sigma(beta a) w`` with beta growing exponentially; then gates with a > 0 are open
for good, the others closed, and the weights are fine-tuned. A weight's gate in a fully connected layer costs one
operation per input spike, a neuron's as many as the neuron has targets; the authors add up both, as if the other did
not matter.
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
from neurosparse.pruning.selection import largest
from neurosparse.pruning.targets import check_fraction

__all__ = ["UPR"]

_MOMENTS = ("first_moment", "second_moment")
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
    neurons : bool
        Also learn a gate for every neuron, on its spikes: a factor of all its outgoing weights. Input lines, the
        sources of the first layer, have none.
    """

    penalty: float = 1e-5
    gate_rate: float = 1e-3
    search: float = 0.8
    sharpness: tuple[float, float] = (5.0, 1000.0)
    neurons: bool = False
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
            for name in ("gate", *_MOMENTS):
                layer.arrays[name] = torch.zeros_like(layer.latent)
            if self.neurons and layer.index > 0:
                for name in ("gate", *_MOMENTS):
                    layer.arrays[f"neuron_{name}"] = layer.latent.new_zeros(layer.shape[1])
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
            by_weight = gradient * layer.latent  # dE / d(opening) of a gate with nothing else in the way
            gradient.mul_(opening)
            step = run.n_steps + 1
            if "neuron_gate" in layer.arrays:
                out = torch.sigmoid(beta * layer.arrays["neuron_gate"])
                by_neuron = (by_weight * opening).sum(0) + self.penalty * layer.shape[0]
                _adam(layer.arrays, "neuron_", by_neuron * beta * out * (1 - out), self.gate_rate, step)
                by_weight, gradient = by_weight * out, gradient.mul_(out)
            _adam(layer.arrays, "", (by_weight + self.penalty) * slope, self.gate_rate, step)

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
        beta = self.beta(run.progress)
        torch.mul(layer.latent, torch.sigmoid(beta * layer.arrays["gate"]), out=layer.effective)
        if "neuron_gate" in layer.arrays:
            layer.effective.mul_(torch.sigmoid(beta * layer.arrays["neuron_gate"]))

    def _decide(self, run: Pruner) -> None:
        run.meta["decided"] = True
        for layer in run.layers:
            gates = layer.arrays["gate"]
            if "neuron_gate" in layer.arrays:  # both gates must be open
                gates = torch.minimum(gates, layer.arrays["neuron_gate"])
            layer.keep((gates > 0) | largest(gates, 1))  # never an empty layer: it would cut the network


def _adam(arrays: dict[str, Tensor], prefix: str, gradient: Tensor, rate: float, step: int) -> None:
    """Make step `step` (1, 2, ...) of Adam (Kingma and Ba 2015) on the gates that `prefix` names."""
    first, second = (arrays[prefix + name] for name in _MOMENTS)
    first.lerp_(gradient, 1 - _BETAS[0])
    second.lerp_(gradient.square(), 1 - _BETAS[1])
    denominator = (second / (1 - _BETAS[1] ** step)).sqrt() + _EPSILON
    arrays[f"{prefix}gate"].sub_(rate / (1 - _BETAS[0] ** step) * first / denominator)
