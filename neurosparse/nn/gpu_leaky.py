"""A whole sequence of `snntorch.Leaky` in one Triton kernel each way, for layers on a GPU.

On a GPU a layer is one sparse product over all time steps (torch's CSR, O(K) memory) and then, neuron by neuron, the
recursion below. Step by step in torch that takes about ten small kernels and a graph node for each of the T steps; here
every (sample, neuron) is a lane that keeps its voltage in a register::

    subtract    v_t = beta v_(t-1) + i_t - threshold s_(t-1)
    zero        v_t = beta (1 - s_(t-1)) v_(t-1) + i_t
    none        v_t = beta v_(t-1) + i_t                             s_t = (v_t - threshold > 0)

    backward    g_t = dE/dv_t + dE/ds_t surrogate(v_t - threshold) + beta keep_t g_(t+1)      dE/di_t = g_t

with keep_t = 1 - s_t for the reset to zero and 1 otherwise: snnTorch's reset carries no gradient. Triton comes with
CUDA builds of torch; without it, and for neurons that `eligible` refuses, layers run step by step as before.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

import snntorch as snn
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from neurosparse.nn.surrogates import Surrogate, identify

__all__ = ["eligible", "run"]

_RESETS = {"_base_int": 0, "_base_sub": 1, "_base_zero": 2}
_BLOCK = 256


def eligible(neuron: nn.Module, currents: Tensor) -> bool:
    """Return whether `run` takes this neuron with these currents (time, batch, n)."""
    if currents.device.type != "cuda" or importlib.util.find_spec("triton") is None:
        return False
    return expressible(neuron, currents)


def expressible(neuron: Any, currents: Tensor) -> bool:
    """Return whether the kernels compute what `neuron` does, whatever the device."""
    if type(neuron) is not snn.Leaky or not neuron.reset_delay or not currents.numel():
        return False
    if neuron.init_hidden or neuron.output or neuron.inhibition or neuron.state_quant:
        return False
    if neuron._forward_hooks or neuron._forward_pre_hooks:
        return False
    if neuron.state_function.__name__ not in _RESETS or identify(neuron.spike_grad) is None:
        return False
    parameters = (neuron.beta, neuron.threshold, neuron.graded_spikes_factor)
    return (
        not any(parameter.requires_grad for parameter in parameters)
        and all(parameter.numel() in (1, currents.shape[2]) for parameter in parameters[:2])
        and bool((neuron.graded_spikes_factor == 1).all())
        and currents.dtype in (torch.float32, torch.float64)
    )


def run(neuron: Any, currents: Tensor) -> tuple[Tensor, Tensor]:
    """Return spikes and voltages (time, batch, n) of an `eligible` neuron from rest; differentiable in `currents`."""
    n = currents.shape[2]
    surrogate = identify(neuron.spike_grad) or Surrogate(1.0)
    beta, threshold = (
        part.detach().to(currents).expand(n).contiguous() for part in (neuron.beta.clamp(0, 1), neuron.threshold)
    )
    reset = _RESETS[neuron.state_function.__name__]
    spikes, voltages = _Leaky.apply(currents, beta, threshold, surrogate, reset)
    return spikes, voltages


class _Leaky(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, currents: Tensor, beta: Tensor, threshold: Tensor, surrogate: Surrogate, reset: int
    ) -> tuple[Tensor, Tensor]:
        n_steps, n_samples, n = currents.shape
        if not currents[0].is_contiguous():
            currents = currents.contiguous()
        spikes, voltages = currents.new_empty(n_steps, n_samples, n), currents.new_empty(n_steps, n_samples, n)
        n_lanes = n_samples * n
        forward, _ = _kernels()
        forward[_grid(n_lanes)](
            currents,
            spikes,
            voltages,
            beta,
            threshold,
            n_steps,
            n_lanes,
            n,
            currents.stride(0),  # 0 for an input that is expanded over time
            RESET=reset,
            BLOCK=_BLOCK,
            enable_fp_fusion=False,  # torch rounds the product before it adds
        )
        ctx.save_for_backward(voltages, beta, threshold)
        ctx.surrogate, ctx.reset = surrogate, reset
        return spikes, voltages

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_spikes: Tensor, g_voltages: Tensor) -> tuple[Tensor, None, None, None, None]:
        voltages, beta, threshold = ctx.saved_tensors
        n_steps, n_samples, n = voltages.shape
        g_currents = torch.empty_like(voltages)
        n_lanes = n_samples * n
        _, backward = _kernels()
        backward[_grid(n_lanes)](
            g_spikes.contiguous(),
            g_voltages.contiguous(),
            voltages,
            g_currents,
            beta,
            threshold,
            voltages.new_tensor([ctx.surrogate.parameter]),  # a scalar argument would be rounded to float32
            n_steps,
            n_lanes,
            n,
            (n_steps - 1) * n_lanes,
            RESET=ctx.reset,
            SURROGATE=type(ctx.surrogate).__name__,
            BLOCK=_BLOCK,
            enable_fp_fusion=False,
        )
        return g_currents, None, None, None, None


def _grid(n_lanes: int) -> tuple[int]:
    return (-(-n_lanes // _BLOCK),)


@functools.cache
def _kernels() -> tuple[Any, Any]:
    from neurosparse.nn import gpu_kernels

    return gpu_kernels.leaky_forward, gpu_kernels.leaky_backward
