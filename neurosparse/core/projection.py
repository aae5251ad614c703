"""`Projection`: the sparse weights between two populations, in CSR with one row per target neuron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from neurosparse.errors import ValidationError

__all__ = ["MAX_DELAY", "Projection", "Synapses"]

MAX_DELAY = 2**16 - 1
"""Longest delay in steps; a chip's own limit (62 on Loihi 2) is checked at deployment."""


class Synapses:
    """The nouns of sparse weights in CSR. Subclasses are frozen dataclasses with these fields."""

    source: str
    target: str
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    weights: NDArray[Any]
    n_source: int
    delay: int

    @property
    def shape(self) -> tuple[int, int]:
        """(n_target, n_source)."""
        return self.indptr.size - 1, self.n_source

    @property
    def n_synapses(self) -> int:
        """Number of live synapses K."""
        return self.weights.size

    @property
    def density(self) -> float:
        """Live synapses / possible synapses."""
        return self.n_synapses / (self.shape[0] * self.shape[1])

    @property
    def rows(self) -> NDArray[np.int32]:
        """Target neuron of each synapse, shape (K,)."""
        return np.repeat(np.arange(self.shape[0], dtype=np.int32), np.diff(self.indptr))

    def __repr__(self) -> str:
        synapses = f"{self.n_synapses:,}".replace(",", " ")
        delay = f", delay {self.delay}" if self.delay else ""
        return f"{type(self).__name__}({self.source}->{self.target}, {self.shape}, {synapses} synapses{delay})"

    def to_scipy(self) -> sp.csr_array:
        """Return the weights as a `scipy.sparse.csr_array` of shape (n_target, n_source), a copy."""
        return sp.csr_array((self.weights.copy(), self.indices.copy(), self.indptr.copy()), shape=self.shape)

    def _check_structure(self, dtypes: tuple[Any, ...]) -> None:
        """Check every field that subclasses share and replace the arrays by read-only copies."""
        for end, name in (("source", self.source), ("target", self.target)):
            if not isinstance(name, str):
                raise ValidationError(f"{type(self).__name__}.{end}: must be the name of a population, got {name!r}")
        label = f"Projection {self.source}->{self.target}"
        if isinstance(self.n_source, bool) or not isinstance(self.n_source, (int, np.integer)):
            raise ValidationError(f"{label}.n_source: must be an integer, got {self.n_source!r}")
        if not 1 <= self.n_source < 2**31:
            raise ValidationError(f"{label}.n_source: must lie in [1, 2**31), got {self.n_source}")
        delay = self.delay
        if isinstance(delay, bool) or not isinstance(delay, (int, np.integer)) or not 0 <= delay <= MAX_DELAY:
            raise ValidationError(f"{label}.delay: must be a whole number of steps in [0, {MAX_DELAY}], got {delay!r}")
        if self.source == self.target and delay == 0:
            raise ValidationError(f"{label}.delay: a recurrent projection needs a delay >= 1 step, got 0")
        indptr, indices, weights = np.asarray(self.indptr), np.asarray(self.indices), np.asarray(self.weights)
        if weights.dtype not in dtypes:
            expected = " or ".join(np.dtype(dtype).name for dtype in dtypes)
            raise ValidationError(f"{label}.weights: must be {expected}, got {weights.dtype}")
        for name, array in (("indptr", indptr), ("indices", indices), ("weights", weights)):
            if array.ndim != 1:
                raise ValidationError(f"{label}.{name}: must be one-dimensional, got shape {array.shape}")
        for name, array in (("indptr", indptr), ("indices", indices)):
            if array.dtype.kind not in "iu":
                raise ValidationError(f"{label}.{name}: must be integers, got {array.dtype}")
        _check_csr(label, indptr, indices, weights, int(self.n_source))
        for name, array in (
            ("indptr", indptr.astype(np.int64)),
            ("indices", indices.astype(np.int32)),
            ("weights", weights.copy()),
        ):  # copies, so that no caller can change what was checked here
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "n_source", int(self.n_source))
        object.__setattr__(self, "delay", int(delay))


