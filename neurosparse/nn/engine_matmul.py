"""The sparse product of `SparseLinear` on its own, on the CPU kernels: for step-by-step loops and unfused layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neurosparse.kernels import products
from neurosparse.kernels.lanes import Lanes
from neurosparse.kernels.layer_parts import gradient_rows
from neurosparse.nn.engine_call import Index
from neurosparse.nn.engine_source import gradient_array, numpy_dtype, packed_source, tensor_of_rows
from neurosparse.nn.gradient_probe import record_rows

if TYPE_CHECKING:
    from neurosparse.nn.sparse import SparseLinear

__all__ = ["kernel_matmul", "takes"]


_WORTH = 1_500_000  # synapses x samples; below, their 0.3 ms of checks and conversions exceed what torch needs in all


def takes(x: Tensor, values: Tensor) -> bool:
    """Return whether the kernels can compute this product (CPU, float32 or float64, one type) and are worth it."""
    return (
        values.numel() * x.shape[0] >= _WORTH
        and x.device.type == values.device.type == "cpu"
        and x.dtype == values.dtype
        and x.dtype in (torch.float32, torch.float64)
    )


def kernel_matmul(x: Tensor, values: Tensor, layer: SparseLinear) -> Tensor:
    """Return ``x W^T``, shape (batch, out_features), for `x` (batch, in_features) and the index of `layer`."""
    product: Tensor = _KernelMatmul.apply(x, values, layer)
    return product


class _KernelMatmul(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, values: Tensor, layer: SparseLinear) -> Tensor:
        source = packed_source(x.detach().unsqueeze(0), values.dtype)
        index = Index.of(layer, transposed=ctx.needs_input_grad[0])
        ctx.save_for_backward(x, values)
        ctx.index, ctx.rows, ctx.lanes = index, source.rows, source.lanes
        rows = products.product(index.indptr, index.indices, values.detach().contiguous().numpy(), source.rows)
        return tensor_of_rows(rows, source.lanes)[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        index: Index = ctx.index
        lanes: Lanes = ctx.lanes
        index.check_current()
        _, values = ctx.saved_tensors
        dtype = numpy_dtype(values.dtype)
        incoming = gradient_array(gradient.unsqueeze(0), lanes, index.n_target)
        g = gradient_rows("SparseLinear", "gradient", incoming, index.n_target, lanes, dtype(0).dtype)
        g_x = g_values = None
        if ctx.needs_input_grad[0] and index.csc is not None:
            array = values.detach().contiguous().numpy()
            g_x = torch.from_numpy(products.input_gradient(*index.csc, array, g, lanes, steps_layout=True))[0]
        if ctx.needs_input_grad[1]:
            g_values = torch.from_numpy(products.value_gradient(index.indptr, index.indices, ctx.rows, g))
            record_rows(index.layer, ctx.rows, g)
        return g_x, g_values, None
