"""Large arrays that come from a pool and go back by themselves.

A layer step needs a handful of arrays of n x time x batch floats, the same sizes every step. Fresh from the operating
system each costs more than the arithmetic done on it (13.6 MB: 4-20 ms of page faults against 0.5 ms to fill it), and
4 KiB pages make the random row accesses of a sparse product miss the TLB (measured: 11.7 against 7.2 ms for an input
gradient). So blocks are mapped once, in huge pages where the system grants them, and reused when the last array or
tensor that looks into them is gone.
"""

from __future__ import annotations

import contextlib
import mmap
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["borrow", "idle_bytes", "release_idle"]

_HUGE_PAGE = 2 << 20
_SMALL = 1 << 18  # below 256 KiB the ordinary allocator is as good
_IDLE_LIMIT = 1 << 30
_lock = threading.RLock()  # re-entrant: the garbage collector may end a lease while this thread is in here
_idle: list[mmap.mmap] = []  # oldest first


class _Lease(np.ndarray):
    """The whole block as bytes; every array made from it keeps it alive, and its end returns the block to the pool."""

    block: mmap.mmap | None = None  # views of a lease, which numpy makes of the same type, have none

    def __del__(self) -> None:
        if self.block is not None:
            _give_back(self.block)


def borrow(shape: Sequence[int], dtype: DTypeLike) -> NDArray:
    """Return an uninitialised C-contiguous array on a 64-byte boundary, from the pool if it is large.

    Parameters
    ----------
    shape : sequence of int
    dtype : dtype

    Returns
    -------
    ndarray
        Its block goes back to the pool when no array or tensor refers to it any more.
    """
    kind = np.dtype(dtype)
    count = 1
    for extent in shape:
        count *= int(extent)
    size = count * kind.itemsize
    if size < _SMALL:
        raw = np.empty(size + 64, np.uint8)
        start = -raw.__array_interface__["data"][0] % 64
        return raw[start : start + size].view(kind).reshape(shape)
    block = _take(size)
    lease: Any = np.frombuffer(block, np.uint8).view(_Lease)
    lease.block = block
    # The explicit buffer keeps numpy from collapsing the chain of bases past the lease.
    return np.frombuffer(memoryview(lease), kind, count).reshape(shape)


def idle_bytes() -> int:
    """Bytes held for reuse and in use by nobody."""
    with _lock:
        return sum(len(block) for block in _idle)


def release_idle() -> None:
    """Return all unused blocks to the operating system."""
    with _lock:
        _idle.clear()


def _take(size: int) -> mmap.mmap:
    with _lock:
        # After a fork parent and child share the list but not the pages: copies, correct but private.
        fitting = [block for block in _idle if size <= len(block) <= max(2 * size, size + _HUGE_PAGE)]
        if fitting:
            best = min(reversed(fitting), key=len)  # the newest of the smallest: what is still in a cache
            _idle.remove(best)
            return best
    pages = -(-size // _HUGE_PAGE) if size >= _HUGE_PAGE else 0
    block = mmap.mmap(-1, pages * _HUGE_PAGE or size)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without transparent huge pages: slower, not wrong
            block.madvise(mmap.MADV_HUGEPAGE)
    return block


def _give_back(block: mmap.mmap) -> None:
    with _lock:
        _idle.append(block)
        held = sum(len(b) for b in _idle)
        while held > _IDLE_LIMIT:
            held -= len(_idle.pop(0))