@dataclass(frozen=True, eq=False, repr=False)
class Projection(Synapses):
    """Sparse weights from `source` to `target`.

    Parameters
    ----------
    source, target : str
        Names of populations; ``"input"`` is the network's input.
    indptr : int array, shape (n_target + 1,)
        Row pointers: the synapses of target neuron i are ``indptr[i]:indptr[i + 1]``.
    indices : int array, shape (K,)
        Source neuron of each synapse, strictly increasing within a row.
    weights : float32 or float64 array, shape (K,)
        May be 0: a synapse is a synapse by being in the index.
    n_source : int
        Number of source neurons.
    delay : int
        Steps between the spike and its effect. 0 is the same step (a feed-forward hop of `snntorch`), 1 the next.
    """

    source: str
    target: str
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    weights: NDArray[Any]
    n_source: int
    delay: int = 0

    def __post_init__(self) -> None:
        self._check_structure((np.float32, np.float64))

    @classmethod
    def from_scipy(cls, source: str, target: str, matrix: Any, *, delay: int = 0) -> Projection:
        """Build from a scipy sparse matrix of shape (n_target, n_source).

        Explicit zeros stay synapses; duplicate entries, which scipy would add up, are refused.
        """
        shape = np.shape(matrix)
        if len(shape) != 2:  # before scipy, which makes matrices of vectors in some versions and of numbers in all
            raise ValidationError(
                f"Projection {source}->{target}: weights must be (n_target, n_source), got shape {shape}"
            )
        coo = sp.coo_array(matrix)
        order = np.lexsort((coo.col, coo.row))
        indptr = np.zeros(coo.shape[0] + 1, np.int64)
        np.cumsum(np.bincount(coo.row, minlength=coo.shape[0]), out=indptr[1:])
        return cls(source, target, indptr, coo.col[order], coo.data[order], coo.shape[1], delay)

    @classmethod
    def from_dense(cls, source: str, target: str, matrix: ArrayLike, *, delay: int = 0) -> Projection:
        """Build from a dense array of shape (n_target, n_source); zeros are no synapses."""
        return cls.from_scipy(source, target, np.asarray(matrix), delay=delay)


def _check_csr(label: str, indptr: NDArray[Any], indices: NDArray[Any], weights: NDArray[Any], n_source: int) -> None:
    if not 2 <= indptr.size <= 2**31:
        raise ValidationError(f"{label}.indptr: needs n_target + 1 >= 2 row pointers, got {indptr.size}")
    if indices.size != weights.size:
        raise ValidationError(
            f"{label}.weights: needs one weight per index, got {weights.size} weights and {indices.size} indices"
        )
    if indptr[0] != 0 or indptr[-1] != indices.size:
        raise ValidationError(
            f"{label}.indptr: must run from 0 to the number of synapses, {indices.size}, "
            f"got {indptr[0]} to {indptr[-1]}"
        )
    falls = np.flatnonzero(indptr[1:] < indptr[:-1])
    if falls.size:
        raise ValidationError(f"{label}.indptr: must not decrease, it does in row {falls[0]}")
    if indices.size:
        low, high = int(indices.min()), int(indices.max())
        if low < 0 or high >= n_source:
            raise ValidationError(f"{label}.indices: must lie in [0, {n_source}), got {low if low < 0 else high}")
        steps = np.diff(indices.astype(np.int64))
        starts = indptr[1:-1]
        steps[starts[(starts > 0) & (starts < indices.size)] - 1] = 1  # a new row may start anywhere
        if (steps <= 0).any():
            k = int(np.flatnonzero(steps <= 0)[0])
            row = int(np.searchsorted(indptr, k, side="right")) - 1
            what = "a duplicate synapse" if steps[k] == 0 else "unsorted indices"
            raise ValidationError(
                f"{label}.indices: {what} in row {row}, {indices[k]} then {indices[k + 1]}; "
                "indices must increase within a row"
            )
    if not np.isfinite(weights).all():
        k = int(np.flatnonzero(~np.isfinite(weights))[0])
        raise ValidationError(f"{label}.weights: must be finite, got {weights[k]} at synapse {k}")
