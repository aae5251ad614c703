"""The clock of a core, from how long instructions take that wait for each other."""

from __future__ import annotations

import time

import numpy as np

from neurosparse.kernels.jit import jit

__all__ = ["clock_ghz"]


def clock_ghz(n: int = 20_000_000) -> float:
    """Return the cycles a nanosecond of the core that this runs on, while it computes.

    From `n` times an exclusive or, one cycle, and a multiplication, three on the x86 processors of the last decade;
    where that is another number, so is this by the same factor.
    """
    _chain(1)
    begin = time.perf_counter()
    _chain(n)
    return 4e-9 * n / (time.perf_counter() - begin)


@jit
def _chain(n):
    x = np.uint64(1)
    for i in range(n):
        x = (x ^ np.uint64(i)) * np.uint64(0x9E3779B97F4A7C15)
    return x
