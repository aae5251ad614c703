"""`compact`: what is left does the same at every step, and nothing is left that could have gone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, reject, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import neurosparse as ns
from neurosparse.core.compaction import compact, compact_with_report
from neurosparse.core.grid import snap_to_grid
from neurosparse.core.network import INPUT, Input, Network, Population, Projection
from neurosparse.core.neurons import LI, LIF, CubaLIF
from neurosparse.core.subnetwork import select_neurons
from neurosparse.errors import UnknownNameError, ValidationError


def network(*populations: Population, grid: bool = True, n_inputs: int = 2, **weights: Any) -> Network:
    """A network with projections ``source_target=[[...]]``, ``source_target_delay``."""
    projections = []
    for name, matrix in weights.items():
        source, target, *delay = name.split("_")
        delay_steps = int(delay[0]) if delay else 0
        projections.append(Projection.from_dense(source, target, np.float32(matrix), delay=delay_steps))
    made = Network(Input(n_inputs), populations, projections)
    return snap_to_grid(made)[0] if grid else made


def assert_same(original: Network, kept: dict[str, NDArray[Any]], compacted: Network, inputs: NDArray[Any]) -> None:
    expected = ns.simulate(original, inputs, backend="reference", record="voltages")
    actual = ns.simulate(compacted, inputs, backend="reference", record="voltages")
    for population in compacted.populations:
        name, neurons = population.name, kept[population.name]
        np.testing.assert_array_equal(actual.spikes[name], expected.spikes[name][:, :, neurons], err_msg=name)
        np.testing.assert_array_equal(actual.voltages[name], expected.voltages[name][:, :, neurons], err_msg=name)


def test_a_chain_of_dead_neurons_goes_step_by_step() -> None:
    a, b, out = Population("a", 3, LIF()), Population("b", 3, LIF()), Population("out", 1, LIF())
    original = network(
        a, b, out,
        input_a=[[2, 0], [0, 0], [0, 2]],  # a1 has no input
        a_b=[[2, 0, 0], [0, 2, 0], [0, 0, 2]],  # so b1 has none that ever comes
        b_out=[[2, 2, 0]],  # b2 leads nowhere, and a2 only to b2
    )  # fmt: skip
    compacted, report = compact_with_report(original)
    assert [p.n for p in compacted.populations] == [1, 1, 1]
    assert {name: kept.tolist() for name, kept in report.kept.items()} == {"a": [0], "b": [0], "out": [0]}
    assert report.silent == {"a": 1, "b": 1, "out": 0}
    assert report.unobservable == {"a": 1, "b": 1, "out": 0}
    assert (report.n_neurons, report.n_synapses, report.used_inputs) == ((7, 3), (7, 3), 1)
    assert compacted.grid is not None
    assert str(report) == (
        "compact: 7 -> 3 neurons (2 never fire, 2 have no effect), 7 -> 3 synapses (0 folded into biases, 0 of "
        "weight 0); 1 input lines in use"
    )
    assert compact(compacted).n_neurons == 3


def test_a_bias_that_cannot_reach_the_threshold_is_silence_and_one_that_can_is_not() -> None:
    # without inputs, v climbs to bias / (1 - beta) = 2 bias: 0.5 stays at the threshold 1 and below, 0.625 passes it
    a = Population("a", 3, LIF(beta=0.5, bias=[0.5, 0.625, -3.0]))
    original = network(a, Population("out", 1, LIF()), input_a=np.zeros((3, 2)), a_out=[[1, 1, 1]])
    assert compact_with_report(original)[1].kept["a"].tolist() == [1]


def test_inputs_too_weak_for_the_threshold_are_judged_on_the_grid_only() -> None:
    # the first reaches (0.25 + 0.25) / (1 - 0.5) = 1 and no more; the second has an inhibitory input that may be absent
    a = Population("a", 2, LIF(beta=0.5))
    weights = {"input_a": [[0.25, 0.25], [0.75, -0.5]], "a_out": [[1, 1]]}
    out = Population("out", 1, LIF())
    assert compact_with_report(network(a, out, **weights))[1].kept["a"].tolist() == [1]
    assert compact(network(a, out, grid=False, **weights)).n_neurons == 3


def test_a_neuron_that_always_fires_becomes_a_bias_of_what_it_drives() -> None:
    a = Population("a", 2, LIF(beta=0.5, bias=[3.0, 0.0]))
    out = Population("out", 1, LIF(bias=0.125))
    original = network(a, out, input_a=[[0, 0], [2, 0]], a_out=[[0.25, 0.5]])
    compacted, report = compact_with_report(original)
    assert compacted["a"].n == 1
    assert compacted["out"].neuron.bias.tolist() == [0.375]
    assert (report.folded_synapses, report.unobservable["a"]) == (1, 1)
    assert_same(original, report.kept, compacted, np.random.default_rng(0).random((20, 3, 2)) < 0.5)


@pytest.mark.parametrize(
    ("why", "bias", "delay", "grid"),
    [("it starts a step late", 1.0, 0, True), ("of the delay", 3.0, 1, True), ("of rounding", 3.0, 0, False)],
)
def test_it_is_kept_where_folding_would_not_be_exact_because(why: str, bias: float, delay: int, grid: bool) -> None:
    a = Population("a", 1, LIF(beta=1.0, bias=bias))
    weights = {"input_a": [[0, 0]], f"a_out_{delay}": [[0.25]]}
    original = network(a, Population("out", 1, LIF()), grid=grid, **weights)
    compacted, report = compact_with_report(original)
    assert (compacted["a"].n, report.folded_synapses) == (1, 0)
    assert_same(original, report.kept, compacted, np.zeros((8, 1, 2), bool))


def test_a_neuron_in_doubt_stays() -> None:
    a = Population("a", 1, LIF(beta=1.0, bias=2.0**-20))  # fires after 2**20 steps, of which none are tried
    original = network(a, Population("out", 1, LIF()), input_a=[[0, 0]], a_out=[[1]])
    assert compact(original).n_neurons == 2


def test_what_is_read_out_stays_whole_and_so_does_what_the_caller_names() -> None:
    a, out, side = Population("a", 2, LIF()), Population("out", 3, LIF()), Population("side", 2, LI())
    original = network(a, out, side, input_a=[[2, 0], [0, 0]], a_out=np.zeros((3, 2)), a_side=np.zeros((2, 2)))
    compacted = compact(original)
    assert [p.name for p in compacted.populations] == ["out", "side"]
    assert [p.n for p in compacted.populations] == [3, 2]
    assert compacted.n_synapses == 0
    assert compacted.outputs == original.outputs
    kept = compact(original, keep=["a"])
    assert kept["a"].n == 2
    with pytest.raises(UnknownNameError, match=r"'b' is not known"):
        compact(original, keep=["b"])


def test_two_neurons_that_only_feed_each_other_have_no_effect() -> None:
    a = Population("a", 3, LIF())
    loop = [[0, 2, 0], [2, 0, 0], [0, 0, 0]]
    original = network(a, Population("out", 1, LIF()), input_a=[[2, 0], [0, 2], [2, 2]], a_a_1=loop, a_out=[[0, 0, 2]])
    assert compact_with_report(original)[1].kept["a"].tolist() == [2]


def test_synapses_of_weight_0_are_none() -> None:
    projection = Projection(INPUT, "a", np.array([0, 1, 2]), np.array([0, 1]), np.float32([0.0, 2.0]), 2)
    populations = [Population("a", 2, LIF()), Population("out", 1, LIF())]
    original = Network(Input(2), populations, [projection, Projection.from_dense("a", "out", np.float32([[1, 1]]))])
    compacted, report = compact_with_report(original)
    assert (compacted.n_synapses, report.zero_synapses, report.kept["a"].tolist()) == (2, 1, [1])


def test_the_type_of_the_arithmetic_survives_the_last_projection() -> None:
    populations = [Population("a", 1, LIF()), Population("out", 1, LI(bias=0.1))]
    projections = [
        Projection.from_dense(INPUT, "a", np.float64([[0.0]])),
        Projection.from_dense("a", "out", np.float64([[1.0]])),
    ]
    compacted = compact(Network(Input(1), populations, projections))
    assert compacted.dtype == np.float64
    assert compacted["out"].neuron.bias[0] == np.float64(0.1)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Network, NDArray[Any]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    kind = draw(st.sampled_from(["spikes", "graded", "analog"]))
    sizes = {INPUT: draw(st.integers(1, 4))}
    populations = []
    for name in "abcd"[: draw(st.integers(1, 4))]:
        sizes[name] = n = draw(st.integers(1, 6))
        model = draw(st.sampled_from([LIF, LIF, CubaLIF, LI]))
        parameters: dict[str, Any] = {"beta": rng.choice([0.0, 0.5, 0.9, 1.0], n)}
        parameters["bias"] = rng.choice([0.0, 0.0, 0.0, 0.0625, -0.5, 0.5, 3.0], n)
        if model is not LI:
            parameters["reset"] = draw(st.sampled_from(["subtract", "zero", "none"]))
            parameters["v_threshold"] = rng.choice([0.5, 1.0, 2.0], n)
        if model is CubaLIF:
            parameters["alpha"] = rng.choice([0.0, 0.5, 1.0], n)
        populations.append(Population(name, n, model(**parameters)))
    names = list(sizes)
    projections = []
    for _ in range(draw(st.integers(1, 6))):
        source, target = draw(st.integers(0, len(names) - 1)), draw(st.integers(1, len(names) - 1))
        delay = draw(st.integers(0, 2)) + (source >= target)
        shape = (sizes[names[target]], sizes[names[source]])
        matrix = rng.normal(0.3, 0.8, shape) * (rng.random(shape) < draw(st.sampled_from([0.15, 0.5])))
        projections.append(Projection.from_dense(names[source], names[target], matrix.astype(dtype), delay=delay))
    made = Network(Input(sizes[INPUT], kind), populations, projections)
    shape = (12, 2, sizes[INPUT])
    x: NDArray[Any] = rng.random(shape) < 0.5
    if kind == "graded":
        x = (x * rng.integers(0, 256, shape)).astype(np.uint8)
    elif kind == "analog":
        x = rng.normal(0, 1, shape)
    if kind != "analog" and draw(st.booleans()):
        try:
            made = snap_to_grid(made)[0]
        except ValidationError:
            reject()
    return made, x


@settings(max_examples=300, database=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_every_neuron_that_stays_does_the_same_at_every_step(case: tuple[Network, NDArray[Any]]) -> None:
    original, x = case
    compacted, report = compact_with_report(original)
    event(f"removed a neuron: {compacted.n_neurons < original.n_neurons}")
    event(f"folded: {report.folded_synapses > 0}")
    assert_same(original, report.kept, compacted, x)
    for name in original.outputs:
        assert report.kept[name].size == original[name].n
    again, second = compact_with_report(compacted)
    assert (again.n_neurons, again.n_synapses) == (compacted.n_neurons, compacted.n_synapses)
    assert second.folded_synapses == second.zero_synapses == 0
    # and what is said never to fire does not
    recording = ns.simulate(original, x, backend="reference")
    for name, kept in report.kept.items():
        gone = np.setdiff1d(np.arange(original[name].n), kept)
        fired = recording.spikes[name][:, :, gone].any(axis=(0, 1))
        assert (~fired).sum() >= report.silent[name]


def test_what_is_left_without_projections_keeps_its_type_and_its_finest_grid() -> None:
    bias = LI(beta=1.0, bias=np.float32([-0.5]))
    silent = LIF(beta=0.9, v_threshold=0.5)
    nothing = Projection.from_dense("b", "a", np.zeros((1, 1), np.float32), delay=1)
    made = Network(
        Input(1, "graded"), [Population("a", 1, bias), Population("b", 1, silent)], [nothing], grid={"a": 24, "b": 24}
    )
    compacted, report = compact_with_report(made)
    assert (compacted.n_neurons, compacted.n_synapses, compacted.dtype) == (1, 0, np.float32)
    assert compacted.grid == {"a": 24}
    assert_same(made, report.kept, compacted, np.zeros((3, 2, 1), np.uint8))


def test_select_neurons_refuses_masks_that_do_not_fit() -> None:
    original = network(Population("a", 2, LIF()), input_a=[[1, 0], [0, 1]])
    with pytest.raises(ValidationError, match=r"keep\['a'\]: must be 2 booleans, got bool of shape \(3,\)"):
        select_neurons(original, {"a": [True, True, False]})
    with pytest.raises(ValidationError, match="no neuron would be left"):
        select_neurons(original, {"a": [False, False]})
    with pytest.raises(UnknownNameError, match="'b' is not known"):
        select_neurons(original, {"b": [True]})


def test_per_neuron_parameters_follow_their_neurons() -> None:
    original = network(Population("a", 3, LIF(beta=[0.25, 0.5, 0.75])), input_a=[[1, 0], [2, 0], [3, 4]])
    part = select_neurons(original, {"a": np.array([True, False, True])})
    assert part["a"].neuron.beta.tolist() == [0.25, 0.75]
    assert part.projections[0].to_scipy().toarray().tolist() == [[1, 0], [3, 4]]
    assert dataclasses.replace(part).grid == original.grid
