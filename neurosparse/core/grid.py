"""The exact grid: why every engine can give the same bits.

If all weights and biases into a population are multiples of 2**-q, and for every neuron ``sum |w| + |b| <= 2**(p - q)`` with p the
significand bits of the float type (24 or 53), then every partial sum, in any order, with or without FMA, is exactly representable:
matrix products, event-driven sums and atomic additions all give the same bits. Graded inputs carry 8 more fractional bits, which
the condition counts.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import ValidationError

if TYPE_CHECKING:
    from neurosparse.core.network import Network

__all__ = ["GridReport", "MIN_EXPONENT", "check_grid", "cast", "snap_to_grid"]

MIN_EXPONENT = 12
"""Coarsest grid accepted, 2**-12; below it the rounding of weights would be felt."""

_SIGNIFICAND_BITS = {np.dtype(np.float32): 24, np.dtype(np.float64): 53}
# The finest grid used: for float32 the finest that can hold; for float64 a change of 1e-9, which leaves room for any row sum.
_MAX_EXPONENT = {np.dtype(np.float32): 24, np.dtype(np.float64): 30}
_PAYLOAD_BITS = 8


@dataclass(frozen=True)
class GridReport:
    """What `snap_to_grid` did: exponent q per population and the largest change of any weight or bias."""

    exponents: dict[str, int]
    largest_change: float
    dtype: str

    def __str__(self) -> str:
        grids = ", ".join(f"{name} 2^-{q}" for name, q in self.exponents.items())
        return f"exact grid ({self.dtype}): {grids}; largest change {self.largest_change:.2g}"


def cast(network: Network, dtype: Any) -> Network:
    """Return `network` in another float type, without a grid."""
    return dataclasses.replace(
        network,
        populations=[
            dataclasses.replace(p, neuron=p.neuron.broadcast(p.n, np.dtype(dtype))) for p in network.populations
        ],
        projections=[dataclasses.replace(p, weights=p.weights.astype(dtype)) for p in network.projections],
        grid=None,
    )


def snap_to_grid(network: Network) -> tuple[Network, GridReport]:
    """Return `network` with weights and biases rounded to the finest grid on which its sums are exact, and what that changed.

    Rounding is to the nearest; synapses that round to 0 stay in the index. Raises `ValidationError` where even 2**-12 is too fine
    for the row sums (float32 only: float64 has room for 2**-30 and row sums to 8 million).
    """
    if network.input.kind == "analog":
        raise ValidationError("Network.input: analog inputs lie on no grid; use kind='graded' or 'spikes', or exact=False")
    exponents: dict[str, int] = {}
    change = 0.0
    populations, rounded = [], {}
    for population in network.populations:
        incoming = network.projections_into(population.name)
        q = _largest_exponent(network, population.name)
        exponents[population.name] = q
        bias = _round(population.neuron.bias, q)
        change = max(change, float(np.abs(bias - population.neuron.bias).max(initial=0.0)))
        populations.append(dataclasses.replace(population, neuron=dataclasses.replace(population.neuron, bias=bias)))
        for projection in incoming:
            weights = _round(projection.weights, q)
            change = max(change, float(np.abs(weights - projection.weights).max(initial=0.0)))
            rounded[id(projection)] = dataclasses.replace(projection, weights=weights)
    snapped = dataclasses.replace(
        network, populations=populations, projections=[rounded[id(p)] for p in network.projections], grid=exponents
    )
    return snapped, GridReport(exponents, change, str(network.dtype))


def check_grid(network: Network) -> None:
    """Raise `ValidationError` unless ``network.grid`` is true of every population."""
    grid = network.grid or {}
    names = [p.name for p in network.populations]
    if sorted(grid) != sorted(names) or not all(isinstance(q, int) and 0 <= q <= 60 for q in grid.values()):
        raise ValidationError(f"Network.grid: needs one exponent in [0, 60] for each of {', '.join(names)}, got {dict(grid)}")
    if network.input.kind == "analog":
        raise ValidationError("Network.grid: analog inputs lie on no grid; grid must be None")
    for name in names:
        q = grid[name]
        values = [network[name].neuron.bias, *(p.weights for p in network.projections_into(name))]
        if not all(np.array_equal(_round(v, q), v) for v in values):
            raise ValidationError(f"Network.grid: a weight or bias into {name!r} is no multiple of 2**-{q}")
        if not _holds(network, name, q, lambda v: v):
            raise ValidationError(f"Network.grid: the row sums into {name!r} are too large for exact sums at 2**-{q}")


def _largest_exponent(network: Network, name: str) -> int:
    finest = _MAX_EXPONENT[network.dtype]
    for q in range(finest, MIN_EXPONENT - 1, -1):
        if _holds(network, name, q, lambda v, q=q: _round(v, q)):
            return q
    largest = float(_row_sums(network, name, lambda v: v).max(initial=0.0))
    raise ValidationError(
        f"exact grid: the row sums of |weights| into {name!r} reach {largest:.4g}, too large for float32 sums at 2**-{MIN_EXPONENT}; "
        "use dtype='float64', or exact=False"
    )


def _holds(network: Network, name: str, q: int, rounding: Any) -> bool:
    graded = network.input.kind == "graded" and any(p.source == "input" for p in network.projections_into(name))
    bits = _SIGNIFICAND_BITS[network.dtype] - q - (_PAYLOAD_BITS if graded else 0)
    return bool(_row_sums(network, name, rounding).max(initial=0.0) <= math.ldexp(1.0, bits))


def _row_sums(network: Network, name: str, rounding: Any) -> NDArray[np.float64]:
    """Largest possible |I| of each neuron: sum |w| times the largest input value, plus |b|; float64 sums of grid values are exact."""
    population = network[name]
    total = np.abs(rounding(population.neuron.bias).astype(np.float64))
    for p in network.projections_into(name):
        largest = 255 / 256 if p.source == "input" and network.input.kind == "graded" else 1.0
        weights = np.abs(rounding(p.weights).astype(np.float64)) * largest
        total = total + np.bincount(p.rows, weights=weights, minlength=population.n)
    return total


def _round(values: NDArray[Any], q: int) -> NDArray[Any]:
    return np.ldexp(np.rint(np.ldexp(values.astype(np.float64), q)), -q).astype(values.dtype)
