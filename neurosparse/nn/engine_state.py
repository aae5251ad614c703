"""Where a fused layer stands between two parts of a sequence: what it starts from, ends in, and sends back.

A state is voltage and synaptic current (n, padded), rows of one step, and for a recurrent layer its last spikes. Their
gradients follow the kernels' convention (`FusedLayer`), so they only ever travel from one part of a layer to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neurosparse.kernels import products
from neurosparse.kernels.compiled import State as Activity
from neurosparse.kernels.lanes import Lanes, expand_spikes
from neurosparse.kernels.recurrent import Recurrence
from neurosparse.kernels.vectors import LANES

__all__ = [
    "Activity",
    "State",
    "activity_of",
    "carry_of",
    "end_of",
    "gradients_before",
    "kept_of",
    "start_of",
    "words_of",
]

State = tuple[NDArray[Any], NDArray[Any]]  # of voltages and synaptic currents, or their gradients: (n, padded) each


def kept_of(activity: Activity) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return the large arrays of `activity` as tensors that look into them, for autograd to save; None if not kept."""
    post, synaptic = activity.post, activity.synaptic
    return (
        torch.from_numpy(activity.v),
        torch.from_numpy(post) if post.size else None,
        torch.from_numpy(synaptic) if synaptic.size else None,
    )


def activity_of(kept: Sequence[Any], words: NDArray[np.uint16], start: State) -> Activity:
    """Return the activity again, from what `kept_of` gave, its spikes and what it started from."""
    v, post, synaptic = kept
    none = np.zeros((0, 0), start[0].dtype)
    return Activity(
        v.numpy(),
        none if post is None else post.numpy(),
        none if synaptic is None else synaptic.numpy(),
        words,
        *start,
    )


def start_of(voltage: Tensor | None, synaptic: Tensor | None) -> State | None:
    """Return the state before the first step as arrays; None for rest."""
    if voltage is None:
        return None
    v = voltage.detach().contiguous().numpy()
    return v, np.zeros_like(v) if synaptic is None else synaptic.detach().contiguous().numpy()


def words_of(spikes: Tensor) -> NDArray[np.uint16]:
    """Pack spikes (n, padded) of one step."""
    return np.packbits(spikes.detach().numpy() != 0, axis=1, bitorder="little").view(np.uint16)


def end_of(activity: Activity, lanes: Lanes, recurrent: bool) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return voltages, synaptic currents (None if there are none) and spikes (if `recurrent`) of the last step."""

    def last(rows: NDArray[Any]) -> Tensor | None:
        return torch.from_numpy(rows[:, -lanes.padded :].copy()) if rows.size else None

    spikes = None
    if recurrent:
        words = np.ascontiguousarray(activity.words[:, -(lanes.padded // LANES) :])
        spikes = last(expand_spikes(words, activity.v.dtype))
    return last(activity.post if activity.post.size else activity.v), last(activity.synaptic), spikes


def carry_of(g_end: tuple[Tensor | None, ...], shape: tuple[int, int], dtype: Any) -> State:
    """Return the gradients that the steps after this part send back, for the kernels to go on with and to overwrite."""
    voltage, synaptic = (np.zeros(shape, dtype) if g is None else g.detach().numpy().copy() for g in g_end[:2])
    return voltage, synaptic


def gradients_before(
    recurrence: Recurrence, words: NDArray[np.uint16], current: NDArray[Any], lanes: Lanes
) -> tuple[Tensor, NDArray[Any]]:
    """Return the gradients, through the first step, of the spikes before it and of the recurrent values.

    `words` (n, padded / 16): those spikes; `current` (n, n_lanes): gradients of the currents.
    """
    step = Lanes(1, lanes.padded)
    first = np.ascontiguousarray(current[:, : step.n_lanes])
    csc = cast(tuple[NDArray[Any], NDArray[Any], NDArray[Any]], recurrence.csc)
    g_spikes = products.input_gradient(*csc, recurrence.values, first, step, steps_layout=False)
    return torch.from_numpy(g_spikes), products.value_gradient(recurrence.indptr, recurrence.indices, words, first)
