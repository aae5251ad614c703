"""Products of a sparse matrix with rows of lanes, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosparse.errors import ValidationError
from neurosparse.kernels.compiled import TILE
from neurosparse.kernels.lanes import Lanes, expand_spikes, pack_spikes, to_rows
from neurosparse.kernels.products import input_gradient, product, value_gradient
from neurosparse.kernels.topology import csc_from_csr


@st.composite
def cases(draw: st.DrawFn) -> dict:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_target, n_source = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    density = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    w = sp.random(n_target, n_source, density=density, format="csr", random_state=rng, dtype=np.float64)
    w.sort_indices()
    lanes = Lanes(draw(st.integers(1, 9)), draw(st.integers(1, 70)))
    extent = (lanes.n_steps, lanes.n_samples)
    return {
        "w": w,
        "indptr": w.indptr.astype(np.int32),
        "indices": w.indices.astype(np.int32),
        "values": w.data.astype(dtype),
        "lanes": lanes,
        "rng": rng,
        "dtype": dtype,
        "spikes": (rng.random((*extent, n_source)) < 0.3).astype(dtype),
        "analog": rng.standard_normal((*extent, n_source)).astype(dtype),
        "g": rng.standard_normal((*extent, n_target)).astype(dtype),
        "tolerance": 1e-4 if dtype == np.float32 else 1e-12,
    }


@settings(deadline=None, max_examples=60)
@given(cases(), st.booleans())
def test_product_equals_scipys_on_spikes_and_on_floats(case: dict, analog: bool) -> None:
    rows = to_rows(case["analog"]) if analog else pack_spikes(case["spikes"])
    floats = rows if analog else expand_spikes(rows, case["dtype"])
    bias = case["rng"].standard_normal(case["w"].shape[0]).astype(case["dtype"])
    got = product(case["indptr"], case["indices"], case["values"], rows, bias=bias)
    assert np.allclose(got, case["w"] @ floats + bias[:, None], atol=case["tolerance"])


@settings(deadline=None, max_examples=60)
@given(cases(), st.booleans(), st.booleans())
def test_value_gradient_is_the_sampled_outer_product(case: dict, analog: bool, shifted: bool) -> None:
    lanes = case["lanes"]
    rows = to_rows(case["analog"]) if analog else pack_spikes(case["spikes"])
    floats = np.asarray(rows if analog else expand_spikes(rows, case["dtype"]), np.float64)
    g = to_rows(case["g"])
    shift = lanes.padded if shifted else 0
    dense = g[:, shift:].astype(np.float64) @ floats[:, : lanes.n_lanes - shift].T
    targets = np.repeat(np.arange(case["w"].shape[0]), np.diff(case["indptr"]))
    got = value_gradient(case["indptr"], case["indices"], rows, g, shift=shift)
    assert np.allclose(got, dense[targets, case["indices"]], atol=10 * case["tolerance"])


@settings(deadline=None, max_examples=60)
@given(cases(), st.booleans(), st.booleans())
def test_input_gradient_is_the_transposed_product_in_either_layout(case: dict, tiles: bool, steps: bool) -> None:
    lanes, rows = case["lanes"], to_rows(case["g"])
    n_target, n_source = case["w"].shape
    g = rows
    if tiles:
        g = np.zeros((-(-lanes.n_lanes // TILE), n_target, TILE), case["dtype"])
        for lane in range(0, lanes.n_lanes, TILE):
            g[lane // TILE, :, : min(TILE, lanes.n_lanes - lane)] = rows[:, lane : lane + TILE]
    csc = csc_from_csr(case["indptr"], case["indices"], n_source)
    got = input_gradient(*csc, case["values"], g, lanes, steps_layout=steps)
    expected = lanes.as_time_batch_neuron(np.ascontiguousarray(case["w"].T @ rows.astype(np.float64)))
    if not steps:
        got = lanes.as_time_batch_neuron(got)
    assert got.shape == expected.shape
    assert np.allclose(got, expected, atol=case["tolerance"])


def test_operands_that_do_not_fit_are_refused_by_name() -> None:
    indptr, indices = np.array([0, 1], np.int32), np.array([4], np.int32)
    one = np.ones(1, np.float32)
    with pytest.raises(ValidationError, match=r"product\.indices: run from 4 to 4, would have to be in \[0, 3\)"):
        product(indptr, indices, one, np.zeros((3, 16), np.float32))
    with pytest.raises(ValidationError, match=r"product\.rows: has 17 lanes a row, would have to be a multiple of 16"):
        product(indptr, indices * 0, one, np.zeros((3, 17), np.float32))
    with pytest.raises(ValidationError, match=r"product\.rows: has dtype float64, would have to be uint16 or float32"):
        product(indptr, indices * 0, one, np.zeros((3, 16)))
    with pytest.raises(ValidationError, match=r"value_gradient\.shift: is 3, would have to be a non-negative multiple"):
        value_gradient(indptr, indices * 0, np.zeros((3, 16), np.float32), np.zeros((1, 16), np.float32), shift=3)
    frozen = np.zeros((1, 16), np.float32)
    frozen.flags.writeable = False
    with pytest.raises(ValidationError, match=r"product\.out: is read-only"):
        product(indptr, indices * 0, one, np.zeros((3, 16), np.float32), out=frozen)
