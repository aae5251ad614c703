"""Sparse weights: what they hold, and the words for what they cannot be."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neurosparse.core.projection import MAX_DELAY, Projection
from neurosparse.errors import ValidationError

GOOD = {
    "source": "a",
    "target": "b",
    "indptr": [0, 2, 2, 3],
    "indices": [0, 3, 1],
    "weights": np.float32([1, 2, 3]),
    "n_source": 4,
}


def test_rows_are_targets_and_columns_sources():
    projection = Projection(**GOOD)
    assert projection.shape == (3, 4)
    assert projection.n_synapses == 3
    assert projection.density == 0.25
    assert projection.rows.tolist() == [0, 0, 2]
    assert projection.to_scipy().toarray().tolist() == [[1, 0, 0, 2], [0, 0, 0, 0], [0, 3, 0, 0]]
    assert repr(projection) == "Projection(a->b, (3, 4), 3 synapses)"
    assert repr(Projection(**GOOD, delay=2)).endswith("3 synapses, delay 2)")


def test_arrays_are_frozen_copies_of_fixed_types():
    indices = np.array([0, 3, 1], np.uint8)
    projection = Projection(**{**GOOD, "indices": indices})
    indices[0] = 2
    assert projection.indices.tolist() == [0, 3, 1]
    assert (projection.indptr.dtype, projection.indices.dtype) == (np.int64, np.int32)
    for name in ("indptr", "indices", "weights"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(projection, name)[0] = 1
    projection.to_scipy().data[0] = 9  # a copy, so this is allowed and changes nothing
    assert projection.weights.tolist() == [1, 2, 3]


def test_a_zero_in_a_dense_array_is_no_synapse_but_a_stored_zero_is_one():
    dense = np.float32([[0, 1], [2, 0]])
    assert Projection.from_dense("a", "b", dense).n_synapses == 2
    stored = sp.csr_array((np.float32([0, 1]), np.array([0, 1]), np.array([0, 2, 2])), shape=(2, 2))
    projection = Projection.from_scipy("a", "b", stored, delay=1)
    assert projection.weights.tolist() == [0, 1]
    assert projection.delay == 1


@pytest.mark.parametrize("form", [sp.coo_array, sp.csr_array, sp.csc_array, sp.lil_array, sp.csr_matrix, sp.dok_array])
@given(
    dense=hnp.arrays(
        np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.sampled_from([0, 1, -2])
    )
)
def test_every_sparse_format_gives_the_same_projection(form, dense):
    projection = Projection.from_scipy("a", "b", form(dense))
    assert np.array_equal(projection.to_scipy().toarray(), dense)
    assert projection.n_synapses == np.count_nonzero(dense)
    assert np.array_equal(projection.rows, np.nonzero(dense)[0])


def test_the_order_of_coo_entries_does_not_matter_and_duplicates_are_refused():
    entries = (np.float32([3, 2, 1]), ([2, 0, 0], [1, 3, 0]))
    projection = Projection.from_scipy("a", "b", sp.coo_array(entries, shape=(3, 4)))
    assert projection.weights.tolist() == [1, 2, 3]
    twice = sp.coo_array((np.float32([1, 1]), ([1, 1], [2, 2])), shape=(3, 4))
    with pytest.raises(ValidationError, match=r"Projection a->b.indices: a duplicate synapse in row 1, 2 then 2"):
        Projection.from_scipy("a", "b", twice)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": 3}, r"Projection.source: must be the name of a population, got 3"),
        ({"target": None}, r"Projection.target: must be the name of a population, got None"),
        ({"n_source": 4.0}, r"Projection a->b.n_source: must be an integer, got 4.0"),
        ({"n_source": 0}, r"Projection a->b.n_source: must lie in \[1, 2\*\*31\), got 0"),
        ({"n_source": 2**31}, r"Projection a->b.n_source: must lie in \[1, 2\*\*31\), got 2147483648"),
        ({"delay": -1}, r"Projection a->b.delay: must be a whole number of steps in \[0, 65535\], got -1"),
        ({"delay": 1.0}, r"Projection a->b.delay: must be a whole number of steps in \[0, 65535\], got 1.0"),
        ({"delay": MAX_DELAY + 1}, r"Projection a->b.delay: must be a whole number of steps .* got 65536"),
        ({"source": "b"}, r"Projection b->b.delay: a recurrent projection needs a delay >= 1 step, got 0"),
        ({"weights": [1, 2, 3]}, r"Projection a->b.weights: must be float32 or float64, got int64"),
        ({"weights": np.float16([1, 2, 3])}, r"Projection a->b.weights: must be float32 or float64, got float16"),
        ({"weights": np.ones((3, 1))}, r"Projection a->b.weights: must be one-dimensional, got shape \(3, 1\)"),
        ({"indptr": 3}, r"Projection a->b.indptr: must be one-dimensional, got shape \(\)"),
        ({"indices": [0.0, 3.0, 1.0]}, r"Projection a->b.indices: must be integers, got float64"),
        ({"indptr": [False, True]}, r"Projection a->b.indptr: must be integers, got bool"),
        ({"indptr": [3]}, r"Projection a->b.indptr: needs n_target \+ 1 >= 2 row pointers, got 1"),
        (
            {"weights": np.float32([1, 2])},
            r"Projection a->b.weights: needs one weight per index, got 2 weights and 3 ind",
        ),
        ({"indptr": [0, 2, 2]}, r"Projection a->b.indptr: must run from 0 to the number of synapses, 3, got 0 to 2"),
        ({"indptr": [1, 2, 3]}, r"Projection a->b.indptr: must run from 0 to the number of synapses, 3, got 1 to 3"),
        ({"indptr": [0, 5, 2, 3]}, r"Projection a->b.indptr: must not decrease, it does in row 1"),
        (
            {"indptr": np.array([0, 2**64 - 1, 3], np.uint64)},
            r"Projection a->b.indptr: must not decrease, it does in row 1",
        ),
        ({"indptr": [0, -1, 3]}, r"Projection a->b.indptr: must not decrease, it does in row 0"),
        ({"indices": [0, 4, 1]}, r"Projection a->b.indices: must lie in \[0, 4\), got 4"),
        ({"indices": [-1, 3, 1]}, r"Projection a->b.indices: must lie in \[0, 4\), got -1"),
        (
            {"indices": np.array([0, 2**64 - 1, 1], np.uint64)},
            r"Projection a->b.indices: must lie in \[0, 4\), got 18446744",
        ),
        (
            {"indices": [3, 0, 1]},
            r"Projection a->b.indices: unsorted indices in row 0, 3 then 0; .* increase within a row",
        ),
        (
            {"indices": [3, 3, 1]},
            r"Projection a->b.indices: a duplicate synapse in row 0, 3 then 3; .* increase within a row",
        ),
        ({"weights": np.float32([1, np.nan, 3])}, r"Projection a->b.weights: must be finite, got nan at synapse 1"),
        ({"weights": np.float32([1, 2, -np.inf])}, r"Projection a->b.weights: must be finite, got -inf at synapse 2"),
    ],
)
def test_impossible_projections_are_refused(arguments, message):
    Projection(**GOOD)
    with pytest.raises(ValidationError, match=message):
        Projection(**{**GOOD, **arguments})


def test_indices_may_fall_where_a_new_row_starts_also_after_empty_rows():
    projection = Projection("a", "b", [0, 0, 2, 2, 2, 3, 3], [1, 3, 0], np.float32([1, 2, 3]), 4)
    assert projection.rows.tolist() == [1, 1, 4]
    with pytest.raises(ValidationError, match="unsorted indices in row 4, 3 then 0"):
        Projection("a", "b", [0, 0, 1, 1, 1, 3, 3], [1, 3, 0], np.float32([1, 2, 3]), 4)


def test_recurrence_needs_a_delay_and_self_synapses_are_allowed():
    projection = Projection("a", "a", [0, 1, 2], [0, 1], np.float32([1, 2]), 2, delay=1)
    assert projection.to_scipy().toarray().tolist() == [[1, 0], [0, 2]]


@pytest.mark.parametrize("matrix", [[1.0, 2.0], np.ones((2, 2, 2)), 3.0])
def test_weights_that_are_no_matrix_are_refused(matrix):
    with pytest.raises(ValidationError, match=r"Projection a->b: weights must be \(n_target, n_source\), got shape \("):
        Projection.from_dense("a", "b", matrix)


def test_an_empty_projection_is_a_projection():
    projection = Projection.from_dense("a", "b", np.zeros((3, 2), np.float32))
    assert (projection.n_synapses, projection.density, projection.shape) == (0, 0.0, (3, 2))


@given(
    dense=hnp.arrays(
        np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=5), elements=st.sampled_from([0, 1])
    ),
    data=st.data(),
)
def test_swapping_two_indices_of_a_row_or_pushing_one_out_is_always_noticed(dense, data):
    good = Projection.from_dense("a", "b", dense)
    lengths = np.diff(good.indptr)
    indices = good.indices.copy()
    if (lengths > 1).any():
        row = data.draw(st.sampled_from(np.flatnonzero(lengths > 1).tolist()))
        k = data.draw(st.integers(int(good.indptr[row]), int(good.indptr[row + 1]) - 2))
        indices[[k, k + 1]] = indices[[k + 1, k]]
    elif indices.size:
        indices[data.draw(st.integers(0, indices.size - 1))] = data.draw(st.sampled_from([-1, good.n_source]))
    else:
        return
    with pytest.raises(ValidationError, match=r"Projection a->b.indices: (unsorted|must lie in)"):
        Projection("a", "b", good.indptr, indices, good.weights, good.n_source)
