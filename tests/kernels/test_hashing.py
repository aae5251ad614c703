"""Signs and hashes of sites: pinned, balanced, and splitmix64 in Python's own integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from neurosparse.core.rng import entropy
from neurosparse.errors import ValidationError
from neurosparse.kernels.hashing import hash_sites, signs_from_hash

PINNED_SIGNS = [-1, 1, 1, 1, 1, -1, 1, -1, -1, 1]


@given(st.lists(st.integers(0, 2**63 - 1), max_size=20), st.integers(0, 9))
def test_a_hash_is_splitmix64_of_key_and_site(sites: list[int], seed: int) -> None:
    def splitmix64(z: int) -> int:
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        return z ^ z >> 31

    hashed = hash_sites(np.array(sites, np.int64), seed, "visited", 3)
    key = entropy(seed, "visited", 3)
    assert hashed.tolist() == [splitmix64((site * 0x9E3779B97F4A7C15 + key) % 2**64) for site in sites]
    uppermost = hash_sites(np.array(sites, np.int64), seed, "signs", "fc1") >> np.uint64(63)
    assert signs_from_hash(np.array(sites, np.int64), seed, "fc1").tolist() == (1 - 2 * uppermost.astype(int)).tolist()


def test_sites_of_another_type_are_refused() -> None:
    for function in (hash_sites, signs_from_hash):
        with pytest.raises(ValidationError, match=rf"{function.__name__}\.sites: has dtype int32"):
            function(np.zeros(2, np.int32), 0, "a")


def test_signs_never_change():
    sites = np.array([0, 1, 2, 3, 4, 5, 6, 7, 3_599_999_999, 2**62])
    assert signs_from_hash(sites, 0, "layer", 0).tolist() == PINNED_SIGNS
    assert signs_from_hash(sites, 0, "layer", 0).dtype == np.int8


def test_signs_depend_on_the_site_alone():
    sites = np.arange(1000)
    signs = signs_from_hash(sites, 7, "fc1")
    order = np.random.default_rng(0).permutation(1000)
    assert np.array_equal(signs_from_hash(sites[order], 7, "fc1"), signs[order])


def test_signs_are_balanced_and_unrelated_between_neighbours_rows_layers_and_seeds():
    n = 200_000
    signs = signs_from_hash(np.arange(n), 0, "fc1")
    limit = 4.5 / np.sqrt(n)
    assert set(signs.tolist()) == {-1, 1}
    assert abs(signs.mean(dtype=np.float64)) < limit
    for lag in (1, 2, 300, 784, 1024, 65536):
        assert abs(np.mean(signs[:-lag] * signs[lag:], dtype=np.float64)) < limit * 1.3
    for other in (signs_from_hash(np.arange(n), 1, "fc1"), signs_from_hash(np.arange(n), 0, "fc2")):
        assert abs(np.mean(signs * other, dtype=np.float64)) < limit
    # the bits of eight neighbours together: 256 patterns, equally often
    patterns = (signs.reshape(-1, 8) > 0) @ (1 << np.arange(8))
    assert stats.chisquare(np.bincount(patterns, minlength=256)).pvalue > 1e-3
