"""How many sites have ever held a synapse, sketched in memory that grows with the synapses and not with the sites.

A rewired layer of K synapses wanders through its N possible sites; to know how many it has tried, one bit per site
would be a dense matrix. Where N is at most 32 K that is no more than the layer holds anyway, and the count is exact.
Above, a site is hashed to a bit of a *multiresolution bitmap* (C. Estan, G. Varghese, M. Fisk, *Bitmap algorithms for
counting active flows on high-speed links*, IEEE/ACM Transactions on Networking 14(5), 2006): level i takes every
2**-(i+1) of the sites, the last level what is left, each with b bits of its own, and counts those it has seen from the
share of bits that are still 0 (*linear counting*: K.-Y. Whang, B. T. Vander-Zanden, H. M. Taylor, ACM Transactions on
Database Systems 15(2), 1990)::

    n_i = -b * ln(zeros_i / b),    n = 2**base * (n_base + n_(base+1) + ...)

where `base` is the first level that is not too full to be read.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import ValidationError
from neurosparse.kernels.hashing import hash_sites

__all__ = ["VisitedSites"]

_EXACT_BITS = 32  # per synapse: four bytes, half of what the rewirer keeps to know when a synapse was born
_LEVEL_BITS = 8  # per synapse and level
_LEAST_BITS = 4096  # of a level, so that a layer of a few synapses is not counted by a few bits
_LAST_LOAD = 3.0  # sites per bit of the last level if all N have been visited
_MOST_LOAD = 4.0  # a level with more sites per bit than that has so few zeros left that they say little


class VisitedSites:
    """The set of sites visited so far, as far as its size is concerned.

    Parameters
    ----------
    n_sites : int
        Possible sites, N.
    n_synapses : int
        K, to which the memory is proportional: 4 bytes per synapse where N <= 32 K, else 1 byte per synapse and level,
        on ``1 + log2(N / (24 K))`` levels (4 at a density of 1 %, 7 at 0.1 %).
    seed, name : int
        Which hash; other layers have another one.

    Examples
    --------
    >>> import numpy as np
    >>> visited = VisitedSites(100, 10)
    >>> visited.add(np.array([3, 7, 50]))
    >>> visited.add(np.array([7, 8]))
    >>> visited.count()
    (4.0, 0.0)
    """

    def __init__(self, n_sites: int, n_synapses: int, *, seed: int = 0, name: int = 0) -> None:
        self.n_sites, self.seed, self.name = n_sites, seed, name
        per_level, n_levels = -(-n_sites // 8), 1
        if n_sites > max(_EXACT_BITS * n_synapses, _LEAST_BITS):
            per_level = -(-max(_LEVEL_BITS * n_synapses, _LEAST_BITS) // 8)
            n_levels = 1 + max(0, math.ceil(math.log2(n_sites / (_LAST_LOAD * 8 * per_level))))
        self._bits = np.zeros((n_levels, per_level), np.uint8)
        self._waiting: list[NDArray[np.int64]] = []
        self._n_waiting = 0

    @property
    def exact(self) -> bool:
        """Whether every site has a bit of its own."""
        return self._bits.shape[0] == 1 and 8 * self._bits.shape[1] >= self.n_sites

    def add(self, sites: NDArray[np.int64]) -> None:
        """Count `sites` (any number of keys in [0, N), in any order) as visited."""
        self._waiting.append(sites)
        self._n_waiting += sites.size
        # a few births at a time are not worth a pass over all bits: they wait until there are about K / 2 of them
        if 8 * self._n_waiting >= self._bits.size:
            self._flush()

    def count(self) -> tuple[float, float]:
        """Return the estimated number of distinct sites visited and its standard error; 0.0 where it is exact.

        The error is that of thinning by the levels below `base` (a binomial) plus that of linear counting (Whang et
        al., equation 8), ``n (2**base - 1) + 4**base * sum_i b (exp(l_i) - l_i - 1)`` with loads ``l_i = n_i / b``.
        """
        self._flush()
        b = 8 * self._bits.shape[1]
        ones = np.unpackbits(self._bits, axis=1).sum(axis=1, dtype=np.int64)
        if self.exact:
            return float(ones[0]), 0.0
        # a level without a zero has been visited by more than it can tell: half a zero, so that the logarithm is finite
        loads = -np.log(np.maximum(b - ones, 0.5) / b)
        readable = np.flatnonzero(loads <= _MOST_LOAD)
        base = int(readable[0]) if readable.size else loads.size - 1
        estimate = 2.0**base * b * float(loads[base:].sum())
        collisions = 4.0**base * b * float((np.exp(loads[base:]) - loads[base:] - 1).sum())
        error = math.sqrt(estimate * (2.0**base - 1) + collisions)
        return min(estimate, float(self.n_sites)), error

    def state(self) -> NDArray[np.uint8]:
        """Return the bits (level, bytes), all that `restored` needs; a copy."""
        self._flush()
        return self._bits.copy()

    def restored(self, bits: NDArray[np.uint8]) -> VisitedSites:
        """Return the set that `state` was taken from, of this layer; `ValidationError` if it cannot be one of it."""
        if bits.dtype != np.uint8 or bits.ndim != 2 or not bits.size or bits.shape[0] > 64:
            raise ValidationError(
                f"visited sites: must be bytes of shape (levels, bytes), got {bits.dtype} of shape {bits.shape}"
            )
        if bits.shape[1] > max(-(-self.n_sites // 8), _LEAST_BITS // 8):
            raise ValidationError(
                f"visited sites: {bits.shape[1]} bytes a level are more than {self.n_sites} sites can need"
            )
        other = VisitedSites(self.n_sites, 0, seed=self.seed, name=self.name)
        other._bits = np.array(bits)
        return other

    def _flush(self) -> None:
        if not self._n_waiting:
            return
        places = self._places(np.concatenate(self._waiting))
        self._waiting, self._n_waiting = [], 0
        unpacked = np.unpackbits(self._bits)
        unpacked[places] = 1
        self._bits = np.packbits(unpacked).reshape(self._bits.shape)

    def _places(self, sites: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the position of the bit of each site, over all levels."""
        if self.exact:
            return sites
        n_levels, b = self._bits.shape[0], np.uint64(8 * self._bits.shape[1])
        hashed = hash_sites(sites, self.seed, "visited", self.name)
        places = (hashed >> np.uint64(20)) % b  # the levels use other bits than the places on them
        for level in range(1, n_levels):
            places += np.where(hashed & np.uint64(2**level - 1), np.uint64(0), b)
        return places.astype(np.int64)
