"""The judge, against numbers worked out by hand. All of them are dyadic, so equality is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neurosparse as ns
from neurosparse.core.network import INPUT, Input, Network, Population, Projection
from neurosparse.core.neurons import LI, LIF, CubaLIF, Neuron


def _one_neuron(neuron: Neuron, weight: float, dtype: Any = np.float32) -> Network:
    return Network(
        Input(1), [Population("n", 1, neuron)], [Projection.from_dense(INPUT, "n", np.array([[weight]], dtype))]
    )


def _run(network: Network, inputs: list[Any], population: str = "n") -> tuple[list[bool], list[float]]:
    """Return spikes and voltages of the first neuron of `population`; inputs are values of the only line, or rows."""
    x = np.array(inputs)
    recording = ns.simulate(network, x.reshape(len(inputs), -1), backend="reference", record="voltages")
    return recording.spikes[population][:, 0, 0].tolist(), recording.voltages[population][:, 0, 0].tolist()


@pytest.mark.parametrize(
    ("reset", "spikes", "voltages"),
    [
        ("subtract", [0, 1, 0, 0, 0], [0.75, 1.125, 0.3125, 0.90625, 0.453125]),
        ("zero", [0, 1, 0, 1, 0], [0.75, 0.0, 0.75, 0.0, 0.0]),
        ("none", [0, 1, 1, 1, 0], [0.75, 1.125, 1.3125, 1.40625, 0.703125]),
    ],
)
def test_lif_follows_its_equation_under_each_reset(reset: Any, spikes: list[int], voltages: list[float]) -> None:
    # beta 1/2, weight 3/4: v = v/2 + 3/4 while there is input; "subtract" takes 1 in the step after the spike
    assert _run(_one_neuron(LIF(beta=0.5, reset=reset), 0.75), [1, 1, 1, 1, 0]) == (spikes, voltages)


@pytest.mark.parametrize(
    ("reset", "spikes", "voltages"),
    [
        ("subtract", [0, 0, 0, 1, 0], [1.0, 1.0, 0.75, 1.5, 0.3125]),
        ("zero", [0, 0, 0, 1, 0], [1.0, 1.0, 0.75, 0.0, 0.5625]),
        ("none", [0, 0, 0, 1, 1], [1.0, 1.0, 0.75, 1.5, 1.3125]),
    ],
)
def test_cuba_lif_filters_its_current_and_a_reset_leaves_it_alone(
    reset: Any, spikes: list[int], voltages: list[float]
) -> None:
    # c = 1, 1/2, 1/4, 9/8, 9/16 and v = v/2 + c; in the first two steps v is the threshold 1, which is no spike
    network = _one_neuron(CubaLIF(alpha=0.5, beta=0.5, reset=reset), 1.0)
    assert _run(network, [1, 0, 0, 1, 0]) == (spikes, voltages)


def test_li_integrates_with_its_bias_and_never_spikes() -> None:
    spikes, voltages = _run(_one_neuron(LI(beta=0.5, bias=0.25), 4.0), [1, 0, 1])
    assert voltages == [4.25, 2.375, 5.4375]
    assert spikes == [False, False, False]


def test_a_voltage_at_the_threshold_is_no_spike_and_the_next_number_above_is() -> None:
    above = float(np.nextafter(np.float32(1), np.float32(2)))
    assert _run(_one_neuron(LIF(beta=0.0), 1.0), [1])[0] == [False]
    assert _run(_one_neuron(LIF(beta=0.0), above), [1])[0] == [True]


def test_a_residual_above_the_threshold_fires_again() -> None:
    # 2.5 leaves 1.5 after the first subtraction and 0.5 after the second
    assert _run(_one_neuron(LIF(beta=1.0), 2.5), [1, 0, 0, 0]) == ([True, True, False, False], [2.5, 1.5, 0.5, 0.5])


def test_the_current_is_summed_completely_before_it_meets_the_voltage() -> None:
    # In float32, 2^24 + 1 rounds back to 2^24: adding two ones one after the other to the voltage would lose both.
    big = np.float32(2**24)
    weights = np.array([[big, 1, 1]], np.float32)
    network = Network(Input(3), [Population("n", 1, LI(beta=1.0))], [Projection.from_dense(INPUT, "n", weights)])
    assert _run(network, [[1, 0, 0], [0, 1, 1]])[1] == [2.0**24, 2.0**24 + 2]


def test_a_delay_is_that_many_steps() -> None:
    projection = Projection.from_dense(INPUT, "n", np.float32([[1]]), delay=2)
    network = Network(Input(1), [Population("n", 1, LI(beta=0.0))], [projection])
    assert _run(network, [1, 0, 0, 1, 0])[1] == [0, 0, 1, 0, 0]


def test_recurrent_spikes_act_in_the_next_step() -> None:
    # each spike takes the whole input of the following step away, and half again for the reset
    projections = [
        Projection.from_dense(INPUT, "n", np.float32([[1]])),
        Projection.from_dense("n", "n", np.float32([[-1]]), delay=1),
    ]
    network = Network(Input(1), [Population("n", 1, LIF(beta=0.0, v_threshold=0.5))], projections)
    assert _run(network, [1, 1, 1, 1]) == ([True, False, True, False], [1, -0.5, 1, -0.5])


def test_a_feed_forward_hop_takes_no_step_in_whatever_order_populations_are_listed() -> None:
    populations = [Population(name, 1, LIF(beta=0.0)) for name in ("c", "a", "b")]
    projections = [
        Projection.from_dense(source, target, np.float32([[2]]))
        for source, target in (("b", "c"), (INPUT, "a"), ("a", "b"))
    ]
    network = Network(Input(1), populations, projections)
    for name in "abc":
        assert _run(network, [0, 1, 0], name)[0] == [False, True, False]


def test_biases_act_from_the_first_step_on_in_every_layer() -> None:
    populations = [Population("a", 1, LIF(beta=1.0)), Population("b", 1, LIF(beta=1.0, bias=0.5))]
    network = Network(Input(1), populations, [Projection.from_dense("a", "b", np.float32([[1]]))])
    assert _run(network, [0, 0, 0], "b") == ([False, False, True], [0.5, 1.0, 1.5])


def test_a_payload_stands_for_256ths() -> None:
    network = Network(
        Input(1, "graded"), [Population("n", 1, LI(beta=0.0))], [Projection.from_dense(INPUT, "n", np.float32([[0.5]]))]
    )
    recording = ns.simulate(network, np.array([[128], [255], [0]], np.uint8))
    assert recording.voltages["n"][:, 0, 0].tolist() == [0.25, 255 / 512, 0.0]


def test_parameters_differ_from_neuron_to_neuron() -> None:
    neuron = LIF(beta=[0.5, 1.0], v_threshold=[1.0, 3.0], bias=[0.0, 0.25], reset="none")
    network = Network(
        Input(1), [Population("n", 2, neuron)], [Projection.from_dense(INPUT, "n", np.float32([[1], [1]]))]
    )
    recording = ns.simulate(network, np.ones((3, 1), bool), record="voltages")
    assert recording.voltages["n"][:, 0].tolist() == [[1.0, 1.25], [1.5, 2.5], [1.75, 3.75]]
    assert recording.spikes["n"][:, 0].tolist() == [[False, False], [True, False], [True, True]]


def test_every_sample_starts_from_rest() -> None:
    network = _one_neuron(LIF(beta=1.0), 0.5)
    inputs = np.array([[[1], [0]], [[1], [0]], [[1], [1]]], bool)
    voltages = ns.simulate(network, inputs, record="voltages").voltages["n"]
    assert voltages[:, 0, 0].tolist() == [0.5, 1.0, 1.5]
    assert voltages[:, 1, 0].tolist() == [0.0, 0.0, 0.5]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_type_of_the_weights_is_the_precision_of_everything(dtype: Any) -> None:
    recording = ns.simulate(_one_neuron(LIF(beta=0.9), 0.3, dtype), np.ones((2, 1), bool), record="voltages")
    first = dtype(0.3)
    assert recording.voltages["n"].dtype == dtype
    assert recording.voltages["n"][:, 0, 0].tolist() == [first, dtype(0.9) * first + first]
