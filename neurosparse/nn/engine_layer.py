"""One autograd node for a layer over the whole sequence: linear part, bias, synaptic filter, membrane, spikes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from neurosparse.kernels import layers, products
from neurosparse.kernels.dense import gathered, scattered
from neurosparse.kernels.recurrent import Recurrence, backward_recurrent, forward_recurrent
from neurosparse.nn import engine_owed, engine_state
from neurosparse.nn.engine_call import Call, Index
from neurosparse.nn.engine_source import gradient_array, numpy_dtype, tensor_of_rows
from neurosparse.nn.gradient_probe import record_rows

__all__ = ["FusedLayer"]


class FusedLayer(torch.autograd.Function):
    """``(anchor, weights, recurrent, bias, alpha, beta, threshold, call, *start) -> (spikes' anchor, voltages, *end)``.

    Weights are (K,) values of `call.index` or a dense (n, n_source); `recurrent` the values of `call.recurrence`.
    These, bias and voltages may be None; so may alpha, beta and threshold (n,), which `call.neurons` holds and which
    are here for their gradients only. `start` and `end` are the voltage, the synaptic current and the spikes
    (n, padded) before the first step and of the last, None where there are none or nobody asks. They are good for
    nothing but going on with this class: what travels as a voltage's gradient is the gradient of the next step's
    membrane sum.
    """

    @staticmethod
    def forward(
        ctx: Any,
        anchor: Tensor,
        weights: Tensor,
        recurrent: Tensor | None,
        bias: Tensor | None,
        alpha: Tensor | None,
        beta: Tensor | None,
        threshold: Tensor | None,
        call: Call,
        start_v: Tensor | None,
        start_c: Tensor | None,
        start_spikes: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        ctx.set_materialize_grads(False)
        ctx.call = call
        cells = call.neurons.cells
        keep = layers.Keep(
            post=call.want_voltages or call.want_state,
            synaptic=cells.filtered and (ctx.needs_input_grad[4] or call.want_state),
        )
        source, lanes = call.source, call.lanes
        start = engine_state.start_of(start_v, start_c)
        ctx.start_words = None if start_spikes is None else engine_state.words_of(start_spikes)
        if recurrent is not None:
            current, recurrence = _current(call, weights, bias), _recurrence(call, recurrent)
            state = forward_recurrent(
                current, recurrence, cells, lanes, keep=keep, start=start, start_words=ctx.start_words
            )
        elif call.plan.dense or source.constant:
            state = layers.forward_neurons(_current(call, weights, bias), cells, lanes, keep=keep, start=start)
        else:
            linear = _linear(call, weights, call.plan.forward_events)
            state = layers.forward(linear, _array(bias), cells, lanes, keep=keep, start=start)
        call.words = state.words
        voltages = None
        if call.want_voltages:
            voltages = tensor_of_rows(state.post if state.post.size else state.v, lanes)
        # Saved, and not just kept: a weight or a returned voltage that is changed in place is then an error and not a
        # wrong gradient, and torch lets go of the activity after the backward pass, so that the next forward pass finds
        # its memory free even while the user still holds the last output.
        ctx.save_for_backward(weights, recurrent, voltages, *engine_state.kept_of(state))
        ctx.start = state.start_v, state.start_c
        end = engine_state.end_of(state, lanes, recurrent is not None) if call.want_state else (None, None, None)
        return anchor.new_zeros(()).expand(lanes.n_steps, lanes.n_samples, call.n), voltages, *end

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, g_spikes: Tensor | None, g_voltages: Tensor | None, *g_end: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        call: Call = ctx.call
        if all(g is None for g in (g_spikes, g_voltages, *g_end)):
            return (None,) * 11
        for index in (call.index, call.recurrence):
            if index is not None:
                index.check_current()
        weights, recurrent, _, *kept = ctx.saved_tensors
        state = engine_state.activity_of(kept, call.words, ctx.start)
        carry = None
        if call.want_state or any(ctx.needs_input_grad[8:]):
            carry = engine_state.carry_of(g_end, (call.n, call.lanes.padded), call.neurons.cells.beta.dtype)
        adjoint, g_recurrent, g_start_spikes = _differentiate(
            ctx, state, weights, recurrent, g_spikes, g_voltages, g_end[2], carry
        )
        want_input, want_weights = ctx.needs_input_grad[:2]
        g_weights = None
        if want_weights:
            g_weights = _weight_gradient(call, adjoint.current) if adjoint.values is None else _tensor(adjoint.values)
            if call.index is not None:
                record_rows(call.index.layer, call.source.rows, adjoint.current)
        g_input = _input_gradient(call, weights, adjoint) if want_input else None
        per_neuron = (adjoint.bias, adjoint.alpha, adjoint.beta, adjoint.threshold)
        g_start = [
            _tensor(g) if w else None for g, w in zip(carry or (None, None), ctx.needs_input_grad[8:10], strict=True)
        ]
        if not ctx.needs_input_grad[10]:
            g_start_spikes = None
        return g_input, g_weights, g_recurrent, *map(_tensor, per_neuron), None, *g_start, g_start_spikes


def _differentiate(
    ctx: Any,
    state: engine_state.Activity,
    weights: Tensor,
    recurrent: Tensor | None,
    g_spikes: Tensor | None,
    g_voltages: Tensor | None,
    g_last_spikes: Tensor | None,
    carry: engine_state.State | None,
) -> tuple[layers.Adjoint, Tensor | None, Tensor | None]:
    """Return the adjoint of the neurons, the gradient of the recurrent values, and that of the spikes before."""
    call: Call = ctx.call
    lanes, source = call.lanes, call.source
    want_input, want_weights, want_recurrent, want_bias, want_alpha, want_beta, want_threshold = ctx.needs_input_grad[
        :7
    ]
    neurons = call.neurons
    arguments: Any = (neurons.cells, lanes, neurons.surrogate.code, neurons.surrogate.parameter)
    g_spikes, outgoing = engine_owed.settle(call, g_spikes)
    options: dict[str, Any] = {
        "g_spikes": gradient_array(g_spikes, lanes, call.n),
        "g_voltages": gradient_array(g_voltages, lanes, call.n),
        "want_alpha": want_alpha,
        "want_beta": want_beta,
        "want_threshold": want_threshold,
        "carry": carry,
    }
    if recurrent is not None:
        recurrence = _recurrence(call, recurrent)
        g_last = None if g_last_spikes is None else g_last_spikes.contiguous().numpy()
        adjoint = backward_recurrent(state, recurrence, *arguments, **options, g_last_spikes=g_last)
        g_recurrent = None
        if want_recurrent:
            g_recurrent = products.value_gradient(
                recurrence.indptr, recurrence.indices, call.words, adjoint.current, shift=lanes.padded
            )
            record_rows(cast(Index, call.recurrence).layer, call.words, adjoint.current, shift=lanes.padded)
        g_before = None
        if ctx.start_words is not None:
            g_before, g_first = engine_state.gradients_before(recurrence, ctx.start_words, adjoint.current, lanes)
            if g_recurrent is not None:
                g_recurrent += g_first
                first = np.ascontiguousarray(adjoint.current[:, : lanes.padded])
                record_rows(cast(Index, call.recurrence).layer, ctx.start_words, first)
        if source.constant:
            summed = adjoint.current.reshape(call.n, lanes.n_steps, lanes.padded).sum(axis=1)
            adjoint = replace(adjoint, current=summed)
        if not want_bias:
            adjoint = replace(adjoint, bias=None)
        return adjoint, _tensor(g_recurrent), g_before
    fused = not call.plan.dense and not source.constant
    layout: Literal["tiles", "active tiles", "rows", "sum"] | None = None
    probed = want_weights and call.index is not None and call.index.probed
    if want_input or probed or (want_weights and not fused):
        tiles: Literal["tiles", "active tiles"] = "tiles" if probed else "active tiles"
        layout = "sum" if source.constant else tiles if fused and not engine_owed.can_owe(call) else "rows"
    linear = _linear(call, weights, call.plan.backward_events) if fused and want_weights else None
    adjoint = layers.backward(
        state, *arguments, **options, outgoing=outgoing, linear=linear, want_bias=want_bias, current=layout
    )
    return adjoint, None, None


def _linear(call: Call, values: Tensor, events: bool) -> layers.Sparse:
    index = cast(Index, call.index)
    return layers.Sparse(index.indptr, index.indices, _array(values), call.source.rows, "events" if events else "words")


def _recurrence(call: Call, values: Tensor) -> Recurrence:
    index = cast(Index, call.recurrence)
    return Recurrence(index.indptr, index.indices, _array(values), index.csc)


def _current(call: Call, weights: Tensor, bias: Tensor | None) -> NDArray[Any]:
    """Rows of currents, for the layers whose linear part is not fused: BLAS, or one step of a constant input."""
    source = call.source
    if not call.plan.dense:
        index = cast(Index, call.index)
        return products.product(index.indptr, index.indices, _array(weights), source.rows, bias=_array(bias))
    dtype = numpy_dtype(weights.dtype)
    current = source.lanes.rows(call.n, dtype)
    out = torch.from_numpy(current)
    rows = torch.from_numpy(source.rows)
    if bias is None:
        torch.mm(_dense(call, weights), rows, out=out)
    else:
        torch.addmm(bias.unsqueeze(1), _dense(call, weights), rows, out=out)
    return current


def _weight_gradient(call: Call, current: Any) -> Tensor:
    source = call.source
    if not call.plan.dense:
        index = cast(Index, call.index)
        return torch.from_numpy(products.value_gradient(index.indptr, index.indices, source.rows, current))
    dense = torch.mm(torch.from_numpy(current), torch.from_numpy(source.rows).t())
    if call.index is None:
        return dense
    return torch.from_numpy(gathered(call.index.indptr, call.index.indices, dense.numpy()))


def _input_gradient(call: Call, weights: Tensor, adjoint: layers.Adjoint) -> Tensor:
    source, current = call.source, adjoint.current
    if engine_owed.can_owe(call):
        return engine_owed.owe(call, _array(weights), current)
    if not call.plan.dense:
        csc = cast(tuple[NDArray[Any], NDArray[Any], NDArray[Any]], cast(Index, call.index).csc)
        steps = source.wants_steps
        options: dict[str, Any] = {"steps_layout": steps, "active": adjoint.active}
        g = products.input_gradient(*csc, _array(weights), current, source.lanes, **options)
        return torch.from_numpy(g) if steps else tensor_of_rows(g, source.lanes)
    rows = source.lanes.rows(source.rows.shape[0], numpy_dtype(weights.dtype))
    torch.mm(_dense(call, weights).t(), torch.from_numpy(current), out=torch.from_numpy(rows))
    g_rows = tensor_of_rows(rows, source.lanes)
    return g_rows.contiguous() if source.wants_steps else g_rows


def _dense(call: Call, weights: Tensor) -> Tensor:
    if call.index is None:
        return weights.detach()
    index = call.index
    return torch.from_numpy(scattered(index.indptr, index.indices, _array(weights), index.n_source))


def _array(tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.detach().contiguous().numpy()


def _tensor(array: NDArray[Any] | None) -> Tensor | None:
    return None if array is None else torch.from_numpy(array)
