"""Loihi's fixed-point arithmetic: the ranges of its integers and the four operations that everything is made of.

Per time step, with integers throughout (`QuantizedPopulation.step` puts it together)::

    a = sum_j W[i,j] * s_j(t - delay) << exponent             the complete sum over all projections
    u = decay(u, 4096 - (du + 1)) + (a << 6)                  wraps around at 24 bits
    v = decay(v, 4096 - dv) + u + (bias << bias_exponent)     saturates at 24 bits
    reset "subtract":  v = v - s(t-1) * (v_threshold << 6)    before the saturation
    s = v > (v_threshold << 6);  reset "zero":  v = 0 where s

``decay(x, m) = sign(x) * (abs(x) * m >> 12)`` rounds toward zero. Source: the models ``PyLifModelBitAcc`` and
``PySparseModelBitAcc`` of lava-nc 0.10.0, which Intel calls bit-accurate; widths as in nengo-loihi's
``discretize.py`` and Davies et al. (2018), IEEE Micro 38(1), doi:10.1109/MM.2018.112130359.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "ACCUMULATOR_BITS",
    "ALIGNMENT_BITS",
    "BIAS_RANGE",
    "DECAY_BITS",
    "DECAY_UNITY",
    "GRADED_ACCUMULATOR_BITS",
    "MAX_BIAS_EXPONENT",
    "MAX_CURRENT_DECAY",
    "MAX_PAYLOAD",
    "MAX_VOLTAGE",
    "MAX_VOLTAGE_DECAY",
    "MAX_V_THRESHOLD",
    "MAX_WEIGHT_EXPONENT",
    "NO_CURRENT",
    "PAYLOAD_BITS",
    "STATE_SPAN",
    "WEIGHT_BITS",
    "SignMode",
    "clip_voltage",
    "decay",
    "effective_bias",
    "weight_range",
    "weight_step",
    "wrap_current",
]

SignMode = Literal["mixed", "excitatory", "inhibitory"]
"""Which signs the weights of a projection have: a sign costs the lowest of the 8 bits."""

DECAY_BITS = 12
DECAY_UNITY = 2**DECAY_BITS
"""A decay of `DECAY_UNITY` would keep a state as it is."""

MAX_CURRENT_DECAY = DECAY_UNITY - 1
NO_CURRENT = MAX_CURRENT_DECAY
"""The `du` that clears the synaptic current at every step: a LIF neuron (Loihi adds 1 to `du`, not to `dv`)."""

MAX_VOLTAGE_DECAY = DECAY_UNITY
STATE_SPAN = 2**24
MAX_VOLTAGE = 2**23 - 1
ALIGNMENT_BITS = 6
"""Weights and thresholds count in units of 2**6 of the states u and v; biases count in units of 1."""

MAX_V_THRESHOLD = 2**17 - 1
BIAS_RANGE = (-(2**12), 2**12 - 1)
MAX_BIAS_EXPONENT = 7
WEIGHT_BITS = 8
MAX_WEIGHT_EXPONENT = 7
PAYLOAD_BITS = 8
MAX_PAYLOAD = 2**PAYLOAD_BITS - 1
ACCUMULATOR_BITS = 16
"""Width, with sign, of the register that adds up ``a`` on a chip (nengo-loihi). Lava does not model its overflow."""

GRADED_ACCUMULATOR_BITS = 24 - ALIGNMENT_BITS
"""The same where payloads are added up (Loihi 2). An estimate: the neurons that Lava made for graded spikes
(proc/graded, proc/sdn) declare sums of 24 bits, of which the shift into the current leaves 18."""


def decay(state: NDArray[Any], factor: ArrayLike) -> NDArray[np.int64]:
    """Return ``state * factor / 4096`` rounded toward zero; `factor` in [0, 4096].

    >>> decay(np.array([4097, -4097, 1, -1]), 4095).tolist()
    [4095, -4095, 0, 0]
    """
    state = state.astype(np.int64)  # 24 bits times 13 bits
    return np.sign(state) * ((np.abs(state) * np.asarray(factor, np.int64)) >> DECAY_BITS)


def wrap_current(u: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `u` modulo 2**24 in (-2**23, 2**23], which is where Lava's single subtraction of 2**24 leaves it.

    >>> wrap_current(np.array([2**23, 2**23 + 1, -(2**23), 5])).tolist()
    [8388608, -8388607, 8388608, 5]
    """
    half = STATE_SPAN // 2
    return half - ((half - u) & (STATE_SPAN - 1))


def clip_voltage(v: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `v` limited to 24 bits: [-(2**23 - 1), 2**23 - 1]."""
    return np.clip(v, -MAX_VOLTAGE, MAX_VOLTAGE)


def effective_bias(mantissa: ArrayLike, exponent: ArrayLike) -> NDArray[np.int64]:
    """Return ``mantissa << exponent``, what is added to the voltage at every step."""
    return np.left_shift(np.asarray(mantissa, np.int64), np.asarray(exponent, np.int64))


def weight_step(bits: int, sign_mode: SignMode) -> int:
    """Return the distance between two weights of `bits` bits; the chip drops the low bits of an 8-bit mantissa.

    >>> weight_step(8, "mixed"), weight_step(8, "excitatory"), weight_step(4, "mixed")
    (2, 1, 32)
    """
    return 1 << (WEIGHT_BITS - bits + (sign_mode == "mixed"))


def weight_range(bits: int, sign_mode: SignMode) -> tuple[int, int]:
    """Return the smallest and the largest weight mantissa of `bits` bits.

    >>> weight_range(8, "mixed"), weight_range(4, "mixed"), weight_range(8, "inhibitory")
    ((-256, 254), (-256, 224), (-255, 0))
    """
    step = weight_step(bits, sign_mode)
    largest = 2**WEIGHT_BITS - step
    if sign_mode == "mixed":
        return -(2**WEIGHT_BITS), largest
    return (0, largest) if sign_mode == "excitatory" else (-largest, 0)
