"""A layer whose weights and gradients are written down, for methods followed by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from neurosparse.pruning.base import Pruner, PruningMethod


class Scripted:
    """One `nn.Linear` without bias under a method, with SGD of learning rate 1 unless another optimizer is given."""

    def __init__(
        self, method: PruningMethod, weights: list[list[float]], *, n_steps: int = 10, lr: float = 1.0,
        momentum: float = 0.0, **plan: Any,
    ) -> None:  # fmt: skip
        matrix = torch.tensor(weights, dtype=torch.float64)
        self.model = nn.Sequential(nn.Linear(matrix.shape[1], matrix.shape[0], bias=False).double())
        self.model[0].weight.data = matrix
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=lr, momentum=momentum)
        self.pruner: Pruner = method.attach(self.model, self.optimizer, n_steps=n_steps, **plan)

    def step(self, gradient: list[list[float]] | None = None) -> None:
        weight = self.model[0].weight
        weight.grad = torch.zeros_like(weight) if gradient is None else torch.tensor(gradient, dtype=weight.dtype)
        self.optimizer.step()
        self.pruner.step()

    @property
    def layer(self) -> Any:
        return self.pruner.layers[0]

    @property
    def weights(self) -> list[list[float]]:
        """What the network computes with."""
        return self.model[0].weight.tolist()

    @property
    def latent(self) -> list[list[float]]:
        return self.layer.latent.tolist()
