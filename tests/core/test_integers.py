"""The four operations of the chip's arithmetic, with numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosparse.core import integers as z

REGISTER = st.integers(-(2**23), 2**23)


def one(function, *values):
    return int(function(*(np.array([value]) for value in values))[0])


@pytest.mark.parametrize(
    ("state", "factor", "expected"),
    [
        (4096, 4095, 4095),
        (-4096, 4095, -4095),
        (1, 4095, 0),  # rounded toward zero, from both sides
        (-1, 4095, 0),
        (4097, 2048, 2048),
        (-4097, 2048, -2048),
        (2**23 - 1, 4096, 2**23 - 1),
        (2**23, 4095, 2**23 - 2**11),
        (12345, 0, 0),
    ],
)
def test_decays_round_toward_zero(state: int, factor: int, expected: int) -> None:
    assert one(z.decay, state, factor) == expected


@given(state=REGISTER, factor=st.integers(0, 4096))
def test_a_decay_is_the_quotient_of_whole_numbers_without_its_fraction(state: int, factor: int) -> None:
    expected = abs(state) * factor // 4096
    assert one(z.decay, state, factor) == (expected if state >= 0 else -expected)


@given(u=st.integers(-(2**40), 2**40))
def test_currents_wrap_around_into_24_bits(u: int) -> None:
    wrapped = one(z.wrap_current, u)
    assert -(2**23) < wrapped <= 2**23
    assert (u - wrapped) % 2**24 == 0


@given(u=st.integers(-(3 * 2**23) + 1, 3 * 2**23))
def test_where_one_turn_is_enough_wrapping_is_lavas(u: int) -> None:
    # lava-nc 0.10.0, AbstractPyLifModelFixed.subthr_dynamics, in its own order
    lava = u - 2**24 if u > 2**23 else u
    lava = u + 2**24 if lava <= -(2**23) else lava
    assert one(z.wrap_current, u) == lava


def test_voltages_stop_at_their_limits() -> None:
    values = np.array([-(2**23), -(2**23) + 1, 0, 2**23 - 1, 2**23])
    assert z.clip_voltage(values).tolist() == [-(2**23) + 1, -(2**23) + 1, 0, 2**23 - 1, 2**23 - 1]


def test_a_bias_is_its_mantissa_shifted() -> None:
    assert z.effective_bias([3, -3, -4096, 4095], [0, 2, 7, 7]).tolist() == [3, -12, -524288, 524160]


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("sign_mode", ["mixed", "excitatory", "inhibitory"])
def test_weights_of_n_bits_are_what_lavas_truncation_leaves_of_all_integers(bits: int, sign_mode: str) -> None:
    # lava-nc 0.10.0, utils/weightutils.py: clip_weights to 8 bits, then truncate_weights, restated
    weights = np.arange(-400, 401)
    mixed, sign = sign_mode == "mixed", -1 if sign_mode == "inhibitory" else 1
    clipped = np.clip(sign * weights, -256 * mixed, 255)
    dropped = 8 - bits + mixed
    kept = sign * ((clipped >> dropped) << dropped)
    low, high = z.weight_range(bits, sign_mode)
    assert np.unique(kept).tolist() == list(range(low, high + 1, z.weight_step(bits, sign_mode)))
