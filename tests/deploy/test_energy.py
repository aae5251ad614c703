"""The energy and latency model: counts by hand, published numbers times counts, and nothing borrowed."""

from __future__ import annotations

import numpy as np
import pytest
from wired import chain, small_chip

from neurosparse.core.network import Network, Projection
from neurosparse.core.recording import Recording
from neurosparse.deploy.chip import ChipSpec
from neurosparse.deploy.energy import MULTIPLY_ACCUMULATE, chip_energy_nj, energy
from neurosparse.deploy.events import EventCounts, count_events
from neurosparse.deploy.placement import place
from neurosparse.errors import ValidationError

# 2 inputs -> 3 neurons -> 2: input 0 has two synapses, input 1 one; neuron 0 of p1 has two, the others one.
NETWORK = chain(np.float32([[1, 0], [1, 0], [0, 1]]), np.float32([[1, 1, 0], [1, 0, 1]]))
# 3 steps, 2 samples. Input 0 spikes three times and input 1 twice in all.
INPUTS = np.array([[[1, 0], [1, 1]], [[0, 0], [1, 0]], [[0, 1], [0, 0]]], bool)


@pytest.fixture
def recording() -> Recording:
    """Neuron 0 of p1 spikes twice, neuron 2 once, and p2 four times."""
    hidden, out = np.zeros((3, 2, 3), bool), np.zeros((3, 2, 2), bool)
    hidden[0, 0, 0] = hidden[1, 1, 0] = hidden[2, 0, 2] = True
    out[1:, :, 1] = True
    return Recording({"p1": hidden, "p2": out})


def test_events_are_counted_per_sample(recording: Recording) -> None:
    # 3 * 2 + 2 * 1 crossings from the input, 2 * 2 + 1 * 1 from p1: 13 in 2 samples
    assert count_events(NETWORK, recording, INPUTS) == EventCounts(6.5, 15.0, 3.5)
    # every possible synapse: 5 * 3 + 3 * 2 = 21
    assert count_events(NETWORK, recording, INPUTS, dense=True).synaptic_operations == 10.5


def test_messages_are_spikes_times_cores(recording: Recording) -> None:
    chip = small_chip(neurons=1, cores=8)
    placement = place(NETWORK, chip)
    # neuron 0 goes to two cores, neuron 2 to one: 2 * 2 + 1 in 2 samples
    assert count_events(NETWORK, recording, INPUTS, placement=placement).messages == 2.5


def test_a_spike_still_under_way_in_a_delay_crosses_nothing(recording: Recording) -> None:
    late = Projection.from_dense("input", "p1", np.float32([[1, 0], [1, 0], [0, 1]]), delay=2)
    network = Network(NETWORK.input, NETWORK.populations, [late, NETWORK.projections[1]])
    # only what came in at step 0 arrives: input 0 twice, input 1 once: 2 * 2 + 1, and 5 from p1
    assert count_events(network, recording, INPUTS).synaptic_operations == 5.0


def test_energy_is_counts_times_published_energies(recording: Recording) -> None:
    loihi = ChipSpec.load("loihi1")
    counts = EventCounts(1000.0, 100.0, 10.0, 20.0)
    davies, sana = loihi.energy["davies_2018"], loihi.energy["sana_fe"]
    assert chip_energy_nj(counts, davies) == pytest.approx((1000 * 27.1 + 100 * 81) / 1000)
    assert chip_energy_nj(counts, sana) == pytest.approx((1000 * 33.6 + 100 * 72.8 + 10 * 69.3 + 20 * 111) / 1000)
    report = energy(NETWORK, recording, INPUTS, chip=loihi, placement=place(NETWORK, loihi))
    rows = {(row.network, row.machine): row for row in report.rows}
    sparse = rows["sparse SNN", "Intel Loihi 1, davies_2018"]
    assert sparse.energy_nj == pytest.approx((6.5 * 27.1 + 15 * 81) / 1000)
    assert "Davies et al. 2018" in sparse.source
    dense = rows["dense SNN, same spikes", "Intel Loihi 1, davies_2018"]
    assert dense.energy_nj == pytest.approx((10.5 * 27.1 + 15 * 81) / 1000)
    # 2 * 3 + 3 * 2 possible synapses, of which 3 + 4 exist; 3.7 + 0.9 pJ each
    assert rows["dense, no spikes", "float32 MAC"].energy_nj == pytest.approx(12 * 4.6e-3)
    assert rows["sparse, no spikes", "float32 MAC"].energy_nj == pytest.approx(7 * 4.6e-3)
    assert all("Horowitz" in cost.source for cost in MULTIPLY_ACCUMULATE)


def test_everything_is_labelled_a_model_and_has_a_source(recording: Recording) -> None:
    report = energy(NETWORK, recording, INPUTS, chip=ChipSpec.load("loihi1"))
    assert report.label == report.latency.label == report.to_dict()["label"] == "model"
    assert all(row.label == "model" and row.source for row in report.rows)


def test_loihi_2_gets_counts_and_no_joules(recording: Recording) -> None:
    chip = ChipSpec.load("loihi2")
    report = energy(NETWORK, recording, INPUTS, chip=chip, placement=place(NETWORK, chip))
    on_chip = [row for row in report.rows if row.machine == "Intel Loihi 2"]
    assert [(row.operations, row.energy_nj, row.source) for row in on_chip] == [
        (6.5, None, "no public figure"),
        (10.5, None, "no public figure"),
    ]
    assert report.latency.sample_us is None
    assert report.latency.source == "no public figure"
    assert report.latency.total_steps == 3 + 2


def test_latency_is_that_of_the_busiest_core(recording: Recording) -> None:
    chip = ChipSpec.load("loihi1")
    report = energy(NETWORK, recording, INPUTS, chip=chip, placement=place(NETWORK, chip))
    # one core, per step and sample (of 6): 13 operations, 7 spikes; 5 neurons at every step
    nanoseconds = 13 / 6 * 4.7 + 5 * 9.7 + 7 / 6 * 30.0
    low, high = report.latency.step_us or (0, 0)
    assert low == pytest.approx(0.6 + nanoseconds / 1000)
    assert high == pytest.approx(1.8 + nanoseconds / 1000)
    assert report.latency.sample_us == pytest.approx((5 * low, 5 * high))
    assert report.latency.busiest_core == 0
    assert energy(NETWORK, recording, INPUTS, chip=chip).latency.source == "not placed"


def test_inputs_of_another_size_are_refused(recording: Recording) -> None:
    message = r"energy.inputs: have shape \(3, 1, 2\), the recording of this network needs \(3, 2, 2\)"
    with pytest.raises(ValidationError, match=message):
        count_events(NETWORK, recording, INPUTS[:, 0])
    other = Recording({"p1": np.zeros((3, 2, 4), bool), "p2": np.zeros((3, 2, 2), bool)})
    with pytest.raises(ValidationError, match=r"energy.recording: has 4 neurons of 'p1', the network has 3"):
        count_events(NETWORK, other, INPUTS)
