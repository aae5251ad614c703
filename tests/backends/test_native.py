"""neurosparse's own simulator is the reference, bit for bit, on and off the grid, alone and in batches."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import neurosparse as ns
from neurosparse.backends.base import fastest_exact
from neurosparse.backends.native import Native
from neurosparse.core.grid import snap_to_grid
from neurosparse.core.network import INPUT, Input, Network, Population, Projection
from neurosparse.core.neurons import LI, LIF, CubaLIF
from neurosparse.errors import UnsupportedError, ValidationError
from neurosparse.kernels.simulation import run_tables
from neurosparse.kernels.simulation_plan import Proj, make_tables


def same(network: Network, x: NDArray[Any], *, threads: int = 1) -> ns.Recording:
    """Assert that spikes and voltages are the reference's in every bit; return the recording."""
    expected = ns.simulate(network, x, backend="reference", record="voltages")
    actual = ns.simulate(network, x, backend=Native(threads), record="voltages")
    for name in expected.spikes:
        np.testing.assert_array_equal(actual.spikes[name], expected.spikes[name], err_msg=name)
        bits = np.uint32 if network.dtype == np.float32 else np.uint64
        a, b = actual.voltages[name], expected.voltages[name]
        both = ~(np.isnan(a) & np.isnan(b))  # the sign of a NaN is nobody's promise
        np.testing.assert_array_equal(a.view(bits)[both], b.view(bits)[both], err_msg=name)
    return dataclasses.replace(actual)  # makes the checks that this engine's recordings are spared


def dense(
    rng: np.random.Generator,
    source: str,
    target: str,
    shape: tuple[int, int],
    *,
    density: float = 0.5,
    scale: float = 0.5,
    delay: int = 0,
    dtype: type = np.float32,
) -> Projection:
    weights = (rng.normal(0.2, scale, shape) * (rng.random(shape) < density)).astype(dtype)
    return Projection.from_dense(source, target, weights, delay=delay)


def test_a_neuron_by_hand() -> None:
    # beta 0.5, threshold 1, subtract; input 0.75 at every step: v = 0.75, 1.125*, 0.5625 + 0.75 - 1 = 0.3125, 0.90625,
    # 1.203125*, 0.6015625 + 0.75 - 1 = 0.3515625
    network = Network(
        Input(1), [Population("a", 1, LIF(beta=0.5))], [Projection.from_dense(INPUT, "a", np.float32([[0.75]]))]
    )
    recording = ns.simulate(network, np.ones((6, 1), bool), backend="native", record="voltages")
    assert recording.voltages["a"][:, 0, 0].tolist() == [0.75, 1.125, 0.3125, 0.90625, 1.203125, 0.3515625]
    assert np.flatnonzero(recording.spikes["a"]).tolist() == [1, 4]


@st.composite
def populations(draw: st.DrawFn, name: str) -> Population:
    n = draw(st.sampled_from([1, 3, 15, 16, 17, 40, 64, 70]))
    model = draw(st.sampled_from([LIF, LIF, CubaLIF, LI]))
    decays = st.floats(0, 1, width=32)
    given_: dict[str, Any] = {
        "beta": draw(decays),
        "bias": draw(st.sampled_from([0.0, -0.0, 0.1, -0.3])),
    }
    if model is not LI:
        given_ |= {"reset": draw(st.sampled_from(["subtract", "zero", "none"]))}
        given_["v_threshold"] = draw(st.sampled_from([1e-30, 0.5, 1.1]))
    if model is CubaLIF:
        given_["alpha"] = draw(decays)
    return Population(name, n, model(**given_))


