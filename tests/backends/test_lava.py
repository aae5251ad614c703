"""Lava computes the reference's bits: every kind of network, in float32 and float64, spikes and voltages."""

from __future__ import annotations

import dataclasses
import tempfile

import numpy as np
import pytest

import neurosparse as ns
from neurosparse.backends import lava
from neurosparse.backends.lava import Lava
from neurosparse.core.grid import cast, snap_to_grid
from neurosparse.core.network import Input, Network, Population, Projection
from neurosparse.core.neurons import LI, LIF, CubaLIF
from neurosparse.core.rng import stream
from neurosparse.errors import MissingDependencyError, UnsupportedError, ValidationError

with_lava = pytest.mark.lava
both_precisions = pytest.mark.parametrize("dtype", ["float32", "float64"])


def weights(rng: np.random.Generator, n_target: int, n_source: int, density: float = 0.6) -> np.ndarray:
    live = rng.random((n_target, n_source)) < density
    return np.where(live, rng.normal(0.15, 0.7, (n_target, n_source)), 0.0)


def feed_forward(rng, **hidden):
    """Input (6) -> a (5) -> b (4) -> out (3, LI), and a recurrent projection in a."""
    populations = [
        Population("a", 5, LIF(beta=0.9, **hidden)),
        Population("b", 4, CubaLIF(alpha=0.7, beta=0.8, v_threshold=1.25, **hidden)),
        Population("out", 3, LI(beta=0.95)),
    ]
    projections = [
        Projection.from_dense("input", "a", weights(rng, 5, 6)),
        Projection.from_dense("a", "a", weights(rng, 5, 5), delay=1),
        Projection.from_dense("a", "b", weights(rng, 4, 5)),
        Projection.from_dense("b", "out", weights(rng, 3, 4)),
    ]
    return Network(Input(6), populations, projections)


def differing_neurons(rng, reset):
    """One value of every parameter per neuron, among them decays that ``1 - (1 - decay)`` does not give back."""

    def drawn(low, high, n=6):
        return rng.uniform(low, high, n)

    a = LIF(beta=drawn(0.0, 1.0), v_threshold=drawn(0.5, 1.5), bias=drawn(-0.1, 0.3), reset=reset)
    b = CubaLIF(alpha=drawn(0, 1), beta=drawn(0, 1), v_threshold=drawn(0.5, 1.5), bias=drawn(0, 0.1), reset=reset)
    populations = [Population("a", 6, a), Population("b", 6, b), Population("out", 6, LI(beta=drawn(0.0, 1.0)))]
    projections = [
        Projection.from_dense("input", "a", weights(rng, 6, 6)),
        Projection.from_dense("a", "b", weights(rng, 6, 6)),
        Projection.from_dense("b", "out", weights(rng, 6, 6)),
    ]
    return Network(Input(6), populations, projections)


def small_decays(rng):
    """Equal neurons whose decay Lava's LIF would change: it stores 1 - beta, and 1 - (1 - 0.1) is no 0.1 in float64."""
    populations = [
        Population("a", 5, LIF(beta=0.1, reset="zero")),
        Population("b", 5, CubaLIF(alpha=0.3, beta=0.2, reset="zero")),
        Population("out", 3, LI(beta=0.05)),
    ]
    projections = [
        Projection.from_dense("input", "a", weights(rng, 5, 6)),
        Projection.from_dense("a", "b", weights(rng, 5, 5)),
        Projection.from_dense("b", "out", weights(rng, 3, 5)),
    ]
    return Network(Input(6), populations, projections)


def delays_and_loops(rng):
    """Delays from the input (two at once), in self-loops and in a loop of two, one longer than the simulation."""
    populations = [Population("a", 4, LIF(beta=0.8)), Population("b", 4, LIF(beta=0.9, reset="zero"))]
    projections = [
        Projection.from_dense("input", "a", weights(rng, 4, 6)),
        Projection.from_dense("input", "a", weights(rng, 4, 6), delay=3),
        Projection.from_dense("input", "b", weights(rng, 4, 6), delay=2),
        Projection.from_dense("a", "a", weights(rng, 4, 4), delay=4),
        Projection.from_dense("a", "b", weights(rng, 4, 4)),
        Projection.from_dense("b", "a", weights(rng, 4, 4), delay=2),
        Projection.from_dense("b", "b", weights(rng, 4, 4), delay=1000),
    ]
    return Network(Input(6), populations, projections)


