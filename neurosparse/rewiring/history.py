"""What became of a layer's synapses: how long they lived, how old the living are, how many sites they have tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import ValidationError
from neurosparse.kernels.synapses import tally
from neurosparse.rewiring.visited import VisitedSites

__all__ = ["History", "LayerHistory"]

_BINS = 48  # lifetimes up to 2**48 optimizer steps


@dataclass(frozen=True)
class LayerHistory:
    """The history of one layer so far; ages and lifetimes in optimizer steps.

    Parameters
    ----------
    n_sites : int
        Possible synapses.
    visited, visited_error : float
        How many sites have ever held a synapse, and the standard error of that; 0 where it is exact.
    deaths : int
    mean_lifetime : float or None
        Of the synapses that died.
    lifetimes, ages : tuple of int
        How many of the dead lived, and how many of the living have lived, 2**i to 2**(i + 1) - 1 steps (the first
        entry: one step or less). Zeros at the end are left out.
    """

    n_sites: int
    visited: float
    visited_error: float
    deaths: int
    mean_lifetime: float | None
    lifetimes: tuple[int, ...]
    ages: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the plain content, ready for JSON."""
        return {**asdict(self), "lifetimes": list(self.lifetimes), "ages": list(self.ages)}


class History:
    """Follows the births and deaths of one layer in O(K) memory, and a few numbers per birth and death.

    Parameters
    ----------
    sites : int64 (K,)
        The synapses at the start; they count as visited.
    n_sites : int
    seed, name : int
        Of the rewirer, and of the layer in it.
    """

    def __init__(self, sites: NDArray[np.int64], n_sites: int, *, seed: int, name: int) -> None:
        self.visited = VisitedSites(n_sites, sites.size, seed=seed, name=name)
        self.visited.add(sites)
        self._lifetimes = np.zeros(_BINS, np.int64)
        self._total = 0

    def record(self, lived: NDArray[np.int64], born: NDArray[np.int64]) -> None:
        """Add deaths, by how many steps each of the dead lived, and births, by their sites."""
        self._total += tally(lived, self._lifetimes)
        self.visited.add(born)

    def now(self, ages: NDArray[np.int64]) -> LayerHistory:
        """Return the history so far; `ages` of the living, in steps."""
        visited, error = self.visited.count()
        deaths = int(self._lifetimes.sum())
        in_powers = np.zeros(_BINS, np.int64)
        tally(ages, in_powers)
        return LayerHistory(
            self.visited.n_sites,
            visited,
            error,
            deaths,
            self._total / deaths if deaths else None,
            _without_end(self._lifetimes),
            _without_end(in_powers),
        )

    def meta(self) -> dict[str, Any]:
        """Return what `restored` needs beside the bits of `visited`, ready for JSON."""
        return {"lifetimes": list(_without_end(self._lifetimes)), "total": self._total}

    def restored(self, meta: Mapping[str, Any], bits: NDArray[np.uint8]) -> History:
        """Return the history that `meta` and the bits of `visited` were taken from; this one stays as it is.

        Raises `ValidationError` for what is none of this layer's.
        """
        lifetimes, total = meta["lifetimes"], meta["total"]
        if not (
            isinstance(lifetimes, list) and len(lifetimes) <= _BINS and all(_is_count(n) for n in [*lifetimes, total])
        ):
            raise ValidationError(
                f"history: must be at most {_BINS} numbers of deaths and the sum of their lifetimes, got {meta!r:.200}"
            )
        other = object.__new__(History)
        other.visited = self.visited.restored(bits)
        other._lifetimes = np.array([*lifetimes, *[0] * (_BINS - len(lifetimes))], np.int64)
        other._total = total
        return other


def _without_end(counts: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(n) for n in np.trim_zeros(counts, "b"))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62
