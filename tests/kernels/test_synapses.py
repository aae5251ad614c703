"""Per-synapse arrays move with their synapses, and Adam's steps are corrected for age: against NumPy, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosparse.errors import ValidationError
from neurosparse.kernels.synapses import correct_adam, moved


@given(
    size=st.integers(0, 20),
    dtype=st.sampled_from([np.float32, np.float64, np.int64, np.int8]),
    newborn=st.integers(-3, 3),
    data=st.data(),
)
def test_moving_is_indexing_with_a_value_for_newborns(
    size: int, dtype: type, newborn: int, data: st.DataObject
) -> None:
    array = np.arange(10, 10 + size).astype(dtype)
    source = np.array(data.draw(st.lists(st.integers(-1, size - 1), max_size=20)), np.int64)
    result = moved(array, source, newborn)
    assert result.dtype == dtype
    assert result.tolist() == [newborn if s < 0 else array[s] for s in source]


def test_an_empty_layer_can_get_its_first_synapses() -> None:
    assert moved(np.empty(0), np.array([-1, -1])).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("array", "source", "message"),
    [
        (np.zeros(2), np.array([0, 2]), r"moved.source: position 1 is 2, the array has 2 entries"),
        (np.zeros(2), np.array([0.0]), r"moved.source: has dtype float64, would have to be int64"),
        (np.zeros(2, np.complex64), np.array([0]), r"moved.array: has dtype complex64"),
        (np.zeros((2, 2)), np.array([0]), r"moved.array: has shape \(2, 2\)"),
    ],
)
def test_moves_that_cannot_be_are_refused(array: np.ndarray, source: np.ndarray, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        moved(array, source)


@given(
    size=st.integers(0, 30),
    clock=st.integers(1, 400),
    beta1=st.sampled_from([0.0, 0.5, 0.9]),
    beta2=st.sampled_from([0.0, 0.9, 0.999]),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 999),
)
def test_the_correction_is_the_difference_of_two_adam_steps(
    size: int, clock: int, beta1: float, beta2: float, dtype: type, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values, first = rng.standard_normal((2, size)).astype(dtype)
    second = rng.random(size).astype(dtype)
    born_at = rng.integers(0, clock + 1, size)
    before = values.astype(np.float64)
    correct_adam(values, first, second, born_at, clock, learning_rate=0.1, betas=(beta1, beta2), epsilon=1e-6)

    def step(t: np.ndarray | int) -> np.ndarray:
        m, v = first.astype(np.float64), second.astype(np.float64)
        return 0.1 * m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + 1e-6)

    age = clock - born_at
    horizon = np.log(1e-4) / np.log(max(beta1, beta2)) if max(beta1, beta2) else 1
    young = (born_at > 0) & (age > 0) & (age < horizon)
    expected = np.where(young, before + step(clock) - step(np.maximum(age, 1)), before)
    np.testing.assert_allclose(values, expected, rtol=1e-4 if dtype == np.float32 else 1e-10, atol=1e-12)
    assert (values[~young] == before[~young].astype(dtype)).all(), "the others keep every bit"


def test_arrays_of_another_type_size_or_read_only_are_refused() -> None:
    def call(**change: np.ndarray) -> None:
        arrays = {"values": np.zeros(3), "first": np.zeros(3), "second": np.zeros(3), "born_at": np.zeros(3, np.int64)}
        arguments = arrays | change
        correct_adam(*arguments.values(), 1, learning_rate=0.1, betas=(0.9, 0.999), epsilon=1e-8)

    call()
    with pytest.raises(ValidationError, match=r"correct_adam\.first: has dtype float32, would have to be float64"):
        call(first=np.zeros(3, np.float32))
    with pytest.raises(ValidationError, match=r"correct_adam\.second: has shape \(2,\)"):
        call(second=np.zeros(2))
    with pytest.raises(ValidationError, match=r"correct_adam\.born_at: has dtype int32"):
        call(born_at=np.zeros(3, np.int32))
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    with pytest.raises(ValidationError, match=r"correct_adam\.values: is read-only"):
        call(values=frozen)
