"""How many synapses each layer keeps, and when: checked fields that most methods share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from neurosparse.errors import UnknownNameError, ValidationError
from neurosparse.pruning.layer import DenseLayer
from neurosparse.pruning.selection import largest, largest_overall
from neurosparse.rewiring.distribution import Distribution, distribute

__all__ = ["Magnitude", "Scope", "check_fraction", "cubic_density", "layer_counts", "select", "total_count"]

Scope = Literal["layer", "global"]
"""Whether weights compete within their layer, whose number is then fixed, or all with all."""


@dataclass(frozen=True)
class Magnitude:
    """What methods that keep the largest weights have in common.

    Parameters
    ----------
    density : float in (0, 1]
        Of all pruned layers together, at the end; reached exactly.
    scope : {"layer", "global"}
        ``layer``: each layer keeps its share of `distribution`. ``global``: weights of all layers compete, so that each
        layer's density emerges; at least one stays in each.
    distribution : {"erdos_renyi", "uniform"}
        How the density is spread over layers; see `neurosparse.rewiring.distribution.distribute`.
    normalise : bool
        Compare weights in units of their layer's root mean square. With scope ``global``, layers with a large fan-in,
        whose weights start smaller, would otherwise be pruned first.
    """

    density: float = 0.05
    scope: Scope = "layer"
    distribution: Distribution = "erdos_renyi"
    normalise: bool = False

    def __post_init__(self) -> None:
        check_fraction(type(self).__name__, "density", self.density, low_included=False)
        if self.scope not in get_args(Scope):
            raise UnknownNameError(f"{type(self).__name__}.scope", str(self.scope), get_args(Scope))
        if self.distribution not in get_args(Distribution):
            raise UnknownNameError(
                f"{type(self).__name__}.distribution", str(self.distribution), get_args(Distribution)
            )

    def masks(self, layers: Sequence[DenseLayer], density: float, *, survivors: bool = True) -> list[Tensor]:
        """Return which weights stay at `density`: the largest |latent|; with `survivors` only of the live ones."""
        scores = []
        for layer in layers:
            score = layer.latent.abs()
            if self.normalise:
                score = score / score.square().mean().sqrt().clamp(min=1e-30)
            scores.append(score.masked_fill(~layer.mask, -1.0) if survivors else score)
        return select(layers, scores, density, self.scope, self.distribution)


def select(
    layers: Sequence[DenseLayer], scores: Sequence[Tensor], density: float, scope: Scope, distribution: Distribution
) -> list[Tensor]:
    """Return masks of the largest `scores` that leave exactly `density`."""
    if scope == "global":
        return largest_overall(scores, total_count(layers, density))
    counts = layer_counts(layers, density, distribution)
    return [largest(score, count) for score, count in zip(scores, counts, strict=True)]


def layer_counts(layers: Sequence[DenseLayer], density: float, distribution: Distribution) -> list[int]:
    """Return the number of synapses of each layer at `density`."""
    return distribute([layer.shape for layer in layers], density, distribution)


def total_count(layers: Sequence[DenseLayer], density: float) -> int:
    """Return the number of synapses of all layers together at `density`; at least one per layer."""
    return max(len(layers), round(density * sum(layer.n_sites for layer in layers)))


def cubic_density(progress: float, final: float, initial: float = 1.0) -> float:
    """Return the density on the cubic ramp, `progress` in [0, 1] (Zhu and Gupta 2017, eq. 1).

    Examples
    --------
    >>> [round(cubic_density(p, 0.1), 4) for p in (0.0, 0.5, 1.0)]
    [1.0, 0.2125, 0.1]
    """
    return final + (initial - final) * (1.0 - min(max(progress, 0.0), 1.0)) ** 3


def check_fraction(owner: str, name: str, value: float, *, low_included: bool = True) -> None:
    """Raise `ValidationError` unless `value` is a fraction."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1 or (value == 0 and not low_included):
        raise ValidationError(f"{owner}.{name}: must lie in {'[' if low_included else '('}0, 1], got {value!r}")
