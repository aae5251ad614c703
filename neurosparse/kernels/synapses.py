"""What rewiring does to arrays with one entry per synapse: move them with their synapses, correct Adam for their age.

One compiled pass each, because rewiring happens at every training step and its arrays are small: a few thousand
entries, for which ten calls into an array library cost more than the work.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import ValidationError
from neurosparse.kernels.checks import check_array
from neurosparse.kernels.jit import jit

__all__ = ["correct_adam", "moved"]

Number = TypeVar("Number", bound=np.generic)

# Beyond this age of a synapse both bias corrections of Adam are 1 to within 1e-4 and there is nothing to mend.
_SETTLED = 1e-4


def moved(array: NDArray[Number], source: NDArray[np.int64], newborn: float = 0) -> NDArray[Number]:
    """Return the per-synapse `array` in a new order.

    Parameters
    ----------
    array : (K,)
    source : (K',) int64
        For each new slot its old slot, or -1 for a newborn (`neurosparse.kernels.topology.merge_sites`).
    newborn : number
        Entry of the newborns.

    Returns
    -------
    (K',) of `array`'s type

    Raises
    ------
    ValidationError
        For an old slot outside `array`.

    Examples
    --------
    >>> import numpy as np
    >>> moved(np.array([10.0, 20.0]), np.array([1, -1, 0]), newborn=5).tolist()
    [20.0, 5.0, 10.0]
    """
    owner = "moved"
    check_array(owner, "array", array, (np.float32, np.float64, np.int64, np.int8), (None,))
    check_array(owner, "source", source, np.int64, (None,))
    result = np.empty(source.size, array.dtype)
    bad = _moved(array, source, array.dtype.type(newborn), result)
    if bad >= 0:
        raise ValidationError(f"{owner}.source: position {bad} is {source[bad]}, the array has {array.size} entries")
    return result


@jit
def _moved(array, source, newborn, result):
    for k in range(source.size):
        s = source[k]
        if s >= array.size:
            return k
        result[k] = array[s] if s >= 0 else newborn
    return -1


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
    check_array(owner, "values", values, (np.float32, np.float64), (None,), writable=True)
    check_array(owner, "first", first, values.dtype, (values.size,))
    check_array(owner, "second", second, values.dtype, (values.size,))
    check_array(owner, "born_at", born_at, np.int64, (values.size,))
    slowest = max(betas)
    horizon = math.ceil(math.log(_SETTLED) / math.log(slowest)) if slowest > 0 else 1
    _correct_adam(values, first, second, born_at, clock, horizon, learning_rate, *betas, epsilon)


@jit
def _correct_adam(values, first, second, born_at, clock, horizon, learning_rate, beta1, beta2, epsilon):
    oldest = 0
    for k in range(values.size):
        age = clock - born_at[k]
        if born_at[k] > 0 and oldest < age < horizon:
            oldest = age
    if oldest == 0:
        return
    # both corrections for every age at once: a power for each synapse would cost more than all the rest
    m_scale, v_scale = np.empty(oldest + 1), np.empty(oldest + 1)
    for age in range(1, oldest + 1):
        m_scale[age] = 1.0 / (1.0 - beta1**age)
        v_scale[age] = 1.0 / math.sqrt(1.0 - beta2**age)
    m_now = 1.0 / (1.0 - beta1**clock)
    v_now = 1.0 / math.sqrt(1.0 - beta2**clock)
    for k in range(values.size):
        age = clock - born_at[k]
        if born_at[k] > 0 and 0 < age < horizon:
            root = math.sqrt(second[k])
            made = m_now / (root * v_now + epsilon)
            due = m_scale[age] / (root * v_scale[age] + epsilon)
            values[k] += learning_rate * first[k] * (made - due)
