"""Numbers counted by hand, and against a count that loops over everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosparse.analysis.metrics import (
    Degrees,
    accuracy,
    activity,
    degrees,
    possible_synapses,
    stored_bytes,
    synaptic_operations,
)
from neurosparse.backends import simulate
from neurosparse.core.network import Input, Network, Population, Projection
from neurosparse.core.neurons import LIF
from neurosparse.core.recording import Recording
from neurosparse.core.rng import stream
from neurosparse.errors import ValidationError


def test_accuracy_is_the_share_of_right_decisions() -> None:
    assert accuracy([1, 2, 3, 4], [1, 2, 0, 0]) == 0.5


@pytest.mark.parametrize(("decisions", "labels"), [([], []), ([1], [1, 2]), ([[1]], [[1]])])
def test_accuracy_of_nothing_or_of_other_lengths_is_refused(decisions: list, labels: list) -> None:
    with pytest.raises(ValidationError, match="accuracy: needs one decision per label"):
        accuracy(decisions, labels)


def test_activity_counts_spikes_rates_and_silent_neurons(recording: Recording) -> None:
    found = activity(recording)["hidden"]
    assert (found.n, found.spikes, found.silent) == (3, 3, 1)
    assert found.mean_rate == pytest.approx(3 / (3 * 2 * 3))
    assert found.max_rate == pytest.approx(2 / 6)  # neuron 0: two spikes in 3 steps x 2 samples


@pytest.mark.parametrize(
    ("first", "steps", "saturated"),
    [
        (0, 4, 1),  # at every step of every sample
        (2, 4, 1),  # nobody spikes before step 2, where the first input arrives
        (3, 4, 0),  # a single step says nothing
        (0, 0, 0),
    ],
)
def test_a_neuron_that_spikes_whenever_it_can_is_saturated(first: int, steps: int, saturated: int) -> None:
    spikes = np.zeros((steps, 2, 3), bool)
    spikes[first:, :, 0] = True
    spikes[first:, 0, 1] = True  # in one sample only
    assert activity(Recording({"hidden": spikes}))["hidden"].saturated == saturated


def test_without_spikes_nobody_is_saturated() -> None:
    found = activity(Recording({"hidden": np.zeros((3, 2, 4), bool)}))["hidden"]
    assert (found.silent, found.saturated) == (4, 0)


def test_degrees_by_hand(network: Network) -> None:
    # hidden: rows of 2, 1 and 2 synapses from columns of 2, 0, 1 and 2
    into, out_of = degrees(network.projections[0])
    assert into == Degrees(1, 5 / 3, 2, 0)
    assert out_of == Degrees(0, 1.25, 2, 1)
    assert str(out_of) == "0 / 1.2 / 2, 1 with none"


def test_a_readout_is_not_counted_as_silent(recording: Recording) -> None:
    assert list(activity(recording)) == ["hidden"]


def test_a_recording_without_thresholds_counts_every_population(recording: Recording) -> None:
    assert list(activity(Recording(recording.spikes))) == ["hidden", "output"]


def test_synaptic_operations_sum_fan_out_over_inputs_and_spikes(
    network: Network, recording: Recording, inputs: np.ndarray
) -> None:
    # inputs: line 0 feeds 2 synapses and is non-zero 4 times, line 3 feeds 2 and is non-zero once: 4 * 2 + 1 * 2 = 10
    # spikes, one step late: neuron 0 at step 0 (1 synapse), neuron 2 at step 1 (1); neuron 0 at step 2 never arrives
    assert synaptic_operations(network, recording, inputs) == 10 + 2


def test_synaptic_operations_need_the_inputs_of_that_recording(
    network: Network, recording: Recording, inputs: np.ndarray
) -> None:
    with pytest.raises(
        ValidationError, match=r"synaptic_operations\.inputs: have shape \(2, 2, 4\).* needs \(3, 2, 4\)"
    ):
        synaptic_operations(network, recording, inputs[:2])


@given(seed=st.integers(0, 10_000), delay=st.integers(1, 4), n_steps=st.integers(1, 6))
def test_synaptic_operations_equal_a_count_synapse_by_synapse(seed: int, delay: int, n_steps: int) -> None:
    rng = stream(seed, "synaptic operations")
    dense = {pair: rng.normal(size=(4, n)) * (rng.random((4, n)) < 0.5) for pair, n in {"input": 3, "a": 4}.items()}
    projections = [
        Projection.from_dense("input", "a", dense["input"].astype(np.float32)),
        Projection.from_dense("a", "a", dense["a"].astype(np.float32), delay=delay),
    ]
    network = Network(Input(3), [Population("a", 4, LIF(beta=0.9, v_threshold=0.5))], projections)
    inputs = rng.random((n_steps, 2, 3)) < 0.5
    recording = simulate(network, inputs)

    counted = 0
    for p, source in zip(projections, (inputs, recording.spikes["a"]), strict=True):
        matrix = p.to_scipy().toarray() != 0
        for t in range(n_steps - p.delay):
            for sample in range(2):
                counted += sum(int(matrix[:, j].sum()) for j in range(p.n_source) if source[t, sample, j])
    assert synaptic_operations(network, recording, inputs) == counted


def test_stored_bytes_are_those_of_the_arrays(network: Network) -> None:
    size = stored_bytes(network)
    assert size.weights == 4 * (5 + 2)
    assert size.indices == 4 * (5 + 2) + 8 * (4 + 3)  # int32 per synapse, int64 per row and one more
    assert size.neurons == 4 * (3 * 3 + 2 * 2)  # LIF: beta, threshold, bias; LI: beta, bias
    assert size.dense_weights == 4 * (3 * 4 + 2 * 3)
    assert size.total == size.weights + size.indices + size.neurons


def test_possible_synapses_are_named_as_a_training_names_its_layers() -> None:
    weights = np.ones((2, 2), np.float32)
    projections = [Projection.from_dense("input", "a", weights), Projection.from_dense("a", "a", weights, delay=1)]
    network = Network(Input(2), [Population("a", 2, LIF())], projections)
    assert possible_synapses(network) == {"a": 4, "a (recurrent)": 4}
