"""How a density is shared out over the layers of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast, get_args

import numpy as np

from neurosparse.errors import UnknownNameError, ValidationError

__all__ = ["Distribution", "distribute"]

Distribution = Literal["uniform", "erdos_renyi"]
Shape = tuple[int, int]


def distribute(
    shapes: Sequence[Shape], density: float | Sequence[float], distribution: Distribution = "erdos_renyi"
) -> list[int]:
    """Return the number of synapses of every layer.

    Parameters
    ----------
    shapes : sequence of (n_target, n_source)
    density : float in (0, 1], or one per layer
        Of the whole network, shared out by `distribution`; or, given per layer, taken as it is.
    distribution : {"erdos_renyi", "uniform"}
        ``erdos_renyi``: K_l proportional to n_target + n_source, so that small layers are denser (Mocanu et al. 2018,
        SET); a layer that would exceed density 1 is full and its surplus goes to the others (Evci et al. 2020, RigL).
        ``uniform``: the same density everywhere.

    Returns
    -------
    list of int
        K_l, each at least n_target (every neuron needs an incoming synapse).

    Examples
    --------
    The budget that Bellec et al. 2018 set by hand for MNIST, 1/3/30 %, is Erdos-Renyi to within rounding:

    >>> shapes = [(300, 784), (100, 300), (10, 100)]
    >>> [round(k / (n * m), 4) for k, (n, m) in zip(distribute(shapes, 0.0133), shapes)]
    [0.0102, 0.0296, 0.244]
    """
    if any(min(shape) < 1 for shape in shapes) or not shapes:
        raise ValidationError(f"shapes: needs (n_target, n_source) >= (1, 1) of at least one layer, got {list(shapes)}")
    if np.ndim(density):
        densities = [float(d) for d in cast("Sequence[float]", density)]
        if len(densities) != len(shapes):
            raise ValidationError(f"density: {len(densities)} values for {len(shapes)} layers")
        return [_count(shape, _checked(d)) for shape, d in zip(shapes, densities, strict=True)]
    total = _checked(cast("float", density))
    if distribution == "uniform":
        return [_count(shape, total) for shape in shapes]
    if distribution == "erdos_renyi":
        return [_count(shape, d) for shape, d in zip(shapes, _erdos_renyi(shapes, total), strict=True)]
    raise UnknownNameError("distribution", str(distribution), get_args(Distribution))


def _erdos_renyi(shapes: Sequence[Shape], density: float) -> list[float]:
    sites = [n * m for n, m in shapes]
    full: set[int] = set()
    while True:
        left = [i for i in range(len(shapes)) if i not in full]
        if not left:
            return [1.0] * len(shapes)
        epsilon = (density * sum(sites) - sum(sites[i] for i in full)) / sum(sum(shapes[i]) for i in left)
        densities = [1.0 if i in full else epsilon * sum(shapes[i]) / sites[i] for i in range(len(shapes))]
        if max(densities) <= 1:
            return densities
        full.add(max(left, key=lambda i: densities[i]))


def _count(shape: Shape, density: float) -> int:
    return max(shape[0], round(density * shape[0] * shape[1]))


def _checked(density: float) -> float:
    if not 0 < density <= 1:
        raise ValidationError(f"density: must lie in (0, 1], got {density}")
    return float(density)
