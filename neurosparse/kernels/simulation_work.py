"""The arrays one thread of the simulator works in, kept from one sample to the next: making them costs as much."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosparse.kernels.buffers import borrow
from neurosparse.kernels.simulation_advance import BLOCKS
from neurosparse.kernels.simulation_plan import LANES, ROW, SPAN, Tables

__all__ = ["Work", "borrow_work", "return_work"]

_KEPT_NEURON_STEPS = 1 << 26
"""Arrays for more (about 16 MB) go back at once: next to so long a run, making them costs nothing."""


class Work(NamedTuple):
    """See `_make` for the shapes; in units of a network's padded neurons.

    Parameters
    ----------
    rows : input values, one row of steps per line (not for spikes)
    slots : currents of a span, a vector of 16 steps per neuron, word and slot; clear between spans
    currents : the same for populations of a loop, a row of neurons per step
    trace : voltages of a span
    tile : currents of some blocks of 16 neurons in a span, a vector of 16 neurons per step
    v, c : voltages and synaptic currents
    words : spikes of the whole run, two words of 16 steps per span and source
    bits : spikes of the whole run, per step and 16 neurons
    shifted : words of one source, later by a delay
    deferred : 1 for projections whose currents are added with the neurons' update
    active : sources with a spike in a word
    pending : spikes of the last step
    moved : neurons that spiked in a span or ended it elsewhere
    resting, touched : per block of 16 neurons, in populations that keep account of them
    """

    rows: NDArray[Any]
    slots: NDArray[Any]
    currents: NDArray[Any]
    trace: NDArray[Any]
    tile: NDArray[Any]
    v: NDArray[Any]
    c: NDArray[Any]
    words: NDArray[np.uint16]
    bits: NDArray[np.uint16]
    shifted: NDArray[np.uint16]
    deferred: NDArray[np.uint16]
    active: NDArray[np.int32]
    pending: NDArray[np.uint16]
    moved: NDArray[np.uint16]
    resting: NDArray[np.uint16]
    touched: NDArray[np.uint16]


def borrow_work(tables: Tables, n_steps: int) -> tuple[NDArray[Any], ...]:
    """Return the fields of `Work` for `n_steps` >= 1 steps: those of an earlier run of as many steps, or new ones."""
    try:
        steps, work = tables.spare.pop()  # one atomic operation: threads share the list
    except IndexError:
        return tuple(_make(tables, n_steps))
    return work if steps == n_steps else tuple(_make(tables, n_steps))


def return_work(tables: Tables, n_steps: int, work: tuple[NDArray[Any], ...]) -> None:
    """Keep `work` for the next run."""
    if n_steps * (tables.n_padded + tables.lines_padded) <= _KEPT_NEURON_STEPS:
        tables.spare.append((n_steps, work))


def _make(tables: Tables, n_steps: int) -> Work:
    n_words, n_blocks = -(-n_steps // LANES), tables.n_padded // LANES
    n_spans = -(-n_words // SPAN)
    row_length = 0 if tables.kind == "spikes" else min(tables.delay, n_steps) + n_words * LANES
    widest = max(tables.lines_padded, tables.n_padded)
    slots = borrow((tables.n_slots * ROW,), tables.dtype)
    slots[...] = 0
    return Work(
        rows=borrow((tables.n_lines * row_length,), tables.dtype),
        slots=slots,
        currents=borrow((tables.n_currents * ROW,), tables.dtype),
        trace=borrow((tables.n_padded * ROW,), tables.dtype),
        tile=borrow((BLOCKS * LANES * ROW,), tables.dtype),
        v=borrow((tables.n_padded,), tables.dtype),
        c=borrow((tables.n_padded,), tables.dtype),
        words=borrow(((tables.lines_padded + tables.n_padded) * n_spans * SPAN,), np.uint16),
        bits=borrow((tables.n_padded * n_words,), np.uint16),
        shifted=borrow((widest * SPAN,), np.uint16),
        deferred=borrow((len(tables.layout.projections),), np.uint16),
        active=borrow((widest,), np.int32),
        pending=borrow((n_blocks,), np.uint16),
        moved=borrow((n_blocks,), np.uint16),
        resting=borrow((n_blocks,), np.uint16),
        touched=borrow((n_blocks,), np.uint16),
    )
