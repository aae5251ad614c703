"""Penalties on firing rates and on weights, added to a loss.

A rate f is in spikes per step, the mean over time and batch, so that a strength means the same for every batch size and
sequence length (snnTorch's ``l1_rate_sparsity`` sums over both, and does not). Rates are those of the hidden layers:
call the network with ``record=True``. By hand::

    out = net(x, record=True)
    loss = ns.losses.rate_cross_entropy(out, y) + ns.losses.TargetRate(strength=0.1, rate=0.01)(out)

and in a configuration ``[regularizers.target_rate]`` with the same names.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from neurosparse.core.registry import Registry
from neurosparse.errors import ValidationError
from neurosparse.nn.sparse import SparseLinear

__all__ = [
    "REGULARIZERS",
    "L1Rate",
    "L1Weights",
    "L2Weights",
    "ProximalL1",
    "Regularizer",
    "TargetRate",
    "TwoSidedRate",
]

REGULARIZERS = Registry(
    "regularizers",
    {
        "l1_rate": "neurosparse.training.regularizers:L1Rate",
        "target_rate": "neurosparse.training.regularizers:TargetRate",
        "two_sided_rate": "neurosparse.training.regularizers:TwoSidedRate",
        "l1": "neurosparse.training.regularizers:L1Weights",
        "l2": "neurosparse.training.regularizers:L2Weights",
        "proximal_l1": "neurosparse.training.regularizers:ProximalL1",
    },
)
"""By name, for configurations."""


@dataclass(frozen=True)
class Regularizer(ABC):
    """A penalty: a frozen object of its constants, called on what the network did."""

    needs_layers: ClassVar[bool] = False
    """Whether it looks at hidden layers, so that the network must be called with ``record=True``."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not 0 <= value < math.inf:
                raise ValidationError(
                    f"{type(self).__name__}.{field.name}: must be a finite number >= 0, got {value!r}"
                )

    def attach(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:  # noqa: B027, most are only a loss
        """Prepare what is not a term of the loss."""

    @abstractmethod
    def __call__(self, output: Any, model: nn.Module | None = None) -> Tensor:
        """Return the penalty, a scalar.

        Parameters
        ----------
        output : Output, or sequence of Tensor (time, batch, n)
            What ``net(x, record=True)`` returned, or the spikes of the layers to regularise.
        model : Module, optional
            For penalties on weights.
        """


@dataclass(frozen=True)
class L1Rate(Regularizer):
    """``strength * sum_j f_j`` over all hidden neurons j."""

    strength: float = 1e-3
    needs_layers: ClassVar[bool] = True

    def __call__(self, output: Any, model: nn.Module | None = None) -> Tensor:
        """See `Regularizer`."""
        return self.strength * _total([spikes.mean((0, 1)).sum() for spikes in _hidden(output)])


@dataclass(frozen=True)
class TargetRate(Regularizer):
    """``strength * sum_j (f_j - rate)**2``: that of long short-term spiking networks (Bellec et al. 2018).

    Their target of 10 Hz at 1 ms per step is a rate of 0.01, with strength 0.1 for rates in units of their own.
    """

    strength: float = 0.1
    rate: float = 0.01
    needs_layers: ClassVar[bool] = True

    def __call__(self, output: Any, model: nn.Module | None = None) -> Tensor:
        """See `Regularizer`."""
        terms = [(spikes.mean((0, 1)) - self.rate).square().sum() for spikes in _hidden(output)]
        return self.strength * _total(terms)


@dataclass(frozen=True)
class TwoSidedRate(Regularizer):
    """Neither too many spikes nor dead neurons (Perez-Nieves and Goodman 2021), in spikes per sample.

    ``upper_strength * max(0, mean count - upper)`` of every layer, and ``lower_strength * sum_j max(0, lower -
    count_j)**2`` over its neurons. The second is what keeps a network alive under surrogates of compact support, which
    give no gradient to a neuron far from its threshold; it needs to fire for some sample to be pulled.
    """

    upper: float = 1.0
    lower: float = 1e-3
    upper_strength: float = 0.06
    lower_strength: float = 100.0
    needs_layers: ClassVar[bool] = True

    def __call__(self, output: Any, model: nn.Module | None = None) -> Tensor:
        """See `Regularizer`."""
        terms = []
        for spikes in _hidden(output):
            counts = spikes.sum(0).mean(0)
            terms.append(self.upper_strength * (counts.mean() - self.upper).clamp(min=0))
            terms.append(self.lower_strength * (self.lower - counts).clamp(min=0).square().sum())
        return _total(terms)


@dataclass(frozen=True)
class L1Weights(Regularizer):
    """``strength * sum |w|`` by its subgradient: weights chatter around 0 and are never exactly 0.

    For zeros use `ProximalL1`; with Adam also for a shrinkage that does not depend on the gradient's size.
    """

    strength: float = 1e-5

    def __call__(self, output: Any, model: nn.Module | None = None) -> Tensor:
        """See `Regularizer`."""
        return self.strength * _total([weights.abs().sum() for weights in _weights(model)])


@dataclass(frozen=True)
class L2Weights(Regularizer):
    """``strength / 2 * sum w**2`` in the loss; `weight_decay` of AdamW is the decoupled form."""

    strength: float = 1e-4

    def __call__(self, output: Any, model: nn.Module | None = None) -> Tensor:
        """See `Regularizer`."""
        return self.strength / 2 * _total([weights.square().sum() for weights in _weights(model)])


@dataclass(frozen=True)
class ProximalL1(Regularizer):
    """``w <- sign(w) max(|w| - lr * strength, 0)`` after every optimizer step: weights that are exactly 0."""

    strength: float = 1e-3

    def attach(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Apply it after every step of `optimizer` from now on."""
        chosen = {id(weights) for weights in _weights(model)}

        @torch.no_grad()
        def shrink(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            for group in optimizer.param_groups:
                for weights in group["params"]:
                    if id(weights) in chosen:
                        weights.copy_(nn.functional.softshrink(weights, float(group["lr"]) * self.strength))

        optimizer.register_step_post_hook(shrink)

    def __call__(self, output: Any, model: nn.Module | None = None) -> Tensor:
        """Return 0: it is no term of the loss."""
        return torch.zeros(())


def _hidden(output: Any) -> Sequence[Tensor]:
    """Return the spikes of the hidden layers (time, batch, n)."""
    if isinstance(output, (list, tuple)):
        return output
    if not output.layers:
        raise ValidationError("regularizer: looks at the hidden layers; call the network with net(x, record=True)")
    return [spikes for spikes, _ in output.layers[:-1]]


def _weights(model: nn.Module | None) -> list[Tensor]:
    """Return the weights, without biases, of all connections in `model`."""
    if model is None:
        raise ValidationError("regularizer: a penalty on weights needs the model as its second argument")
    modules = list(model.modules())
    return [m.values if isinstance(m, SparseLinear) else m.weight for m in modules if isinstance(m, _CONNECTIONS)]


_CONNECTIONS = (SparseLinear, nn.Linear)


def _total(terms: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum() if terms else torch.zeros(())
