"""The synapses of all projections in the orders in which the compiled simulator walks through them; NumPy only.

*By source* (CSC), for spikes as events. *By target*, in groups of `GROUP` targets that have about as many synapses: a
group's first synapses stand side by side, then its second ones, and so on, so that one loop serves all its targets,
whose sums do not wait for each other. Within a target, sources ascend, as in the reference. What a shorter row
lacks is filled up with weights 0, which add nothing: rows are sorted by length, so there is little to fill.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.projection import Projection

__all__ = ["GROUP", "SEGMENT", "SynapseTables", "by_source", "by_target", "split_weights"]

GROUP = 4
"""Targets in a group: four times two words are eight sums in registers, enough to hide the latency of an addition."""
SEGMENT = 256
"""Targets among which groups are made: their currents of a span, 32 KiB, are still in the cache for their update."""

_LARGEST = np.iinfo(np.int16).max


def by_source(p: Projection, scale: int) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any]]:
    """Return pointers per source, targets times `scale`, and weights."""
    order = np.argsort(p.indices, kind="stable")  # rows ascend within a source, as they do within the index
    indptr = np.zeros(p.n_source + 1, np.int64)
    np.cumsum(np.bincount(p.indices, minlength=p.n_source), out=indptr[1:])
    return indptr, p.rows[order] * np.int32(scale), p.weights[order]


class Groups(NamedTuple):
    """Synapses by target.

    Parameters
    ----------
    starts : (n_groups + 1,) int64
        First entry of a group; entries come in `GROUP`s, one per target.
    members : (n_groups * GROUP,) int32
        The targets; beyond the last real one, positions of the padding.
    sources : int32
        Of every entry; 0 where there is no synapse.
    synapses : int64
        Position in the projection's index of every entry; -1 where there is none.
    """

    starts: NDArray[np.int64]
    members: NDArray[np.int32]
    sources: NDArray[np.int32]
    synapses: NDArray[np.int64]

    def ordered(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return what belongs to the projection's synapses, one row each, in this order; 0 where there is none."""
        return np.concatenate([values, np.zeros_like(values, shape=(1, *values.shape[1:]))])[self.synapses]


