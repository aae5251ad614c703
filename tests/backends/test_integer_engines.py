"""Integer networks: by hand, against a recording from a Loihi 2 chip, and the compiled engine against the reference."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import Drawn, draw

import neurosparse as ns
from neurosparse.backends.base import BACKENDS, INTEGER_BACKENDS, get_backend
from neurosparse.backends.native import Native
from neurosparse.backends.native_integers import simulate_integers
from neurosparse.core import integers as z
from neurosparse.core.network import INPUT, Input
from neurosparse.core.quantized import QuantizedNetwork, QuantizedPopulation, QuantizedProjection
from neurosparse.errors import UnsupportedError

ALL = frozenset(("voltages", "currents"))


def one_neuron(weight: int = 10, *, kind: str = "spikes", exponent: int = 0, **neuron) -> QuantizedNetwork:
    projection = QuantizedProjection(INPUT, "n", [0, 1], [0], np.int16([weight]), 1, exponent=exponent)
    return QuantizedNetwork(Input(1, kind), [QuantizedPopulation("n", 1, **neuron)], [projection])


def run(network: QuantizedNetwork, values: list) -> tuple[list[bool], list[int], list[int]]:
    inputs = np.array(values, np.uint8)[:, np.newaxis]
    recording = ns.simulate(network, inputs, record=("voltages", "currents"))
    native = simulate_integers(network, inputs, record=ALL)
    assert ns.parity(recording, native).identical
    return tuple(getattr(recording, kind)["n"].ravel().tolist() for kind in ("spikes", "voltages", "currents"))


def test_the_neuron_of_the_chip_by_hand() -> None:
    # u = 10 << 6 = 640; v = 640, then 640 * 3933 >> 12 = 614 (of 614.53) + 640 = 1254; 1254 * 3933 >> 12 = 1204
    spikes, voltages, currents = run(one_neuron(dv=163, v_threshold=25), [1, 1, 0, 1, 0])
    # 1204 + 0, 1204 * 3933 >> 12 = 1156, + 640 = 1796 > 25 << 6 = 1600: a spike, and zero
    assert voltages == [640, 1254, 1204, 0, 0]
    assert spikes == [False, False, False, True, False]
    assert currents == [640, 640, 0, 640, 0]


def test_the_threshold_itself_is_no_spike() -> None:
    # 1600 = 25 << 6 is not above the threshold of 25, and one unit of bias is 1/64 of a weight
    assert run(one_neuron(weight=50, exponent=1, dv=0, v_threshold=100), [1])[0] == [False]
    assert run(one_neuron(weight=50, exponent=1, dv=0, v_threshold=100, bias=1), [1])[0] == [True]


def test_negative_states_decay_toward_zero() -> None:
    # u: -640, * 2048 >> 12 of the absolute value = -320, -160 ...; v = -640, -640 * 4095 >> 12 = -639 - 320 = -959
    _, voltages, currents = run(one_neuron(weight=-10, du=2047, dv=1), [1, 0, 0])
    assert currents == [-640, -320, -160]
    assert voltages == [-640, -959, -1118]


def test_a_current_beyond_24_bits_comes_back_with_the_other_sign() -> None:
    # 254 << 7 << 6 = 2080768 per step and hardly any decay: the fifth lands at 2**23 + ... and wraps
    network = one_neuron(weight=254, exponent=7, du=0, v_threshold=131071, reset="none")
    _, voltages, currents = run(network, [1] * 5)
    expected, u = [], 0
    for _ in range(5):
        u = u * 4095 // 4096 + 2080768
        expected.append(u)
    assert expected[4] > 2**23
    assert currents == [*expected[:4], expected[4] - 2**24]
    assert voltages[2:4] == [2**23 - 1, 2**23 - 1]


def test_voltages_saturate_on_both_sides() -> None:
    for weight, limit in ((254, 2**23 - 1), (-256, 1 - 2**23)):
        assert run(one_neuron(weight, exponent=7, reset="none"), [1] * 6)[1][-1] == limit


def test_a_subtractive_reset_acts_in_the_step_after_the_spike() -> None:
    # v = 640 per input without leak, threshold 9 << 6 = 576: 640; 640 + 640 - 576 = 704; 704 - 576 = 128; 128
    spikes, voltages, _ = run(one_neuron(v_threshold=9, reset="subtract"), [1, 1, 0, 0])
    assert voltages == [640, 704, 128, 128]
    assert spikes == [True, True, False, False]


def test_without_reset_the_voltage_stays_above_the_threshold() -> None:
    assert run(one_neuron(v_threshold=9, reset="none"), [1, 0, 0])[0] == [True, True, True]


def test_a_readout_never_spikes_whatever_its_threshold() -> None:
    spikes, voltages, _ = run(one_neuron(v_threshold=0, readout=True), [1, 1])
    assert (spikes, voltages) == ([False, False], [640, 1280])


def test_a_payload_multiplies_the_weight() -> None:
    assert run(one_neuron(weight=-4, kind="graded", exponent=1), [3, 0, 255])[2] == [
        -4 * 3 * 2 * 64,
        0,
        -4 * 255 * 2 * 64,
    ]


def test_a_hop_without_delay_takes_no_step_and_a_delay_takes_its_steps() -> None:
    populations = [QuantizedPopulation(name, 1, dv=4096, v_threshold=1) for name in ("a", "b", "c")]
    ends = [(INPUT, "a", 0), ("a", "b", 0), ("b", "c", 2)]
    projections = [QuantizedProjection(s, t, [0, 1], [0], np.int16([2]), 1, delay=d) for s, t, d in ends]
    network = QuantizedNetwork(Input(1), populations, projections)
    inputs = np.array([0, 1, 0, 0, 0], bool)[:, np.newaxis]
    for recording in (ns.simulate(network, inputs), simulate_integers(network, inputs, record=frozenset())):
        steps = {name: np.flatnonzero(raster).tolist() for name, raster in recording.spikes.items()}
        assert steps == {"a": [1], "b": [1], "c": [3]}


def test_recordings_are_in_the_units_of_the_registers() -> None:
    network = one_neuron(v_threshold=25)
    for recording in (ns.simulate(network, np.ones((2, 1))), simulate_integers(network, np.ones((2, 1)), record=ALL)):
        assert recording.v_thresholds["n"].tolist() == [1600]
    assert set(ns.simulate(network, np.ones((2, 1))).voltages) == set()
    recording = ns.simulate(network, np.ones((2, 1)), record="currents")
    assert recording.currents["n"].dtype == np.int32
    assert recording.voltages == {}


def chip_recording() -> np.ndarray:
    folder = os.environ.get("NEUROSPARSE_DATA")
    path = Path(folder or ".") / "nir" / "lif_lava_loihi_fixed.csv"
    if folder is None or not path.is_file():
        pytest.skip("needs nir/lif_lava_loihi_fixed.csv (NIR, paper/01_lif) in the folder NEUROSPARSE_DATA names")
    return np.loadtxt(path, delimiter=",")


def test_the_recording_from_a_loihi_2_chip_is_reproduced() -> None:
    # Pedersen et al. 2024, Nature Communications 15, 8122: one neuron on a chip; rows: input, voltage, spike
    rows = chip_recording()
    network = one_neuron(dv=163, v_threshold=25)
    inputs = rows[:, :1].astype(bool)
    for recording in (
        ns.simulate(network, inputs, record="voltages"),
        simulate_integers(network, inputs, record=ALL),
    ):
        # a hop costs the chip one step
        spikes, voltages = recording.spikes["n"][:-1, 0, 0], recording.voltages["n"][:-1, 0, 0]
        assert spikes.sum() == 4
        np.testing.assert_array_equal(spikes, rows[1:, 2].astype(bool))
        np.testing.assert_array_equal(voltages[~spikes], rows[1:, 1][~spikes])
        # at its spikes the chip's register reads 128, an artefact: the steps after show that it is 0
        assert rows[1:, 1][spikes].tolist() == [128] * 4


def test_the_first_rise_of_the_chips_recording_by_hand() -> None:
    # the same neuron; the values are those that the chip recorded after its first input spike
    network = one_neuron(dv=163, v_threshold=25)
    _, voltages, _ = run(network, [1] + [0] * 9)
    expected = [640]
    for _ in range(9):
        expected.append(expected[-1] * 3933 // 4096)
    assert voltages == expected
    assert voltages[:6] == [640, 614, 589, 565, 542, 520]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(["spikes", "graded"]))
def test_the_compiled_engine_computes_the_references_integers(seed: int, kind: str) -> None:
    case = draw(np.random.default_rng(seed), kind=kind, largest=60)
    assert_identical(case)


@pytest.mark.parametrize("shape", [(0, 2, 1), (3, 0, 1), (1, 1, 1)], ids=["no steps", "no samples", "one step"])
def test_recordings_have_the_shape_of_the_input_however_small(shape) -> None:
    assert_identical(Drawn(one_neuron(), np.ones(shape, bool)))


def assert_identical(case: Drawn) -> None:
    expected = ns.simulate(case.network, case.inputs, record=("voltages", "currents"))
    actual = simulate_integers(case.network, case.inputs, record=ALL)
    for name in expected.spikes:
        np.testing.assert_array_equal(expected.spikes[name], actual.spikes[name])
        for kind in ("voltages", "currents"):
            one, other = getattr(expected, kind)[name], getattr(actual, kind)[name]
            assert one.dtype == other.dtype == np.int32
            np.testing.assert_array_equal(one, other)


def test_the_engine_called_native_runs_integers_on_as_many_threads_as_it_is_told() -> None:
    case = draw(np.random.default_rng(5), kind="spikes", largest=40)
    expected = ns.simulate(case.network, case.inputs, record="voltages")
    for engine in ("native", Native(threads=1)):
        actual = ns.simulate(case.network, case.inputs, backend=engine, record="voltages")
        assert ns.parity(expected, actual).identical
        assert actual.backend == "native"


def test_a_delay_longer_than_the_simulation_arrives_never() -> None:
    network = one_neuron()
    projection = QuantizedProjection(INPUT, "n", [0, 1], [0], np.int16([10]), 1, delay=65535)
    assert_identical(Drawn(QuantizedNetwork(Input(1), network.populations, [projection]), np.ones((4, 1, 1), bool)))


@pytest.mark.parametrize("backend", ["brian2", "snntorch"])
def test_engines_that_compute_in_floats_refuse_integers(backend: str) -> None:
    if get_backend(backend).missing() is not None:
        pytest.skip(f"{backend} is not installed")
    with pytest.raises(
        UnsupportedError, match=r"computes in floats and this network is quantised; integers run in: ref"
    ):
        ns.simulate(one_neuron(), np.ones((2, 1)), backend=backend)


@pytest.mark.parametrize("backend", INTEGER_BACKENDS)
def test_the_engines_that_are_named_for_integers_declare_them(backend: str) -> None:
    if backend not in BACKENDS:
        pytest.skip(f"{backend} is not registered")
    assert get_backend(backend).integers
    assert get_backend(backend).unsupported(one_neuron()) == []


def test_currents_are_for_integers() -> None:
    weights = ns.Projection.from_dense(INPUT, "a", np.ones((1, 1), np.float32))
    network = ns.Network(Input(1), [ns.Population("a", 1, ns.LIF())], [weights])
    with pytest.raises(UnsupportedError, match=r"record 'currents' is for a QuantizedNetwork"):
        ns.simulate(network, np.ones((2, 1)), record="currents")


def test_decisions_of_integer_readouts_are_by_voltage() -> None:
    projection = QuantizedProjection(INPUT, "n", [0, 1, 2], [0, 0], np.int16([2, 4]), 1)
    network = QuantizedNetwork(Input(1), [QuantizedPopulation("n", 2, readout=True)], [projection])
    assert ns.simulate(network, np.ones((3, 1))).decisions("n").tolist() == [1]


def test_ranges_used_here_are_the_chips() -> None:
    assert (z.MAX_V_THRESHOLD, z.MAX_VOLTAGE, z.MAX_CURRENT_DECAY) == (131071, 8388607, 4095)
