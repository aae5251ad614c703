"""Synapses in the orders of the simulator: by target in groups, and as two 16-bit integers."""

from __future__ import annotations

import numpy as np
import pytest

from neurosparse.core.network import INPUT, Projection
from neurosparse.kernels.simulation_synapses import GROUP, SEGMENT, by_source, by_target, split_weights


def rows_of(lengths: list[int], n_source: int = 9) -> Projection:
    """Row i has synapses from the first ``lengths[i]`` sources, of weight 10 i + source + 1."""
    weights = np.zeros((len(lengths), n_source), np.float32)
    for i, n in enumerate(lengths):
        weights[i, :n] = 10 * i + np.arange(1, n + 1)
    return Projection.from_dense(INPUT, "a", weights)


def test_a_group_lists_the_first_synapses_of_its_targets_then_the_second_ones() -> None:
    p = rows_of([1, 3, 2, 3, 1])
    groups = by_target(p)
    assert groups.starts.tolist() == [0, 12, 16]
    assert groups.members.tolist() == [1, 3, 2, 0, 4, 5, 6, 7]  # most synapses first; 5 to 7 are padding
    assert groups.sources.tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 2, 2, 0, 0, 0, 0, 0, 0]
    expected = [11, 31, 21, 1, 12, 32, 22, 0, 13, 33, 0, 0, 41, 0, 0, 0]
    assert groups.ordered(p.weights).tolist() == expected


def test_groups_stay_within_a_segment_of_targets() -> None:
    lengths = [1] * SEGMENT + [5, 2, 7]
    groups = by_target(rows_of(lengths))
    assert sorted(groups.members[:SEGMENT].tolist()) == list(range(SEGMENT))
    assert groups.members[SEGMENT:].tolist() == [SEGMENT + 2, SEGMENT, SEGMENT + 1, SEGMENT + 3]
    assert groups.starts[-1] == SEGMENT + 7 * GROUP


def test_rows_without_synapses_have_empty_groups() -> None:
    groups = by_target(rows_of([0, 0, 0, 0, 0]))
    assert groups.starts.tolist() == [0, 0, 0]
    assert groups.sources.size == 0


def test_targets_by_source_ascend() -> None:
    pointers, targets, weights = by_source(rows_of([2, 0, 1], n_source=2), 16)
    assert pointers.tolist() == [0, 2, 3]
    assert targets.tolist() == [0, 32, 0]
    assert weights.tolist() == [1, 21, 2]


@pytest.mark.parametrize(("largest", "shift", "chunk"), [(2**12, 9, 127), (2**18, 10, 63)])
def test_the_two_halves_of_a_weight_make_it_up_and_their_sums_fit(largest: int, shift: int, chunk: int) -> None:
    units = np.random.default_rng(0).integers(-largest, largest, (6, 64)).astype(np.float32)
    units[0] = largest - 1
    p = Projection.from_dense(INPUT, "a", units / 2**20)
    parts = split_weights(p, 20)
    assert parts is not None
    assert (parts.shift, parts.chunk) == (shift, chunk)
    assert (parts.halves >> 16 == (parts.halves & 0xFFFF)).all()
    low, high = (parts.halves & 0xFFFF).astype(np.uint16).view(np.int16).astype(int).T
    assert (low + (high << shift) == p.weights * 2**20).all()
    assert np.abs(low).max() * chunk <= 32767
    assert np.bincount(p.rows, np.abs(high)).max() <= 32767


def test_sums_beyond_what_a_grid_allows_are_not_split() -> None:
    assert split_weights(Projection.from_dense(INPUT, "a", np.float32([[2.0**24] * 2])), 0) is None
    assert split_weights(rows_of([0]), 12) is None
