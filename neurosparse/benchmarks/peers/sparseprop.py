"""SparseProp (Nikdan et al. 2023): a sparse linear layer with AVX2 kernels; the linear part alone, time-fused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from sparseprop.modules import SparseLinear

if TYPE_CHECKING:
    from neurosparse.benchmarks.worker import Work


class LayerStep:
    """`SparseLinear` on all time steps and samples as one batch."""

    def __init__(self, work: Work) -> None:
        self.layer = SparseLinear(torch.from_numpy(work.dense()))
        self.x = torch.from_numpy(work.arrays["x"]).float().flatten(0, 1).requires_grad_()
        self.g = torch.from_numpy(work.arrays["g"]).flatten(0, 1)

    def step(self) -> None:
        self.x.grad = self.layer.W_val.grad = None
        self.y = self.layer(self.x)
        self.y.backward(self.g)

    def facts(self) -> dict[str, float]:
        return {"output": float(self.y.detach().norm())}
