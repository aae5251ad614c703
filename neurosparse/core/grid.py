"""The exact grid: why every engine can give the same bits.

If all weights and biases into a population are multiples of 2**-q, and for every neuron ``sum |w| + |b| <= 2**(p - q)``
with p the significand bits of the float type (24 or 53), then every partial sum, in any order, with or without FMA, is
exactly representable: matrix products, event-driven sums and atomic additions all give the same bits. A graded input
multiplies a weight by payload / 256: then everything is a multiple of 2**-(q + 8), and the bound is 2**(p - q - 8).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import ValidationError

if TYPE_CHECKING:
    from neurosparse.core.network import Network

__all__ = ["MIN_EXPONENT", "GridReport", "cast", "check_grid", "snap_to_grid"]

MIN_EXPONENT = 12
"""Coarsest grid accepted, 2**-12; below it the rounding of weights would be felt."""

_SIGNIFICAND_BITS = {np.dtype(np.float32): 24, np.dtype(np.float64): 53}
# The finest grid used. float32: the finest that row sums up to 1 allow. float64: a change of at most 5e-10, which
# leaves room for row sums up to 8 million.
_MAX_EXPONENT = {np.dtype(np.float32): 24, np.dtype(np.float64): 30}
_PAYLOAD_BITS = 8
_LARGEST_PAYLOAD = 2**_PAYLOAD_BITS - 1

_Rounding = Callable[[NDArray[Any]], NDArray[Any]]


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
    """Return `network` in another float type, float32 or float64, without a grid."""
    dtype = np.dtype(dtype)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and `Projection` refuses it
        projections = [dataclasses.replace(p, weights=p.weights.astype(dtype)) for p in network.projections]
    populations = [dataclasses.replace(p, neuron=p.neuron.broadcast(p.n, dtype)) for p in network.populations]
    return dataclasses.replace(network, populations=populations, projections=projections, grid=None)


def snap_to_grid(network: Network) -> tuple[Network, GridReport]:
    """Return `network` on the finest grid on which its sums are exact, and what the rounding changed.

    Every population gets an exponent of its own. Rounding is to the nearest, ties to even; synapses that round to 0
    stay in the index.

    Raises
    ------
    ValidationError
        If even 2**-12 is too fine for the row sums, or if the input is analog.

    Examples
    --------
    >>> import numpy as np
    >>> from neurosparse import LIF, Input, Network, Population, Projection
    >>> weights = Projection.from_dense("input", "out", np.float32([[0.3, -1.1]]))
    >>> snapped, report = snap_to_grid(Network(Input(2), [Population("out", 1, LIF())], [weights]))
    >>> print(report)
    exact grid (float32): out 2^-23; largest change 6e-08
    """
    if network.input.kind == "analog":
        raise ValidationError(
            "Network.input: analog inputs lie on no grid; use kind='graded' or 'spikes', or exact=False"
        )
    exponents = {population.name: _largest_exponent(network, population.name) for population in network.populations}
    change = 0.0
    populations, projections = [], []
    for population in network.populations:
        bias = _round(population.neuron.bias, exponents[population.name])
        change = max(change, _largest_difference(bias, population.neuron.bias))
        populations.append(dataclasses.replace(population, neuron=dataclasses.replace(population.neuron, bias=bias)))
    for projection in network.projections:
        weights = _round(projection.weights, exponents[projection.target])
        change = max(change, _largest_difference(weights, projection.weights))
        projections.append(dataclasses.replace(projection, weights=weights))
    snapped = dataclasses.replace(network, populations=populations, projections=projections, grid=exponents)
    return snapped, GridReport(exponents, change, str(network.dtype))


def check_grid(network: Network) -> None:
    """Raise `ValidationError` unless ``network.grid`` is true of every population."""
    grid = network.grid
    names = [population.name for population in network.populations]
    if not isinstance(grid, Mapping) or set(grid) != set(names) or not all(map(_is_exponent, grid.values())):
        raise ValidationError(
            f"Network.grid: needs one exponent in [0, 60] for each of {', '.join(names)}, got {grid!r:.200}"
        )
    if network.input.kind == "analog":
        raise ValidationError("Network.grid: analog inputs lie on no grid; grid must be None")
    for name in names:
        q = int(grid[name])
        values = [network[name].neuron.bias, *(p.weights for p in network.projections_into(name))]
        if not all(np.array_equal(_round(value, q), value) for value in values):
            raise ValidationError(f"Network.grid: a weight or bias into {name!r} is no multiple of 2**-{q}")
        if not _holds(network, name, q, _as_is):
            raise ValidationError(f"Network.grid: the row sums into {name!r} are too large for exact sums at 2**-{q}")


def _is_exponent(q: Any) -> bool:
    return isinstance(q, (int, np.integer)) and not isinstance(q, bool) and bool(0 <= q <= 60)


def _largest_exponent(network: Network, name: str) -> int:
    for q in range(_MAX_EXPONENT[network.dtype], MIN_EXPONENT - 1, -1):
        if _holds(network, name, q, functools.partial(_round, q=q)):
            return q
    sums, scale = _row_sums(network, name, _as_is)
    limit = math.ldexp(1.0, _bits_above(network, name, MIN_EXPONENT))
    remedy = "use dtype='float64', or exact=False" if network.dtype == np.float32 else "use exact=False"
    raise ValidationError(
        f"exact grid: the row sums of |weights| and |bias| into {name!r} reach {sums.max() / scale:.4g}, "
        f"{network.dtype} sums at 2**-{MIN_EXPONENT} allow {limit:g}; {remedy}"
    )


def _holds(network: Network, name: str, q: int, rounding: _Rounding) -> bool:
    sums, scale = _row_sums(network, name, rounding)
    limit = scale * math.ldexp(1.0, _bits_above(network, name, q))
    # a float64 sum beyond 2**53 grid units may itself have been rounded down to that bound, so there it is excluded
    good = sums < limit if network.dtype == np.dtype(np.float64) else sums <= limit
    return bool(good.all())


def _bits_above(network: Network, name: str, q: int) -> int:
    """Bits left for the magnitude of the sums into `name` on the grid 2**-q."""
    return _SIGNIFICAND_BITS[network.dtype] - q - (_PAYLOAD_BITS if _is_graded(network, name) else 0)


def _is_graded(network: Network, name: str) -> bool:
    return network.input.kind == "graded" and any(p.source == "input" for p in network.projections_into(name))


def _row_sums(network: Network, name: str, rounding: _Rounding) -> tuple[NDArray[np.float64], int]:
    """Return the largest possible |I| of each neuron times a scale, and the scale.

    The scale (256 where payloads are summed) keeps every term a multiple of the grid of the weights, so that the
    float64 sums of a float32 network are exact.
    """
    scale = 2**_PAYLOAD_BITS if _is_graded(network, name) else 1
    population = network[name]
    with np.errstate(over="ignore"):  # an infinite sum is too large for any grid, which is what the callers find
        total = np.abs(rounding(population.neuron.bias)).astype(np.float64) * scale
        for p in network.projections_into(name):
            largest = _LARGEST_PAYLOAD if scale > 1 and p.source == "input" else scale
            weights = np.abs(rounding(p.weights)).astype(np.float64) * largest
            total = total + np.bincount(p.rows, weights=weights, minlength=population.n)
    return total, scale


def _as_is(values: NDArray[Any]) -> NDArray[Any]:
    return values


def _round(values: NDArray[Any], q: int) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        scaled = np.ldexp(values.astype(np.float64), q)
    rounded = np.where(np.isinf(scaled), values, np.ldexp(np.rint(scaled), -q))  # so large a value is on every grid
    # adding 0 makes -0.0 to 0.0: whether a sum of nothing but -0.0 has a sign depends on how it is summed
    return rounded.astype(values.dtype) + values.dtype.type(0)


def _largest_difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0.0))
