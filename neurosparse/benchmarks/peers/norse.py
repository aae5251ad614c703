"""Norse: a dense layer over all time steps at once, then its LIF cell over time (`norse.torch.LIFBox`, lifted)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import norse.torch
import torch
from torch import nn

if TYPE_CHECKING:
    from neurosparse.benchmarks.worker import Work


class LayerStep:
    """`nn.Linear`, then `norse.torch.Lift` around the cell; its equations are Norse's own, the work is the same."""

    def __init__(self, work: Work) -> None:
        # Its cell does v + 0.1 * (x - v): with ten times the weights that is the 0.9 v + x of the others.
        weights = 10 * torch.from_numpy(work.dense())
        self.linear = nn.Linear(weights.shape[1], weights.shape[0], bias=False)
        self.linear.weight.data = weights
        self.cells = norse.torch.Lift(norse.torch.LIFBoxCell())
        self.x = torch.from_numpy(work.arrays["x"]).float().requires_grad_()
        self.g = torch.from_numpy(work.arrays["g"])

    def step(self) -> None:
        self.x.grad = self.linear.weight.grad = None
        self.spikes, _ = self.cells(self.linear(self.x))
        self.spikes.backward(self.g)

    def facts(self) -> dict[str, float]:
        return {"rate": float(self.spikes.detach().mean())}
