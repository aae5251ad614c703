"""Run the layers of a `SparseSNN` with snnTorch's own modules, one time step after the other.

Each layer runs over the whole sequence before the next one starts, so its connection is one product instead of T.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import snntorch as snn
import torch
from torch import Tensor

if TYPE_CHECKING:
    from neurosparse.nn.network import Layer, Output

__all__ = ["is_constant", "run_layer", "run_layers"]


def run_layers(layers: list[Layer], x: Tensor, *, engine: str = "snntorch", record: bool = False) -> Output:
    """Run `layers` on `x` (time, batch, n_inputs), from rest."""
    from neurosparse.nn.network import Output

    rates, records = [], []
    spikes, voltages = x, x
    for layer in layers:
        spikes, voltages = run_layer(layer, spikes)
        rates.append(spikes.detach().mean(dim=(0, 1)))
        if record:
            records.append((spikes, voltages))
    return Output(spikes, voltages, tuple(rates), tuple(records))


def run_layer(layer: Layer, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return spikes and voltages (time, batch, n) of one layer on `x` (time, batch, n_source), from rest."""
    n_steps, n_samples = x.shape[:2]
    real = layer.connection.values.dtype if hasattr(layer.connection, "values") else layer.connection.weight.dtype
    x = x.to(real)
    feedforward = layer.connection(x[0]).expand(n_steps, -1, -1) if is_constant(x) else layer.connection(x)
    state: tuple[Tensor, ...] = ()
    spike = x.new_zeros(n_samples, layer.n)
    spikes, voltages = [], []
    for t in range(n_steps):
        current = feedforward[t]
        if layer.recurrent is not None:
            current = current + layer.recurrent(spike)
        if not state:
            state = (torch.zeros_like(current),) * (2 if isinstance(layer.neuron, snn.Synaptic) else 1)
        spike, *rest = layer.neuron(current, *state)
        state = tuple(rest)
        spike = spike.to(real)  # snnTorch's surrogates return float32 whatever they are given
        spikes.append(spike)
        voltages.append(state[-1])
    layer.neuron.reset_mem()  # snnTorch keeps the last state in the module, and with it the whole graph
    if not spikes:
        return x.new_zeros(0, n_samples, layer.n), x.new_zeros(0, n_samples, layer.n)
    return torch.stack(spikes), torch.stack(voltages)


def is_constant(x: Tensor) -> bool:
    """Return whether `x` (time, batch, n) is one input expanded over time, so that its product need be computed only once."""
    return x.shape[0] > 1 and x.stride(0) == 0
