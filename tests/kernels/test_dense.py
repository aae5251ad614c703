"""A sparse matrix made dense and back again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosparse.errors import ValidationError
from neurosparse.kernels.dense import gathered, scattered
from neurosparse.kernels.topology import csr_from_sites


@given(
    st.integers(0, 9), st.integers(1, 9), st.floats(0, 1), st.integers(0, 99), st.sampled_from([np.float32, np.float64])
)
@settings(max_examples=60, deadline=None)
def test_scattering_and_gathering_are_scipys_and_undo_each_other(
    n_target: int, n_source: int, density: float, seed: int, dtype: Any
) -> None:
    rng = np.random.default_rng(seed)
    sites = np.flatnonzero(rng.random(n_target * n_source) < density).astype(np.int64)
    indptr, indices = csr_from_sites(sites, n_target, n_source)
    values = rng.standard_normal(sites.size).astype(dtype)
    dense = scattered(indptr, indices, values, n_source)
    np.testing.assert_array_equal(dense, sp.csr_array((values, indices, indptr), (n_target, n_source)).toarray())
    assert dense.dtype == dtype
    np.testing.assert_array_equal(gathered(indptr, indices, dense), values)


def test_a_full_matrix_is_not_copied() -> None:
    indptr, indices = csr_from_sites(np.arange(12), 3, 4)
    values = np.arange(12, dtype=np.float32)
    dense = scattered(indptr, indices, values, 4)
    assert np.shares_memory(dense, values)
    assert dense.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert np.shares_memory(gathered(indptr, indices, dense), dense)


def test_as_many_synapses_as_sites_are_not_always_all_of_them() -> None:
    indptr, indices = np.array([0, 1, 4], np.int32), np.array([1, 0, 0, 1], np.int32)  # nobody's layer, but a CSR index
    assert scattered(indptr, indices, np.array([1, 2, 3, 4], np.float32), 2).tolist() == [[0, 1], [3, 4]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, i, v: scattered(p, i, v[:1], 3), "values: has shape"),
        (lambda p, i, v: scattered(p, i, v, 1), "indices: run from 0 to 2"),
        (lambda p, i, v: scattered(p, i, v.astype(int), 3), "values: has dtype int64"),
        (lambda p, i, v: gathered(p, i, np.zeros((3, 3))), "indptr: has shape"),
        (lambda p, i, v: gathered(p, i, np.zeros((2, 2))), "indices: run from 0 to 2"),
        (lambda p, i, v: gathered(p, i, np.zeros((3, 2)).T), "dense: is not C-contiguous"),
    ],
)
def test_what_does_not_fit_is_refused(call: Any, message: str) -> None:
    indptr, indices = csr_from_sites(np.array([0, 5]), 2, 3)
    with pytest.raises(ValidationError, match=message):
        call(indptr, indices, np.ones(2))
