"""What does not fit, and what a chip does not do: every message has both numbers and a way out."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
from wired import chain, random_matrix, small_chip

from neurosparse.core.network import Input, Network, Population, Projection
from neurosparse.core.neurons import LI, LIF, CubaLIF
from neurosparse.core.quantized import QuantizedNetwork, QuantizedPopulation, QuantizedProjection
from neurosparse.deploy.behaviour import behaviour_violations
from neurosparse.deploy.chip import ChipSpec
from neurosparse.deploy.placement import place
from neurosparse.deploy.profiles import profile_violations
from neurosparse.errors import CapacityError, UnsupportedError


def texts(violations: Any) -> str:
    return "\n".join(str(violation) for violation in violations)


def test_a_neuron_with_too_many_sources_is_named_with_the_density_that_fits() -> None:
    matrix = np.ones((3, 20), np.float32)
    matrix[1, :15] = 0  # neuron 1 has 5 sources, which fit
    chip = small_chip(synapse_bits=2048)
    with pytest.raises(CapacityError) as caught:
        place(chain(matrix), chip)
    (violation,) = caught.value.violations
    assert (violation.owner, violation.resource) == ("population 'p1', neuron 0", "in_axons")
    assert (violation.needed, violation.available) == (20, 8)
    expected = "population 'p1', neuron 0.in_axons: needs 20, there is 8; at most 8 synapses per neuron fit (now 20)"
    assert expected in str(caught.value)
    assert "(2 neurons of it exceed this)" in violation.remedy
    thin = matrix.copy()
    thin[:, 8:] = 0
    assert place(chain(thin), chip).violations == ()


def test_a_neuron_with_too_many_synapses_for_the_memory_is_named() -> None:
    found = place(chain(np.ones((1, 20), np.float32)), small_chip(in_axons=50), strict=False).violations
    # 20 lists of one synapse are 20 words
    assert [(v.resource, v.needed, v.available) for v in found] == [("synapse_bits", 1280, 1024)]
    assert "at most 16 synapses per neuron fit (now 20)" in found[0].remedy


def test_a_neuron_that_reaches_too_many_cores_is_named() -> None:
    network = chain(np.ones((1, 1), np.float32), np.ones((12, 1), np.float32))
    found = place(network, small_chip(out_axons=2, cores=9), strict=False).violations
    assert [(v.owner, v.resource, v.needed, v.available) for v in found] == [
        ("population 'p1', neuron 0", "out_axons", 3, 2)
    ]
    assert "at most 2 cores" in found[0].remedy


def test_all_violations_are_listed_at_once() -> None:
    network = chain(np.ones((1, 20), np.float32), np.ones((40, 1), np.float32), neuron=LIF(reset="subtract"))
    with pytest.raises(CapacityError) as caught:
        place(network, small_chip())
    resources = [v.resource for v in caught.value.violations]
    assert resources == ["reset", "reset", "synapse_bits", "in_axons", "out_axons", "cores"]
    assert "6 violations:" in str(caught.value)


def test_too_many_neurons_are_told_with_the_chips_and_the_number_that_fits() -> None:
    (violation,) = place(chain(np.ones((40, 1), np.float32)), small_chip(), strict=False).violations
    assert (violation.owner, violation.resource, violation.needed, violation.available) == ("network", "cores", 10, 4)
    assert "3 chips hold it, or about 16 neurons instead of 40" in violation.remedy
    assert "most cores are full by neurons (4 per core); populations: p1 on 10" in violation.remedy
    assert place(chain(np.ones((16, 1), np.float32)), small_chip()).violations == ()
    assert place(chain(np.ones((40, 1), np.float32)), small_chip(), chips=3).violations == ()


def test_the_density_that_is_offered_has_been_tried() -> None:
    chip = small_chip(cores=4, neurons=64, synapse_bits=1 << 13, in_axons=200, out_axons=200)
    network = chain(random_matrix(0, (150, 100), 0.5))
    (violation,) = place(network, chip, strict=False).violations
    offered = re.search(r"or a density of ([0-9.]+)% instead of ([0-9.]+)% \(tried", violation.remedy)
    if offered is None:
        pytest.fail(violation.remedy)
    assert float(offered[2]) == pytest.approx(100 * network.density, abs=0.01)
    assert "or fewer bits per weight than 8" in violation.remedy
    p = network.projections[0]
    share = float(offered[1]) / float(offered[2])
    kept = np.arange(p.n_synapses) % 1000 < 1000 * share  # thinned in another way
    weights = p.to_scipy().toarray()
    weights[p.rows[~kept], p.indices[~kept]] = 0
    assert place(chain(weights), chip, strict=False).n_cores <= 5  # within a core of what was promised


def test_too_many_different_decays_are_told() -> None:
    neuron = LIF(beta=np.linspace(0.1, 0.9, 12), reset="zero")
    network = chain(np.ones((12, 1), np.float32), neuron=neuron)
    (violation,) = place(network, small_chip(decay_sets=1), strict=False).violations
    assert violation.needed == 12
    assert "fewer different decays" in violation.remedy
    assert "a density" not in violation.remedy


def test_too_many_bits_and_too_long_a_delay_are_told() -> None:
    base = chain(np.ones((1, 1), np.float32))
    late = dataclasses.replace(base.projections[0], delay=9)
    network = Network(base.input, base.populations, [*base.projections, late])
    found = texts(place(network, small_chip(), bits=12, strict=False).violations)
    assert "projection input->p1.weight_bits: needs 12, there is 8; quantise to 8 bits or fewer" in found
    assert "projection input->p1.delay: needs 9, there is 3; shorten the delay" in found


def test_the_longest_delay_that_a_chip_has_is_no_violation() -> None:
    base = chain(np.ones((1, 1), np.float32))
    found = []
    for delay in (3, 4):
        late = dataclasses.replace(base.projections[0], delay=delay)
        network = Network(base.input, base.populations, [*base.projections, late])
        found.append([violation.resource for violation in place(network, small_chip(), strict=False).violations])
    assert found == [[], ["delay"]]


def one(neuron: Any, kind: Any = "spikes") -> Network:
    weights = [Projection.from_dense("input", "p1", np.float32([[1.0]]))]
    return Network(Input(1, kind), [Population("p1", 1, neuron)], weights)


@pytest.mark.parametrize(
    ("neuron", "kind", "chip", "message"),
    [
        (LIF(), "spikes", "loihi1", "population 'p1'.reset: needs subtract, there is zero; train with reset = 'zero'"),
        (LIF(reset="zero"), "graded", "loihi1", "network.input: needs graded, there is spikes; encode as spikes"),
        (LIF(reset="zero"), "analog", "loihi2", "network.input: needs analog, there is spikes or graded"),
        (LIF(beta=0.9), "spikes", "speck", "population 'p1'.beta: needs 0.9, there is 1 (no leak: integrate-and-fire)"),
        (CubaLIF(), "spikes", "speck", "population 'p1'.model: needs CubaLIF, there is LIF"),
        (LI(), "spikes", "xylo_audio2", "model: needs LI, there is LIF or CubaLIF; read out spikes"),
        (LIF(beta=0.9), "spikes", "xylo_audio2", "beta: needs 0.9, there is 1 - 2**-k (bit-shift decay)"),
        (LIF(beta=0.875, reset="zero"), "spikes", "xylo_audio3", "reset: needs zero, there is subtract"),
    ],
)
def test_what_a_chip_does_not_do_is_told_with_what_it_does(neuron: Any, kind: str, chip: str, message: str) -> None:
    assert message in texts(behaviour_violations(one(neuron, kind), ChipSpec.load(chip)))


@pytest.mark.parametrize(
    ("neuron", "chip"),
    [
        (LIF(reset="zero"), "loihi1"),
        (LI(), "loihi1"),
        (LIF(reset="none"), "loihi2"),
        (LIF(beta=1.0), "speck"),
        (LIF(beta=0.875), "xylo_audio2"),
        (CubaLIF(alpha=0.75, beta=0.9375), "xylo_audio3"),
    ],
)
def test_what_a_chip_does_is_no_violation(neuron: Any, chip: str) -> None:
    assert behaviour_violations(one(neuron), ChipSpec.load(chip)) == []


def test_quantised_populations_are_judged_by_their_integers() -> None:
    weights = QuantizedProjection("input", "out", [0, 1], [0], np.int16([2]), 1)

    def judged(chip: str, **parameters: Any) -> str:
        population = QuantizedPopulation("out", 1, **parameters)
        return texts(behaviour_violations(QuantizedNetwork(Input(1), [population], [weights]), ChipSpec.load(chip)))

    assert judged("loihi1", dv=400, v_threshold=9) == ""
    assert "reset: needs subtract" in judged("loihi1", dv=400, v_threshold=9, reset="subtract")
    assert judged("xylo_audio2", dv=512, v_threshold=9, reset="subtract") == ""  # 4096 / 512: a shift by 3
    assert "dv: needs 0.9023" in judged("xylo_audio2", dv=400, v_threshold=9, reset="subtract")
    assert "model: needs LI" in judged("speck", dv=0, readout=True)
    assert "du: needs" in judged("xylo_audio2", dv=512, du=999, v_threshold=9, reset="subtract")


def test_speck_refuses_leaky_fully_connected_networks_with_its_reasons() -> None:
    network = chain(np.ones((300, 784), np.float32), np.ones((10, 300), np.float32))
    found = texts(profile_violations(network, ChipSpec.load("speck")))
    # 784 channels * 2**9 words for 300 features
    assert "population 'p1'.kernel words: needs 401 408, there is 65 536; its 235200 synapses would fit" in found
    assert "population 'p1'.beta: needs 0.9" in found
    assert "'p2'.kernel" not in found  # 300 * 16 words fit


def test_speck_has_nine_cores_and_no_loops() -> None:
    neuron = LIF(beta=1.0)
    deep = chain(*(np.ones((2, 2), np.float32) for _ in range(10)), neuron=neuron)
    assert "network.layers: needs 10, there is 9" in texts(profile_violations(deep, ChipSpec.load("speck")))
    # three layers of 64 Ki kernel words, of which two cores have as many
    wide = chain(*(np.ones((256, 256), np.float32) for _ in range(3)), neuron=neuron)
    assert "cores of the right size: needs 3, there is 2" in texts(profile_violations(wide, ChipSpec.load("speck")))
    base = chain(np.ones((2, 2), np.float32), neuron=neuron)
    loop = Projection.from_dense("p1", "p1", np.ones((2, 2), np.float32), delay=1)
    looped = Network(base.input, base.populations, [*base.projections, loop])
    assert "recurrence: needs a loop, there is no loops" in texts(profile_violations(looped, ChipSpec.load("speck")))
    assert profile_violations(base, ChipSpec.load("speck")) == []
    large = chain(np.ones((1100, 1), np.float32), neuron=neuron)
    assert "output channels: needs 1 100, there is 1 024" in texts(profile_violations(large, ChipSpec.load("speck")))


def test_xylo_counts_inputs_hidden_neurons_outputs_and_fan_out() -> None:
    neuron, chip = LIF(beta=0.875), ChipSpec.load("xylo_audio2")
    fits = chain(random_matrix(0, (40, 16), 0.5), np.ones((8, 40), np.float32), neuron=neuron)
    assert profile_violations(fits, chip) == []
    shapes = [(1001, 17), (70, 1001), (9, 70)]
    large = chain(*(np.ones(shape, np.float32) for shape in shapes), neuron=neuron)
    found = texts(profile_violations(large, chip))
    for message in (
        "network.inputs: needs 17, there is 16",
        "network.hidden neurons: needs 1 071, there is 1 000",
        "network.outputs: needs 9, there is 8",
        "population 'p1'.fan-out of a neuron: needs 70, there is 64",
    ):
        assert message in found
    found = texts(profile_violations(large, ChipSpec.load("xylo_audio3")))
    assert "network.neurons fed by the input: needs 1 001, there is 128" in found
    assert "fan-out" not in found
    direct = chain(np.ones((2, 2), np.float32), neuron=neuron)
    assert "needs 4, there is 0; the input reaches the outputs through" in texts(profile_violations(direct, chip))


def test_xylo_audio_3_lets_128_neurons_feed_the_output() -> None:
    network = chain(np.eye(200, 16, dtype=np.float32), np.ones((2, 200), np.float32), neuron=LIF(beta=0.875))
    found = texts(profile_violations(network, ChipSpec.load("xylo_audio3")))
    assert found.startswith("network.neurons feeding the output: needs 200, there is 128")


def test_profiles_are_for_chips_that_are_not_placed_on() -> None:
    with pytest.raises(UnsupportedError, match="of kind 'cores'; place"):
        profile_violations(one(LIF(reset="zero")), ChipSpec.load("loihi1"))


def test_a_capacity_error_survives_a_process_pool() -> None:
    import copy

    with pytest.raises(CapacityError) as caught:
        place(chain(np.ones((40, 1), np.float32)), small_chip())
    assert copy.copy(caught.value).violations == caught.value.violations
