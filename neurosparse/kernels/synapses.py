"""What rewiring asks of every synapse at every training step: is its sign still its own, did Adam know its age?

One compiled pass each, because the arrays are small: a few thousand entries, for which ten calls into an array library
cost more than the work.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.kernels.checks import FLOATS, check_array
from neurosparse.kernels.jit import jit

__all__ = ["correct_adam", "crossed", "tally"]

# Beyond this age of a synapse both bias corrections of Adam are 1 to within 1e-4 and there is nothing to mend.
_SETTLED = 1e-4
_BLOCK = 64  # synapses among which the young are looked for together


def correct_adam(
    values: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    born_at: NDArray[np.int64],
    clock: int,
    *,
    learning_rate: float,
    betas: tuple[float, float],
    epsilon: float,
) -> None:
    """Take back the step Adam has just made for young synapses, and make the one of a synapse of their age, in place.

    Adam steps by ``lr * m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + epsilon)`` (Kingma and Ba 2015, Algorithm 1)
    with one t for all weights; here t is ``clock - born_at``, the number of steps the synapse itself has made.

    Parameters
    ----------
    values, first, second : (K,) float32 or float64
        Weights, written to; Adam's moments m and v (with amsgrad, the largest v so far).
    born_at : (K,) int64
        Clock at birth; 0 for synapses that need no correction.
    clock : int
        Adam's t, its last step included.
    learning_rate, betas, epsilon
        Adam's.
    """
    owner = "correct_adam"
    check_array(owner, "values", values, FLOATS, (None,), writable=True)
    check_array(owner, "first", first, values.dtype, (values.size,))
    check_array(owner, "second", second, values.dtype, (values.size,))
    check_array(owner, "born_at", born_at, np.int64, (values.size,))
    m_scale, v_scale = _corrections(*betas, clock.bit_length())
    _correct_adam(values, first, second, born_at, clock, m_scale, v_scale, learning_rate, *betas, epsilon)


@functools.lru_cache(maxsize=8)
def _corrections(beta1: float, beta2: float, n_bits: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what Adam multiplies m and sqrt(v) with at every age that needs it; no age exceeds a clock of `n_bits`."""
    slowest = max(beta1, beta2)
    horizon = math.ceil(math.log(_SETTLED) / math.log(slowest)) if slowest > 0 else 1
    n_ages = max(1, min(horizon, 1 << n_bits))
    return _tabulated(beta1, n_ages, False), _tabulated(beta2, n_ages, True)


@functools.lru_cache(maxsize=8)  # of its own, for schedules that change beta1 at every step
def _tabulated(beta: float, n_ages: int, root: bool) -> NDArray[np.float64]:
    scale = np.ones(n_ages)
    _tabulate(beta, root, scale)
    return scale


@jit
def _tabulate(beta, root, scale):
    for age in range(1, scale.size):
        left = 1.0 - beta**age
        scale[age] = 1.0 / (math.sqrt(left) if root else left)


@jit(error_model="numpy")  # as in torch, a step of 0 / 0 is NaN
def _correct_adam(values, first, second, born_at, clock, m_scale, v_scale, learning_rate, beta1, beta2, epsilon):
    m_now = 1.0 / (1.0 - beta1**clock)
    v_now = 1.0 / math.sqrt(1.0 - beta2**clock)
    earliest = max(1, clock - m_scale.size + 1)
    young = np.empty(_BLOCK, np.int64)
    change = np.empty(_BLOCK)
    for start in range(0, values.size, _BLOCK):
        # The young first, without a branch: where they lie is unpredictable, and the rest is a loop for vectors.
        n = 0
        for k in range(start, min(start + _BLOCK, values.size)):
            young[np.uint64(n)] = k
            n += earliest <= born_at[k] < clock
        for i in range(n):
            k = young[i]
            age = np.uint64(clock - born_at[k])
            root = math.sqrt(second[k])
            made = m_now / (root * v_now + epsilon)
            due = m_scale[age] / (root * v_scale[age] + epsilon)
            change[i] = learning_rate * first[k] * (made - due)
        for i in range(n):
            values[young[i]] += change[i]


def crossed(values: NDArray[Any], signs: NDArray[np.int8]) -> tuple[NDArray[np.bool_], bool]:
    """Tell which synapses are not on the side of 0 that their sign gives them: ``sign * w <= 0``.

    Parameters
    ----------
    values : (K,) float32 or float64
    signs : (K,) int8, +1 or -1

    Returns
    -------
    mask : (K,) bool
        False where the value is NaN.
    nan : bool
        Whether any value is NaN.

    >>> crossed(np.array([0.5, 0.5, 0.0]), np.array([1, -1, 1], np.int8))[0].tolist()
    [False, True, True]
    """
    owner = "crossed"
    check_array(owner, "values", values, FLOATS, (None,))
    check_array(owner, "signs", signs, np.int8, (values.size,))
    mask = np.empty(values.size, np.bool_)
    return mask, bool(_crossed(values, signs, mask))


@jit
def _crossed(values, signs, mask):
    nan = False
    for k in range(values.size):
        w = values[k]
        mask[k] = w * signs[k] <= 0
        nan |= w != w
    return nan


def tally(steps: NDArray[np.int64], counts: NDArray[np.int64]) -> int:
    """Add to ``counts[i]`` how many of `steps` are in [2**i, 2**(i + 1)), and return the sum of `steps`.

    Parameters
    ----------
    steps : (n,) int64
        Below 1 counts as 1.
    counts : (n_bins,) int64
        Written to; the last one counts all that are larger, too.

    >>> counts = np.zeros(3, np.int64)
    >>> tally(np.array([0, 1, 3, 4, 100]), counts), counts.tolist()
    (108, [2, 1, 2])
    """
    owner = "tally"
    check_array(owner, "steps", steps, np.int64, (None,))
    check_array(owner, "counts", counts, np.int64, (None,), writable=True)
    return int(_tally(steps, counts))


@jit
def _tally(steps, counts):
    total = 0
    for n in steps:
        total += n
        i = 0
        while i + 1 < counts.size and n >= 2:
            n >>= 1
            i += 1
        counts[i] += 1
    return total
