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

from neurosparse.kernels import simd_events
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
    events : (any size,) uint16, or uint32 where a chunk has more lanes than that can count
        Lanes from the start of the chunk; ``16 * words_per_chunk`` in the places that only fill up.
    bounds : (n * n_chunks, 2) int64
        Events of neuron i in chunk c are ``events[first:last]`` with ``first, last = bounds[i * n_chunks + c]``.
    """
    check_array("list_events", "words", words, np.uint16, (None, None))
    check_size("list_events", "words_per_chunk", words_per_chunk, minimum=1)
    n, n_words = words.shape
    nowhere = LANES * words_per_chunk
    kind = np.uint16 if nowhere <= np.iinfo(np.uint16).max else np.uint32
    n_chunks = -(-n_words // words_per_chunk)
    bounds = np.empty((n * n_chunks, 2), np.int64)
    n_parts = parts(n)
    # Room for a spike in every lane, of which only as much is ever touched as there are spikes: each part of the
    # neurons writes its lists one after the other from the start of its own share.
    share = -(-n // n_parts) * (LANES * n_words + GROUP * n_chunks) + LANES
    events = borrow((n_parts * share,), kind)
    if bounds.size:
        run(
            _list, words.size, words.reshape(-1), n_words, words_per_chunk, n_chunks, kind(nowhere),
            _BITS.reshape(-1), events, share, bounds, n_parts,
        )  # fmt: skip
    return events, bounds


# For each byte the places of its set bits, and then whatever.
_BITS = np.array(
    [[b for b in range(8) if byte >> b & 1] + [0] * (8 - byte.bit_count()) for byte in range(256)], np.uint16
)


@jit(parallel=True)
def _list(words, n_words, words_per_chunk, n_chunks, nowhere, table, events, share, bounds, n_parts):
    n = bounds.shape[0] // n_chunks
    for part in prange(n_parts):
        place = part * share
        for i in range(part * n // n_parts, (part + 1) * n // n_parts):
            for c in range(n_chunks):
                word = c * words_per_chunk
                first = place
                # Without a branch on a spike: where one will be cannot be predicted.
                place = simd_events.list_words(
                    events, place, table, words, i * n_words + word, min(words_per_chunk, n_words - word)
                )
                last = first + (place - first + GROUP - 1) // GROUP * GROUP
                events[place:last] = nowhere
                bounds[i * n_chunks + c, 0], bounds[i * n_chunks + c, 1] = first, last
                place = last
