"""The layout of activity: neuron-major rows of lanes, with spikes as bits.

The public order is (time, batch, neuron); the kernels want each neuron's whole history side by side, lane = t *
padded + b, with the batch padded to whole vectors of 16 so that a time step starts on a word. Here are the geometry
and the conversions, all of them one pass over memory.

    rows of floats   (n, n_lanes)             voltages, currents, gradients
    rows of words    (n, n_lanes / 16) uint16 spikes, bit i of a word is lane i of its vector

Padding lanes of float rows hold anything finite; padding bits of words are zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import DTypeLike, NDArray

from neurosparse.kernels import simd, simd_blocks
from neurosparse.kernels.buffers import borrow
from neurosparse.kernels.checks import FLOATS, check_array, check_size
from neurosparse.kernels.jit import jit, parts, run
from neurosparse.kernels.vectors import LANES, splat, store, where, word_mask

__all__ = ["Lanes", "count_spikes", "expand_spikes", "pack_spikes", "to_rows"]


@dataclass(frozen=True)
class Lanes:
    """Geometry of the lanes of `n_steps` time steps of `n_samples` samples.

    >>> Lanes(25, 100)
    Lanes(n_steps=25, n_samples=100)
    >>> Lanes(25, 100).padded, Lanes(25, 100).n_lanes, Lanes(25, 100).n_words
    (112, 2800, 175)
    """

    n_steps: int
    n_samples: int

    def __post_init__(self) -> None:
        check_size("Lanes", "n_steps", self.n_steps)
        check_size("Lanes", "n_samples", self.n_samples)
        check_size("Lanes", "n_lanes", self.n_lanes)

    @property
    def padded(self) -> int:
        """Samples of a step, padded to whole vectors."""
        return -(-self.n_samples // LANES) * LANES

    @property
    def n_lanes(self) -> int:
        """Length of a row of floats."""
        return self.n_steps * self.padded

    @property
    def n_words(self) -> int:
        """Length of a row of spike words."""
        return self.n_lanes // LANES

    def rows(self, n: int, dtype: DTypeLike) -> NDArray:
        """Return uninitialised rows of floats for `n` neurons, from the pool."""
        return borrow((n, self.n_lanes), dtype)

    def words(self, n: int) -> NDArray[np.uint16]:
        """Return uninitialised rows of spike words for `n` neurons, from the pool."""
        return borrow((n, self.n_words), np.uint16)

    def as_time_batch_neuron(self, rows: NDArray) -> NDArray:
        """Return the rows (n, n_lanes) seen as (time, batch, neuron): a view, nothing moves."""
        n = rows.shape[0]
        return rows.reshape(n, self.n_steps, self.padded)[:, :, : self.n_samples].transpose(1, 2, 0)


def pack_spikes(x: NDArray) -> NDArray[np.uint16] | None:
    """Turn spikes (time, batch, neuron) into rows of words, or say that they are no spikes.

    Parameters
    ----------
    x : (T, B, n) float32, float64, uint8 or bool, C-contiguous

    Returns
    -------
    (n, n_words) uint16, or None
        None if any element is neither 0 nor 1 (NaN included).

    Raises
    ------
    ValidationError
        For another type, order or number of axes.
    """
    check_array("pack_spikes", "x", x, (*FLOATS, np.uint8, np.bool_), (None, None, None))
    n_steps, n_samples, n = x.shape
    lanes = Lanes(n_steps, n_samples)
    words = lanes.words(n)
    if x.size == 0:
        return words
    flat = (x.view(np.uint8) if x.dtype == np.bool_ else x).reshape(-1)
    n_parts = parts(-(-n_steps // _STEPS))
    return words if run(_pack, x.size, flat, words, n_steps, n_samples, n, lanes.padded // LANES, n_parts) else None


_BLOCK = 256  # neurons packed one after the other: a piece of a sample at a time, and their words stay in the L1 cache
_STEPS = 4  # steps packed at least by one task: with 128 samples a whole cache line of each neuron's words


@jit(parallel=True)
def _pack(x, words, n_steps, n_samples, n, n_groups, n_parts):
    strange = np.zeros(n_parts, np.int64)
    flat = words.reshape(-1)
    stride = n_steps * n_groups
    for task in prange(n_parts):
        seen = False
        for start in range(0, n, _BLOCK):
            stop = min(start + _BLOCK, n)
            for t in range(task * n_steps // n_parts, (task + 1) * n_steps // n_parts):
                for group in range(n_groups):
                    source = (t * n_samples + group * LANES) * n
                    count = min(LANES, n_samples - group * LANES)
                    word = t * n_groups + group
                    whole = (stop - start) // LANES * LANES + start
                    for j in range(start, whole, LANES):
                        seen |= simd_blocks.pack_block(flat, j * stride + word, stride, x, source + j, n, count)
                    for j in range(whole, stop):
                        seen |= _pack_neuron(flat, j * stride + word, x, source + j, n, count)
        strange[task] = seen
    return strange.max() == 0


@jit
def _pack_neuron(words, place, x, start, stride, count):
    """Pack one word of one neuron; return whether any value is neither 0 nor 1."""
    bits, seen = 0, False
    for b in range(count):
        value = x[start + b * stride]
        if value != 0:
            bits |= 1 << b
            seen |= value != 1
    words[place] = bits
    return seen


def to_rows(x: NDArray) -> NDArray:
    """Turn values (time, batch, neuron) into rows of floats; padding lanes become zero.

    Parameters
    ----------
    x : (T, B, n) float32 or float64, C-contiguous

    Returns
    -------
    (n, n_lanes) of the same type, from the pool

    Raises
    ------
    ValidationError
        For another type, order or number of axes.
    """
    check_array("to_rows", "x", x, FLOATS, (None, None, None))
    n_steps, n_samples, n = x.shape
    lanes = Lanes(n_steps, n_samples)
    rows = lanes.rows(n, x.dtype)
    if x.size:
        run(_to_rows, x.size, x.reshape(-1), rows.reshape(-1), n_steps, n_samples, n, lanes.padded)
    return rows


@jit(parallel=True)
def _to_rows(x, rows, n_steps, n_samples, n, padded):
    n_lanes = n_steps * padded
    for t in prange(n_steps):
        for start in range(0, n, LANES):
            width = min(LANES, n - start)
            gather_block(x, rows, start * n_lanes + t * padded, n_lanes, t, start, width, n_samples, n, padded)


@jit
def gather_block(x, rows, rows_start, row_stride, t, neuron, width, n_samples, n, padded):
    """Copy step `t` of up to 16 neurons from flat (time, batch, neuron) `x` into `rows`; padding lanes become zero."""
    whole = n_samples // LANES * LANES if width == LANES else 0
    source = t * n_samples * n + neuron
    for b in range(0, whole, LANES):
        simd_blocks.transpose_block(rows, rows_start + b, row_stride, x, source + b * n, n)
    for b in range(whole, n_samples):
        for q in range(width):
            rows[rows_start + q * row_stride + b] = x[source + b * n + q]
    for q in range(width):
        for b in range(n_samples, padded):
            rows[rows_start + q * row_stride + b] = 0


@jit
def scatter_block(x, rows, rows_start, row_stride, vector, neuron, width, n_samples, n, padded):
    """Copy one vector of lanes of up to 16 neurons from `rows` to flat (time, batch, neuron) `x`, padding left out."""
    t, b = vector * LANES // padded, vector * LANES % padded
    target = (t * n_samples + b) * n + neuron
    if width == LANES and b + LANES <= n_samples:
        simd_blocks.transpose_block(x, target, n, rows, rows_start, row_stride)
    else:
        for i in range(min(LANES, n_samples - b)):
            for q in range(width):
                x[target + i * n + q] = rows[rows_start + q * row_stride + i]


def expand_spikes(words: NDArray[np.uint16], dtype: DTypeLike = np.float32) -> NDArray:
    """Turn rows of words into rows of floats, 1.0 where a spike is.

    Parameters
    ----------
    words : (n, n_words) uint16
    dtype : float32 or float64

    Returns
    -------
    (n, 16 * n_words), from the pool
    """
    check_array("expand_spikes", "words", words, np.uint16, (None, None))
    rows = borrow((words.shape[0], words.shape[1] * LANES), dtype)
    if rows.size:
        run(_expand, rows.size, words.reshape(-1), rows.reshape(-1), words.shape[0], words.shape[1])
    return rows


@jit(parallel=True)
def _expand(words, rows, n, n_words):
    one, zero = rows.dtype.type(1), rows.dtype.type(0)
    for j in prange(n):
        for w in range(j * n_words, (j + 1) * n_words):
            store(rows, w * LANES, where(word_mask(words[w]), splat(one), splat(zero)))


def count_spikes(words: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Return the number of spikes of each neuron, (n,) int64, from rows of words."""
    check_array("count_spikes", "words", words, np.uint16, (None, None))
    counts = np.zeros(words.shape[0], np.int64)
    if words.size:
        run(_count, words.size, words, counts)
    return counts


@jit(parallel=True)
def _count(words, counts):
    for j in prange(words.shape[0]):
        total = 0
        for i in range(words.shape[1]):
            total += simd.ones(words[j, i])
        counts[j] = total
