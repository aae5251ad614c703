"""Sums over lists of spikes: the same order of additions with and without a gather instruction."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from neurosparse.kernels import simd_events


@njit
def dot(g, events):
    return simd_events.dot_events(g, events, 0, events.size)


@pytest.mark.parametrize("kind", [np.uint16, np.uint32])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_sum_over_events_has_the_bits_of_four_sums_in_the_order_of_the_list(kind: type, dtype: type) -> None:
    rng = np.random.default_rng(0)
    g = rng.standard_normal(1000).astype(dtype)
    for size in (0, 8, 16, 240):
        events = rng.integers(0, 1000, size).astype(kind)
        sums = [dtype(0)] * 4
        for i, lane in enumerate(events):
            sums[i % 4] += g[lane]
        assert dot(g, events) == (sums[0] + sums[1]) + (sums[2] + sums[3])
