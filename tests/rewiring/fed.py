"""A layer that is fed one gradient after the other, so that a method's whole rule can be followed by hand."""

from __future__ import annotations

from typing import Any

import torch
from scripted import one_layer
from torch import nn

from neurosparse.rewiring.base import Method, Rewirer


class Fed:
    """One float64 layer under a method and an optimizer; `step` makes a whole training step with a given gradient."""

    def __init__(
        self, method: Method, n_in: int, n_out: int, sites: list[int], values: list[float], *, lr: float = 0.0,
        optimizer: type[torch.optim.Optimizer] = torch.optim.SGD, options: dict[str, Any] | None = None, seed: int = 0,
        **plan: int,
    ) -> None:  # fmt: skip
        self.layer = one_layer(n_in, n_out, sites, values)
        self.optimizer = optimizer(self.layer.parameters(), lr=lr, **(options or {}))
        self.rewirer: Rewirer = method.attach(nn.Sequential(self.layer), self.optimizer, seed=seed, **plan)

    def step(self, gradient: list[list[float]] | None = None) -> None:
        """Backward with the dense gradient `gradient` (n_out, n_in), zero by default; optimizer; rewirer."""
        n_out, n_in = self.layer.out_features, self.layer.in_features
        rows = torch.zeros(n_out, n_in) if gradient is None else torch.tensor(gradient)
        self.optimizer.zero_grad()
        self.layer(rows.double()).backward(torch.eye(n_out, dtype=torch.float64))
        self.optimizer.step()
        self.rewirer.step()

    @property
    def weights(self) -> dict[int, float]:
        """Site -> weight."""
        return dict(zip(self.layer.sites.tolist(), self.layer.values.tolist(), strict=True))

    @property
    def turnover(self) -> tuple[int, int]:
        """Deaths and births of the last step."""
        stats = self.rewirer.stats
        return sum(stats.deaths.values()), sum(stats.births.values())
