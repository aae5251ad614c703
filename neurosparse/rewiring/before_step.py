"""What a method does *inside* an optimizer step: terms added to the gradient, and steps left out.

A rewirer acts after ``optimizer.step()``. Two methods need to act before it: noise-free DEEP R adds its L1 to the
gradient, and RigL makes no gradient step when it rewires. Torch's optimizers call hooks around their step; these are
them.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from neurosparse.errors import ValidationError
from neurosparse.rewiring.layer import SparseLayer

if TYPE_CHECKING:
    from neurosparse.rewiring.base import Rewirer

__all__ = ["GradientL1", "GradientTerm", "act_before_steps"]


class GradientTerm(Protocol):
    """Changes the gradient of a layer's live weights, before the optimizer sees it."""

    def add(self, layer: SparseLayer, gradient: Tensor) -> None:
        """Add to `gradient` (K,) in place."""


@dataclass(frozen=True)
class GradientL1:
    """``dE/dw <- dE/dw + strength * sign`` with the synapse's fixed sign: mlGeNN's L1.

    Unlike a proximal step it goes through the optimizer. Under Adam any strength becomes a full step where there is no
    other gradient.
    """

    strength: float

    def __post_init__(self) -> None:
        if not 0 <= self.strength < float("inf"):
            raise ValidationError(f"GradientL1.strength: must be finite and >= 0, got {self.strength}")

    def add(self, layer: SparseLayer, gradient: Tensor) -> None:
        """See `GradientTerm`."""
        if layer.signs is None:
            raise TypeError(f"{layer.name}: this method has no signs")
        gradient += self.strength * torch.from_numpy(layer.signs).to(gradient)


def act_before_steps(rewirer: Rewirer, optimizer: torch.optim.Optimizer) -> None:
    """Let `rewirer` add its gradient terms before every step of `optimizer`, and leave out those it wants left out.

    For a step left out, the optimizer finds no gradient anywhere and so does nothing: no parameter moves, no moment
    decays, no step is counted. The gradients come back after it. The hooks end with the rewirer.
    """
    target = weakref.ref(rewirer)
    held: list[tuple[Tensor, Tensor]] = []

    def before(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        alive = target()
        if alive is None:
            return
        if alive.skips_update:
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            held.extend((parameter, parameter.grad) for parameter in parameters if parameter.grad is not None)
            for parameter, _ in held:
                parameter.grad = None
            return
        for layer in alive.layers:
            gradient = layer.module.values.grad
            if gradient is not None:
                for term in alive.parts.gradient_terms:
                    term.add(layer, gradient)

    def after(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        for parameter, gradient in held:
            parameter.grad = gradient
        held.clear()

    for handle in (optimizer.register_step_pre_hook(before), optimizer.register_step_post_hook(after)):
        weakref.finalize(rewirer, handle.remove)
