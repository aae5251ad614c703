"""What goes into and comes out of the passes over a layer, and the checks they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import ValidationError
from neurosparse.kernels.checks import FLOATS, check_array, check_csr, check_indices
from neurosparse.kernels.compiled import Cells, Shape, State
from neurosparse.kernels.lanes import Lanes, to_rows
from neurosparse.kernels.membrane import SUBTRACT_NOW, ZERO_NOW

__all__ = [
    "Adjoint",
    "Cells",
    "Keep",
    "Outgoing",
    "Sparse",
    "check_cells",
    "check_current",
    "check_outgoing",
    "check_state",
    "gradient_rows",
    "make_cells",
    "new_state",
    "shape_of",
]

_CHUNK_LANES = 4096  # 16 KiB of floats: a row of voltages, one of gradients and one of slopes fit a 48 KiB L1 cache


@dataclass(frozen=True)
class Sparse:
    """The linear part of a layer: CSR index and values (n_target, n_source), and the source's activity as rows.

    `rows` are spike words (n_source, n_words) uint16 or floats (n_source, n_lanes). With ``method="events"`` the
    kernels visit spike after spike and not all words; it needs spike words.
    """

    indptr: NDArray[np.int32]
    indices: NDArray[np.int32]
    values: NDArray
    rows: NDArray
    method: Literal["words", "events"] = "words"


@dataclass(frozen=True)
class Outgoing:
    """Where a layer's spikes go, and the gradients there: theirs is ``W^T g``, made neuron by neuron as it is needed.

    `indptr` (n + 1,) and `targets` (K,) int32 are the synapses leaving each neuron, `weights` (K,) theirs in the same
    order, and `g` (n_target, n_lanes) the gradients of the currents of the next layer. Worth it where `g` stays in a
    cache: no array of the layer's own size is then written and read again.
    """

    indptr: NDArray[np.int32]
    targets: NDArray[np.int32]
    weights: NDArray
    g: NDArray


@dataclass(frozen=True)
class Keep:
    """What a forward pass keeps besides what the threshold saw.

    `words`: spikes (a read-out has none); `post`: voltages after the reset where they differ; `synaptic`: synaptic
    currents.
    """

    words: bool = True
    post: bool = False
    synaptic: bool = False


DEFAULT = Keep()


@dataclass(frozen=True)
class Adjoint:
    """What a backward pass returns; None where it was not asked for.

    `values` (K,), `bias`, `alpha`, `beta`, `threshold` (n,), `current`: gradients of the currents in tiles
    (n_tiles, n, TILE), rows (n, n_lanes), or summed over time (n, padded). `active` (n,) bool is False for neurons
    whose currents have no gradient: nothing of theirs reaches the loss, or no voltage lies in the support of a compact
    surrogate. None where nobody looked.
    """

    values: NDArray | None
    bias: NDArray | None
    alpha: NDArray | None
    beta: NDArray | None
    threshold: NDArray | None
    current: Any
    active: NDArray[np.bool_] | None = None


def make_cells(mode: int, alpha: NDArray | None, beta: NDArray, threshold: NDArray) -> Cells:
    """Check and bundle the neurons of a layer.

    Parameters
    ----------
    mode : int
        One of the reset modes of membrane.py.
    alpha, beta, threshold : (n,) float32 or float64, one type
        Decays per step and threshold; `alpha` None for a neuron without synaptic current.

    Raises
    ------
    ValidationError
        For shapes or types that do not fit, and for ZERO_NOW with a threshold that is not positive: snnTorch then
        resets before the neuron has fired, which has no meaning worth a kernel.
    """
    owner = "make_cells"
    check_array(owner, "beta", beta, FLOATS, (None,))
    check_array(owner, "threshold", threshold, beta.dtype, beta.shape)
    if alpha is not None:
        check_array(owner, "alpha", alpha, beta.dtype, beta.shape)
    if mode not in range(6):
        raise ValidationError(f"{owner}.mode: is {mode}, would have to be one of 0 to 5 (kernels/membrane.py)")
    if mode == ZERO_NOW and not (threshold > 0).all():
        raise ValidationError(f"{owner}.threshold: reaches {threshold.min()}, would have to be positive for this reset")
    return Cells(mode, alpha is not None, beta if alpha is None else alpha, beta, threshold)


def new_state(
    owner: str,
    n: int,
    cells: Cells,
    lanes: Lanes,
    dtype: np.dtype,
    keep: Keep,
    start: tuple[NDArray, NDArray] | None,
) -> State:
    post = cells.mode == SUBTRACT_NOW or (keep.post and cells.mode == ZERO_NOW)
    none = np.zeros((0, 0), dtype)
    start_v, start_c = start or (none, none)
    if start is not None:
        for name, array in (("start[0]", start_v), ("start[1]", start_c)):
            check_array(owner, name, array, dtype, (n, lanes.padded))
    return State(
        lanes.rows(n, dtype),
        lanes.rows(n, dtype) if post else none,
        lanes.rows(n, dtype) if keep.synaptic and cells.filtered else none,
        lanes.words(n) if keep.words else np.zeros((0, 0), np.uint16),
        start_v,
        start_c,
    )


def gradient_rows(
    owner: str,
    field: str,
    gradient: NDArray | None,
    n: int,
    lanes: Lanes,
    dtype: np.dtype,
    *,
    steps_too: bool = False,
) -> NDArray:
    """Return an incoming gradient as rows (n, n_lanes), transposed if it is (time, batch, neuron); no rows for None.

    The transposition is a pass of its own: read step by step it is sequential, while a neuron's own lanes lie a page
    apart each. With `steps_too` the caller takes (time, batch, neuron) as it is.
    """
    if gradient is None:
        return np.zeros((0, 0), dtype)
    if gradient.ndim == 3:
        check_array(owner, field, gradient, dtype, (lanes.n_steps, lanes.n_samples, n))
        return gradient if steps_too else to_rows(gradient)
    check_array(owner, field, gradient, dtype, (n, lanes.n_lanes))
    return gradient


def check_outgoing(owner: str, outgoing: Outgoing, n: int, lanes: Lanes, dtype: np.dtype) -> None:
    """Check the synapses that leave `n` neurons, and the gradients at their targets."""
    check_csr(f"{owner}.outgoing", outgoing.indptr, outgoing.targets, n_target=n, field="targets")
    check_array(f"{owner}.outgoing", "weights", outgoing.weights, dtype, outgoing.targets.shape)
    check_array(f"{owner}.outgoing", "g", outgoing.g, dtype, (None, lanes.n_lanes))
    check_indices(f"{owner}.outgoing", "targets", outgoing.targets, outgoing.g.shape[0])


def check_current(owner: str, current: NDArray, cells: Cells, lanes: Lanes) -> tuple[int, bool]:
    """Check currents computed elsewhere and the cells they go to; return n, and whether every step has the same."""
    check_array(owner, "current", current, FLOATS, (None, None))
    n = current.shape[0]
    constant = current.shape[1] == lanes.padded
    if not constant:
        check_array(owner, "current", current, current.dtype, (n, lanes.n_lanes))
    check_cells(owner, cells, n, current.dtype)
    return n, constant


def check_cells(owner: str, cells: Cells, n: int, dtype: np.dtype) -> None:
    if cells.beta.size != n or cells.beta.dtype != dtype:
        raise ValidationError(
            f"{owner}.cells: are {cells.beta.size} of {cells.beta.dtype}, the layer has {n} neurons of {dtype}"
        )


def check_state(owner: str, state: State, cells: Cells, lanes: Lanes, *, want_alpha: bool) -> None:
    """Check what a forward pass kept against what its backward pass reads."""
    n, dtype = cells.beta.size, cells.beta.dtype
    check_cells(owner, cells, n, dtype)
    check_array(owner, "state.v", state.v, dtype, (n, lanes.n_lanes))
    if want_alpha and cells.filtered and state.synaptic.size != state.v.size:
        raise ValidationError(
            f"{owner}.want_alpha: the forward pass kept no synaptic currents, call it with Keep(synaptic=True)"
        )
    if cells.mode == SUBTRACT_NOW and state.post.shape != state.v.shape:
        raise ValidationError(f"{owner}.state.post: was not kept, and this reset cannot be differentiated without")


def shape_of(lanes: Lanes) -> Shape:
    chunk = max(1, min(lanes.n_steps, _CHUNK_LANES // max(1, lanes.padded)))
    return Shape(lanes.n_steps, lanes.n_samples, lanes.padded, chunk)
