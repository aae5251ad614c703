"""Fused passes: a neuron by hand, chunks of time, chains of sequences, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosparse.errors import ValidationError
from neurosparse.kernels import layer_parts, layers, membrane
from neurosparse.kernels.lanes import Lanes, pack_spikes, to_rows
from neurosparse.kernels.layers import Adjoint, Keep, Sparse, backward, forward, forward_neurons, make_cells
from neurosparse.kernels.recurrent import Recurrence, backward_recurrent, forward_recurrent
from neurosparse.kernels.topology import csc_from_csr, csr_from_sites

MODES = range(6)


def cells_of(mode: int, n: int, filtered: bool, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    alpha = rng.random(n) if filtered else None
    return make_cells(mode, alpha, rng.random(n), 0.5 + rng.random(n))


def problem(
    seed: int, lanes: Lanes, n_source: int = 9, n: int = 7
) -> tuple[Sparse, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    sites = np.sort(rng.choice(n * n_source, 30, replace=False))
    indptr, indices = csr_from_sites(sites, n, n_source)
    words = pack_spikes((rng.random((lanes.n_steps, lanes.n_samples, n_source)) < 0.4).astype(np.uint8))
    assert words is not None
    linear = Sparse(indptr, indices, rng.standard_normal(30), words)
    shape = (lanes.n_steps, lanes.n_samples, n)
    return linear, rng.standard_normal(n), rng.standard_normal(shape), rng.standard_normal(shape)


def run_both(
    linear: Sparse,
    bias: np.ndarray,
    g_spikes: np.ndarray,
    g_voltages: np.ndarray,
    cells: Any,
    lanes: Lanes,
    **chain: Any,
) -> tuple[Any, Adjoint]:
    state = forward(linear, bias, cells, lanes, keep=Keep(post=True, synaptic=True))
    adjoint = backward(
        state, cells, lanes, membrane.ATAN, 2.0, g_spikes=g_spikes, g_voltages=g_voltages, linear=linear,
        want_bias=True,
        want_alpha=cells.filtered, want_beta=True, want_threshold=True, current="rows",
    )  # fmt: skip
    return state, adjoint


def test_a_neuron_by_hand() -> None:
    # beta 0.5, threshold 1, subtract: v = 0.75, 1.125 (spike), 0.3125 = 0.5625 + 0.75 - 1
    lanes = Lanes(3, 1)
    cells = make_cells(membrane.SUBTRACT, None, np.array([0.5]), np.array([1.0]))
    state = forward_neurons(np.full((1, lanes.padded), 0.75), cells, lanes)
    assert lanes.as_time_batch_neuron(state.v).ravel().tolist() == [0.75, 1.125, 0.3125]
    assert state.words.tolist() == [[0, 1, 0]]
    # dL/dv(2) = 1 through the voltage alone: 1, 0.5, 0.25 for the currents, and v(1) + 0.5 v(0) + ... for beta
    g = np.zeros((3, 1, 1))
    g[2] = 1
    adjoint = backward(
        state, cells, lanes, membrane.ATAN, 2.0, g_spikes=None, g_voltages=g, want_beta=True, want_threshold=True,
        want_bias=True, current="rows",
    )  # fmt: skip
    assert lanes.as_time_batch_neuron(adjoint.current).ravel().tolist() == [0.25, 0.5, 1.0]
    assert adjoint.beta is not None
    assert adjoint.threshold is not None
    assert adjoint.bias is not None
    assert adjoint.beta.tolist() == [1.125 + 0.5 * 0.75]
    assert adjoint.threshold.tolist() == [-1.0], "the reset subtracts it once, in the last step"
    assert adjoint.bias.tolist() == [1.75]


@settings(max_examples=40)
@given(st.sampled_from(MODES), st.booleans(), st.integers(0, 1000), st.integers(1, 40), st.integers(1, 40))
def test_chunks_of_time_change_nothing(mode: int, filtered: bool, seed: int, n_steps: int, n_samples: int) -> None:
    lanes = Lanes(n_steps, n_samples)
    linear, bias, g_spikes, g_voltages = problem(seed, lanes)
    cells = cells_of(mode, 7, filtered, seed)
    results = []
    for size in (1 << 20, 64):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(layer_parts, "_CHUNK_LANES", size)
            patch.setattr(layers, "_FAR_BYTES", size)  # the small size writes past the caches, too
            for method in ("words", "events"):
                source = Sparse(linear.indptr, linear.indices, linear.values, linear.rows, method)  # type: ignore[arg-type]
                results.append(run_both(source, bias, g_spikes, g_voltages, cells, lanes))
    (state, adjoint), *others = results
    for other_state, other in others:
        assert np.array_equal(state.words, other_state.words)
        assert np.allclose(lanes.as_time_batch_neuron(state.v), lanes.as_time_batch_neuron(other_state.v), rtol=1e-12)
        for name in ("values", "bias", "beta", "threshold", "alpha", "current"):
            if getattr(adjoint, name) is not None:
                assert np.allclose(getattr(adjoint, name), getattr(other, name), rtol=1e-10, atol=1e-10), name


@settings(max_examples=40)
@given(st.sampled_from(MODES), st.integers(0, 1000), st.integers(1, 20), st.integers(1, 40))
def test_gradients_of_spikes_mean_the_same_in_rows_as_step_by_step(
    mode: int, seed: int, n_steps: int, n_samples: int
) -> None:
    lanes = Lanes(n_steps, n_samples)
    linear, bias, g_spikes, g_voltages = problem(seed, lanes, n=20)
    cells = cells_of(mode, 20, False, seed)
    _, expected = run_both(linear, bias, g_spikes, g_voltages, cells, lanes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "_GATHERED_LANES", 0)  # a pass of its own, for rows too long to be gathered on the way
        _, adjoint = run_both(linear, bias, g_spikes, g_voltages, cells, lanes)
    _, from_rows = run_both(linear, bias, to_rows(g_spikes), g_voltages, cells, lanes)
    for other in (adjoint, from_rows):
        for name in ("values", "bias", "beta", "threshold", "current"):
            assert np.array_equal(getattr(expected, name), getattr(other, name)), name


@settings(max_examples=40)
@given(st.sampled_from(MODES), st.booleans(), st.integers(0, 1000), st.integers(1, 8), st.integers(1, 8))
def test_two_sequences_in_a_chain_equal_one(mode: int, filtered: bool, seed: int, first: int, second: int) -> None:
    whole, n_samples = first + second, 5
    linear, bias, g_spikes, g_voltages = problem(seed, Lanes(whole, n_samples))
    cells = cells_of(mode, 7, filtered, seed)
    _, expected = run_both(linear, bias, g_spikes, g_voltages, cells, Lanes(whole, n_samples))
    parts = [(slice(0, first), Lanes(first, n_samples)), (slice(first, whole), Lanes(second, n_samples))]
    sources = [
        Sparse(linear.indptr, linear.indices, linear.values, np.ascontiguousarray(linear.rows[:, part]))
        for part, _ in parts
    ]
    states: list[Any] = []
    start = None
    for source, (_, lanes) in zip(sources, parts, strict=True):
        state = forward(source, bias, cells, lanes, keep=Keep(post=True, synaptic=True), start=start)
        states.append(state)
        last = slice(lanes.n_lanes - lanes.padded, lanes.n_lanes)
        v = state.post if state.post.size else state.v
        c = state.synaptic if state.synaptic.size else np.zeros_like(v)
        start = (np.ascontiguousarray(v[:, last]), np.ascontiguousarray(c[:, last]))
    carry = (np.zeros((7, 16)), np.zeros((7, 16)))
    found = []
    for k in (1, 0):
        part, lanes = parts[k]
        found.append(
            backward(
                states[k],
                cells,
                lanes,
                membrane.ATAN,
                2.0,
                g_spikes=np.ascontiguousarray(g_spikes[part]),
                g_voltages=np.ascontiguousarray(g_voltages[part]),
                linear=sources[k],
                want_bias=True,
                want_alpha=filtered,
                want_beta=True,
                want_threshold=True,
                carry=carry,
            )
        )
    for name in ("values", "bias", "beta", "threshold", *(["alpha"] if filtered else [])):
        assert np.allclose(sum(getattr(a, name) for a in found), getattr(expected, name), rtol=1e-10, atol=1e-10), name


@settings(max_examples=30)
@given(st.sampled_from(MODES), st.booleans(), st.integers(0, 1000))
def test_a_recurrence_of_weight_zero_is_no_recurrence(mode: int, filtered: bool, seed: int) -> None:
    lanes = Lanes(6, 21)
    rng = np.random.default_rng(seed)
    current = to_rows(rng.standard_normal((6, 21, 7)))
    g_spikes, g_voltages = rng.standard_normal((6, 21, 7)), rng.standard_normal((6, 21, 7))
    cells = cells_of(mode, 7, filtered, seed)
    indptr, indices = csr_from_sites(np.arange(0, 49, 3), 7, 7)
    recurrence = Recurrence(indptr, indices, np.zeros(indices.size), csc_from_csr(indptr, indices, 7))
    plain = forward_neurons(current, cells, lanes, keep=Keep(synaptic=True))
    looped = forward_recurrent(current, recurrence, cells, lanes, keep=Keep(synaptic=True))
    assert np.array_equal(plain.words, looped.words)
    assert np.array_equal(lanes.as_time_batch_neuron(plain.v), lanes.as_time_batch_neuron(looped.v))
    arguments = (cells, lanes, membrane.ATAN, 2.0)
    incoming = {"g_spikes": g_spikes, "g_voltages": g_voltages, "want_beta": True, "want_alpha": filtered}
    a = backward(plain, *arguments, **incoming, want_bias=True, current="rows")
    b = backward_recurrent(looped, recurrence, *arguments, **incoming)
    for name in ("bias", "beta", "current", *(["alpha"] if filtered else [])):
        assert np.allclose(getattr(a, name), getattr(b, name), rtol=1e-10, atol=1e-10), name


def _simple() -> tuple[Any, Lanes, Any]:
    lanes = Lanes(2, 3)
    cells = cells_of(membrane.SUBTRACT, 2, True)
    return cells, lanes, forward_neurons(np.zeros((2, lanes.n_lanes)), cells, lanes)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c, n, s: make_cells(9, None, c.beta, c.threshold), r"make_cells\.mode: is 9"),
        (lambda c, n, s: make_cells(0, None, c.beta, c.threshold[:1]), r"make_cells\.threshold: has shape \(1,\)"),
        (lambda c, n, s: make_cells(5, None, c.beta, -c.threshold), r"make_cells\.threshold: reaches -.*be positive"),
        (lambda c, n, s: forward_neurons(np.zeros((3, 32)), c, n), r"forward_neurons\.cells: are 2 of float64"),
        (lambda c, n, s: forward_neurons(np.zeros((2, 33)), c, n), r"forward_neurons\.current: has shape \(2, 33\)"),
        (
            lambda c, n, s: backward(s, c, n, 1, 2.0, g_spikes=np.zeros((2, 3, 9)), g_voltages=None),
            r"backward\.g_spikes: has shape \(2, 3, 9\), would have to be \(2, 3, 2\)",
        ),
        (
            lambda c, n, s: backward(s, c, n, 1, 2.0, g_spikes=None, g_voltages=None, want_alpha=True),
            r"backward\.want_alpha: the forward pass kept no synaptic currents",
        ),
        (
            lambda c, n, s: backward(s, c._replace(mode=4), n, 1, 2.0, g_spikes=None, g_voltages=None),
            r"backward\.state\.post: was not kept",
        ),
        (
            lambda c, n, s: backward_recurrent(
                s, Recurrence(np.zeros(3, np.int32), np.zeros(0, np.int32), np.zeros(0)), c, n, 1, 2.0, g_spikes=None,
                g_voltages=None,
            ),
            r"backward_recurrent\.recurrence\.csc: is None",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(call: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        call(*_simple())


def test_events_need_spike_words() -> None:
    lanes = Lanes(2, 3)
    linear, bias, *_ = problem(0, lanes)
    odd = Sparse(linear.indptr, linear.indices, linear.values, np.zeros((9, lanes.n_lanes)), "events")
    with pytest.raises(ValidationError, match=r"forward\.linear\.method: is 'events' on rows of float64"):
        forward(odd, bias, cells_of(0, 7, False), lanes)
    with pytest.raises(
        ValidationError, match=r"forward\.rows: have 32 lanes, Lanes\(n_steps=3, n_samples=3\) needs 48"
    ):
        forward(linear, bias, cells_of(0, 7, False), Lanes(3, 3))
