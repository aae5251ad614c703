"""A whole layer over a whole sequence in one call, forwards and backwards: the checked way into the compiled passes."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import ValidationError
from neurosparse.kernels import compiled, compiled_backward
from neurosparse.kernels.buffers import borrow
from neurosparse.kernels.checks import check_array
from neurosparse.kernels.compiled import TILE, Shape, State
from neurosparse.kernels.compiled_backward import Gradients
from neurosparse.kernels.events import list_events
from neurosparse.kernels.jit import parts, run
from neurosparse.kernels.lanes import Lanes
from neurosparse.kernels.layer_parts import (
    DEFAULT,
    Adjoint,
    Cells,
    Keep,
    Outgoing,
    Sparse,
    check_cells,
    check_current,
    check_outgoing,
    check_state,
    gradient_rows,
    make_cells,
    new_state,
    shape_of,
)
from neurosparse.kernels.products import check_operands
from neurosparse.kernels.vectors import LANES

__all__ = ["Adjoint", "Cells", "Keep", "Outgoing", "Sparse", "backward", "forward", "forward_neurons", "make_cells"]

# Voltages above this are written past the caches: with what else streams by in a step, they would not be there when the
# backward pass reads them (measured: 24 against 8 to 13 GB/s where the caches are full of other things).
_FAR_BYTES = 1 << 26
_TILED = ("tiles", "active tiles")
_GATHERED_LANES = 1 << 14  # of 16 neurons, a MiB of floats: longer rows are gathered in a pass of their own


def forward(
    linear: Sparse,
    bias: NDArray | None,
    cells: Cells,
    lanes: Lanes,
    *,
    keep: Keep = DEFAULT,
    start: tuple[NDArray, NDArray] | None = None,
) -> State:
    """Run a layer over a sequence.

    Parameters
    ----------
    linear : Sparse
    bias : (n_target,), optional
    cells : Cells
        From `make_cells`.
    lanes : Lanes
        Geometry of the source's rows and of the result's.
    keep : Keep
    start : (n_target, padded) twice, optional
        Voltage and synaptic current before the first step; zero by default.

    Returns
    -------
    State
        Rows of what the threshold saw, and what `keep` asks for.

    Raises
    ------
    ValidationError
        For any argument that does not fit the others.
    """
    owner = "forward"
    n, n_lanes, unit = check_operands(owner, linear.indptr, linear.indices, linear.values, linear.rows)
    _check_lanes(owner, n_lanes, lanes)
    check_cells(owner, cells, n, linear.values.dtype)
    if bias is None:
        bias = np.zeros(n, linear.values.dtype)
    check_array(owner, "bias", bias, linear.values.dtype, (n,))
    state = new_state(owner, n, cells, lanes, linear.values.dtype, keep, start)
    shape = shape_of(lanes)
    if state.v.size:
        events, bounds = _events(owner, linear, shape)
        run(
            compiled.forward_sparse, state.v.size + linear.indices.size * lanes.n_words,
            linear.indptr, linear.indices, linear.values, bias, linear.rows.reshape(-1), unit, events, bounds,
            linear.method == "events", cells, shape, state, state.v.nbytes > _FAR_BYTES, parts(n),
        )  # fmt: skip
    return state


def forward_neurons(
    current: NDArray,
    cells: Cells,
    lanes: Lanes,
    *,
    keep: Keep = DEFAULT,
    start: tuple[NDArray, NDArray] | None = None,
) -> State:
    """Run the neurons of a layer on currents that were computed elsewhere.

    Parameters
    ----------
    current : (n, n_lanes), or (n, padded) for a current that is the same at every step
        Bias included.
    cells, lanes, keep, start
        As in `forward`.
    """
    owner = "forward_neurons"
    n, constant = check_current(owner, current, cells, lanes)
    state = new_state(owner, n, cells, lanes, current.dtype, keep, start)
    if state.v.size:
        far = state.v.nbytes > _FAR_BYTES
        run(compiled.forward_given, state.v.size, current, constant, cells, shape_of(lanes), state, far, parts(n))
    return state


def backward(
    state: State,
    cells: Cells,
    lanes: Lanes,
    surrogate: int,
    steepness: float,
    *,
    g_spikes: NDArray | None,
    g_voltages: NDArray | None,
    outgoing: Outgoing | None = None,
    linear: Sparse | None = None,
    want_bias: bool = False,
    want_alpha: bool = False,
    want_beta: bool = False,
    want_threshold: bool = False,
    current: Literal["tiles", "active tiles", "rows", "sum"] | None = None,
    carry: tuple[NDArray, NDArray] | None = None,
) -> Adjoint:
    """Differentiate a layer's run with respect to its parameters and its currents.

    Parameters
    ----------
    state : State
        From the forward pass.
    cells, lanes
        As there.
    surrogate, steepness : int, float
        Code (membrane.py) and parameter of the surrogate derivative.
    g_spikes, g_voltages : (T, B, n) or (n, n_lanes), optional
        Gradients of the loss; rows must be zero in padding lanes.
    outgoing : Outgoing, optional
        In place of `g_spikes`: what to compute them from.
    linear : Sparse, optional
        As in the forward pass, for the gradient of its values.
    want_bias, want_alpha, want_beta, want_threshold : bool
        Gradients to compute; `want_alpha` needs the synaptic currents to have been kept.
    current : {"tiles", "active tiles", "rows", "sum"}, optional
        Layout in which to keep the gradients of the currents; "sum" is over time. "active tiles" are those of the
        neurons that are active in the result; the others are not written.
    carry : (n, padded) twice, optional
        Gradients of the membrane sum and the synaptic current one step after the last; updated to those of the first
        step, so that chunks of time can be differentiated one after the other.

    Raises
    ------
    ValidationError
        For any argument that does not fit the others.
    """
    owner = "backward"
    dtype = cells.beta.dtype
    n = cells.beta.size
    check_state(owner, state, cells, lanes, want_alpha=want_alpha)
    as_it_is = lanes.n_lanes <= _GATHERED_LANES
    spikes = gradient_rows(owner, "g_spikes", g_spikes, n, lanes, dtype, steps_too=as_it_is)
    if outgoing is not None:
        check_outgoing(owner, outgoing, n, lanes, dtype)
        if g_spikes is not None:
            raise ValidationError(f"{owner}: g_spikes and outgoing are both given, would have to be one of them")
    voltages = gradient_rows(owner, "g_voltages", g_voltages, n, lanes, dtype)
    shape = shape_of(lanes)
    if linear is None:
        linear, unit, values = _no_linear(dtype), LANES, np.zeros(0, dtype)
        events, bounds = _NO_EVENTS
    else:
        n_target, n_lanes, unit = check_operands(owner, linear.indptr, linear.indices, linear.values, linear.rows)
        if n_target != n:
            raise ValidationError(f"{owner}.linear: has {n_target} targets, the layer has {n} neurons")
        _check_lanes(owner, n_lanes, lanes)
        values = np.zeros(linear.values.size, dtype)
        events, bounds = _events(owner, linear, shape) if state.v.size else _NO_EVENTS
    wanted = {"bias": want_bias, "alpha": want_alpha, "beta": want_beta, "threshold": want_threshold}
    per_neuron = {name: np.zeros(n if want else 0, dtype) for name, want in wanted.items()}
    tiles, rows = _room_for_current(current, n, lanes, dtype)
    none = np.zeros((0, 0), dtype)
    carry_v, carry_c = carry or (none, none)
    if carry is not None:
        for name, array in (("carry[0]", carry_v), ("carry[1]", carry_c)):
            check_array(owner, name, array, dtype, (n, lanes.padded), writable=True)
    active = np.zeros(n, np.bool_)
    if state.v.size:
        bias, alpha, beta, threshold = per_neuron.values()
        gradients = Gradients(
            values, bias, alpha, beta, threshold, tiles, current == "active tiles", rows, carry_v, carry_c, active
        )
        run(
            compiled_backward.backward, 4 * state.v.size + values.size * lanes.n_words,
            linear.indptr, linear.indices, linear.rows.reshape(-1), unit, events, bounds, linear.method == "events",
            spikes.reshape(-1), spikes.ndim == 3, _arrays_of(outgoing, dtype), voltages.reshape(-1), surrogate,
            dtype.type(steepness), cells, shape, state, gradients, parts(n),
        )  # fmt: skip
    return Adjoint(
        values=values if linear.indptr.size else None,
        **{name: per_neuron[name] if want else None for name, want in wanted.items()},
        current=None if current is None else tiles if current in _TILED else rows,
        active=active,
    )


_NO_EVENTS = (np.zeros(0, np.uint16), np.zeros((0, 2), np.int64))


def _no_linear(dtype: np.dtype) -> Sparse:
    index = np.zeros(0, np.int32)
    return Sparse(index, index, np.zeros(0, dtype), np.zeros((0, 0), np.uint16))


def _arrays_of(outgoing: Outgoing | None, dtype: np.dtype) -> tuple[NDArray, ...]:
    if outgoing is None:
        index, none = np.zeros(0, np.int32), np.zeros(0, dtype)
        return index, index, none, none
    return outgoing.indptr, outgoing.targets, outgoing.weights, outgoing.g.reshape(-1)


def _room_for_current(current: str | None, n: int, lanes: Lanes, dtype: np.dtype) -> tuple[NDArray, NDArray]:
    """Return the arrays for the gradients of the currents, in tiles and in rows; unwanted ones have no elements."""
    tiles, rows = np.zeros((0, 0, 0), dtype), np.zeros((0, 0), dtype)
    if current in _TILED:
        tiles = borrow((-(-lanes.n_lanes // TILE), n, TILE), dtype)
    elif current == "sum" or (current == "rows" and lanes.n_steps == 1):
        rows = np.zeros((n, lanes.padded), dtype)  # rows as long as a step are added to: they start from zero
    elif current == "rows":
        rows = lanes.rows(n, dtype)
    return tiles, rows


def _events(owner: str, linear: Sparse, shape: Shape) -> tuple[NDArray, NDArray[np.int64]]:
    if linear.method == "words":
        return _NO_EVENTS
    if linear.method != "events" or linear.rows.dtype != np.uint16:
        raise ValidationError(
            f"{owner}.linear.method: is {linear.method!r} on rows of {linear.rows.dtype}; 'events' needs spike words, "
            "and 'words' is the other method"
        )
    return list_events(linear.rows, shape.chunk_steps * shape.padded // LANES)


def _check_lanes(owner: str, n_lanes: int, lanes: Lanes) -> None:
    if n_lanes != lanes.n_lanes:
        raise ValidationError(f"{owner}.rows: have {n_lanes} lanes, {lanes} needs {lanes.n_lanes}")
