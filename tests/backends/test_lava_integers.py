"""Lava's fixed-point models compute the reference's integers, bit for bit, and fail as cleanly as its floats do."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from integer_networks import Drawn, draw, merge
from test_lava_failures import Faulty

import neurosparse as ns
from neurosparse.backends import lava
from neurosparse.backends.lava import Lava
from neurosparse.core.network import INPUT, Input
from neurosparse.core.quantized import QuantizedNetwork, QuantizedPopulation, QuantizedProjection
from neurosparse.core.rng import stream
from neurosparse.errors import SidecarError, UnsupportedError

with_lava = pytest.mark.lava


def assert_same_integers(case: Drawn, *quantities: str) -> ns.Recording:
    expected = ns.simulate(case.network, case.inputs, record=quantities)
    actual = ns.simulate(case.network, case.inputs, backend="lava", record=quantities)
    for name in expected.spikes:
        np.testing.assert_array_equal(expected.spikes[name], actual.spikes[name], err_msg=name)
    for kind in quantities:
        for name, values in getattr(expected, kind).items():
            assert getattr(actual, kind)[name].dtype == np.int32
            np.testing.assert_array_equal(values, getattr(actual, kind)[name], err_msg=f"{kind} of {name}")
    return expected


@with_lava
@pytest.mark.parametrize(("kind", "first"), [("spikes", 0), ("spikes", 13), ("graded", 26), ("graded", 39)])
def test_networks_at_the_edges_of_every_range_are_lavas(kind: str, first: int) -> None:
    # 52 networks of up to 500 neurons, 13 in a run: most of the time goes into starting Lava's processes
    cases = [draw(stream(k, "lava integers"), kind=kind) for k in range(first, first + 13)]
    expected = assert_same_integers(merge(cases), "voltages")
    alive = [any(expected.spikes[f"{k}.{p.name}"].any() for p in c.network.populations) for k, c in enumerate(cases)]
    assert sum(alive) >= 7


def kinds_of_neurons() -> Drawn:
    """Every reset with equal and with differing neurons, biases that start late, a read-out, a loop, a delay."""
    rng = stream(5, "kinds of neurons")

    def connect(source: str, target: str, n_target: int, n_source: int, **how) -> QuantizedProjection:
        weights = (rng.integers(-40, 90, (n_target, n_source)) * 2).astype(np.int16)
        indptr = np.arange(n_target + 1) * n_source
        return QuantizedProjection(
            source, target, indptr, np.tile(np.arange(n_source), n_target), weights.ravel(), n_source, **how
        )

    differing = {"du": [4095, 0, 100, 2000], "dv": [0, 100, 4095, 4096], "v_threshold": [50, 100, 150, 0]}
    populations = [
        QuantizedPopulation("lif", 5, du=2047, dv=400, v_threshold=120, bias=[0, 50, -50, 700, -4096]),
        QuantizedPopulation("subtract", 4, **differing, bias=90, bias_exponent=3, reset="subtract"),
        QuantizedPopulation("zero", 4, **differing, bias=[1, 2, 3, 4], bias_exponent=[7, 5, 3, 1]),
        QuantizedPopulation("none", 4, dv=1000, v_threshold=200, reset="none"),
        QuantizedPopulation("out", 3, dv=50, bias=-30, bias_exponent=3, readout=True),
    ]
    projections = [
        connect(INPUT, "lif", 5, 6, exponent=1),
        connect("lif", "lif", 5, 5, delay=1),
        connect("lif", "subtract", 4, 5),
        connect("subtract", "zero", 4, 4, delay=3),
        connect("lif", "zero", 4, 5),
        connect("zero", "none", 4, 4),
        connect("none", "out", 3, 4, exponent=2),
    ]
    network = QuantizedNetwork(Input(6), populations, projections)
    return Drawn(network, rng.random((24, 3, 6)) < 0.3)


@with_lava
def test_every_kind_of_neuron_in_spikes_voltages_and_currents() -> None:
    case = kinds_of_neurons()
    expected = assert_same_integers(case, "voltages", "currents")
    assert all(raster.any() for name, raster in expected.spikes.items() if name != "out")


@with_lava
def test_a_batch_in_chunks_is_the_batch_in_one_run(monkeypatch) -> None:
    case = kinds_of_neurons()
    monkeypatch.setattr(lava, "_MAX_SYNAPSES", 2 * case.network.n_synapses)
    assert_same_integers(case, "voltages")


@with_lava
def test_parts_that_nothing_connects_run_together() -> None:
    populations = [
        QuantizedPopulation("fed", 2, v_threshold=5),
        QuantizedPopulation("biased", 2, dv=100, v_threshold=2, bias=[60, 100]),
        QuantizedPopulation("silent", 1),
    ]
    projection = QuantizedProjection(INPUT, "fed", [0, 1, 2], [0, 1], np.int16([8, 2]), 2)
    case = Drawn(QuantizedNetwork(Input(2), populations, [projection]), np.ones((9, 1, 2), bool))
    assert assert_same_integers(case, "voltages").n_spikes > 9


def overflowing(kind: str) -> QuantizedNetwork:
    # 20 x 254 << 7 = 650240
    weights = np.full(20, 254, np.int16)
    projection = QuantizedProjection(
        INPUT, "a", [0, 20], np.arange(20), weights, 20, exponent=7 if kind == "spikes" else 0
    )
    return QuantizedNetwork(Input(20, kind), [QuantizedPopulation("a", 1)], [projection])


def test_sums_that_lava_would_wrap_otherwise_are_refused_with_their_size() -> None:
    with pytest.raises(UnsupportedError, match=r"population 'a': its weights can add up to 650240 in a step, Lava's"):
        Lava().simulate(overflowing("spikes"), np.ones((2, 20), bool), record=frozenset(), seed=0)
    with pytest.raises(UnsupportedError, match=r"can add up to 1295400 in a step"):
        Lava().simulate(overflowing("graded"), np.full((2, 20), 255, np.uint8), record=frozenset(), seed=0)


@with_lava
def test_payloads_count_as_they_are_and_not_as_they_could_be() -> None:
    case = Drawn(overflowing("graded"), np.full((3, 1, 20), 50, np.uint8))
    assert_same_integers(case, "voltages")


def faulty_network() -> QuantizedNetwork:
    projection = QuantizedProjection(INPUT, "a", [0, 2, 4], [0, 1, 0, 1], np.full(4, 20, np.int16), 2)
    return QuantizedNetwork(Input(2), [QuantizedPopulation("a", 2, reset="subtract", v_threshold=9)], [projection])


@pytest.fixture
def faulty(tmp_path, monkeypatch):
    def make(fault: str) -> Faulty:
        worker = Faulty(tmp_path, fault)
        text = worker.script.read_text()
        text = text.replace("neurons import SnnLIFFloat32", "integers import IntegerLIFModel as SnnLIFFloat32")
        worker.script.write_text(text)
        monkeypatch.setattr(lava, "_WORKER", worker.script)
        return worker

    return make


@with_lava
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            "raise ZeroDivisionError('in the neuron')",
            r"(?s)failed with exit status 1.*ZeroDivisionError: in the neuron",
        ),
        ("os.kill(os.getpid(), signal.SIGKILL)", r"(?s)Lava worker: failed.*Lava processes ended early"),
        ("time.sleep(600)", r"did not end within its time limit"),
    ],
    ids=["exception", "killed", "hang"],
)
def test_failures_in_a_fixed_point_model_end_the_run_and_leave_nothing(faulty, fault: str, message: str) -> None:
    worker = faulty(fault)
    with pytest.raises(SidecarError, match=message):
        ns.simulate(faulty_network(), np.ones((10, 2), bool), backend=Lava(time_limit_s=5.0))
    worker.assert_nothing_is_left()


@with_lava
def test_a_fault_between_two_runs_of_the_steps_is_noticed_too(faulty) -> None:
    # with a bias the steps are run in two parts; the fault is in the second
    network = faulty_network()
    biased = dataclasses.replace(network.populations[0], bias=3)
    worker = faulty("raise ValueError('late')")
    with pytest.raises(SidecarError, match=r"ValueError: late"):
        ns.simulate(
            QuantizedNetwork(network.input, [biased], network.projections), np.ones((10, 2), bool), backend="lava"
        )
    worker.assert_nothing_is_left()


def test_the_workers_files_lie_where_it_looks_for_them() -> None:
    folder = Path(lava.__file__).parent
    assert (folder / "lava_build.py").is_file()
    assert (folder / "lava_processes" / "integers.py").is_file()
