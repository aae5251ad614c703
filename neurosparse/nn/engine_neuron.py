"""snnTorch's neurons as the kernels take them: which of them the kernels know, and their parameters as arrays.

A training step asks this of every layer, and hardly ever does anything change: what was found is kept for as long as
everything it was found from has the same values.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import snntorch as snn
import torch
from torch import Tensor, nn

from neurosparse.kernels import membrane
from neurosparse.kernels.compiled import Cells
from neurosparse.kernels.layers import make_cells
from neurosparse.nn.surrogates import Surrogate, identify

__all__ = ["Neurons", "has_hooks", "learnable", "neurons_of"]

_MODES = {  # by snnTorch's state function and its reset_delay
    ("_base_int", True): membrane.NONE,
    ("_base_int", False): membrane.NONE,
    ("_base_sub", True): membrane.SUBTRACT,
    ("_base_sub", False): membrane.SUBTRACT_NOW,
    ("_base_zero", True): membrane.ZERO,
    ("_base_zero", False): membrane.ZERO_NOW,
}
_RESET_CODES = {"_base_sub": 0, "_base_zero": 1, "_base_int": 2}  # snnTorch's, as in SpikingNeuron.reset_dict
_FLAGS = ("init_hidden", "output", "inhibition", "state_quant", "reset_delay", "spike_grad")
_TENSORS = ("beta", "threshold", "alpha", "graded_spikes_factor", "reset_mechanism_val")


@dataclass(frozen=True)
class Neurons:
    """The neurons of a layer for the kernels: `cells` hold (n,) parameters, decays clamped to [0, 1] as in snnTorch."""

    cells: Cells
    surrogate: Surrogate


def neurons_of(neuron: Any, n: int, dtype: torch.dtype) -> Neurons | str:
    """Return the `n` neurons of a layer for the kernels, or why they cannot run fused; `dtype` is their weights'."""
    if type(neuron) not in (snn.Leaky, snn.Synaptic):
        return f"the neuron is a {type(neuron).__name__}"
    if has_hooks(neuron):
        return "the neuron has hooks, which a fused layer would not call"
    facts = _facts(neuron, n, dtype)
    before = _known.get(neuron)
    if before is None or before[0] != facts:
        before = _known[neuron] = (facts, _refused(neuron, n, dtype) or _prepared(neuron, n, dtype))
    return before[1]


_known: weakref.WeakKeyDictionary[nn.Module, tuple[tuple[Any, ...], Neurons | str]] = weakref.WeakKeyDictionary()


def _facts(neuron: Any, n: int, dtype: torch.dtype) -> tuple[Any, ...]:
    """Return all that `_refused` and `_prepared` look at, tensors by their content: they may be written to unseen."""
    plain = neuron.__dict__
    buffers = plain["_buffers"]
    facts = [n, dtype, neuron.state_function.__name__, *[plain.get(name) for name in _FLAGS]]
    for name in _TENSORS:
        value = buffers.get(name)
        if value is None:
            value = getattr(neuron, name, None)
        if isinstance(value, Tensor):
            content = value.item() if value.numel() == 1 else value.detach().cpu().numpy().tobytes()
            facts += [value.dtype, value.device.type, value.shape, value.requires_grad, content]
        else:
            facts.append(value)
    return tuple(facts)


def _refused(neuron: Any, n: int, dtype: torch.dtype) -> str | None:
    if neuron.init_hidden or neuron.output or neuron.inhibition or neuron.state_quant:
        return "the neuron uses init_hidden, output, inhibition or state_quant"
    factor = neuron.graded_spikes_factor
    if factor.requires_grad or not _all(factor, np.equal, 1):
        return "the neuron scales its spikes (graded_spikes_factor)"
    mode = _mode(neuron)
    if mode is None or _RESET_CODES[neuron.state_function.__name__] != int(neuron.reset_mechanism_val):
        return "the neuron's reset was changed after construction"
    for name in ("beta", "threshold", "alpha"):
        value = getattr(neuron, name, None)
        if not isinstance(value, Tensor):
            continue
        if value.numel() not in (1, n) or value.dim() > 1:
            return f"{name} has shape {tuple(value.shape)}, neither one value nor one per neuron"
        if value.device.type != "cpu":
            return f"{name} is on {value.device}, the kernels run on the CPU"
        if value.dim() == 1 and torch.promote_types(value.dtype, dtype) != dtype:
            return f"{name} is {value.dtype}, which would turn the {dtype} voltages into {value.dtype}"
    if mode == membrane.ZERO_NOW and not _all(neuron.threshold, np.greater, 0):
        return "its threshold is not positive, and it resets to zero at once"
    if mode != membrane.NONE and not _all(neuron.threshold, np.isfinite):
        return "its threshold is infinite, and it has a reset"
    if identify(neuron.spike_grad) is None:
        name = getattr(neuron.spike_grad, "__qualname__", neuron.spike_grad)
        return f"its surrogate {name!r} is not one the kernels know"
    return None


def _prepared(neuron: Any, n: int, dtype: torch.dtype) -> Neurons:
    mode, surrogate = _mode(neuron), identify(neuron.spike_grad)
    if mode is None or surrogate is None:
        raise TypeError(f"{neuron}: no neuron of the kernels, and nobody asked")
    alpha, beta, threshold = (
        None if tensor is None else tensor.detach().numpy().copy() for tensor in _parameters(neuron, n, dtype)
    )
    return Neurons(make_cells(mode, alpha, beta, threshold), surrogate)  # type: ignore[arg-type]


def learnable(neuron: Any, n: int, dtype: torch.dtype) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return alpha, beta and threshold (n,) as autograd is to see them; None for those that do not learn."""
    known = [getattr(neuron, name, None) for name in ("alpha", "beta", "threshold")]
    if not any(value is not None and value.requires_grad for value in known):
        return None, None, None
    alpha, beta, threshold = (
        tensor if tensor is not None and tensor.requires_grad else None for tensor in _parameters(neuron, n, dtype)
    )
    return alpha, beta, threshold


def _parameters(neuron: Any, n: int, dtype: torch.dtype) -> tuple[Tensor | None, Tensor, Tensor]:
    alpha = getattr(neuron, "alpha", None)
    return (
        None if alpha is None else alpha.clamp(0, 1).to(dtype).expand(n),
        neuron.beta.clamp(0, 1).to(dtype).expand(n),
        neuron.threshold.to(dtype).expand(n),
    )


def _all(values: Tensor, holds: Callable[..., Any], *others: float) -> bool:
    """Whether ``holds(value, *others)`` for all values."""
    return bool(holds(values.detach().cpu().numpy(), *others).all())


def _mode(neuron: Any) -> int | None:
    # The function chosen at construction is what really resets; the attribute can be changed without effect.
    mode = _MODES.get((neuron.state_function.__name__, bool(neuron.reset_delay)))
    # a delayed reset to zero of a Synaptic also forgets what has come in at that step
    return membrane.ZERO_DISCARD if mode == membrane.ZERO and type(neuron) is snn.Synaptic else mode


def has_hooks(module: nn.Module) -> bool:
    """Whether somebody wants to be called when `module` is."""
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )
