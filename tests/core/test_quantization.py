"""From floats to integers, given the unit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosparse.core import integers as z
from neurosparse.core.quantization import (
    bias_parts,
    current_decay,
    current_factor,
    round_weights,
    smallest_exponent,
    threshold_mantissa,
    voltage_decay,
    voltage_factor,
)

UNITS = st.floats(1e-6, 10)


@given(
    weights=st.lists(st.floats(-300, 300), max_size=20),
    unit=UNITS,
    exponent=st.integers(0, 7),
    bits=st.integers(1, 8),
    sign_mode=st.sampled_from(["mixed", "excitatory", "inhibitory"]),
)
def test_rounded_weights_are_the_nearest_the_chip_has(weights, unit, exponent, bits, sign_mode) -> None:
    mantissas, clipped = round_weights(weights, unit, exponent, bits=bits, sign_mode=sign_mode)
    low, high = z.weight_range(bits, sign_mode)
    step = z.weight_step(bits, sign_mode)
    assert mantissas.dtype == np.int16
    for weight, mantissa, out in zip(weights, mantissas.tolist(), clipped.tolist(), strict=True):
        exact = weight / unit / 2**exponent
        assert low <= mantissa <= high
        assert mantissa % step == 0
        nearest = min(abs(value - exact) for value in range(low, high + 1, step))
        assert abs(mantissa - exact) <= nearest + 1e-9 * abs(exact)
        assert out == (not low - step / 2 <= exact <= high + step / 2) or abs(exact) == pytest.approx(
            abs(high) + step / 2
        )


@given(largest=st.floats(1e-6, 1e4), unit=UNITS, bits=st.integers(2, 8))
def test_the_smallest_exponent_holds_the_largest_weight_and_one_less_does_not(largest, unit, bits) -> None:
    exponent = smallest_exponent(largest, unit, bits=bits)
    top = z.weight_range(bits, "mixed")[1] * unit
    if exponent < 7:
        assert largest <= top * 2**exponent * (1 + 1e-6)
    if exponent > 0:
        assert largest > top * 2 ** (exponent - 1)


@given(st.integers(0, 4095))
def test_every_decay_of_the_current_comes_back(du: int) -> None:
    assert int(current_decay(current_factor(du))) == du


@given(st.integers(0, 4096))
def test_every_decay_of_the_voltage_comes_back(dv: int) -> None:
    assert int(voltage_decay(voltage_factor(dv))) == dv


def test_decays_by_hand() -> None:
    # 0.9: 409.6 of 4096 are lost, 410 are the nearest; the chip adds 1 to du, so that 409 loses them
    assert int(voltage_decay(0.9)) == 410
    assert int(current_decay(0.9)) == 409
    assert int(voltage_decay(0.0, largest=4095)) == 4095


@given(bias=st.floats(-5000, 5000), unit=st.floats(0.01, 10))
def test_a_bias_is_off_by_at_most_half_of_its_last_bit(bias: float, unit: float) -> None:
    mantissa, exponent = (int(part) for part in bias_parts(np.array(bias), unit))
    low, high = z.BIAS_RANGE
    assert low <= mantissa <= high
    exact = bias * 64 / unit
    if abs(exact) <= high << 7:
        assert abs((mantissa << exponent) - exact) <= 0.5 * 2**exponent * (1 + 1e-9)
        # no smaller exponent would do
        assert exponent == 0 or not low <= np.rint(exact / 2 ** (exponent - 1)) <= high
    else:
        assert (mantissa, exponent) in ((high, 7), (low, 7))


def test_thresholds_stop_at_17_bits() -> None:
    assert threshold_mantissa([0.24, 1.0, 1e9], 0.1).tolist() == [2, 10, 131071]
