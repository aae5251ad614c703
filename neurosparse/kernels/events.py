"""Lists of the spike words that hold a spike: what the kernels visit where activity is low.

An event is a uint32, the 16-lane word in its low half and the word's position (in words from the start of its chunk of
time steps) in its high half. The events of one neuron and chunk are contiguous and padded to a multiple of 4 with empty
words, so that the loops over them run four independent sums and have no remainder.
"""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from neurosparse.errors import ValidationError
from neurosparse.kernels.buffers import borrow
from neurosparse.kernels.checks import check_array, check_size
from neurosparse.kernels.jit import jit, run

__all__ = ["busy_fraction", "list_events"]

_GROUP = 4


def busy_fraction(words: NDArray[np.uint16], *, sample: int = 64) -> float:
    """Return the fraction of words that hold a spike, counted on at most about `sample` neurons; 0.0 for none."""
    check_array("busy_fraction", "words", words, np.uint16, (None, None))
    some = words[:: max(1, words.shape[0] // sample)]
    return int(np.count_nonzero(some)) / some.size if some.size else 0.0


def list_events(words: NDArray[np.uint16], words_per_chunk: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """List the words that hold a spike.

    Parameters
    ----------
    words : (n, n_words) uint16
    words_per_chunk : int in [1, 65536]
        Words of one chunk of time steps; the last chunk may be shorter.

    Returns
    -------
    events : (n_events,) uint32
    starts : (n * n_chunks + 1,) int64
        Events of neuron i in chunk c are ``starts[i * n_chunks + c]`` up to the next entry.
    """
    check_array("list_events", "words", words, np.uint16, (None, None))
    check_size("list_events", "words_per_chunk", words_per_chunk, minimum=1)
    if words_per_chunk > 1 << 16:
        raise ValidationError(
            f"list_events.words_per_chunk: is {words_per_chunk}, an event's 16-bit position allows at most 65536"
        )
    n_chunks = -(-words.shape[1] // words_per_chunk)
    starts = np.zeros(words.shape[0] * n_chunks + 1, np.int64)
    run(_count_events, words.size, words, words_per_chunk, n_chunks, starts)
    np.cumsum(starts, out=starts)
    events = borrow((int(starts[-1]),), np.uint32)
    run(_fill_events, words.size, words, words_per_chunk, n_chunks, starts, events)
    return events, starts


@jit(parallel=True)
def _count_events(words, words_per_chunk, n_chunks, starts):
    for i in prange(words.shape[0]):
        for c in range(n_chunks):
            busy = 0
            for w in range(c * words_per_chunk, min((c + 1) * words_per_chunk, words.shape[1])):
                busy += words[i, w] != 0
            starts[i * n_chunks + c + 1] = (busy + _GROUP - 1) // _GROUP * _GROUP


@jit(parallel=True)
def _fill_events(words, words_per_chunk, n_chunks, starts, events):
    for i in prange(words.shape[0]):
        for c in range(n_chunks):
            first = c * words_per_chunk
            place, end = starts[i * n_chunks + c], starts[i * n_chunks + c + 1]
            for w in range(first, min(first + words_per_chunk, words.shape[1])):
                word = np.uint32(words[i, w])
                if word:
                    events[place] = word | np.uint32((w - first) << 16)
                    place += 1
            while place < end:
                events[place] = 0
                place += 1
