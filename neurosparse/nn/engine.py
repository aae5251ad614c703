"""The fused engine: every layer one autograd node over a sequence, equal to snnTorch's steps.

`eligible` says which layers it takes; `run_layer` runs one, `continue_layer` a part of its sequence. Between fused
layers spikes travel as bits.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from neurosparse.kernels.choice import Plan, plan
from neurosparse.kernels.lanes import count_spikes
from neurosparse.kernels.topology import csc_from_csr
from neurosparse.nn import stepwise
from neurosparse.nn.engine_call import Call, Index
from neurosparse.nn.engine_costs import costs_for
from neurosparse.nn.engine_layer import FusedLayer
from neurosparse.nn.engine_neuron import Neurons, has_hooks, learnable, neurons_of
from neurosparse.nn.engine_source import PackedSpikes, Source, float_source, numpy_dtype, packed_source
from neurosparse.nn.sparse import SparseLinear

if TYPE_CHECKING:
    from neurosparse.nn.network import Connection, Layer

__all__ = ["State", "continue_layer", "eligible", "run_layer", "spike_rates"]

State = tuple[Tensor | None, ...]


def eligible(connection: Connection, neuron: nn.Module, recurrent: Connection | None = None) -> Neurons | str:
    """Return a layer's neurons as the kernels take them, or why it cannot run fused."""
    reason = _connection_refused(connection) or (recurrent is not None and _recurrent_refused(connection, recurrent))
    return reason or neurons_of(neuron, connection.out_features, stepwise.weights_of(connection).dtype)


def _connection_refused(connection: Connection) -> str | None:
    if type(connection) not in (SparseLinear, nn.Linear):
        return f"the connection is a {type(connection).__name__}"
    weights = stepwise.weights_of(connection)
    if weights.device.type != "cpu":
        return f"its weights are on {weights.device}, the kernels run on the CPU"
    if weights.dtype not in (torch.float32, torch.float64):
        return f"its weights are {weights.dtype}, the kernels compute in float32 or float64"
    if connection.bias is not None and (connection.bias.device, connection.bias.dtype) != (
        weights.device,
        weights.dtype,
    ):
        return "its bias has another type or device than its weights"
    if has_hooks(connection):
        return "the connection has hooks, which a fused layer would not call"
    return None


def _recurrent_refused(connection: Connection, recurrent: Connection) -> str | None:
    reason = _connection_refused(recurrent)
    if reason is not None:
        return f"recurrence: {reason}"
    if stepwise.weights_of(recurrent).dtype != stepwise.weights_of(connection).dtype:
        return "the recurrent connection has another type than the one into the layer"
    return None


def run_layer(
    layer: Layer, x: Tensor | PackedSpikes, *, want_voltages: bool = True
) -> tuple[PackedSpikes, Tensor | None]:
    """Run one layer on a whole sequence, from rest; see `continue_layer`. `ValueError` if it cannot run fused."""
    neurons = eligible(layer.connection, layer.neuron, layer.recurrent)
    if isinstance(neurons, str):
        raise ValueError(neurons)
    return continue_layer(layer, x, None, neurons, want_voltages=want_voltages, want_state=False)[:2]


def continue_layer(
    layer: Layer,
    x: Tensor | PackedSpikes,
    state: State | None,
    neurons: Neurons,
    *,
    want_voltages: bool = True,
    want_state: bool = True,
) -> tuple[PackedSpikes, Tensor | None, State]:
    """Run one layer that `eligible` takes on a sequence, or on the next part of one.

    Parameters
    ----------
    layer : Layer
    x : Tensor (time, batch, n_source) or PackedSpikes
        Spikes (any of float, uint8, bool) or analog values; a tensor expanded over time counts as a constant current.
    state : tuple, optional
        Where the part before ended; None starts from rest.
    neurons : Neurons
        What `eligible` says of the layer.
    want_voltages : bool
        Whether to return the voltages after the reset; False saves a copy where they differ from what is kept anyway.
    want_state : bool
        Whether the sequence will go on.

    Returns
    -------
    spikes : PackedSpikes
    voltages : Tensor (time, batch, n), strided, or None
    state : tuple
        For the next part, which may be differentiated through it; without meaning to anybody else. Empty if not wanted.
    """
    connection = layer.connection
    weights = stepwise.weights_of(connection)
    dtype = weights.dtype
    source = _source(connection, x, dtype)
    want_input = torch.is_grad_enabled() and source.anchor.requires_grad
    index = Index.of(connection, transposed=want_input) if isinstance(connection, SparseLinear) else None
    call = Call(
        source=source,
        index=index,
        neurons=neurons,
        plan=_DENSE if index is None else _plan(index, source, weights.requires_grad, want_input),
        want_voltages=want_voltages,
        want_state=want_state,
    )
    recurrent: Tensor | None = None
    bias: Tensor | None = connection.bias
    if layer.recurrent is not None:
        recurrent = stepwise.weights_of(layer.recurrent).reshape(-1)
        call.recurrence = _recurrent_index(layer.recurrent)
        bias = _sum(bias, layer.recurrent.bias)
    if call.plan.dense and source.rows.dtype == np.uint16:
        call.source = float_source(x, dtype)
    anchor, voltages, *end = FusedLayer.apply(
        call.source.anchor,
        weights,
        recurrent,
        bias,
        *learnable(layer.neuron, layer.n, dtype),
        call,
        *(state or (None, None, None)),
    )
    maker = call if call.recurrence is None else None
    return PackedSpikes(anchor, call.words, call.lanes, maker), voltages, tuple(end) if call.want_state else ()


def _plan(index: Index, source: Source, values_gradient: bool, input_gradient: bool) -> Plan:
    enabled = torch.is_grad_enabled()
    return plan(
        index.n_target,
        index.n_source,
        index.indices.size,
        source.rows,
        costs_for(float(index.indices.size) * source.lanes.n_lanes),
        values_gradient=enabled and values_gradient,
        input_gradient=input_gradient,
    )


_DENSE = Plan(True, False, False)


def spike_rates(spikes: PackedSpikes) -> Tensor:
    """Return spikes per step of each neuron, mean over time and batch, shape (n,)."""
    count = torch.from_numpy(count_spikes(spikes.words).astype(numpy_dtype(spikes.anchor.dtype)))
    return count / (spikes.lanes.n_steps * spikes.lanes.n_samples)


def _source(connection: Connection, x: Tensor | PackedSpikes, dtype: torch.dtype) -> Source:
    return packed_source(x, dtype) if isinstance(connection, SparseLinear) else float_source(x, dtype)


def _recurrent_index(connection: Connection) -> Index:
    if isinstance(connection, SparseLinear):
        return Index.of(connection, transposed=True)
    return _full_index(connection.in_features)


@functools.lru_cache(maxsize=4)
def _full_index(n: int) -> Index:
    """Return the index of a dense n x n connection, every site live."""
    indptr = np.arange(n + 1, dtype=np.int32) * np.int32(n)
    indices = np.tile(np.arange(n, dtype=np.int32), n)
    return Index(indptr, indices, n, csc_from_csr(indptr, indices, n))


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b
