"""From floats to a chip's integers, given the unit: the plain functions that `quantize` and training in integers share.

The *unit* of a population is what an integer sum ``a`` of 1 stands for: a weight w from a spike becomes
``mantissa << exponent`` with ``w = (mantissa << exponent) * unit``, a threshold is ``v_threshold * unit``, and one unit
of the registers u and v is ``unit / 64``. A graded input line carries payload / 256, so its weights count 1/256.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.core import integers as z
from neurosparse.core.integers import SignMode

__all__ = [
    "GRADED_FACTOR",
    "bias_parts",
    "current_decay",
    "current_factor",
    "round_weights",
    "smallest_exponent",
    "threshold_mantissa",
    "voltage_decay",
    "voltage_factor",
]

GRADED_FACTOR = 2.0**-z.PAYLOAD_BITS


def round_weights(
    weights: ArrayLike, unit: float, exponent: int, *, bits: int = z.WEIGHT_BITS, sign_mode: SignMode = "mixed"
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Return the nearest mantissas of `weights`, and which of them were out of range and clipped.

    >>> mantissas, clipped = round_weights([0.5, -0.24, 3.0], unit=0.01, exponent=0)
    >>> mantissas.tolist(), clipped.tolist()
    ([50, -24, 254], [False, False, True])
    """
    step, (low, high) = z.weight_step(bits, sign_mode), z.weight_range(bits, sign_mode)
    steps = np.rint(np.asarray(weights, np.float64) / (unit * 2.0**exponent * step))
    mantissas = np.clip(steps, low // step, high // step) * step
    return mantissas.astype(np.int16), mantissas != steps * step


def smallest_exponent(largest: float, unit: float, *, bits: int = z.WEIGHT_BITS, sign_mode: SignMode = "mixed") -> int:
    """Return the smallest exponent in [0, 7] with which ``abs(weight) <= largest`` fits, or 7 if none does.

    >>> smallest_exponent(1.0, unit=0.001)
    2
    """
    top = max(abs(bound) for bound in z.weight_range(bits, sign_mode))
    if sign_mode == "mixed":
        top = z.weight_range(bits, sign_mode)[1]
    if largest <= top * unit:
        return 0
    # a rounding error of the logarithm must not cost half of the range
    return min(z.MAX_WEIGHT_EXPONENT, int(np.ceil(np.log2(largest / (top * unit)) - 1e-9)))


def current_decay(alpha: ArrayLike) -> NDArray[np.int32]:
    """Return the `du` nearest to the decay `alpha` in [0, 1]; an alpha of 1 loses 1/4096 per step.

    >>> current_decay([0.0, 0.5, 1.0]).tolist()
    [4095, 2047, 0]
    """
    lost = np.rint((1.0 - np.asarray(alpha, np.float64)) * z.DECAY_UNITY)
    return np.clip(lost - 1, 0, z.MAX_CURRENT_DECAY).astype(np.int32)


def voltage_decay(beta: ArrayLike, largest: int = z.MAX_VOLTAGE_DECAY) -> NDArray[np.int32]:
    """Return the `dv` nearest to the decay `beta` in [0, 1]; a chip's 12 bits hold at most `largest` = 4095.

    >>> voltage_decay([1.0, 0.9, 0.0]).tolist()
    [0, 410, 4096]
    """
    return np.minimum(np.rint((1.0 - np.asarray(beta, np.float64)) * z.DECAY_UNITY), largest).astype(np.int32)


def current_factor(du: ArrayLike) -> NDArray[np.float64]:
    """Return the decay per step that `du` stands for (inverse of `current_decay`)."""
    return (z.DECAY_UNITY - 1 - np.asarray(du, np.float64)) / z.DECAY_UNITY


def voltage_factor(dv: ArrayLike) -> NDArray[np.float64]:
    """Return the decay per step that `dv` stands for (inverse of `voltage_decay`)."""
    return (z.DECAY_UNITY - np.asarray(dv, np.float64)) / z.DECAY_UNITY


def threshold_mantissa(v_threshold: ArrayLike, unit: float) -> NDArray[np.int32]:
    """Return the nearest threshold mantissas, at most 2**17 - 1."""
    mantissas = np.rint(np.asarray(v_threshold, np.float64) / unit)
    return np.clip(mantissas, 0, z.MAX_V_THRESHOLD).astype(np.int32)


def bias_parts(bias: ArrayLike, unit: float) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return mantissa and exponent of each bias, the exponent as small as it can be; what is too large is clipped.

    >>> mantissa, exponent = bias_parts([1.0, -1.0, 0.01], unit=0.01)
    >>> mantissa.tolist(), exponent.tolist()
    ([3200, -3200, 64], [1, 1, 0])
    """
    exact: NDArray[Any] = np.asarray(bias, np.float64) * 2**z.ALIGNMENT_BITS / unit
    low, high = z.BIAS_RANGE
    exponent = np.zeros(exact.shape, np.int32)
    for larger in range(1, z.MAX_BIAS_EXPONENT + 1):
        scaled = np.rint(exact / 2.0 ** (larger - 1))
        exponent[(scaled < low) | (scaled > high)] = larger
    mantissa = np.clip(np.rint(exact / 2.0**exponent), low, high)
    return mantissa.astype(np.int32), exponent
