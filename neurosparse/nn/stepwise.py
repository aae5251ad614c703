"""Run a layer of a `SparseSNN` with snnTorch's own modules, one time step after the other.

It runs over the whole sequence before the next one starts, so its connection is one product instead of T. On a GPU with
Triton, the neurons that `gpu_leaky` knows run in one kernel instead of T times ten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import snntorch as snn
import torch
from torch import Tensor
from torch.func import functional_call

from neurosparse.nn import gpu_leaky
from neurosparse.nn.sparse import SparseLinear

if TYPE_CHECKING:
    from neurosparse.nn.network import Connection, Layer

__all__ = ["continue_layer", "is_constant", "run_layer", "weights_of"]


def run_layer(layer: Layer, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return spikes and voltages (time, batch, n) of one layer on `x` (time, batch, n_source), from rest."""
    return continue_layer(layer, x, None, want_state=False)[:2]


def continue_layer(
    layer: Layer, x: Tensor, state: tuple[Tensor, ...] | None, *, want_state: bool = True
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Return spikes and voltages (time, batch, n) of one layer on `x` (time, batch, n_source), and its state after it.

    A state is the last spikes and what snnTorch's neuron hands on, (batch, n) each; None is rest. Without `want_state`
    an empty one is returned.
    """
    n_steps, n_samples = x.shape[:2]
    real = weights_of(layer.connection).dtype
    if is_constant(x):  # asked before the conversion, which would write out every step
        feedforward = layer.connection(x[0].to(real)).expand(n_steps, -1, -1)
    else:
        feedforward = layer.connection(x.to(real))
    if not state and not want_state and layer.recurrent is None and gpu_leaky.eligible(layer.neuron, feedforward):
        return *gpu_leaky.run(layer.neuron, feedforward), ()
    rest = feedforward.new_zeros(n_samples, layer.n)
    spike, *now = state or (rest,) * (3 if isinstance(layer.neuron, snn.Synaptic) else 2)
    spikes, voltages = [], []
    neuron = _step_of(layer.neuron, real)
    for t in range(n_steps):
        current = feedforward[t]
        if layer.recurrent is not None:
            current = current + layer.recurrent(spike)
        spike, *now = neuron(current, *now)
        spike = spike.to(real)  # snnTorch's surrogates return float32 whatever they are given
        spikes.append(spike)
        voltages.append(now[-1])
    _forget(layer.neuron)
    after = (spike, *now) if want_state else ()
    if not spikes:
        return feedforward, feedforward, after  # (0, batch, n)
    return torch.stack(spikes), torch.stack(voltages), after


def is_constant(x: Tensor) -> bool:
    """Return whether `x` (time, batch, n) is one input expanded over time, whose product is needed only once."""
    return x.shape[0] > 1 and x.stride(0) == 0


def weights_of(connection: Connection) -> Tensor:
    """Return the parameter that holds the weights: K values, or a dense matrix."""
    return connection.values if isinstance(connection, SparseLinear) else connection.weight


def _step_of(neuron: Any, real: torch.dtype) -> Callable[..., Any]:
    """Return the function that makes one step of `neuron`.

    snnTorch's reset signal is float32, and torch rounds its product with a 0-dimensional float64 threshold to float32.
    With one dimension more the threshold keeps its digits, which matters only if it has more than float32 can hold.
    """
    threshold = neuron.threshold
    if real != torch.float64 or threshold.dim() or threshold.float().double() == threshold:
        return neuron
    return lambda *inputs: functional_call(neuron, {"threshold": threshold.reshape(1)}, inputs)


def _forget(neuron: Any) -> None:
    """Drop the state that snnTorch keeps in the module, and with it the whole graph, which would make it uncopyable."""
    for name in ("syn", "mem"):
        if hasattr(neuron, name):
            setattr(neuron, name, getattr(neuron, name).new_zeros(0))
