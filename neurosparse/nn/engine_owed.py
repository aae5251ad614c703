"""Gradients of spikes that are never written down: the layer that made the spikes computes them row by row.

A layer's backward pass ends with the gradient of its input, ``W^T g``: an array of the size of the layer *before*, n x
time x batch floats, which that layer reads once. Where this layer is small, as read-outs are, its own gradients `g`
stay in a core's cache and a row of the product is made faster than it is fetched from memory. So through autograd goes
a placeholder, a single zero in the right shape, and beside it, from one backward node to the next, what to compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from neurosparse.kernels import products
from neurosparse.kernels.layers import Outgoing
from neurosparse.nn.engine_source import tensor_of_rows

if TYPE_CHECKING:
    from neurosparse.nn.engine_call import Call

__all__ = ["Owed", "can_owe", "owe", "settle"]

_NEAR_BYTES = 1 << 19  # of `g`: a quarter of an L2 cache of 2 MiB, which the layer's own rows pass through too


@dataclass(frozen=True)
class Owed:
    """What a layer owes the one before it: gradients of its spikes, in the backward pass `task`."""

    placeholder: Tensor
    outgoing: Outgoing
    task: int


def can_owe(call: Call) -> bool:
    """Whether the gradient of the input of `call` may be left to the layer that it comes from."""
    if call.source.maker is None or call.plan.dense or call.recurrence is not None:
        return False
    cells = call.neurons.cells
    return call.n * call.lanes.n_lanes * cells.beta.itemsize <= _NEAR_BYTES


def owe(call: Call, values: Any, g: Any) -> Tensor:
    """Leave ``W^T g`` to the layer before; return what autograd is told instead. `g`: rows (n, n_lanes)."""
    pointers, targets, slots = cast(Any, call.index).csc
    placeholder = torch.zeros((), dtype=call.source.anchor.dtype).expand(call.source.anchor.shape)
    outgoing = Outgoing(pointers, targets, values[slots], g)
    cast(Any, call.source.maker).owed = Owed(placeholder, outgoing, torch._C._current_graph_task_id())
    return placeholder


def settle(call: Call, g_spikes: Tensor | None) -> tuple[Tensor | None, Outgoing | None]:
    """Return the gradient of the spikes of `call` as it is, or what to compute it from; one of them is None.

    Where others use the spikes too, autograd has added their gradients to the placeholder, and the rest is added here.
    """
    owed, call.owed = call.owed, None
    if owed is None or owed.task != torch._C._current_graph_task_id():  # of a backward pass that did not come this far
        return g_spikes, None
    if g_spikes is None or g_spikes.data_ptr() == owed.placeholder.data_ptr():
        return None, owed.outgoing
    o = owed.outgoing
    in_order = np.arange(o.targets.size, dtype=np.int32)
    rows = products.input_gradient(o.indptr, o.targets, in_order, o.weights, o.g, call.lanes, steps_layout=False)
    return g_spikes + tensor_of_rows(rows, call.lanes), None