def parts_that_nothing_connects(rng):
    """Lava runs only what is connected: a part driven by the input, one by its bias, one by nothing."""
    populations = [
        Population("fed", 3, LIF(beta=0.9)),
        Population("biased", 2, LIF(beta=0.5, v_threshold=1.0, bias=[0.75, -0.5])),
        Population("follower", 2, LIF(beta=0.5, bias=0.125)),
        Population("silent", 2, LIF(beta=0.5)),
    ]
    projections = [
        Projection.from_dense("input", "fed", weights(rng, 3, 6)),
        Projection.from_dense("biased", "follower", weights(rng, 2, 2, density=1.0)),
        Projection.from_dense("silent", "silent", np.zeros((2, 2)), delay=1),
    ]
    return Network(Input(6), populations, projections)


CASES = {
    "subtract": lambda rng: feed_forward(rng, reset="subtract"),
    "zero": lambda rng: feed_forward(rng, reset="zero"),
    "none": lambda rng: feed_forward(rng, reset="none"),
    "biases": lambda rng: feed_forward(rng, reset="zero", bias=0.2),
    "differing neurons, subtract": lambda rng: differing_neurons(rng, "subtract"),
    "differing neurons, zero": lambda rng: differing_neurons(rng, "zero"),
    "small decays": small_decays,
    "graded input": lambda rng: dataclasses.replace(feed_forward(rng), input=Input(6, "graded")),
    "delays and loops": delays_and_loops,
    "parts that nothing connects": parts_that_nothing_connects,
}


def make(name: str, dtype: str) -> tuple[Network, np.ndarray]:
    rng = stream(3, "lava", name)
    network = snap_to_grid(cast(CASES[name](rng), dtype))[0]
    if network.input.kind == "graded":
        return network, rng.integers(0, 256, (20, 3, 6)).astype(np.uint8)
    return network, rng.random((20, 3, 6)) < 0.4


def assert_same_bits(expected: ns.Recording, actual: ns.Recording) -> None:
    for name in expected.spikes:
        np.testing.assert_array_equal(expected.spikes[name], actual.spikes[name], err_msg=name)
        assert actual.voltages[name].dtype == expected.voltages[name].dtype
        # as bytes: 0.0 and -0.0 differ
        assert expected.voltages[name].tobytes() == actual.voltages[name].tobytes(), name


@with_lava
@both_precisions
@pytest.mark.parametrize("name", CASES)
def test_spikes_and_voltages_are_the_references_bits(name: str, dtype: str) -> None:
    network, inputs = make(name, dtype)
    expected = ns.simulate(network, inputs, record="voltages")
    assert expected.n_spikes > 20
    assert_same_bits(expected, ns.simulate(network, inputs, backend="lava", record="voltages"))


@with_lava
def test_a_chain_of_two_neurons_spikes_when_worked_out_by_hand() -> None:
    # a: v = v/2 + 2 s, threshold 1, zero reset: spikes with every input. b: v = v/2 + 0.75 s_a + 0.25, subtract:
    # step 0: 0.25; 1: 0.125 + 1 = 1.125 > 1; 2: 0.5625 + 0.25 - 1 = -0.1875; 3: -0.09375 + 1 = 0.90625; 4: 0.453125 + 1
    network = Network(
        Input(1),
        [Population("a", 1, LIF(beta=0.5, reset="zero")), Population("b", 1, LIF(beta=0.5, bias=0.25))],
        [
            Projection.from_dense("input", "a", np.float32([[2]])),
            Projection.from_dense("a", "b", np.float32([[0.75]])),
        ],
    )
    inputs = np.array([0, 1, 0, 1, 1], bool)[:, np.newaxis]
    recording = ns.simulate(network, inputs, backend="lava", record="voltages")
    assert recording.spikes["a"].ravel().tolist() == [False, True, False, True, True]
    assert recording.spikes["b"].ravel().tolist() == [False, True, False, False, True]
    assert recording.voltages["a"].ravel().tolist() == [0, 0, 0, 0, 0]
    assert recording.voltages["b"].ravel().tolist() == [0.25, 1.125, -0.1875, 0.90625, 1.453125]


@with_lava
def test_a_batch_in_chunks_is_the_batch_in_one_run(monkeypatch) -> None:
    network, inputs = make("delays and loops", "float32")
    monkeypatch.setattr(lava, "_MAX_SYNAPSES", 2 * network.n_synapses)
    recording = ns.simulate(network, inputs, backend="lava", record="voltages")
    assert recording.info["chunks"] == 2  # 3 samples, 2 at a time
    assert_same_bits(ns.simulate(network, inputs, record="voltages"), recording)


