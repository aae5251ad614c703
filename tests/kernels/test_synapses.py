"""Adam's steps corrected for age, signs crossed, lifetimes counted: against NumPy, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosparse.errors import ValidationError
from neurosparse.kernels.synapses import correct_adam, crossed, tally


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


def test_ages_in_every_block_and_beyond_the_horizon_are_told_apart() -> None:
    n, clock = 300, 50_000
    born_at = np.zeros(n, np.int64)
    born_at[[0, 63, 64, 200, 299]] = [clock - 1, clock - 9206, clock - 9205, clock, 1]
    values = np.ones(n, np.float32)
    moments = np.full(n, 0.01, np.float32)
    correct_adam(values, moments, moments**2, born_at, clock, learning_rate=0.1, betas=(0.9, 0.999), epsilon=0.0)
    # log(1e-4) / log(0.999) = 9205.7: an age of 9205 is corrected, one of 9206 is not, nor is a newborn of this step
    assert np.flatnonzero(values != 1).tolist() == [0, 64]
    # a step of lr * m / sqrt(v) = 0.1 taken back, and one of age 1 made: 0.1 * 10 * sqrt(0.001)
    assert values[0] == pytest.approx(1 + 0.1 - 0.1 * 10 * np.sqrt(0.001), rel=1e-5)


def test_a_step_of_nothing_over_nothing_is_not_an_error() -> None:
    zero = np.zeros(1)
    values = np.ones(1)
    correct_adam(values, zero, zero, np.ones(1, np.int64), 3, learning_rate=0.1, betas=(0.9, 0.999), epsilon=0.0)
    assert np.isnan(values[0])


@given(
    values=st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=80),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 99),
)
def test_a_synapse_has_crossed_where_sign_times_weight_is_not_positive(
    values: list[float], dtype: type, seed: int
) -> None:
    array = np.array(values, dtype)
    signs = np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), array.size)
    mask, nan = crossed(array, signs)
    assert mask.tolist() == (array * signs <= 0).tolist()
    assert nan == np.isnan(array).any()


def test_zero_of_either_sign_has_crossed() -> None:
    assert crossed(np.array([0.0, -0.0, 0.0, -0.0]), np.array([1, 1, -1, -1], np.int8))[0].all()


@given(st.lists(st.integers(-3, 2**55), max_size=40))
def test_lifetimes_are_tallied_by_powers_of_two(steps: list[int]) -> None:
    counts = np.zeros(48, np.int64)
    assert tally(np.array(steps[:1], np.int64), counts) == sum(steps[:1])
    tally(np.array(steps[1:], np.int64), counts)
    powers = [min(max(n, 1).bit_length() - 1, 47) for n in steps]
    assert counts.tolist() == [powers.count(i) for i in range(48)]


def test_what_cannot_be_tallied_or_have_crossed_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"tally\.steps: has dtype float64"):
        tally(np.zeros(2), np.zeros(3, np.int64))
    with pytest.raises(ValidationError, match=r"tally\.counts: has dtype int32"):
        tally(np.zeros(2, np.int64), np.zeros(3, np.int32))
    with pytest.raises(ValidationError, match=r"crossed\.values: has dtype float16"):
        crossed(np.zeros(2, np.float16), np.ones(2, np.int8))
    with pytest.raises(ValidationError, match=r"crossed\.signs: has shape \(3,\), would have to be \(2,\)"):
        crossed(np.zeros(2), np.ones(3, np.int8))
