"""Dormant sites and indices: small cases by hand, everything else against scipy and sets."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosparse.errors import ValidationError
from neurosparse.kernels.topology import csc_from_csr, csr_from_sites, dormant_sites


def i64(*keys: int) -> np.ndarray:
    return np.array(keys, dtype=np.int64)


@st.composite
def layers(draw: st.DrawFn) -> tuple[int, int, np.ndarray]:
    n_target, n_source = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    sites = draw(st.sets(st.integers(0, n_target * n_source - 1)))
    return n_target, n_source, np.array(sorted(sites), dtype=np.int64)


@settings(deadline=None)
@given(layers())
def test_csr_and_csc_indices_equal_scipys(layer: tuple[int, int, np.ndarray]) -> None:
    n_target, n_source, sites = layer
    indptr, indices = csr_from_sites(sites, n_target, n_source)
    values = np.arange(1, sites.size + 1)
    expected = sp.csr_array((values, (sites // n_source, sites % n_source)), shape=(n_target, n_source))
    expected.sort_indices()
    assert np.array_equal(indptr, expected.indptr)
    assert np.array_equal(indices, expected.indices)
    assert indptr.dtype == indices.dtype == np.int32
    columns, rows, slots = csc_from_csr(indptr, indices, n_source)
    transposed = expected.tocsc()
    assert np.array_equal(columns, transposed.indptr)
    assert np.array_equal(rows, transposed.indices)
    assert np.array_equal(values[slots], transposed.data)


def test_a_row_of_a_huge_layer_needs_no_memory_for_the_other_sites() -> None:
    n = 60_000
    indptr, indices = csr_from_sites(i64(5, n * n - 1), n, n)
    assert indptr[1] == 1
    assert indptr[-2:].tolist() == [1, 2]
    assert indices.tolist() == [5, n - 1]


@pytest.mark.parametrize(
    ("sites", "message"),
    [
        (
            i64(0, 6),
            r"csr_from_sites\.sites: keys run from 0 to 6, would have to be in \[0, 6\) for 2 targets x 3 sources",
        ),
        (i64(-1, 5), r"keys run from -1 to 5"),
        (i64(0, 3, 2, 5), r"csr_from_sites\.sites: position 2 holds 2 after 3"),
    ],
)
def test_sites_outside_the_layer_are_refused(sites: np.ndarray, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        csr_from_sites(sites, 2, 3)


def test_a_column_outside_the_layer_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"csc_from_csr\.indices: entry 1 is 3, would have to be in \[0, 3\)"):
        csc_from_csr(np.array([0, 2], np.int32), np.array([0, 3], np.int32), 3)


@pytest.mark.parametrize("indptr", [[0, 1], [1, 2], [0, 2, 1, 2]])
def test_row_pointers_that_do_not_frame_the_synapses_are_refused(indptr: list[int]) -> None:
    with pytest.raises(ValidationError, match=r"csc_from_csr\.indptr: (runs from|decreases)"):
        csc_from_csr(np.array(indptr, np.int32), np.array([0, 0], np.int32), 3)


@settings(deadline=None)
@given(layers(), st.data())
def test_the_rth_dormant_site_is_the_rth_key_that_is_not_live(
    layer: tuple[int, int, np.ndarray], data: st.DataObject
) -> None:
    n_target, n_source, live = layer
    dead = i64(*sorted(data.draw(st.sets(st.integers(0, live.size - 1))))) if live.size else i64()
    dormant = np.setdiff1d(np.arange(n_target * n_source), np.delete(live, dead))
    ranks = data.draw(st.sets(st.integers(0, dormant.size - 1))) if dormant.size else set()
    order = np.array(sorted(ranks), dtype=np.int64)
    assert np.array_equal(dormant_sites(live, order, dead), dormant[order])


def test_ranks_out_of_order_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"dormant_sites\.ranks: starts at -1, may not be negative"):
        dormant_sites(i64(1), i64(-1, 2))
    with pytest.raises(ValidationError, match=r"dormant_sites\.ranks: position 1 holds 4 after 4"):
        dormant_sites(i64(1), i64(4, 4))


def test_slots_of_nobody_are_refused() -> None:
    for slot in (-1, 2):
        with pytest.raises(ValidationError, match=rf"dormant_sites\.dead: position 1 is slot {slot}, there are 2 live"):
            dormant_sites(i64(1, 5), i64(0), i64(0, slot))