@with_lava
def test_a_long_path_to_the_temporary_files_does_no_harm(tmp_path, monkeypatch) -> None:
    # a socket's address holds 107 characters, and clusters like to give each job a deep folder of its own
    deep = tmp_path / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(deep))
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    network, inputs = make("zero", "float32")
    expected = ns.simulate(network, inputs, record="voltages")
    assert_same_bits(expected, ns.simulate(network, inputs, backend="lava", record="voltages"))
    assert list(deep.iterdir()) == []


@with_lava
def test_only_readouts_have_voltages_unless_all_are_asked_for() -> None:
    network, inputs = make("zero", "float32")
    recording = ns.simulate(network, inputs, backend="lava")
    assert set(recording.voltages) == {"out"}
    assert set(recording.spikes) == {"a", "b", "out"}
    assert not recording.spikes["out"].any()
    assert recording.backend == "lava"
    assert recording.info["lava"] == "0.10.0"
    assert recording.info["run_seconds"] > 0
    assert recording.info["build_seconds"] > 0
    assert recording.info["synaptic_events"] > 0


@with_lava
def test_analog_input_is_the_references_to_rounding() -> None:
    rng = stream(3, "lava", "analog")
    network = cast(dataclasses.replace(feed_forward(rng), input=Input(6, "analog")), "float64")
    inputs = rng.normal(0.3, 1.0, (20, 3, 6))
    expected = ns.simulate(network, inputs, record="voltages")
    actual = ns.simulate(network, inputs, backend="lava", record="voltages")
    assert expected.n_spikes > 20
    for name in expected.voltages:
        np.testing.assert_allclose(expected.voltages[name], actual.voltages[name], rtol=0, atol=1e-12)


@with_lava
@pytest.mark.parametrize("shape", [(0, 2, 6), (5, 0, 6), (1, 1, 6)], ids=["no steps", "no samples", "one step"])
def test_recordings_have_the_shape_of_the_input_however_small(shape) -> None:
    network, _ = make("zero", "float32")
    recording = ns.simulate(network, np.ones(shape, bool), backend="lava", record="voltages")
    assert recording.spikes["b"].shape == (*shape[:2], 4)
    assert recording.voltages["out"].shape == (*shape[:2], 3)


def test_chunks_keep_synapses_and_shared_memory_bounded() -> None:
    def chunk(n_neurons: int, n_synapses: int) -> int:
        matrix = np.zeros((n_neurons, 1), np.float32)
        matrix[:n_synapses] = 1
        projection = Projection.from_dense("input", "a", matrix)
        return lava._samples_per_chunk(Network(Input(1), [Population("a", n_neurons, LIF())], [projection]))

    assert chunk(10, 0) == 1_000_000 // 61  # 1 + 2 x 10 values for the projection, 4 x 10 for the population
    assert chunk(1000, 1000) == 1_000_000 // 6001
    assert chunk(300_000, 1) == 1


def test_a_loop_with_less_delay_than_hops_is_refused_with_its_reason() -> None:
    one = np.ones((1, 1), np.float32)
    network = Network(
        Input(1),
        [Population("a", 1, LIF()), Population("b", 1, LIF())],
        [
            Projection.from_dense("input", "a", one),
            Projection.from_dense("a", "b", one),
            Projection.from_dense("b", "a", one, delay=1),
        ],
    )
    (reason,) = Lava().unsupported(network)
    assert "less delay than hops" in reason
    with pytest.raises(UnsupportedError, match="a loop through"):
        Lava().simulate(network, np.ones((3, 1), bool), record=frozenset(), seed=0)


def test_without_an_environment_the_error_says_how_to_make_one(tmp_path) -> None:
    network, inputs = make("zero", "float32")
    engine = Lava(python=str(tmp_path / "absent"))
    with pytest.raises(MissingDependencyError, match=r"`neurosparse doctor --setup-lava`.*Lava.python: .*absent"):
        ns.simulate(network, inputs, backend=engine)


@pytest.mark.parametrize("limit", [0, -1.0, float("nan")])
def test_a_time_limit_that_is_no_duration_is_refused(limit) -> None:
    with pytest.raises(ValidationError, match=r"Lava.time_limit_s: must be a duration in seconds > 0, got"):
        Lava(time_limit_s=limit)
