"""Recordings: events and rasters, rates, decisions, and what cannot be one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from neurosparse.core.recording import Events, Recording, events_to_raster
from neurosparse.errors import UnknownNameError, ValidationError

RASTERS = hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, min_side=0, max_side=5))


def raster(*sites, shape=(3, 2, 4)):
    array = np.zeros(shape, bool)
    for site in sites:
        array[site] = True
    return array


def test_events_are_ordered_by_step_then_sample_then_neuron():
    events = Recording({"a": raster((2, 0, 1), (0, 1, 3), (2, 0, 0), (0, 0, 2))}).events("a")
    assert events.steps.tolist() == [0, 0, 2, 2]
    assert events.samples.tolist() == [0, 1, 0, 0]
    assert events.neurons.tolist() == [2, 3, 0, 1]
    assert {array.dtype.name for array in vars(events).values()} == {"int64"}


@given(array=RASTERS)
def test_events_and_rasters_are_inverse(array):
    events = Recording({"a": array}).events("a")
    assert events.steps.size == np.count_nonzero(array)
    assert np.array_equal(events_to_raster(events, array.shape), array)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (([0, 3], [0, 0], [0, 0]), r"Events.steps: must lie in \[0, 3\), got 0 to 3"),
        (([0], [-1], [0]), r"Events.samples: must lie in \[0, 2\), got -1 to -1"),
        (([0], [0], [4]), r"Events.neurons: must lie in \[0, 4\), got 4 to 4"),
        (([0], [0], [0.5]), r"Events.neurons: must be integers, got float64"),
        (([0, 1], [0], [0, 1]), r"Events: the three lists must be equally long, got .*'samples': \(1,\)"),
    ],
)
def test_events_outside_the_raster_are_refused(events, message):
    with pytest.raises(ValidationError, match=message):
        events_to_raster(Events(*map(np.array, events)), (3, 2, 4))


def test_rates_are_spikes_per_step_over_time_and_batch():
    recording = Recording({"a": raster((0, 0, 0), (1, 0, 0), (2, 1, 0), (1, 1, 3))})
    assert recording.firing_rates("a").tolist() == [0.5, 0, 0, 1 / 6]
    assert recording.n_spikes == 4
    assert (recording.n_steps, recording.n_samples) == (3, 2)


@pytest.mark.parametrize("shape", [(0, 2, 4), (3, 0, 4)])
def test_nothing_has_no_rate(shape):
    recording = Recording({"a": np.zeros(shape, bool)})
    with pytest.raises(
        ValidationError, match=rf"Recording.firing_rates: {shape[0]} steps x {shape[1]} samples have no mean"
    ):
        recording.firing_rates("a")
    assert recording.n_spikes == 0


def test_spikes_decide_where_there_is_a_threshold():
    spikes = raster((0, 0, 1), (1, 0, 1), (0, 0, 2), (2, 1, 3))
    voltages = np.zeros((3, 2, 4))
    voltages[:, :, 0] = 9.0
    recording = Recording({"out": spikes}, {"out": voltages}, {"out": np.ones(4)})
    assert recording.decisions("out").tolist() == [1, 3]
    silent = Recording({"out": np.zeros((3, 1, 4), bool)}, {"out": voltages[:, :1]}, {"out": np.ones(4)})
    assert silent.decisions("out").tolist() == [0]


def test_the_mean_voltage_decides_where_there_is_none():
    voltages = np.zeros((2, 2, 3), np.float32)
    voltages[0, 0] = [5, 0, 0]
    voltages[1, 0] = [-5, 1, 0]  # sums 0, 1, 0
    voltages[:, 1] = [-3, -2, -1]
    with_silence = Recording({"out": np.zeros((2, 2, 3), bool)}, {"out": voltages})
    alone = Recording({}, {"out": voltages})
    for recording in (with_silence, alone):
        assert recording.decisions("out").tolist() == [1, 2]


def test_spikes_decide_before_voltages_even_if_no_threshold_was_noted():
    recording = Recording({"out": raster((0, 0, 2), shape=(1, 1, 3))}, {"out": np.array([[[7.0, 0.0, 0.0]]])})
    assert recording.decisions("out").tolist() == [2]


def test_ties_go_to_the_lower_index():
    tied = raster((0, 0, 3), (1, 0, 1), (0, 1, 2), (1, 1, 2), (2, 1, 0), (0, 1, 0))
    assert Recording({"out": tied}).decisions("out").tolist() == [1, 0]
    assert Recording({}, {"out": np.array([[[1.0, 2.0, 2.0]]])}).decisions("out").tolist() == [1]


def test_the_sum_of_voltages_is_taken_in_float64():
    # in float32 the first column would lose its ones beside 2**24 and tie with the second
    voltages = np.zeros((4, 1, 2), np.float32)
    voltages[:, 0, 0] = [2**24, 1, 1, 1]
    voltages[:, 0, 1] = [2**24, 0, 0, 2]
    assert Recording({}, {"out": voltages}).decisions("out").tolist() == [0]


@pytest.mark.parametrize("ask", ["events", "firing_rates", "decisions"])
def test_an_unknown_population_gets_the_near_miss(ask):
    recording = Recording({"hidden": raster(), "out": raster()})
    with pytest.raises(
        UnknownNameError, match=r"Recording.spikes: 'hiden' is not known. Did you mean 'hidden'\? Known: hidden, out"
    ):
        getattr(recording, ask)("hiden")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"spikes": {"a": np.zeros((2, 3), bool)}},
            r"Recording.spikes\['a'\]: must be an array \(time, batch, n\), got shape \(2, 3\)",
        ),
        ({"spikes": {"a": [[[True]]]}}, r"Recording.spikes\['a'\]: must be an array"),
        ({"spikes": {"a": np.zeros((2, 3, 4))}}, r"Recording.spikes\['a'\]: must be booleans, got float64"),
        (
            {"voltages": {"a": np.zeros((2, 3))}},
            r"Recording.voltages\['a'\]: must be an array \(time, batch, n\), got shape",
        ),
        (
            {"voltages": {"a": np.zeros((3, 2, 4), int)}},
            r"Recording.voltages\['a'\]: must be floats or int32, got int64",
        ),
        (
            {"voltages": {"b": np.zeros((4, 2, 4))}},
            r"Recording: all populations must share \(time, batch\), got \[\(3, 2\), \(4, 2\)\]",
        ),
        (
            {"voltages": {"a": np.zeros((3, 2, 5))}},
            r"Recording.voltages\['a'\]: has 5 neurons, its other arrays 4",
        ),
        (
            {"v_thresholds": {"a": np.ones(3)}},
            r"Recording.v_thresholds\['a'\]: has 3 neurons, its other arrays 4",
        ),
        (
            {"v_thresholds": {"a": np.float32(1)}},
            r"Recording.v_thresholds\['a'\]: must be an array \(n,\), got shape \(\)",
        ),
        ({"dt": 0}, r"Recording.dt: must be a duration in seconds > 0, got 0"),
    ],
)
def test_impossible_recordings_are_refused(arguments, message):
    with pytest.raises(ValidationError, match=message):
        Recording(**{"spikes": {"a": raster()}, **arguments})


def test_a_recording_says_what_it_is():
    recording = Recording({"hidden": raster((0, 0, 0)), "out": raster()}, backend="brian2")
    assert repr(recording) == "Recording(brian2: hidden, out; 3 steps x 2 samples, 1 spikes)"
    assert repr(Recording({})) == "Recording(unnamed: ; 0 steps x 0 samples, 0 spikes)"
