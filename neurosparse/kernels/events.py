"""Lists of spikes: what the kernels visit where activity is low.

An event is the lane of one spike, counted from the start of its chunk of time steps. The events of one neuron and chunk
are contiguous and filled up to a multiple of 8 with a lane past the end of the chunk, where the kernels keep a zero (or
what nobody reads), so that the loops over them have no remainder.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from neurosparse.kernels import simd, simd_events
from neurosparse.kernels.buffers import borrow
from neurosparse.kernels.checks import check_array, check_size
from neurosparse.kernels.jit import jit, parts, run
from neurosparse.kernels.lanes import count_spikes
from neurosparse.kernels.simd_events import GROUP
from neurosparse.kernels.vectors import LANES

__all__ = ["list_events", "spikes_per_word"]


def spikes_per_word(words: NDArray[np.uint16], *, sample: int = 64) -> float:
    """Return the mean number of spikes in a word, counted on at most about `sample` neurons; 0.0 for no words."""
    check_array("spikes_per_word", "words", words, np.uint16, (None, None))
    some = np.ascontiguousarray(words[:: max(1, words.shape[0] // sample)])
    return int(count_spikes(some).sum()) / some.size if some.size else 0.0


def list_events(words: NDArray[np.uint16], words_per_chunk: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """List the spikes.

    Parameters
    ----------
    words : (n, n_words) uint16
    words_per_chunk : int >= 1
        Words of one chunk of time steps; the last chunk may be shorter.

    Returns
    -------
    events : (n_events,) uint16, or uint32 where a chunk has more lanes than that can count
        Lanes from the start of the chunk; ``16 * words_per_chunk`` in the places that only fill up.
    starts : (n * n_chunks + 1,) int64
        Events of neuron i in chunk c are ``starts[i * n_chunks + c]`` up to the next entry.
    """
    check_array("list_events", "words", words, np.uint16, (None, None))
    check_size("list_events", "words_per_chunk", words_per_chunk, minimum=1)
    nowhere = LANES * words_per_chunk
    kind = np.uint16 if nowhere <= np.iinfo(np.uint16).max else np.uint32
    n_chunks = -(-words.shape[1] // words_per_chunk)
    starts = np.zeros(words.shape[0] * n_chunks + 1, np.int64)
    run(_count_events, words.size, words, words_per_chunk, n_chunks, starts)
    np.cumsum(starts, out=starts)
    events = borrow((int(starts[-1]),), kind)
    if events.size:
        run(
            _fill_events, words.size, words, words_per_chunk, n_chunks, starts, kind(nowhere), _BITS.reshape(-1),
            events, parts(words.shape[0]),
        )  # fmt: skip
    return events, starts


@jit(parallel=True)
def _count_events(words, words_per_chunk, n_chunks, starts):
    for i in prange(words.shape[0]):
        for c in range(n_chunks):
            spikes = 0
            for w in range(c * words_per_chunk, min((c + 1) * words_per_chunk, words.shape[1])):
                spikes += simd.ones(words[i, w])
            starts[i * n_chunks + c + 1] = (spikes + GROUP - 1) // GROUP * GROUP


# For each byte the places of its set bits, and then whatever.
_BITS = np.array(
    [[b for b in range(8) if byte >> b & 1] + [0] * (8 - byte.bit_count()) for byte in range(256)], np.uint16
)


@jit(parallel=True)
def _fill_events(words, words_per_chunk, n_chunks, starts, nowhere, table, events, n_parts):
    n, n_words = words.shape
    for part in prange(n_parts):
        local = np.empty(LANES * (words_per_chunk + 1), events.dtype)
        for i in range(part * n // n_parts, (part + 1) * n // n_parts):
            for c in range(n_chunks):
                first, last = c * words_per_chunk, min((c + 1) * words_per_chunk, n_words)
                # Sixteen bits at a time and without a branch, because where a spike will be cannot be predicted.
                place = 0
                for w in range(first, last):
                    simd_events.list_word(local, place, table, words[i, w], LANES * (w - first))
                    place += simd.ones(words[i, w])
                begin, end = starts[i * n_chunks + c], starts[i * n_chunks + c + 1]
                local[place : end - begin] = nowhere
                events[begin:end] = local[: end - begin]
