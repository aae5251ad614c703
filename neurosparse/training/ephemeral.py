"""Sparsity that lasts for one sample or one step: dropout held over the sequence, and top-k gradients.

Surrogates of compact support, which make the backward pass sparse (Perez-Nieves and Goodman 2021), are in
`neurosparse.nn.surrogates`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from neurosparse.core.rng import stream
from neurosparse.errors import ValidationError
from neurosparse.nn.network import SparseSNN

__all__ = ["SequenceDropout", "TopKGradient", "add_dropout"]


class SequenceDropout(nn.Module):
    """Dropout whose mask is drawn once per sample and held over all time steps.

    ``h <- h * b / (1 - p)`` with b Bernoulli(1 - p), in training only (Srivastava et al. 2014). A fresh mask in every
    step, as `torch.nn.Dropout` draws it in a step-by-step loop, averages out over a sequence and is only noise.

    Parameters
    ----------
    p : float in [0, 1)
        Probability of dropping a neuron.
    seed : int
    name : str
        Of this module's stream under the seed.

    Attributes
    ----------
    step : int
        Which mask comes next: masks are a function of (seed, name, step), so that a resumed training needs no state but
        this number.
    """

    def __init__(self, p: float, *, seed: int = 0, name: str = "") -> None:
        super().__init__()
        if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0 <= p < 1:
            raise ValidationError(f"SequenceDropout.p: must lie in [0, 1), got {p!r}")
        self.p, self.seed, self.name, self.step = float(p), seed, name, 0
        self._held: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop neurons of a sequence (time, batch, n), or of one step (batch, n) with the mask of the step before.

        Call `reset` between two sequences that are fed step by step.
        """
        if not self.training or self.p == 0:
            return x
        if x.dim() == 3:
            self.reset()
        if self._held is None or self._held.shape != x.shape[-2:]:
            keep = stream(self.seed, "dropout", self.name, self.step).random(tuple(x.shape[-2:])) >= self.p
            self._held = torch.from_numpy(keep).to(x) / (1 - self.p)
        held = self._held
        if x.dim() == 3:
            self.reset()
        return x * held

    def reset(self) -> None:
        """Forget the mask: the next call draws another."""
        if self._held is not None:
            self._held, self.step = None, self.step + 1

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return f"p={self.p}, seed={self.seed}"


def add_dropout(model: SparseSNN, p: float, *, seed: int = 0) -> list[SequenceDropout]:
    """Drop hidden neurons of `model`: what they send forward, for a whole sequence. Recurrent connections keep theirs.

    Returns the dropout of each connection between populations, one after the other. The layers behind them run step by
    step, because the fused engine passes spikes on as bits, which cannot carry the factor 1 / (1 - p).
    """
    added = []
    for name, layer in list(zip(model.names or (), model.layers(), strict=True))[1:]:
        dropout = SequenceDropout(p, seed=seed, name=name)
        # a submodule, so that train() and eval() reach it; called by a hook, so that the connection stays what it is
        layer.connection.add_module("dropout", dropout)
        layer.connection.register_forward_pre_hook(_drop_input)
        added.append(dropout)
    return added


def _drop_input(connection: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (connection.dropout(inputs[0]), *inputs[1:])


class TopKGradient:
    """Hand the optimizer only the largest entries of every gradient, and carry the others along.

    ``g' = top-k of (g + r)``, ``r <- g + r - g'``: error feedback, without which small gradients would be lost for
    good (Lin et al. 2018, Deep gradient compression; Stich et al. 2018). It saves communication, not arithmetic.

    The residual r is kept in the optimizer's state: it is saved with it, and follows its synapse when that is rewired.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
    density : float in (0, 1]
        k / number of entries, per parameter; at least one.
    """

    _KEY = "gradient_residual"

    def __init__(self, optimizer: torch.optim.Optimizer, density: float) -> None:
        if isinstance(density, bool) or not isinstance(density, (int, float)) or not 0 < density <= 1:
            raise ValidationError(f"TopKGradient.density: must lie in (0, 1], got {density!r}")
        self.density = float(density)
        self._residuals: dict[Tensor, Tensor] = {}
        self._hooks = [
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
        ]

    @torch.no_grad()
    def _before_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                # taken out for the step: Adam makes its own state only where there is none
                residual = optimizer.state.get(parameter, {}).pop(self._KEY, None)
                if residual is not None:
                    gradient.add_(residual)
                flat = gradient.reshape(-1)
                chosen = torch.topk(flat.abs(), max(1, round(self.density * flat.numel()))).indices
                kept = torch.zeros_like(flat)
                kept[chosen] = flat[chosen]
                self._residuals[parameter] = gradient - kept.view_as(gradient)
                gradient.copy_(kept.view_as(gradient))

    def _after_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for parameter, residual in self._residuals.items():
            optimizer.state[parameter][self._KEY] = residual
        self._residuals.clear()

    def remove(self) -> None:
        """Stop: whole gradients again. What was carried along is dropped with the optimizer's state."""
        for hook in self._hooks:
            hook.remove()
