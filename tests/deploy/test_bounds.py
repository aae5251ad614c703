"""The lower bound on cores: by hand, and never above what any slice of neurons really takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from wired import chain, random_matrix, small_chip

from neurosparse.deploy.axons import list_bits, synapse_memory
from neurosparse.deploy.bounds import _largest_overlap, _part, lower_bounds
from neurosparse.deploy.chip import ChipSpec, Synapses
from neurosparse.deploy.demand import limits_of
from neurosparse.deploy.wiring import Connection, wiring


def bounds(chip: ChipSpec, *matrices: NDArray[np.float32]) -> dict[str, int]:
    if chip.synapses is None:
        pytest.fail("a chip without synapses")
    return lower_bounds(wiring(chain(*matrices), chip.synapses), chip.synapses, limits_of(chip))


def format_of(chip: ChipSpec) -> Synapses:
    if chip.synapses is None:
        pytest.fail("a chip without synapses")
    return chip.synapses


def connection(matrix: NDArray[np.float32]) -> Connection:
    return wiring(chain(matrix), format_of(small_chip())).connections[0]


def test_neurons_and_axons_are_counted_and_divided() -> None:
    found = bounds(small_chip(), np.ones((9, 17), np.float32), np.ones((3, 9), np.float32))
    # 12 neurons on cores of 4; 17 inputs and 9 neurons are sources; each of 9 neurons needs an axon out of 8 per core
    assert (found["neurons"], found["in_axons"], found["out_axons"]) == (3, 4, 2)


def test_a_neuron_with_more_targets_than_a_core_has_neurons_needs_several_axons() -> None:
    found = bounds(small_chip(out_axons=2), np.ones((2, 1), np.float32), np.ones((9, 2), np.float32))
    assert found["out_axons"] == 3  # 9 targets are on 3 cores at least, for both


def test_sources_with_one_target_take_a_word_per_synapse() -> None:
    # 40 synapses, each a list of its own: 40 words of 64 bits, 16 of which are a core
    assert bounds(small_chip(), np.kron(np.eye(4), np.ones((1, 10))).astype(np.float32))["synapse_bits"] == 3


def test_full_matrices_are_bounded_by_dense_coding() -> None:
    chip = small_chip(neurons=64, synapse_bits=4096)
    # 64 x 64: a slice of 60 neurons has 60 * 8 + 10 = 490 -> 512 bits per source, 64 have 522 -> 576:
    # at best 512 / 60 bits per synapse, 34 953 bits, 8.5 cores
    assert bounds(chip, np.ones((64, 64), np.float32))["synapse_bits"] == 9


def test_different_decays_are_counted_only_where_a_chip_limits_them() -> None:
    assert "decay_sets" not in bounds(small_chip(), np.ones((2, 2), np.float32))
    assert bounds(small_chip(decay_sets=3), np.ones((2, 2), np.float32))["decay_sets"] == 1


@given(seed=st.integers(0, 10**6), density=st.sampled_from([0.05, 0.2, 0.6]), n=st.integers(2, 70))
@settings(max_examples=30)
def test_the_largest_overlap_is_that_of_all_pairs(seed: int, density: float, n: int) -> None:
    matrix = random_matrix(seed, (n, 30), density) != 0
    shared = matrix.astype(int) @ matrix.T.astype(int)
    np.fill_diagonal(shared, 0)
    assert _largest_overlap(connection(matrix.astype(np.float32))) == shared.max()


@given(
    seed=st.integers(0, 10**6),
    density=st.sampled_from([0.03, 0.1, 0.3, 0.8]),
    n=st.integers(8, 70),
    data=st.data(),
)
@settings(max_examples=60)
def test_no_slice_of_neurons_takes_less_than_the_bound_says(
    seed: int, density: float, n: int, data: st.DataObject
) -> None:
    chip = small_chip(neurons=64)
    synapses = format_of(chip)
    c = connection(random_matrix(seed, (n, 50), density))
    part = _part(c, synapses, 64)
    smallest = part.fan_in[-1] if part.fan_in.size else 0
    rows = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=min(n, 64), unique=True)))
    lengths = np.bincount(
        np.concatenate([c.indices[c.indptr[row] : c.indptr[row + 1]] for row in rows]), minlength=c.n_source
    )
    counted = sum(int(k) for k in c.fan_in()[rows] if k >= smallest)
    dense = int(np.count_nonzero(lengths)) * int(list_bits(rows.size, 8, synapses))
    assert dense >= part.dense_rate * counted * (1 - 1e-12)


@given(seed=st.integers(0, 10**6), density=st.sampled_from([0.03, 0.1, 0.3, 0.8]), n=st.integers(8, 70))
@settings(max_examples=40)
def test_no_random_split_takes_less_memory_than_the_sum_by_source(seed: int, density: float, n: int) -> None:
    synapses = format_of(small_chip())
    c = connection(random_matrix(seed, (n, 50), density))
    part = _part(c, synapses, 64)
    where = np.random.default_rng(seed).integers(0, 4, n)
    total = 0
    for core in range(4):
        rows = np.flatnonzero(where == core)
        for start in range(0, rows.size, 64):
            held = rows[start : start + 64]
            lists = [c.indices[c.indptr[row] : c.indptr[row + 1]] for row in held]
            lengths = np.bincount(np.concatenate(lists), minlength=c.n_source)
            total += synapse_memory(lengths, held.size, 0, 8, synapses).bits
    assert total >= part.by_source * (1 - 1e-12)
