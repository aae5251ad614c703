"""What may enter a network, as which values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neurosparse.core.network import Input
from neurosparse.errors import UnknownNameError, ValidationError


def test_a_sample_without_batch_axis_is_a_batch_of_one():
    values = Input(2).values([[1, 0], [0, 1], [1, 1]])
    assert values.shape == (3, 1, 2)
    assert values[:, 0].tolist() == [[1, 0], [0, 1], [1, 1]]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, np.float64])
def test_spikes_may_come_in_any_type_of_number(dtype):
    values = Input(2).values(np.array([[[1, 0]]], dtype), np.float64)
    assert values.dtype == np.float64
    assert values.tolist() == [[[1, 0]]]


def test_payloads_stand_for_256ths():
    values = Input(3, "graded").values(np.uint8([[0, 128, 255]]))
    assert values.dtype == np.float32
    assert values.tolist() == [[[0, 0.5, 255 / 256]]]


def test_payloads_may_come_as_the_fractions_they_stand_for():
    fractions = np.arange(256, dtype=np.float32)[np.newaxis] / 256
    values = Input(256, "graded").values(fractions)
    assert np.array_equal(values, Input(256, "graded").values(np.arange(256)[np.newaxis]))


@pytest.mark.parametrize("kind", ["spikes", "graded", "analog"])
@pytest.mark.parametrize("shape", [(0, 3, 2), (4, 0, 2)])
def test_no_steps_and_no_samples_are_fine(kind, shape):
    assert Input(2, kind).values(np.zeros(shape, np.uint8)).shape == shape


def test_an_analog_input_is_left_alone():
    array = np.array([[-1.5, 1e30]])
    assert Input(2, "analog").values(array, np.float64).tolist() == [[[-1.5, 1e30]]]


@given(array=hnp.arrays(st.sampled_from(["u1", "i2", "f4", "f8"]), (3, 2, 2)))
def test_what_is_accepted_is_what_the_kind_promises(array):
    for kind, allowed in (("spikes", {0.0, 1.0}), ("graded", {p / 256 for p in range(256)})):
        try:
            values = Input(2, kind).values(array)
        except ValidationError:
            continue
        assert set(values.reshape(-1).tolist()) <= allowed


@pytest.mark.parametrize(
    ("kind", "inputs", "message"),
    [
        ("spikes", np.zeros((4, 5, 3)), r"inputs: expected shape \(time, batch, 2\) or \(time, 2\), got \(4, 5, 3\)"),
        ("spikes", np.zeros(2), r"inputs: expected shape .* got \(2,\)"),
        ("spikes", np.zeros((1, 1, 1, 2)), r"inputs: expected shape .* got \(1, 1, 1, 2\)"),
        ("spikes", 1, r"inputs: expected shape .* got \(\)"),
        ("spikes", [[1, 0], [1]], r"inputs: expected one array \(time, batch, 2\), got ragged rows"),
        ("spikes", [["1", "0"]], r"inputs: expected booleans, integers or floats, got <U1"),
        ("spikes", [[1j, 0]], r"inputs: expected booleans, integers or floats, got complex128"),
        ("spikes", [[1, 2]], r"inputs: this network takes spikes \(0 or 1\), got 2; .* Input\(kind='graded'\)"),
        ("spikes", [[0.5, 1]], r"inputs: this network takes spikes \(0 or 1\), got 0.5"),
        ("spikes", [[np.nan, 1]], r"inputs: this network takes spikes \(0 or 1\), got nan"),
        (
            "graded",
            [[True, False]],
            r"inputs: this network takes 8-bit payloads: .*; got booleans, and spikes need Input\(",
        ),
        ("graded", np.zeros((0, 1, 2), bool), r"got booleans, and spikes need"),
        ("graded", [[1, 256]], r"inputs: this network takes 8-bit payloads: .*; got int64 256"),
        ("graded", [[-1, 0]], r"got int64 -1"),
        ("graded", [[0.0, 1.0]], r"uint8, or floats that are multiples of 1/256 below 1; got float64 1.0"),
        ("graded", [[0.3, 0]], r"got float64 0.3"),
        ("graded", [[1e308, 0]], r"got float64 1e\+308"),
        ("graded", [[np.nan, 0]], r"got float64 nan"),
        ("analog", [[np.inf, 0]], r"inputs: must be finite in float32, got inf"),
        ("analog", [[0, np.nan]], r"inputs: must be finite in float32, got nan"),
        ("analog", [[1e39, 0]], r"inputs: must be finite in float32, got 1e\+39"),
    ],
)
def test_wrong_inputs_are_refused(kind, inputs, message):
    with pytest.raises(ValidationError, match=message):
        Input(2, kind).values(inputs)


def test_an_unknown_kind_gets_the_near_miss():
    with pytest.raises(
        UnknownNameError, match=r"Input.kind: 'spike' is not known. Did you mean 'spikes'\? Known: analog, graded,"
    ):
        Input(2, "spike")
