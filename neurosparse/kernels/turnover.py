"""Deaths and births in a sparse projection, and what they do to every array with one entry per synapse.

The live synapses are sorted (`neurosparse.kernels.topology`), so a turnover is two short lists: the old slots of the
dead and the new slots of the newborns. Between them lie runs of survivors, which move as they are. Nothing of size K
says who went where; an array of K entries is read once and written once, a run at a time.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.errors import ValidationError
from neurosparse.kernels.checks import check_array
from neurosparse.kernels.jit import jit
from neurosparse.kernels.topology import order_message

__all__ = ["Turnover", "slots_of"]

Number = TypeVar("Number", bound=np.generic)

_OK, _DEAD_ORDER, _DEAD_RANGE, _BORN_ORDER, _COLLISION = 0, 1, 2, 3, 4
_NOBODY = np.zeros(0, np.int64)


class Turnover:
    """One change of the live synapses of a projection; `moved` takes any per-synapse array along.

    Parameters
    ----------
    live : (K,) int64, strictly increasing
        Site keys of the live synapses. Trusted to be sorted, because checking it would cost more than all the rest;
        of others the result is nonsense, but nothing is written outside an array.
    dead : (D,) int64, strictly increasing, in [0, K)
        Slots of the synapses that die (`slots_of` a mask).
    born : (G,) int64, strictly increasing
        Site keys of the newborn synapses. None may be a survivor's; the site of one that dies now is allowed.

    Attributes
    ----------
    dead : (D,) int64
    born : (G,) int64, strictly increasing, in [0, K - D + G)
        New slots of the newborns.

    Raises
    ------
    ValidationError
        For slots or keys out of order or range, or a birth where a synapse lives.

    Examples
    --------
    >>> import numpy as np
    >>> live = np.array([1, 4, 7])
    >>> change = Turnover(live, np.array([1]), np.array([2, 9]))
    >>> change.moved(live, newborn=np.array([2, 9])).tolist(), change.moved(np.array([0.1, 0.4, 0.7])).tolist()
    ([1, 2, 7, 9], [0.1, 0.0, 0.7, 0.0])
    """

    __slots__ = ("_n_live", "born", "dead")

    def __init__(self, live: NDArray[np.int64], dead: NDArray[np.int64], born: NDArray[np.int64]) -> None:
        owner = "Turnover"
        check_array(owner, "live", live, np.int64, (None,))
        check_array(owner, "dead", dead, np.int64, (None,))
        check_array(owner, "born", born, np.int64, (None,))
        self._n_live, self.dead, self.born = live.size, dead, np.empty(born.size, np.int64)
        status, where = _new_slots(live, dead, born, self.born)
        if status == _DEAD_RANGE:
            raise ValidationError(
                f"{owner}.dead: position {where} is slot {dead[where]}, there are {live.size} live synapses"
            )
        if status == _DEAD_ORDER:
            raise ValidationError(order_message(owner, "dead", dead, where))
        if status == _BORN_ORDER:
            raise ValidationError(order_message(owner, "born", born, where))
        if status == _COLLISION:
            raise ValidationError(
                f"{owner}.born: site {born[where]} (position {where}) is the site of a surviving synapse, "
                "births would have to be on dormant sites"
            )

    def moved(self, array: NDArray[Number], newborn: ArrayLike | None = None) -> NDArray[Number]:
        """Return the per-synapse `array` (K,) as it is afterwards, (K - D + G,).

        `newborn` is what the newborns get: one number for all, or (G,) in the order of their sites; 0 if None.
        """
        result = self._moved(array, self.born)
        if newborn is not None:
            result[self.born] = newborn
        return result

    def survivors(self, array: NDArray[Number]) -> NDArray[Number]:
        """Return the entries of the survivors in the per-synapse `array` (K,), shape (K - D,)."""
        return self._moved(array, _NOBODY)

    def _moved(self, array: NDArray[Number], born: NDArray[np.int64]) -> NDArray[Number]:
        check_array("moved", "array", array, (np.float32, np.float64, np.int64, np.int32, np.int8), (self._n_live,))
        result = np.empty(self._n_live - self.dead.size + born.size, array.dtype)
        _move(array, self.dead, born, result)
        return result


@jit
def _new_slots(live, dead, born, slots):
    previous = np.int64(-1)
    for d in range(dead.size):
        if dead[d] < 0 or dead[d] >= live.size:
            return _DEAD_RANGE, d
        if dead[d] <= previous:
            return _DEAD_ORDER, d
        previous = dead[d]
    previous = np.int64(-1)
    low = 0  # live sites before it are before all births still to come
    d = 0
    for b in range(born.size):
        site = born[b]
        if site <= previous:
            return _BORN_ORDER, b
        previous = site
        # Strides that double, then halving: births far apart cost a logarithm, dense ones a step each.
        stride, high = 1, low
        while high < live.size and live[high] < site:
            low = high + 1
            high += stride
            stride *= 2
        high = min(high, live.size)
        while low < high:
            middle = (low + high) >> 1
            if live[middle] < site:
                low = middle + 1
            else:
                high = middle
        while d < dead.size and dead[d] < low:
            d += 1
        if low < live.size and live[low] == site and not (d < dead.size and dead[d] == low):
            return _COLLISION, b
        slots[b] = low - d + b
    return _OK, 0


@jit
def _move(array, dead, born, result):
    # The number of survivors is the same on both sides, so the last run ends where both arrays do.
    old, new, d, b = 0, 0, 0, 0
    while True:
        death = dead[d] if d < dead.size else array.size
        birth = born[b] if b < born.size else result.size
        run = min(death - old, birth - new)
        before, after = array[old : old + run], result[new : new + run]  # views: one check a run, then a plain copy
        for k in range(before.size):
            after[k] = before[k]
        old += run
        new += run
        if d < dead.size and old == death:
            old += 1
            d += 1
        elif b < born.size and new == birth:
            result[new] = 0
            new += 1
            b += 1
        else:
            return


def slots_of(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return where `mask` (K,) is true, increasing: `numpy.flatnonzero`, for masks that are seldom true.

    >>> slots_of(np.array([False, True, True])).tolist()
    [1, 2]
    """
    check_array("slots_of", "mask", mask, np.bool_, (None,))
    slots = np.empty(int(np.count_nonzero(mask)), np.int64)
    _slots_of(mask, slots)
    return slots


@jit
def _slots_of(mask, slots):
    n = 0
    words = mask[: mask.size // 8 * 8].view(np.uint64)  # most hold nobody
    for w in range(words.size):
        if words[w]:
            for k in range(8 * w, 8 * w + 8):
                if mask[k]:
                    slots[n] = k
                    n += 1
    for k in range(8 * words.size, mask.size):
        if mask[k]:
            slots[n] = k
            n += 1
