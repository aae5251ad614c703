"""Filling cores: in a fixed order nothing does better, wherever the search begins."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wired import chain, random_matrix, small_chip

from neurosparse.core.network import Input, Network, Population, Projection
from neurosparse.core.neurons import LIF
from neurosparse.deploy.clustering import clustered
from neurosparse.deploy.demand import Demand, limits_of
from neurosparse.deploy.packing import _last, by_halving, interleaved, pack, separate, stacked
from neurosparse.deploy.placement import place
from neurosparse.deploy.wiring import wiring


@given(low=st.integers(0, 50), more=st.integers(0, 60), guess=st.integers(-5, 130), last=st.integers(0, 130))
def test_the_last_that_fits_is_found_from_any_guess(low: int, more: int, guess: int, last: int) -> None:
    high = low + more
    looked: list[int] = []

    def fits(end: int) -> bool:
        looked.append(end)
        return end <= last

    assert _last(low, high, guess, fits) == min(high, max(low, last))
    assert all(low < end <= high for end in looked)
    assert len(looked) == len(set(looked))


@given(seed=st.integers(0, 10**6), n=st.integers(1, 14), density=st.sampled_from([0.1, 0.4, 0.9]))
@settings(max_examples=40)
def test_filling_every_core_is_the_best_there_is_in_a_fixed_order(seed: int, n: int, density: float) -> None:
    chip = small_chip(neurons=5, in_axons=12, synapse_bits=1024)
    if chip.synapses is None:
        pytest.fail("a chip without synapses")
    wired, limits = wiring(chain(random_matrix(seed, (n, 12), density)), chip.synapses), limits_of(chip)
    orders = {"p1": np.arange(n)}
    demand = Demand(wired, orders, chip.synapses)

    @functools.cache
    def fewest(start: int) -> int:
        ends = (end for end in range(start + 1, n + 1) if demand.fits({"p1": (start, end)}, limits))
        return 0 if start == n else 1 + min(fewest(end) for end in ends)

    packing = pack(wired, orders, chip.synapses, limits, stacked)
    assert packing.n_cores == fewest(0)


def test_interleaving_pays_where_memory_and_neurons_complement_each_other() -> None:
    # 24 neurons with the same source fill cores by neurons, 4 each; 8 with 8 sources of their own fill them by memory,
    # 8 of 10 words, one each. Three of the former with one of the latter fill both.
    light, heavy = np.zeros((24, 65), np.float32), np.zeros((8, 65), np.float32)
    light[:, 0] = 1
    heavy[:, 1:] = np.kron(np.eye(8), np.ones((1, 8)))
    populations = [Population("light", 24, LIF(reset="zero")), Population("heavy", 8, LIF(reset="zero"))]
    weights = [Projection.from_dense("input", "light", light), Projection.from_dense("input", "heavy", heavy)]
    chip = small_chip(synapse_bits=640, in_axons=20, cores=20)
    if chip.synapses is None:
        pytest.fail("a chip without synapses")
    network = Network(Input(65), populations, weights)
    wired, limits = wiring(network, chip.synapses), limits_of(chip)
    orders = {name: np.arange(n) for name, n in wired.sizes.items()}
    counts = [pack(wired, orders, chip.synapses, limits, fill).n_cores for fill in (stacked, separate, interleaved)]
    assert counts == [14, 14, 8]
    assert place(network, chip).n_cores == place(network, chip).lower_bound == 8


def test_a_cluster_order_is_a_permutation_and_skips_full_matrices() -> None:
    chip = small_chip()
    if chip.synapses is None:
        pytest.fail("a chip without synapses")
    wired = wiring(chain(random_matrix(0, (30, 20), 0.2), random_matrix(1, (7, 30), 0.2)), chip.synapses)
    orders = clustered(wired, chip.synapses, limits_of(chip))
    assert orders is not None
    assert {name: sorted(order.tolist()) for name, order in orders.items()} == {
        "p1": list(range(30)),
        "p2": list(range(7)),
    }
    full = wiring(chain(np.ones((3, 3), np.float32)), chip.synapses)
    assert clustered(full, chip.synapses, limits_of(chip)) is None


def test_halving_splits_a_population_by_powers_of_two_and_shares_no_core() -> None:
    chip = small_chip()
    if chip.synapses is None:
        pytest.fail("a chip without synapses")
    network = chain(np.ones((9, 1), np.float32), np.eye(1, 9, dtype=np.float32))
    # 9 neurons on cores of 4 take 4 quarters, and the tenth a core of its own
    assert by_halving(wiring(network, chip.synapses), chip.synapses, limits_of(chip)) == 5