@st.composite
def networks_and_inputs(draw: st.DrawFn) -> tuple[Network, NDArray[Any]]:
    """Draw raw weights on no grid: here the order of every sum shows."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    inputs = Input(draw(st.sampled_from([1, 5, 16, 33])), draw(st.sampled_from(["spikes", "graded", "analog"])))
    members = [draw(populations(name)) for name in "abc"[: draw(st.integers(1, 3))]]
    names, sizes = [INPUT, *(p.name for p in members)], [inputs.n, *(p.n for p in members)]
    projections = [dense(rng, INPUT, "a", (sizes[1], inputs.n), density=0.8, dtype=dtype)]
    ends = st.tuples(
        st.integers(0, len(members)), st.integers(1, len(members)), st.sampled_from([0, 0, 1, 5, 15, 16, 17, 33, 60])
    )
    for source, target, delay in draw(st.lists(ends, max_size=6)):
        delay = delay if source < target else max(1, delay)
        density = draw(st.sampled_from([0.0, 0.1, 0.9]))
        shape = (sizes[target], sizes[source])
        projections.append(dense(rng, names[source], names[target], shape, density=density, delay=delay, dtype=dtype))
    shape_x = (draw(st.integers(1, 70)), draw(st.integers(1, 3)), inputs.n)
    x: NDArray[Any] = rng.random(shape_x) < draw(st.sampled_from([0.03, 0.3, 1.0]))
    if inputs.kind == "graded":
        x = (x * rng.integers(0, 256, shape_x)).astype(np.uint8)
    elif inputs.kind == "analog":
        x = (x * rng.normal(0, 1, shape_x)).astype(dtype)
    return Network(inputs, members, projections), x


def test_random_networks_off_the_grid_are_the_reference_in_every_bit() -> None:
    spikes = 0

    @settings(max_examples=250, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(networks_and_inputs())
    def check(case: tuple[Network, NDArray[Any]]) -> None:
        nonlocal spikes
        spikes += same(*case).n_spikes

    check()
    assert spikes > 10_000, "mostly silent networks show nothing"


@pytest.mark.parametrize("kind", ["spikes", "graded"])
@pytest.mark.parametrize("rate", [0.01, 0.6], ids=["by source", "by target"])
def test_sparse_and_dense_activity_take_different_ways_to_the_same_bits(kind: str, rate: float) -> None:
    rng = np.random.default_rng(0)
    projections = [
        dense(rng, INPUT, "a", (200, 150), density=0.2),
        dense(rng, "a", "b", (100, 200), density=0.2),
        dense(rng, INPUT, "b", (100, 150), density=0.1, delay=3),
    ]
    network = Network(Input(150, kind), [Population("a", 200, LIF()), Population("b", 100, LIF())], projections)  # type: ignore[arg-type]
    x: NDArray[Any] = rng.random((50, 2, 150)) < rate
    if kind == "graded":
        x = (x * rng.integers(0, 256, x.shape)).astype(np.uint8)
    additions = same(network, x).info["additions"]
    # by target, all synapses are visited for each of the 4 words and 2 samples; by source, fewer
    everything = 8 * network.n_synapses
    assert additions < everything / 2 if rate < 0.1 else additions > everything / 2


def test_a_spike_of_a_loop_is_one_event_per_synapse() -> None:
    weights = np.zeros((3, 3), np.float32)
    weights[1:, 0] = 2.0  # neuron 0 excites 1 and 2, which nothing listens to
    network = Network(
        Input(1),
        [Population("a", 3, LIF(beta=0.0))],
        [
            Projection.from_dense(INPUT, "a", np.float32([[2], [0], [0]])),
            Projection.from_dense("a", "a", weights, delay=1),
        ],
    )
    x = np.zeros((20, 1), bool)
    x[[2, 18]] = True  # in two words; the last spike of neuron 0 crosses both synapses too
    recording = ns.simulate(network, x, backend="native")
    assert recording.n_spikes == 2 + 4
    assert recording.info["additions"] == 2 + 4


@pytest.mark.parametrize("n_neurons", [20, 5000], ids=["small", "large"])
@pytest.mark.parametrize("model", ["lif", "cuba", "bias"])
def test_neurons_at_rest_are_left_out_and_wake_up_again(n_neurons: int, model: str) -> None:
    # 1200 steps without input: voltages decay through the denormal numbers to where they stay; then input again
    neuron = {
        "lif": LIF(beta=0.9),
        "cuba": CubaLIF(alpha=0.5, beta=0.75, reset="zero"),
        "bias": LIF(beta=0.5, bias=0.3),
    }[model]
    rng = np.random.default_rng(1)
    weights = dense(rng, INPUT, "a", (n_neurons, 8), density=min(0.5, 200 / n_neurons), scale=1.0)
    network = Network(Input(8), [Population("a", n_neurons, neuron)], [weights])
    x = np.zeros((1300, 1, 8), bool)
    x[:40] = rng.random((40, 1, 8)) < 0.3
    x[1250:] = rng.random((50, 1, 8)) < 0.3
    recording = same(network, x)
    assert recording.spikes["a"][1250:].any()


def test_overflow_and_nan_go_where_the_reference_sends_them() -> None:
    rng = np.random.default_rng(2)
    weights = np.float32(rng.choice([3e38, -3e38, 1.0], (20, 6)))
    network = Network(
        Input(6),
        [Population("a", 20, CubaLIF(alpha=0.0, beta=1.0)), Population("b", 5, LIF(reset="zero"))],
        [Projection.from_dense(INPUT, "a", weights), dense(rng, "a", "b", (5, 20))],
    )
    with np.errstate(over="ignore", invalid="ignore"):
        recording = same(network, rng.random((30, 2, 6)) < 0.5)
    assert np.isnan(recording.voltages["a"]).any()


@pytest.mark.parametrize("delay", [1, 15, 16, 17, 32, 40, 65535])
def test_any_delay_between_words(delay: int) -> None:
    rng = np.random.default_rng(delay)
    projections = [
        dense(rng, INPUT, "a", (9, 4), delay=delay),
        dense(rng, INPUT, "a", (9, 4)),
        dense(rng, "a", "b", (7, 9), delay=delay),
        dense(rng, "b", "b", (7, 7), delay=delay),
    ]
    network = Network(Input(4), [Population("a", 9, LIF()), Population("b", 7, LIF())], projections)
    same(network, rng.random((90, 2, 4)) < 0.4)


def batch_case() -> tuple[Network, NDArray[Any]]:
    rng = np.random.default_rng(3)
    projections = [
        dense(rng, INPUT, "a", (30, 12)),
        dense(rng, "a", "a", (30, 30), delay=1, density=0.1),
        dense(rng, "a", "out", (3, 30)),
    ]
    network = Network(Input(12), [Population("a", 30, LIF()), Population("out", 3, LI())], projections)
    return snap_to_grid(network)[0], rng.random((35, 7, 12)) < 0.3


@pytest.mark.parametrize("threads", [1, 2, 3, 7, 50])
def test_the_number_of_threads_changes_nothing(threads: int) -> None:
    network, x = batch_case()
    same(network, x, threads=threads)


def test_simulations_in_several_threads_of_the_caller_do_not_meet() -> None:
    from concurrent.futures import ThreadPoolExecutor

    network, x = batch_case()
    expected = ns.simulate(network, x, backend="native", record="voltages")

    def run(_: int) -> bool:
        actual = ns.simulate(network, x, backend=Native(2), record="voltages")
        return all(np.array_equal(actual.voltages[name], expected.voltages[name]) for name in expected.voltages)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(40)))


def test_a_second_run_starts_from_rest_whatever_the_first_did() -> None:
    network, x = batch_case()
    first = ns.simulate(network, x, backend="native", record="voltages")
    ns.simulate(network, np.ones((35, 2, 12), bool), backend="native")
    again = ns.simulate(network, x, backend="native", record="voltages")
    for name in first.voltages:
        np.testing.assert_array_equal(first.voltages[name], again.voltages[name])


def test_inputs_that_are_no_contiguous_booleans_are_taken_too() -> None:
    network, x = batch_case()
    expected = ns.simulate(network, x, backend="native")
    for other in (np.asfortranarray(x), x.astype(np.int64), x[:, ::-1][:, ::-1], x.astype(np.float64)):
        np.testing.assert_array_equal(ns.simulate(network, other, backend="native").spikes["a"], expected.spikes["a"])


@pytest.mark.parametrize("threads", [0, -1, True, 1.5, "2"])
def test_a_wrong_number_of_threads_is_refused(threads: Any) -> None:
    with pytest.raises(ValidationError, match=r"Native\.threads: must be a whole number >= 1 or None, got"):
        Native(threads)


def test_without_numba_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "numba" else find(name))
    line = Native().missing()
    assert line is not None
    assert "pip install numba" in line


@pytest.mark.parametrize("split", [False, True], ids=["floats", "integers"])
@pytest.mark.parametrize("n_steps", [10, 25, 32, 40])
def test_sums_by_target_are_the_references_on_the_grid(split: bool, n_steps: int) -> None:
    # rows of up to 400 synapses: sums of 16-bit integers have to be emptied in between; 300 targets are two segments
    rng = np.random.default_rng(n_steps)
    projections = [
        dense(rng, INPUT, "a", (300, 400), density=0.6),
        dense(rng, INPUT, "b", (70, 400), density=1.0, scale=0.001, delay=3),
        dense(rng, "a", "b", (70, 300), density=0.3),
    ]
    populations = [Population("a", 300, LIF()), Population("b", 70, CubaLIF())]
    network = snap_to_grid(Network(Input(400), populations, projections))[0]
    x = rng.random((n_steps, 3, 400)) < 0.5
    expected = ns.simulate(network, x, backend="reference", record="voltages")
    tables = make_tables(network, ("a", "b"), split=split)
    shifts = [Proj(*row).shift for row in tables.layout.projections.tolist()]
    assert all(shifts) if split else not any(shifts)
    result = run_tables(tables, x)
    for name in ("a", "b"):
        np.testing.assert_array_equal(result.spikes[name], expected.spikes[name])
        np.testing.assert_array_equal(result.voltages[name], expected.voltages[name])
    assert n_steps <= 16 or result.additions >= 3 * 2 * network.n_synapses, "not by target"


def test_the_largest_sums_a_grid_allows_do_not_overflow_16_bits() -> None:
    # all weights of a row equal, every source spikes at every step: up to 2**24 units, both halves at their limit
    for n_source, weight in ((64, 2.0**18 - 1), (63, 511.0), (64, 256.0), (127, 255.0), (300, 256.0), (1, 2.0**24)):
        weights = np.full((5, n_source), weight, np.float32)
        weights[1] *= -1
        weights[2, ::2] *= -1
        projection = Projection.from_dense(INPUT, "a", weights)
        population = Population("a", 5, LIF(beta=0.0, v_threshold=1e30))
        network = Network(Input(n_source), [population], [projection], grid={"a": 0})
        result = run_tables(make_tables(network, ("a",), split=True), np.ones((20, 1, n_source), bool))
        assert (result.voltages["a"][:, 0] == weights.sum(1)).all(), (n_source, weight)


def test_a_population_too_large_to_count_goes_to_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = batch_case()
    monkeypatch.setattr(Native, "most_neurons", 29)
    with pytest.raises(UnsupportedError, match="population 'a' has 30 neurons, this engine counts to 29"):
        ns.simulate(network, x, backend="native")
    assert fastest_exact(network) == "reference"
    monkeypatch.setattr(Native, "most_neurons", 30)
    assert fastest_exact(network) == "native"


BOUNDS = """
import numpy as np, sys
sys.path.insert(0, {tests!r})
from test_native import batch_case, same, dense
from neurosparse.core.network import *
from neurosparse.core.neurons import *
same(*batch_case())
rng = np.random.default_rng(0)
for kind in ("spikes", "graded"):
    parts = [dense(rng, "input", "a", (18, 17), delay=20), dense(rng, "input", "a", (18, 17))]
    network = Network(Input(17, kind), [Population("a", 18, CubaLIF())], parts)
    x = rng.random((33, 2, 17)) < 0.3
    same(network, x if kind == "spikes" else (x * 200).astype(np.uint8))
"""


@pytest.mark.slow
def test_no_index_is_out_of_bounds(tmp_path: Any) -> None:
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    code = BOUNDS.format(tests=os.path.dirname(__file__))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_fastest_exact_engine_is_the_native_one_unless_it_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    network = ns.Network(
        ns.Input(1), [ns.Population("a", 1, ns.LIF())], [ns.Projection.from_dense("input", "a", np.float32([[1.0]]))]
    )
    assert fastest_exact(network) == "native"
    monkeypatch.setattr(Native, "missing", lambda self: "pip install numba")
    assert fastest_exact(network) == "reference"
