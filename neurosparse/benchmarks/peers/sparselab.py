"""SparseLab: a padded-CSR linear layer with SIMD kernels; the linear part alone, time-fused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import sparselab
import torch
from torch import nn

if TYPE_CHECKING:
    from neurosparse.benchmarks.worker import Work


class LayerStep:
    """`SparseLinear` on all time steps and samples as one batch, with the weights of the workload."""

    def __init__(self, work: Work) -> None:
        n = work.settings["n"]
        # It keeps transposes by the address of the matrix, and would take that of a former one for this.
        sparselab.ops._clear_transpose_cache()
        self.layer = sparselab.SparseLinear(n, n, bias=False)
        # It draws its own connectivity and has no constructor for a given one.
        self.layer._csr = sparselab.layout.from_dense(torch.from_numpy(work.dense()))
        self.layer._values = nn.Parameter(torch.from_numpy(np.asarray(self.layer._csr.values)))
        self.x = torch.from_numpy(work.arrays["x"]).float().flatten(0, 1).requires_grad_()
        self.g = torch.from_numpy(work.arrays["g"]).flatten(0, 1)

    def step(self) -> None:
        self.x.grad = self.layer._values.grad = None
        self.y = self.layer(self.x)
        self.y.backward(self.g)

    def facts(self) -> dict[str, float]:
        return {"output": float(self.y.detach().norm())}
