"""Surrogate derivatives of the spike: ours, and the recognition of snnTorch's.

A spiking neuron's output is a step of ``x = v - threshold``; its derivative in the backward pass is replaced by:

    Atan(alpha)          alpha / 2 / (1 + (pi / 2 alpha x)^2)          Fang et al. 2021, snnTorch's default
    FastSigmoid(slope)   1 / (slope |x| + 1)^2                          Zenke & Ganguli 2018
    Sigmoid(slope)       slope e / (1 + e)^2, e = exp(-slope |x|)
    Triangular(width)    max(0, 1 - |x| / width) / width                Esser et al. 2016; zero outside the width
    Boxcar(width)        1 / (2 width) where |x| < width                zero outside the width

Each is a callable for snnTorch's ``spike_grad=`` that keeps the precision of its input (snnTorch's own return float32
for float64). ``Triangular`` and ``Boxcar`` have compact, two-sided support; snnTorch 1.0's ``triangular`` has the
wrong sign above threshold and no finite support, and its ``SFS`` is one-sided, so neither is recognised here: a layer
that uses them runs step by step.
"""

from __future__ import annotations

import inspect
import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import snntorch as snn
import torch
from torch import Tensor

from neurosparse.errors import ValidationError
from neurosparse.kernels import membrane

__all__ = ["Atan", "Boxcar", "FastSigmoid", "Sigmoid", "Surrogate", "Triangular", "identify"]


@dataclass(frozen=True)
class Surrogate:
    """A surrogate derivative with one positive parameter; call it on ``v - threshold`` to get the spikes."""

    parameter: float
    code: ClassVar[int] = membrane.NO_GRADIENT

    def __post_init__(self) -> None:
        if not (isinstance(self.parameter, (int, float)) and math.isfinite(self.parameter) and self.parameter > 0):
            raise ValidationError(
                f"{type(self).__name__}: must have a positive finite parameter, got {self.parameter!r}"
            )

    def derivative(self, x: Tensor) -> Tensor:
        """Return ds/dx, elementwise."""
        return torch.zeros_like(x)

    def __call__(self, x: Tensor) -> Tensor:
        """Return 1 where ``x > 0`` and 0 elsewhere, in the precision of `x`, differentiable by the surrogate."""
        spikes: Tensor = _Step.apply(x, self)
        return spikes


class Atan(Surrogate):
    """alpha / 2 / (1 + (pi / 2 alpha x)^2)."""

    code = membrane.ATAN

    def derivative(self, x: Tensor) -> Tensor:
        return self.parameter / 2 / (1 + (math.pi / 2 * self.parameter * x) ** 2)


class FastSigmoid(Surrogate):
    """1 / (slope |x| + 1)^2."""

    code = membrane.FAST_SIGMOID

    def derivative(self, x: Tensor) -> Tensor:
        return 1 / (self.parameter * x.abs() + 1) ** 2


class Sigmoid(Surrogate):
    """slope e / (1 + e)^2 with e = exp(-slope |x|): even in x, and finite where snnTorch's form overflows to NaN."""

    code = membrane.SIGMOID

    def derivative(self, x: Tensor) -> Tensor:
        e = torch.exp(-self.parameter * x.abs())
        return self.parameter * e / (1 + e) ** 2


class Triangular(Surrogate):
    """max(0, 1 - |x| / width) / width."""

    code = membrane.TRIANGULAR

    def derivative(self, x: Tensor) -> Tensor:
        return (1 - x.abs() / self.parameter).clamp(min=0) / self.parameter


class Boxcar(Surrogate):
    """1 / (2 width) where |x| < width."""

    code = membrane.BOXCAR

    def derivative(self, x: Tensor) -> Tensor:
        return (x.abs() < self.parameter).to(x.dtype) / (2 * self.parameter)


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradient * ctx.surrogate.derivative(x), None


_SNNTORCH: dict[str, tuple[type[Surrogate], str]] = {
    "atan.<locals>.inner": (Atan, "alpha"),
    "fast_sigmoid.<locals>.inner": (FastSigmoid, "slope"),
    "sigmoid.<locals>.inner": (Sigmoid, "slope"),
}


def identify(spike_grad: Callable[[Tensor], Tensor]) -> Surrogate | None:
    """Return what `spike_grad` computes as one of ours, or None if it is not known for certain.

    snnTorch's surrogates are anonymous closures: the factory's name and the captured parameter say what one should
    be, and its gradient at a few points is compared with ours before it is believed.
    """
    if isinstance(spike_grad, Surrogate):
        return spike_grad if type(spike_grad) in (Atan, FastSigmoid, Sigmoid, Triangular, Boxcar) else None
    if spike_grad is snn.SpikingNeuron._surrogate_bypass:
        return Surrogate(1.0)
    known = _SNNTORCH.get(getattr(spike_grad, "__qualname__", ""))
    if known is None or getattr(spike_grad, "__module__", "") != "snntorch.surrogate":
        return None
    if spike_grad not in _identified:
        _identified[spike_grad] = _compare(spike_grad, *known)
    return _identified[spike_grad]


_identified: weakref.WeakKeyDictionary[Callable[[Tensor], Tensor], Surrogate | None] = weakref.WeakKeyDictionary()


def _compare(spike_grad: Callable[[Tensor], Tensor], kind: type[Surrogate], name: str) -> Surrogate | None:
    parameter = inspect.getclosurevars(spike_grad).nonlocals.get(name)
    if isinstance(parameter, bool) or not isinstance(parameter, (int, float)) or not 0 < parameter < math.inf:
        return None
    surrogate = kind(float(parameter))
    return surrogate if _agree(spike_grad, surrogate) else None


def _agree(spike_grad: Callable[[Tensor], Tensor], surrogate: Surrogate) -> bool:
    with torch.enable_grad():
        x = (
            torch.tensor([-2.0, -0.7, -0.1, 0.0, 0.2, 1.3], dtype=torch.float64) / surrogate.parameter
        ).requires_grad_()
        spikes = spike_grad(x)
        (slope,) = torch.autograd.grad(spikes.sum(), x)
    same_spikes = torch.equal(spikes.detach().double(), (x > 0).double())
    return same_spikes and torch.allclose(slope, surrogate.derivative(x.detach()), rtol=1e-6, atol=0)
