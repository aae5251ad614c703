"""`compact` in a chip's integers: the same spikes and registers, and registers that could wrap are left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import neurosparse as ns
from neurosparse.core.compaction import compact, compact_with_report
from neurosparse.core.network import Input
from neurosparse.core.quantized import QuantizedNetwork, QuantizedPopulation, QuantizedProjection


def synapses(source: str, target: str, matrix: Any, **options: Any) -> QuantizedProjection:
    dense = np.asarray(matrix, np.int16)
    rows, columns = np.nonzero(dense)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(dense)))])
    return QuantizedProjection(source, target, indptr, columns, dense[rows, columns], dense.shape[1], **options)


def assert_same(original: QuantizedNetwork, inputs: NDArray[Any]) -> QuantizedNetwork:
    compacted, report = compact_with_report(original)
    expected = ns.simulate(original, inputs, record="voltages")
    actual = ns.simulate(compacted, inputs, record="voltages")
    for population in compacted.populations:
        name, kept = population.name, report.kept[population.name]
        np.testing.assert_array_equal(actual.spikes[name], expected.spikes[name][:, :, kept], err_msg=name)
        np.testing.assert_array_equal(actual.voltages[name], expected.voltages[name][:, :, kept], err_msg=name)
    return compacted


def test_a_sum_that_reaches_the_threshold_and_not_above_is_silence() -> None:
    # without decay of the voltage left over (dv = 4096) a spike needs weight << 6 > v_threshold << 6
    a = QuantizedPopulation("a", 3, dv=4096, v_threshold=[20, 19, 20], bias=[0, 0, 1])
    original = QuantizedNetwork(
        Input(1),
        [a, QuantizedPopulation("out", 1, dv=4096, v_threshold=0)],
        [synapses("input", "a", [[20], [20], [20]]), synapses("a", "out", [[2, 2, 2]])],
        scales={"a": 0.5, "out": 0.25},
    )
    compacted, report = compact_with_report(original)
    assert report.kept["a"].tolist() == [1, 2]
    assert (report.silent["a"], report.folded_synapses, report.n_synapses) == (1, 0, (6, 4))
    assert compacted["a"].bias.tolist() == [0, 1]
    assert compacted.scales == original.scales
    assert_same(original, np.array([[[1]], [[0]], [[1]]], bool))


def test_the_largest_payload_counts_where_inputs_are_graded() -> None:
    a = QuantizedPopulation("a", 2, dv=4096, v_threshold=[509, 510])
    original = QuantizedNetwork(
        Input(1, kind="graded"),
        [a, QuantizedPopulation("out", 1, readout=True)],
        [synapses("input", "a", [[2], [2]]), synapses("a", "out", [[2, 2]])],
    )
    assert compact_with_report(original)[1].kept["a"].tolist() == [0]  # 255 * 2 = 510


def test_a_current_that_could_wrap_around_is_not_judged() -> None:
    # inhibition alone, so that nobody should ever fire; but u settles at -(254 << 7 << 6) * 4096 / 2, far below -2**23,
    # and wraps to a large positive current
    a = QuantizedPopulation("a", 1, du=1, dv=4096, v_threshold=1000)
    original = QuantizedNetwork(
        Input(1),
        [a, QuantizedPopulation("out", 1, readout=True)],
        [synapses("input", "a", [[-254]], exponent=7), synapses("a", "out", [[2]])],
    )
    assert compact(original)["a"].n == 1
    inputs = np.ones((200, 1, 1), bool)
    assert ns.simulate(original, inputs).spikes["a"].any(), "the wrapped current makes it fire"
    assert_same(original, inputs)


@st.composite
def quantized_networks(draw: st.DrawFn) -> tuple[QuantizedNetwork, NDArray[Any]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    graded, exponent = draw(st.booleans()), draw(st.integers(0, 4))
    n = [int(rng.integers(1, 5)), int(rng.integers(2, 7)), int(rng.integers(2, 7)), 2]

    def matrix(shape: tuple[int, int]) -> NDArray[Any]:
        return 2 * rng.integers(-40, 60, shape) * (rng.random(shape) < 0.5)

    def population(name: str, size: int) -> QuantizedPopulation:
        return QuantizedPopulation(
            name,
            size,
            du=rng.integers(500, 4096, size) if rng.random() < 0.5 else 4095,
            dv=rng.integers(0, 4097, size),
            v_threshold=rng.integers(10, 400, size) * (255 if graded and name == "a" else 1),
            bias=rng.integers(-20, 30, size) * (rng.random(size) < 0.3),
            bias_exponent=rng.integers(0, 7, size),
            reset=rng.choice(["zero", "subtract", "none"]),
        )

    populations = [population("a", n[1]), population("b", n[2]), QuantizedPopulation("out", n[3], dv=100, readout=True)]
    names, projections = ["input", "a", "b", "out"], []
    for i in range(3):
        projections.append(synapses(names[i], names[i + 1], matrix((n[i + 1], n[i])), exponent=exponent))
    projections.append(synapses("b", "a", matrix((n[1], n[2])), delay=1))
    inputs = rng.integers(0, 256, (12, 3, n[0])).astype(np.uint8) if graded else rng.random((12, 3, n[0])) < 0.5
    return QuantizedNetwork(Input(n[0], kind="graded" if graded else "spikes"), populations, projections), inputs


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(quantized_networks())
def test_every_neuron_that_stays_does_the_same_in_integers(case: tuple[QuantizedNetwork, NDArray[Any]]) -> None:
    compacted = assert_same(*case)
    assert compact(compacted).n_neurons == compacted.n_neurons
