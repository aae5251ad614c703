"""The sparse product with gradients of size K, as one autograd node on torch's own sparse routines (CPU and CUDA).

A `torch.sparse` tensor built from a vector of values gets a *dense* gradient in backward (14 GB for a 60 000 x 60 000
layer), and nothing warns of it; hence this function: the gradient of the values is a product sampled at the live sites.
"""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neurosparse.errors import ValidationError

if TYPE_CHECKING:
    from neurosparse.nn.sparse import SparseLinear

__all__ = ["sparse_matmul", "torch_matmul"]


def sparse_matmul(x: Tensor, values: Tensor, layer: SparseLinear) -> Tensor:
    """Return ``x W^T``, shape (batch, out_features), for `x` (batch, in_features) and the index of `layer`."""
    from neurosparse.nn.engine_matmul import kernel_matmul, takes

    if takes(x, values):
        return kernel_matmul(x, values, layer)
    return torch_matmul(x, values, layer)


def torch_matmul(x: Tensor, values: Tensor, layer: SparseLinear) -> Tensor:
    """Compute `sparse_matmul` on torch's sparse routines, whatever the device."""
    return _SparseMatmul.apply(x, values, layer)


class _SparseMatmul(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, values: Tensor, layer: SparseLinear) -> Tensor:
        # The transposed index is needed only for the gradient of x, which the first layer of a network never asks for.
        csc = layer.csc() if ctx.needs_input_grad[0] else ()
        ctx.save_for_backward(x, values, layer.indptr, layer.indices, *csc)
        ctx.shape = (layer.out_features, layer.in_features)
        ctx.layer, ctx.topology_version = layer, layer.topology_version
        return _product(layer.indptr, layer.indices, values, ctx.shape, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        # `values` is a leaf, so autograd hands back the parameter as it is now: after a rewire, another synapse's
        # weights.
        if ctx.layer.topology_version != ctx.topology_version:
            raise ValidationError(
                "SparseLinear: its synapses changed between forward and backward; rewire after loss.backward(), and "
                "run the forward pass again for another backward"
            )
        x, values, indptr, indices, *csc = ctx.saved_tensors
        n_out, n_in = ctx.shape
        g_x = g_values = None
        if ctx.needs_input_grad[0]:
            pointers, rows, slots = csc
            g_x = _product(pointers, rows, values[slots.long()], (n_in, n_out), gradient)
        if ctx.needs_input_grad[1]:
            if values.numel() and x.numel():
                pattern = _csr(indptr, indices, torch.zeros_like(values), ctx.shape)
                g_values = torch.sparse.sampled_addmm(pattern, gradient.t().contiguous(), x.contiguous()).values()
            else:
                g_values = torch.zeros_like(values)
            if ctx.layer.gradient_probe is not None:
                ctx.layer.gradient_probe.record(ctx.layer, x.detach().t(), gradient.t())
        return g_x, g_values, None


def _product(indptr: Tensor, indices: Tensor, values: Tensor, shape: tuple[int, int], x: Tensor) -> Tensor:
    """Return ``(A x^T)^T`` for the CSR matrix A of `shape`; `x` (batch, shape[1])."""
    if not values.numel() or not x.numel():
        return x.new_zeros(x.shape[0], shape[0])
    return (_csr(indptr, indices, values, shape) @ x.t().contiguous()).t()


def _csr(indptr: Tensor, indices: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    _take_beta_warning()
    return torch.sparse_csr_tensor(indptr, indices, values, size=shape, check_invariants=False)


@functools.cache
def _take_beta_warning() -> None:
    """Let torch say its once-per-process "CSR is in beta" here, where nobody has to read it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.sparse_csr_tensor(torch.tensor([0, 1]), torch.tensor([0]), torch.ones(1), size=(1, 1))