def by_target(p: Projection) -> Groups:
    """Sort the targets of every segment by their number of synapses, most first, and group them."""
    n = p.shape[0]
    lengths = np.diff(p.indptr)
    order = np.lexsort((-lengths, np.arange(n) // SEGMENT))
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n)
    starts = np.append(0, np.cumsum(lengths[order[::GROUP]])) * GROUP
    first_entry = starts[rank // GROUP] + rank % GROUP
    entries = np.repeat(first_entry - GROUP * p.indptr[:-1], lengths) + GROUP * np.arange(p.n_synapses)
    synapses = np.full(starts[-1], -1, np.int64)
    synapses[entries] = np.arange(p.n_synapses)
    sources = np.zeros(starts[-1], np.int32)
    sources[entries] = p.indices
    members = np.append(order, np.arange(n, -(-n // GROUP) * GROUP)).astype(np.int32)
    return Groups(starts, members, sources, synapses)


_NO_GROUPS = Groups(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int64))


class Split(NamedTuple):
    """Weights on a grid as two 16-bit integers: ``(low + (high << shift)) * 2**-q``.

    Parameters
    ----------
    shift : int
    chunk : int
        Of so many synapses of a target, both sums fit 16 bits.
    halves : (n_synapses, 2) uint32
        Low and high part of each weight, each twice: a 32-bit load fills all lanes of a vector of 16-bit integers.
    """

    shift: int
    chunk: int
    halves: NDArray[np.uint32]


def split_weights(p: Projection, q: int) -> Split | None:
    """Split the weights of a projection on the grid 2**-q; None where a sum could exceed 24 bits.

    The low part is the remainder nearest to 0, at most ``2**(shift - 1)`` in size. Then the high parts of a target are
    in sum at most ``(sum of |weights|) / 2**shift`` and a half for each synapse.
    """
    if not p.n_synapses:
        return None
    units = (p.weights.astype(np.float64) * 2.0**q).astype(np.int64)
    largest = np.bincount(p.rows, np.abs(units).astype(np.float64)).max()
    for shift in (9, 10):
        chunk = _LARGEST >> (shift - 1)
        if largest / 2**shift + chunk / 2 <= _LARGEST:
            half = 1 << (shift - 1)
            low = ((units + half) & (2 * half - 1)) - half
            parts = np.stack([low, (units - low) >> shift], axis=1)
            return Split(shift, chunk, (parts & 0xFFFF).astype(np.uint32) * np.uint32(0x10001))
    return None


class SynapseTables:
    """All projections' synapses in both orders, one projection after the other."""

    def __init__(self, dtype: np.dtype[Any], *, split: bool) -> None:
        self._dtype, self._split = dtype, split
        self._groups = _Stack(np.dtype(np.int32), dtype)
        self._columns = _Stack(np.dtype(np.int32), dtype)
        self._members = [np.zeros(0, np.int32)]
        self._halves = [np.zeros((0, 2), np.uint32)]
        self._scales: list[float] = []

    def add(self, p: Projection, *, scale: int, grouped: bool, exponent: int | None) -> dict[str, int]:
        """Append a projection.

        Parameters
        ----------
        p : Projection
        scale : int
            What targets are multiplied by in the order by source.
        grouped : bool
            Whether the order by target will be used.
        exponent : int, optional
            Of the weights' grid, if they may be split.

        Returns
        -------
        dict
            Where it is: the fields of `neurosparse.kernels.simulation_plan.Proj` of these names.
        """
        groups = by_target(p) if grouped else _NO_GROUPS
        parts = split_weights(p, exponent) if self._split and exponent is not None else None
        if self._split:
            halves = np.zeros((p.n_synapses, 2), np.uint32) if parts is None else parts.halves
            self._halves.append(groups.ordered(halves))
            self._scales.append(1.0 if exponent is None else 0.5**exponent)
        place = {
            "member_at": sum(part.size for part in self._members),
            "n_groups": groups.starts.size - 1,
            "group_at": self._groups.add(groups.starts, groups.sources, groups.ordered(p.weights)),
            "column_at": self._columns.add(*by_source(p, scale)),
            "shift": 0 if parts is None else parts.shift,
            "chunk": 0 if parts is None else parts.chunk,
            "scale_at": len(self._scales) - 1,
        }
        self._members.append(groups.members)
        return place

    def joined(self) -> tuple[NDArray[Any], ...]:
        """Return the fields of `neurosparse.kernels.simulation_plan.Layout` that hold synapses, in their order."""
        groups, sources, weights = self._groups.joined()
        members, halves = np.concatenate(self._members), np.concatenate(self._halves).reshape(-1)
        return groups, members, sources, weights, halves, np.array(self._scales, self._dtype), *self._columns.joined()


class _Stack:
    """Lists of two columns put one behind the other, their pointers counting from the start of the first one."""

    def __init__(self, *dtypes: np.dtype[Any]) -> None:
        self._pointers: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        self._columns: list[tuple[NDArray[Any], ...]] = [tuple(np.zeros(0, dtype) for dtype in dtypes)]
        self._n_pointers = self._n_entries = 0

    def add(self, pointers: NDArray[np.int64], *columns: NDArray[Any]) -> int:
        """Append one; return the position of its first pointer."""
        at = self._n_pointers
        self._pointers.append(pointers + self._n_entries)
        self._columns.append(columns)
        self._n_pointers += pointers.size
        self._n_entries += columns[0].size
        return at

    def joined(self) -> tuple[NDArray[Any], ...]:
        """Return all pointers, and each column as one array."""
        return np.concatenate(self._pointers), *map(np.concatenate, zip(*self._columns, strict=True))
