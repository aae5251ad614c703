"""Neurons without a gradient: left out of the backward pass, and the result is the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosparse.errors import ValidationError
from neurosparse.kernels import layers, membrane
from neurosparse.kernels.lanes import Lanes
from neurosparse.kernels.layers import Adjoint, Sparse, backward, forward, forward_neurons, make_cells
from neurosparse.kernels.products import input_gradient
from neurosparse.kernels.topology import csc_from_csr, csr_from_sites

N, N_SOURCE = 7, 9


def problem(seed: int, mode: int, lanes: Lanes) -> tuple:
    rng = np.random.default_rng(seed)
    cells = make_cells(mode, None, rng.uniform(0.5, 1, N), np.full(N, 0.8))
    sites = np.flatnonzero(rng.random(N * N_SOURCE) < 0.6)
    indptr, indices = csr_from_sites(sites, N, N_SOURCE)
    words = np.packbits(rng.random((N_SOURCE, lanes.n_lanes)) < 0.3, axis=1, bitorder="little").view(np.uint16)
    linear = Sparse(indptr, indices, rng.standard_normal(sites.size), words)
    g = lanes.rows(N, np.float64)
    g[...] = rng.standard_normal(g.shape)
    return cells, linear, forward(linear, None, cells, lanes), g


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from(range(6)), st.sets(st.integers(0, N - 1)),
    st.sampled_from(["tiles", "rows", "sum"]), st.sampled_from(["words", "events"]),
)  # fmt: skip
def test_leaving_them_out_changes_nothing(seed: int, mode: int, silent: set[int], layout: str, method: str) -> None:
    lanes = Lanes(8, 16)  # two whole tiles
    cells, linear, state, g = problem(seed, mode, lanes)
    linear = Sparse(linear.indptr, linear.indices, linear.values, linear.rows, method)  # type: ignore[arg-type]
    quiet = sorted(silent)
    g[quiet] = 0
    tiny = g.copy()
    tiny[quiet] = 1e-300  # not zero, so everything is computed

    def run(gradient: np.ndarray) -> Adjoint:
        return backward(
            state, cells, lanes, membrane.ATAN, 2.0, g_spikes=gradient, g_voltages=None, linear=linear, want_bias=True,
            want_beta=True, want_threshold=True, current=layout,  # type: ignore[arg-type]
        )  # fmt: skip

    left_out, computed = run(g), run(tiny)
    assert np.flatnonzero(~left_out.active).tolist() == quiet
    assert computed.active.all()
    for name in ("values", "bias", "beta", "threshold", "current"):
        np.testing.assert_allclose(getattr(left_out, name), getattr(computed, name), rtol=1e-12, atol=1e-250)
    if layout == "tiles":
        csc = csc_from_csr(linear.indptr, linear.indices, N_SOURCE)
        whole = input_gradient(*csc, linear.values, left_out.current, lanes, steps_layout=False)
        less = input_gradient(*csc, linear.values, left_out.current, lanes, steps_layout=False, active=left_out.active)
        np.testing.assert_array_equal(less, whole)


def test_tiles_of_those_left_out_need_not_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "borrow", lambda shape, dtype: np.full(shape, np.nan, dtype))
    lanes = Lanes(8, 16)
    cells, linear, state, g = problem(0, membrane.SUBTRACT, lanes)
    g[[1, 4]] = 0
    csc = csc_from_csr(linear.indptr, linear.indices, N_SOURCE)

    def run(layout: str) -> tuple[np.ndarray, np.ndarray]:
        adjoint = backward(
            state, cells, lanes, membrane.ATAN, 2.0, g_spikes=g, g_voltages=None, linear=linear,
            current=layout,  # type: ignore[arg-type]
        )  # fmt: skip
        options: dict[str, Any] = {"steps_layout": False, "active": adjoint.active}
        return adjoint.current, input_gradient(*csc, linear.values, adjoint.current, lanes, **options)

    tiles, gradient = run("active tiles")
    assert np.isnan(tiles[:, [1, 4]]).all()
    np.testing.assert_array_equal(gradient, run("tiles")[1])


def test_a_gradient_that_is_nan_or_comes_from_later_steps_is_no_reason_to_leave_a_neuron_out() -> None:
    lanes = Lanes(3, 16)
    cells, _, state, g = problem(0, membrane.SUBTRACT, lanes)
    g[:] = 0
    g[1, 20] = np.nan
    later = np.zeros((N, lanes.padded))
    later[2, 3] = 1.0
    adjoint = backward(
        state, cells, lanes, membrane.ATAN, 2.0, g_spikes=g, g_voltages=None, current="rows",
        carry=(later, np.zeros_like(later)),
    )  # fmt: skip
    assert adjoint.active is not None
    assert np.flatnonzero(adjoint.active).tolist() == [1, 2]
    assert np.isnan(adjoint.current[1]).any()
    beta = cells.beta[2]
    np.testing.assert_allclose(lanes.as_time_batch_neuron(adjoint.current)[:, 3, 2], [beta**3, beta**2, beta])


@pytest.mark.parametrize(("surrogate", "width"), [(membrane.BOXCAR, 0.5), (membrane.TRIANGULAR, 0.5)])
def test_voltages_outside_a_compact_support_make_a_neuron_inactive(surrogate: int, width: float) -> None:
    lanes = Lanes(4, 16)
    cells = make_cells(membrane.NONE, None, np.zeros(3), np.ones(3))
    current = np.zeros((3, lanes.n_lanes))
    current[1, 5] = 0.75  # the one voltage within 0.5 of the threshold 1
    state = forward_neurons(current, cells, lanes)
    g = np.ones((3, lanes.n_lanes))
    indptr, indices = csr_from_sites(np.arange(6), 3, 2)
    linear = Sparse(indptr, indices, np.ones(6), np.full((2, lanes.n_words), 0xFFFF, np.uint16))
    adjoint = backward(
        state, cells, lanes, surrogate, width, g_spikes=g, g_voltages=None, linear=linear, current="tiles"
    )
    assert adjoint.active is not None
    assert adjoint.active.tolist() == [False, True, False]
    # slope 1 / (2 * 0.5) = 1 and (1 - 0.25 / 0.5) / 0.5 = 1, for the two synapses of that neuron
    np.testing.assert_allclose(adjoint.values, [0, 0, 1, 1, 0, 0])
    assert np.count_nonzero(adjoint.current) == 1


def test_the_mask_of_active_targets_is_checked() -> None:
    lanes = Lanes(1, 16)
    _, linear, _, g = problem(0, membrane.NONE, lanes)
    csc = csc_from_csr(linear.indptr, linear.indices, N_SOURCE)
    with pytest.raises(ValidationError, match=r"input_gradient\.active: has shape \(6,\), would have to be \(7,\)"):
        input_gradient(*csc, linear.values, g, lanes, steps_layout=False, active=np.ones(6, np.bool_))
