"""How many sites have been visited: exact where that is affordable, as good as it says where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosparse.errors import ValidationError
from neurosparse.rewiring.visited import VisitedSites


@given(st.integers(1, 400), st.lists(st.lists(st.integers(0, 399), max_size=30), max_size=20), st.integers(0, 20))
def test_a_small_layer_is_counted_exactly(n_sites: int, visits: list[list[int]], n_synapses: int) -> None:
    visited, expected = VisitedSites(n_sites, n_synapses), set()
    for some in visits:
        sites = [site for site in some if site < n_sites]
        visited.add(np.array(sites, np.int64))
        expected |= set(sites)
    assert visited.count() == (len(expected), 0.0)


@pytest.mark.parametrize(
    ("n_sites", "n_synapses", "exact"),
    [(4096, 1, True), (4097, 1, False), (32_000, 1000, True), (32_001, 1000, False)],
)
def test_a_layer_of_more_sites_than_32_per_synapse_is_estimated(n_sites: int, n_synapses: int, exact: bool) -> None:
    visited = VisitedSites(n_sites, n_synapses)
    assert visited.exact == exact
    visited.add(np.arange(300))
    count, error = visited.count()
    assert (error == 0) == exact
    assert count == pytest.approx(300, abs=5 * error)


@pytest.mark.parametrize("density", [0.01, 0.001])
@pytest.mark.parametrize("share", [0.02, 0.2, 0.6, 0.9])
def test_the_error_of_an_estimate_is_the_stated_one(density: float, share: float) -> None:
    n_sites, deviations, stated = 400_000, [], []
    n = round(share * n_sites)
    for seed in range(24):
        generator = np.random.default_rng(seed)
        visited = VisitedSites(n_sites, round(density * n_sites), seed=seed)
        visited.add(generator.permutation(n_sites)[:n] if seed % 2 else np.arange(n))  # scattered, and whole rows
        count, error = visited.count()
        deviations.append((count - n) / error)
        stated.append(error / n)
    # 24 deviations of a standard normal: their root mean square is within 0.5 and 1.5 but for one in ten thousand
    assert 0.5 < np.sqrt(np.mean(np.square(deviations))) < 1.5
    assert abs(np.mean(deviations)) < 4 / np.sqrt(24)
    assert max(stated) < 0.02


def test_no_more_than_all_sites_are_ever_visited() -> None:
    visited = VisitedSites(100_000, 50, seed=1)
    visited.add(np.arange(100_000))
    count, error = visited.count()
    assert count <= 100_000
    assert count == pytest.approx(100_000, abs=4 * error)


def test_what_was_visited_counts_once() -> None:
    once, often = VisitedSites(10**9, 5000), VisitedSites(10**9, 5000)
    sites = np.random.default_rng(0).integers(10**9, size=20_000)
    once.add(sites)
    for part in np.split(np.tile(sites, 3), 600):
        often.add(part)
    assert once.count() == often.count()
    np.testing.assert_array_equal(once.state(), often.state())


@pytest.mark.parametrize(("n_synapses", "density"), [(10_000, 0.5), (10_000, 1e-3), (10_000, 1e-6), (7000, 1.5e-4)])
def test_memory_grows_with_the_synapses(n_synapses: int, density: float) -> None:
    visited = VisitedSites(round(n_synapses / density), n_synapses)
    levels = 1 + max(0, np.ceil(np.log2(1 / (24 * density))))
    assert visited.state().nbytes <= max(4, levels) * n_synapses
    for _ in range(100):
        visited.add(np.arange(n_synapses // 10))
        waiting = sum(sites.nbytes for sites in visited._waiting)
        assert waiting <= max(4, levels) * n_synapses, "births wait for ever"


def test_a_count_goes_on_where_it_was_saved() -> None:
    for n_sites in (1000, 10**6):
        straight = VisitedSites(n_sites, 60, seed=4, name=2)
        straight.add(np.arange(0, 900, 7))
        resumed = VisitedSites(n_sites, 9, seed=4, name=2).restored(straight.state())  # made for other synapses
        for visited in (straight, resumed):
            visited.add(np.arange(0, 900, 5))
        np.testing.assert_array_equal(straight.state(), resumed.state())
        assert straight.count() == resumed.count()


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        (np.zeros((2, 8)), r"must be bytes of shape \(levels, bytes\), got float64 of shape \(2, 8\)"),
        (np.zeros(8, np.uint8), r"got uint8 of shape \(8,\)"),
        (np.zeros((1, 0), np.uint8), r"got uint8 of shape \(1, 0\)"),
        (np.zeros((65, 8), np.uint8), r"got uint8 of shape \(65, 8\)"),
        (np.zeros((1, 513), np.uint8), "513 bytes a level are more than 4000 sites can need"),
    ],
)
def test_bits_of_something_else_are_refused(bits: np.ndarray, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        VisitedSites(4000, 10).restored(bits)
