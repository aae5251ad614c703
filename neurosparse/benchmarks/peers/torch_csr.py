"""torch's CSR product and sampled gradient, all time steps in one product; the linear part alone, without neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from neurosparse.benchmarks.worker import Work


class LayerStep:
    """``x W^T`` with `torch.sparse_csr_tensor`, its gradients with the transposed CSR and `sampled_addmm`."""

    def __init__(self, work: Work) -> None:
        n, arrays = work.settings["n"], work.arrays
        self.x = torch.from_numpy(arrays["x"]).float().flatten(0, 1)
        self.g = torch.from_numpy(arrays["g"]).flatten(0, 1)
        indptr, indices, values = (torch.from_numpy(arrays[name]) for name in ("indptr", "indices", "values"))
        self.matrix = torch.sparse_csr_tensor(indptr, indices, values, size=(n, n))
        self.transposed = self.matrix.to_sparse_coo().t().to_sparse_csr()
        self.pattern = torch.sparse_csr_tensor(indptr, indices, torch.zeros_like(values), size=(n, n))

    def step(self) -> None:
        self.y = (self.matrix @ self.x.t().contiguous()).t()
        self.g_x = (self.transposed @ self.g.t().contiguous()).t()
        self.g_values = torch.sparse.sampled_addmm(self.pattern, self.g.t().contiguous(), self.x).values()

    def facts(self) -> dict[str, float]:
        return {"output": float(self.y.norm())}
