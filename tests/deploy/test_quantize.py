"""`quantize`: the integers it chooses, the bounds it keeps, what it reports and what it refuses."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurosparse as ns
from neurosparse.core.network import Input, Network, Population, Projection
from neurosparse.core.neurons import LI, LIF, CubaLIF
from neurosparse.core.rng import stream
from neurosparse.deploy import quantize
from neurosparse.errors import UnknownNameError, UnsupportedError, ValidationError


def network(seed: int = 0, *, kind: str = "spikes", sizes: tuple[int, ...] = (8, 12, 9, 4), **hidden: Any) -> Network:
    """Input -> a (LIF, recurrent) -> b (CubaLIF) -> out (LI)."""
    rng = stream(seed, "quantize")
    neuron = {"v_threshold": 1.0, "reset": "zero"} | hidden
    populations = [
        Population("a", sizes[1], LIF(beta=0.9, **neuron)),
        Population("b", sizes[2], CubaLIF(alpha=0.7, beta=0.8, **neuron)),
        Population("out", sizes[3], LI(beta=0.95)),
    ]

    def connect(source: str, target: str, n_target: int, n_source: int, delay: int = 0) -> Projection:
        mask = rng.random((n_target, n_source)) < 0.6
        return Projection.from_dense(source, target, mask * rng.normal(0.15, 0.5, mask.shape), delay=delay)

    projections = [
        connect("input", "a", sizes[1], sizes[0]),
        connect("a", "a", sizes[1], sizes[1], delay=1),
        connect("a", "b", sizes[2], sizes[1], delay=2),
        connect("b", "out", sizes[3], sizes[2]),
    ]
    return Network(Input(sizes[0], kind), populations, projections)


def spikes(seed: int = 1, n: int = 8, n_steps: int = 30, n_samples: int = 5, rate: float = 0.3) -> np.ndarray:
    return stream(seed, "spikes").random((n_steps, n_samples, n)) < rate


def chain(weights: Any, neuron: Any, kind: str = "spikes") -> Network:
    projection = Projection.from_dense("input", "n", np.float64(weights))
    n_target, n_source = np.shape(weights)
    return Network(Input(n_source, kind), [Population("n", n_target, neuron)], [projection])


def meaning(quantized: ns.QuantizedNetwork, name: str) -> np.ndarray:
    """The float weights that the integers into `name` stand for, dense."""
    projection = quantized.projections_into(name)[0]
    return projection.to_scipy().toarray() * 2.0**projection.exponent * 64 * quantized.scales[name]


def test_weights_and_threshold_stand_for_the_floats_in_one_unit() -> None:
    quantized = ns.quantize(chain([[1.0, -0.5, 0.25]], LIF(beta=0.9, v_threshold=0.75, reset="zero")))
    unit = 64 * quantized.scales["n"]
    # of a single threshold the unit is a whole part
    assert quantized["n"].v_threshold[0] * unit == pytest.approx(0.75, rel=1e-12)
    step = 2 * 2 ** quantized.projections[0].exponent * unit
    np.testing.assert_allclose(meaning(quantized, "n"), [[1.0, -0.5, 0.25]], rtol=0, atol=step / 2)
    # all of the 8 bits are used: the largest weight is the largest mantissa, to within the rounding of the unit
    assert quantized.projections[0].weights[0] >= 240
    assert (quantized["n"].du[0], quantized["n"].dv[0], quantized["n"].reset) == (4095, 410, "zero")


def test_without_leak_and_rounding_the_spikes_are_the_float_networks() -> None:
    # weights that are whole parts of the largest, and beta = 1, of which integers lose nothing
    weights = np.array([[254.0, -64, 2], [128, 30, -254]]) / 100
    float_network = chain(weights, LIF(beta=1.0, v_threshold=3.0, reset="zero"))
    inputs = spikes(n=3, rate=0.5)
    quantized = ns.quantize(float_network, calibration=inputs)
    report = quantized.report["n"]
    assert (report.mismatches, report.agreement, report.weight_error) == (0, 1.0, pytest.approx(0, abs=0.02))
    assert report.spikes_float > 20


def test_synapses_that_become_zero_are_gone_and_counted() -> None:
    quantized = ns.quantize(chain([[1.0, 1e-4, 0.5], [0.0, -1e-4, 0.25]], LIF(reset="zero")))
    projection = quantized.projections[0]
    assert projection.indices.tolist() == [0, 2, 2]
    assert projection.indptr.tolist() == [0, 2, 3]
    report = quantized.report["n"]
    assert (report.n_weights, report.lost_synapses, report.clipped_weights) == (5, 2, 0)
    assert quantized.report.lost_synapses == 2


def test_recurrence_delays_and_readouts_stay_what_they_are() -> None:
    quantized = ns.quantize(network())
    assert [(p.source, p.target, p.delay) for p in quantized.projections] == [
        ("input", "a", 0),
        ("a", "a", 1),
        ("a", "b", 2),
        ("b", "out", 0),
    ]
    assert [p.readout for p in quantized.populations] == [False, False, True]
    assert [p.has_current for p in quantized.populations] == [False, True, False]
    # what meets in one sum has one unit: the largest weights of both differ by less than an exponent says
    assert quantized.dt == network().dt


def test_at_8_bits_most_spikes_are_the_float_networks_and_fewer_bits_lose_more() -> None:
    inputs = spikes()
    agreement = []
    for bits in (8, 5, 3):
        report = ns.quantize(network(), bits=bits, calibration=inputs).report
        assert report["a"].spikes_float > 100
        agreement.append(report["a"].agreement)
    assert agreement[0] > 0.95
    assert agreement[0] > agreement[1] > agreement[2]


def test_the_best_candidate_of_the_calibration_is_taken(monkeypatch) -> None:
    tried: list[float] = []
    disagreement = quantize.disagreement

    def noted(*arguments: Any, **how: Any) -> float:
        tried.append(disagreement(*arguments, **how))
        return tried[-1]

    monkeypatch.setattr(quantize, "disagreement", noted)
    float_network = chain(stream(3, "w").normal(0.2, 1, (20, 8)), LIF(beta=0.9, reset="zero"))
    inputs = spikes()
    quantized = ns.quantize(float_network, bits=4, calibration=inputs)
    assert len(tried) > 10
    assert len(set(tried)) > 3
    # one population without loops: what it is judged by is what the network does
    report = quantized.report["n"]
    assert 1 - report.agreement == pytest.approx(min(tried))


def test_the_report_counts_what_simulations_show() -> None:
    float_network, inputs = network(), spikes()
    quantized = ns.quantize(float_network, bits=6, calibration=inputs)
    one, other = ns.simulate(float_network, inputs), ns.simulate(quantized, inputs)
    for name in ("a", "b"):
        report = quantized.report[name]
        differing = int(np.count_nonzero(one.spikes[name] != other.spikes[name]))
        counts = (int(one.spikes[name].sum()), int(other.spikes[name].sum()))
        assert (report.spikes_float, report.spikes_integer, report.mismatches) == (*counts, differing)
        assert report.agreement == pytest.approx(1 - differing / sum(counts))
    exact = one.voltages["out"].astype(np.float64)
    error = np.sqrt(((other.voltages["out"] * quantized.scales["out"] - exact) ** 2).mean() / (exact**2).mean())
    assert quantized.report["out"].voltage_error == pytest.approx(error)
    assert quantized.report.decisions == np.mean(one.decisions("out") == other.decisions("out"))
    text = str(quantized.report)
    assert "spikes agree" in text
    assert f"{quantized.report['a'].agreement:.2%}" in text
    assert quantized.report.to_dict()["populations"][0]["name"] == "a"


def test_decay_errors_are_in_percent_of_the_time_constant() -> None:
    # 0.9 -> 410 of 4096 lost, 3686/4096 = 0.899902: tau 9.4912 -> 9.4814
    report = ns.quantize(chain([[1.0]], LIF(beta=0.9, reset="zero"))).report["n"]
    assert report.decay_error == pytest.approx(100 * abs(np.log(0.9) / np.log(3686 / 4096) - 1))
    assert ns.quantize(chain([[1.0]], LIF(beta=0.5, reset="zero"))).report["n"].decay_error == 0
    assert ns.quantize(chain([[1.0]], LIF(beta=1.0, reset="zero"))).report["n"].decay_error == 0
    # alpha = 1 is out of reach: the chip's current always loses 1/4096
    assert ns.quantize(chain([[1.0]], CubaLIF(alpha=1.0, beta=0.5, reset="zero"))).report["n"].decay_error == 100


def test_thresholds_of_one_value_are_exact_and_differing_ones_rounded() -> None:
    same = chain([[1.0], [0.5]], LIF(v_threshold=0.7, reset="zero"))
    differing = chain([[1.0], [0.5]], LIF(v_threshold=[0.7, 0.31], reset="zero"))
    assert ns.quantize(same).report["n"].threshold_error == pytest.approx(0, abs=1e-12)
    quantized = ns.quantize(differing, accumulator_bits=9)
    wanted, unit = np.array([0.7, 0.31]), quantized.report["n"].unit
    error = np.abs(np.rint(wanted / unit) * unit / wanted - 1).max()
    assert error > 1e-4
    assert quantized.report["n"].threshold_error == pytest.approx(error)


def test_saturated_voltages_are_counted() -> None:
    # without leak a constant inhibition runs into the limit of 24 bits, whatever the unit
    float_network = chain([[-1.0]], LIF(beta=1.0, v_threshold=0.01, reset="zero"))
    inputs = np.ones((3000, 1, 1), bool)
    report = ns.quantize(float_network, calibration=inputs[:4]).report["n"]
    assert report.saturated_states == 0
    exponent = ns.quantize(float_network, calibration=inputs).report["n"].exponents["input"]
    assert exponent < ns.quantize(float_network, calibration=inputs[:4]).report["n"].exponents["input"]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 400),
    spread=st.floats(0.01, 30),
    alpha=st.sampled_from([0.0, 0.5, 0.99]),
    bits=st.integers(2, 8),
)
def test_no_spikes_whatever_can_overflow_the_accumulator_or_wrap_the_current(seed, n, spread, alpha, bits) -> None:
    rng = np.random.default_rng(seed)
    float_network = chain(rng.normal(0, spread, (3, n)), CubaLIF(alpha=alpha, beta=0.9, reset="zero"))
    quantized = ns.quantize(float_network, bits=bits)
    largest = quantized.largest_sums("n")
    assert largest.max() < 2**15
    kept = (4095 - quantized["n"].du) / 4096
    assert (64 * largest / (1 - kept)).max() < 2**23
    assert quantized.report["n"].accumulator_bits <= 16


def test_a_narrower_accumulator_costs_resolution() -> None:
    wide, narrow = (ns.quantize(network(), accumulator_bits=bits) for bits in (16, 10))
    assert narrow.largest_sums("a").max() < 2**9 <= wide.largest_sums("a").max()
    assert narrow.report["a"].weight_error > wide.report["a"].weight_error


def test_payloads_count_255_fold_unless_a_calibration_shows_less() -> None:
    float_network = network(kind="graded", sizes=(8, 12, 9, 4))
    dim = stream(1, "payloads").integers(0, 20, (20, 3, 8)).astype(np.uint8)
    blind, measured = ns.quantize(float_network), ns.quantize(float_network, calibration=dim)
    assert blind.largest_sums("a").max() < 2**17
    assert measured.scales["a"] < blind.scales["a"]
    assert measured.report["a"].weight_error < blind.report["a"].weight_error
    # and the sum of what was measured stays within the 18 bits, a quarter more included
    payloads = ns.simulate(measured, dim, record="currents").currents["a"]
    assert np.abs(payloads).max() < 2**23


def test_a_bias_of_a_lif_is_added_to_the_voltage_in_its_own_fine_units() -> None:
    float_network = chain([[1.0], [1.0]], LIF(beta=0.5, bias=[0.1, -0.3], reset="zero"))
    quantized = ns.quantize(float_network)
    population = quantized["n"]
    bias = (population.bias << population.bias_exponent) * quantized.scales["n"]
    np.testing.assert_allclose(bias, [0.1, -0.3], rtol=2e-4)
    assert [p.name for p in quantized.populations] == ["n"]


def test_a_bias_of_a_current_comes_from_a_neuron_that_is_always_on() -> None:
    # added to the voltage it would not pass the filter: v would rise at once, and not over several steps
    float_network = chain([[0.5]], CubaLIF(alpha=0.8, beta=0.9, v_threshold=4.0, bias=0.25, reset="zero"))
    inputs = np.zeros((40, 1, 1), bool)
    quantized = ns.quantize(float_network, calibration=inputs)
    assert [p.name for p in quantized.populations] == ["n", "always-on"]
    expected = ns.simulate(float_network, inputs, record="voltages")
    actual = ns.simulate(quantized, inputs, record="voltages")
    assert actual.spikes["always-on"].all()
    assert expected.n_spikes > 3
    np.testing.assert_array_equal(actual.spikes["n"], expected.spikes["n"])
    np.testing.assert_allclose(actual.voltages["n"] * quantized.scales["n"], expected.voltages["n"], atol=0.05)


def test_signs_can_be_found_for_one_bit_more() -> None:
    float_network = chain([[1.0, 0.51]], LIF(reset="zero"))
    projection = ns.quantize(float_network, sign_mode="auto").projections[0]
    assert projection.sign_mode == "excitatory"
    assert (
        ns.quantize(chain([[-1.0, -0.5]], LIF(reset="zero")), sign_mode="auto").projections[0].sign_mode == "inhibitory"
    )
    assert ns.quantize(chain([[-1.0, 0.5]], LIF(reset="zero")), sign_mode="auto").projections[0].sign_mode == "mixed"
    assert ns.quantize(float_network).projections[0].sign_mode == "mixed"


def test_bits_are_for_all_or_by_population() -> None:
    quantized = ns.quantize(network(), bits={"a": 4, "out": 6})
    assert [(p.target, p.bits) for p in quantized.projections] == [("a", 4), ("a", 4), ("b", 8), ("out", 6)]


def test_like_repeats_the_choice_of_another_conversion() -> None:
    float_network = network()
    first = ns.quantize(float_network, bits=5, calibration=spikes())
    again = ns.quantize(float_network, like=first)
    assert again.scales == first.scales
    for one, other in zip(first.projections, again.projections, strict=True):
        assert (one.exponent, one.bits) == (other.exponent, other.bits)
        np.testing.assert_array_equal(one.weights, other.weights)
    # weights that have moved meanwhile keep their unit
    moved = [dataclasses.replace(p, weights=p.weights * 1.1) for p in float_network.projections]
    later = ns.quantize(dataclasses.replace(float_network, projections=moved), like=first)
    assert later.scales == first.scales
    with pytest.raises(ValidationError, match=r"quantize.like: its projections into 'a' are not those of the network"):
        ns.quantize(Network(float_network.input, float_network.populations, float_network.projections[1:]), like=first)


def test_the_chip_is_kept_and_has_12_bits_for_a_decay() -> None:
    clearing = chain([[1.0]], LIF(beta=0.0, reset="zero"))
    assert ns.quantize(clearing)["n"].dv[0] == 4096
    quantized = ns.quantize(clearing, "loihi2")
    assert (quantized.chip, quantized["n"].dv[0]) == ("loihi2", 4095)


def test_a_population_without_synapses_or_with_nothing_but_zeros_is_converted() -> None:
    lone = Population("lone", 2, LIF(beta=0.5, bias=[0.7, 0.3], reset="zero"))
    readout = Population("out", 1, LI(beta=0.5, bias=2.0))
    zeros = Projection("lone", "out", np.array([0, 2]), np.array([0, 1]), np.zeros(2), 2)
    quantized = ns.quantize(Network(Input(1), [lone, readout], [zeros]), calibration=np.zeros((10, 1, 1), bool))
    assert quantized.n_synapses == 0
    assert quantized.report["lone"].agreement == 1.0
    assert quantized.report["out"].voltage_error < 0.01


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"chip": "loihi1"},
            UnsupportedError,
            r"Intel Loihi 1 cannot run this network: .*reset.*train with reset = 'ze",
        ),
        ({"chip": "loihi9"}, UnknownNameError, r"chip: 'loihi9' is not known"),
        ({"bits": 9}, ValidationError, r"quantize.bits: must be an integer in \[1, 8\], got 9"),
        ({"bits": 2.0}, ValidationError, r"quantize.bits: must be an integer in \[1, 8\], got 2.0"),
        ({"bits": {"z": 4}}, UnknownNameError, r"quantize.bits: 'z' is not known. Known: a, b, out"),
        ({"bits": 1}, UnsupportedError, r"quantize.bits: 1 bit cannot hold the two signs of input->a; 2 bits can"),
        ({"sign_mode": "signed"}, UnknownNameError, r"quantize.sign_mode: 'signed' is not known"),
        ({"accumulator_bits": 8}, ValidationError, r"quantize.accumulator_bits: must lie in \[9, 18\], got 8"),
        ({"calibration": np.full((3, 1, 8), 2)}, ValidationError, r"this network takes spikes \(0 or 1\), got 2"),
    ],
)
def test_what_cannot_be_is_refused_with_the_alternative(arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        ns.quantize(network(reset="subtract"), **arguments)


def test_analog_and_graded_inputs_are_refused_where_they_cannot_run() -> None:
    with pytest.raises(UnsupportedError, match=r"integers cannot take analog input; train with Input\(kind='graded'\)"):
        ns.quantize(network(kind="analog"))
    with pytest.raises(UnsupportedError, match=r"(?s)Loihi 1 cannot run this network: .*encode as spikes"):
        ns.quantize(network(kind="graded"), "loihi1")


def test_a_quantised_network_is_not_quantised_again() -> None:
    with pytest.raises(ValidationError, match=r"quantize.network: must be a Network, got QuantizedNetwork"):
        ns.quantize(ns.quantize(network()))
