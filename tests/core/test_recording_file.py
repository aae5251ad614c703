"""Recording files: bit-identical, and refused in words when they cannot be right."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import safe_open

from neurosparse.core.recording import Recording
from neurosparse.errors import ArtifactError, ValidationError

from .forgery import forge, put

HUGE = [2**40, 2**40, 2**40]


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "forged.safetensors"
    raster = np.zeros((3, 2, 5), bool)
    raster[1, 1, 1] = True
    Recording({"a": raster}, {"a": np.zeros((3, 2, 5))}, {"a": np.ones(5)}).save(path)
    return path


@given(
    spikes=hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, min_side=0, max_side=5)),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_saving_and_loading_changes_no_bit(spikes, dtype, tmp_path_factory):
    path = tmp_path_factory.mktemp("recording") / "a.safetensors"
    voltages = np.random.default_rng(0).normal(size=spikes.shape).astype(dtype)
    thresholds = {"b": np.ones(spikes.shape[2])}
    before = Recording({"a.b": spikes, "b": ~spikes}, {"a.b": voltages}, thresholds, 5e-4, "native")
    before.save(path)
    after = Recording.load(path)
    assert (after.dt, after.backend) == (5e-4, "native")
    for kind in ("spikes", "voltages", "v_thresholds"):
        one, other = getattr(before, kind), getattr(after, kind)
        assert list(other) == sorted(one)
        for name, array in one.items():
            assert (other[name].dtype, other[name].shape) == (array.dtype, array.shape)
            assert other[name].tobytes() == array.tobytes()


def test_the_same_recording_gives_the_same_bytes_and_info_is_not_saved(tmp_path):
    for name, seconds in (("a", 1.0), ("b", 2.0)):
        Recording({"out": np.ones((1, 2, 3), bool)}, info={"seconds": seconds}).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert Recording.load(tmp_path / "a").info == {}


def test_spikes_take_one_bit_each(tmp_path):
    Recording({"out": np.zeros((100, 10, 80), bool)}).save(tmp_path / "a")
    assert 10_000 < (tmp_path / "a").stat().st_size < 10_500


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("shapes", "a", [3, 2, 6]), r"spikes of 'a' are uint8 \(4,\), shape \(3, 2, 6\) needs uint8 \(5,\)"),
        (put("shapes", "a", HUGE), r"spikes of 'a' are uint8 \(4,\), shape \(1099511627776, "),
        (put("shapes", "a", [0, 1, 2**62]), r"spikes of 'a' are uint8 \(4,\), shape .* needs uint8 \(0,\)"),
        (put("shapes", "a", [30]), r"header field shapes.a: List should have at least 3 items"),
        (put("shapes", "a", [3, 2, -5]), r"header field shapes.a.2: Input should be greater than or equal to 0"),
        (put("shapes", "b", [1, 1, 1]), r"tensor 'spikes.b' is missing"),
        (put("dt", 0.0), r"header field dt: Input should be greater than 0"),
        (put("info", {}), r"header field info: Extra inputs are not permitted"),
    ],
)
def test_a_header_that_cannot_be_right_is_refused(good, change, message):
    assert Recording.load(good).n_spikes == 1
    with pytest.raises(ArtifactError, match=r"forged.safetensors: " + message):
        Recording.load(forge(good, change))


@pytest.mark.parametrize(
    ("name", "array", "error", "message"),
    [
        ("spikes.a", np.zeros(4, bool), ArtifactError, r"spikes of 'a' are bool \(4,\), shape .* needs uint8 \(4,\)"),
        ("spikes.a", np.zeros((2, 2), np.uint8), ArtifactError, r"spikes of 'a' are uint8 \(2, 2\), shape"),
        ("spikes.b", np.zeros(4, np.uint8), ArtifactError, r"unexpected tensor 'spikes.b'; the header does not"),
        ("weights", np.zeros(4), ArtifactError, r"unexpected tensor 'weights'"),
        (
            "voltages.a",
            np.zeros((3, 2, 5), np.int64),
            ArtifactError,
            r"tensor 'voltages.a' has type int64, expected fl",
        ),
        (
            "voltages.a",
            np.zeros((3, 5)),
            ValidationError,
            r"Recording.voltages\['a'\]: must be an array \(time, batch,",
        ),
        ("voltages.a", np.zeros((4, 2, 5)), ValidationError, r"Recording: all populations must share \(time, batch\)"),
        ("v_thresholds.a", np.ones(4), ValidationError, r"Recording.v_thresholds\['a'\]: has 4 neurons, "),
    ],
)
def test_tensors_that_cannot_be_right_are_refused(good, name, array, error, message):
    with pytest.raises(error, match=r"forged.safetensors: " + message):
        Recording.load(forge(good, tensors={name: array}))


def test_an_axis_without_bits_cannot_be_absurdly_long(good):
    forge(good, put("shapes", "a", [0, 1, 2**62]), {"spikes.a": np.zeros(0, np.uint8)})
    with pytest.raises(ArtifactError, match=r"spikes of 'a' cannot have shape \(0, 1, 4611686018427387904\)"):
        Recording.load(good)


def test_a_shape_cannot_ask_for_memory(good):
    forge(good, put("shapes", "a", HUGE))
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactError):
            Recording.load(good)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3e6


def test_the_registers_of_a_quantised_network_are_saved_as_they_are(tmp_path):
    raster, rng = np.zeros((3, 2, 4), bool), np.random.default_rng(0)
    voltages, currents = rng.integers(-(2**23), 2**23, (2, 3, 2, 4)).astype(np.int32)
    before = Recording({"a": raster}, {"a": voltages}, {"a": np.int32([64, 1, 2, 3])}, currents={"a": currents})
    before.save(tmp_path / "a")
    after = Recording.load(tmp_path / "a")
    for kind in ("voltages", "v_thresholds", "currents"):
        one, other = getattr(before, kind)["a"], getattr(after, kind)["a"]
        assert other.dtype == np.int32
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("dtype", "version"), [(np.float32, 1), (np.int32, 2)])
def test_only_files_with_integers_need_a_reader_that_knows_them(tmp_path, dtype, version):
    Recording({}, {"a": np.zeros((1, 1, 1), dtype)}).save(tmp_path / "a")
    with safe_open(tmp_path / "a", framework="numpy") as file:
        assert json.loads(file.metadata()["neurosparse"])["version"] == version


def test_currents_share_time_and_batch_with_the_spikes():
    with pytest.raises(ValidationError, match=r"Recording: all populations must share \(time, batch\)"):
        Recording({"a": np.zeros((3, 2, 4), bool)}, currents={"a": np.zeros((4, 2, 4), np.int32)})
