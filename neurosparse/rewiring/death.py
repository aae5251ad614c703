"""Which live synapses die."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from neurosparse.errors import NeurosparseError, UnknownNameError, ValidationError
from neurosparse.kernels.synapses import crossed
from neurosparse.rewiring.budget import Ramp
from neurosparse.rewiring.layer import SparseLayer
from neurosparse.rewiring.schedule import Event

__all__ = ["AdaptiveThreshold", "Death", "SignCrossing", "SmallestMagnitude", "TwoTailed", "share_of"]

Mask = NDArray[np.bool_]


class Death(Protocol):
    """Marks the synapses of every layer that die in an event.

    A death with a memory also has ``state_dict`` and ``load_state_dict`` (JSON-ready), which a checkpoint carries.
    """

    def select(self, layers: list[SparseLayer], event: Event) -> list[Mask]:
        """Return one mask (K,) per layer."""


@dataclass(frozen=True)
class SignCrossing:
    """DEEP R: a synapse lives while ``theta = sign * w > 0`` (Bellec et al. 2018, Algorithm 1).

    The test is strict: a newborn starts at 0, and if its first step does not move it to its own side it dies at once.
    Births where nothing pulls (a dead pixel) are thus drawn again for free, as in the sparse-matrix script of the
    authors.
    """

    def select(self, layers: list[SparseLayer], event: Event) -> list[Mask]:
        """See `Death`."""
        return [self._crossed(layer) for layer in layers]

    def _crossed(self, layer: SparseLayer) -> Mask:
        if layer.signs is None:
            raise TypeError(f"{layer.name}: this method has no signs")
        mask, nan = crossed(layer.array, layer.signs)
        _refuse_nan(layer, nan)
        return mask


@dataclass(frozen=True)
class SmallestMagnitude:
    """The event's fraction of the live synapses with the smallest ``|w|``, rounded down.

    Parameters
    ----------
    scope : {"layer", "network"}
        Whether each layer loses that fraction of its own synapses, or all layers together of theirs.
    ramp : Ramp, optional
        For a shrinking network: as many more as it takes to come down to the ramp's number of synapses.
    """

    scope: Literal["layer", "network"] = "layer"
    ramp: Ramp | None = None

    def __post_init__(self) -> None:
        if self.scope not in ("layer", "network"):
            raise UnknownNameError("SmallestMagnitude.scope", str(self.scope), ["layer", "network"])
        if self.ramp is not None and self.scope == "network":
            raise ValidationError("SmallestMagnitude.ramp: is per layer, give scope='layer'")

    def select(self, layers: list[SparseLayer], event: Event) -> list[Mask]:
        """See `Death`."""
        weights = [magnitudes(layer) for layer in layers]
        if self.scope == "network":
            everything = np.concatenate(weights)
            dead = smallest(everything, share_of(_fraction(event), everything.size))
            return np.split(dead, np.cumsum([w.size for w in weights])[:-1])
        return [smallest(w, self._count(layer, event)) for layer, w in zip(layers, weights, strict=True)]

    def _count(self, layer: SparseLayer, event: Event) -> int:
        n = share_of(_fraction(event), layer.n_live)
        return n if self.ramp is None else max(n, layer.n_live - self.ramp.target(layer, event))


@dataclass(frozen=True)
class TwoTailed:
    """SET: the event's fraction of the positive weights, the smallest, and of the negative ones, the closest to 0.

    Two counts, each rounded down (Mocanu et al. 2018, Algorithm 1). A weight of exactly 0, which the authors' code
    takes to be absent, counts as the smallest of the positive ones.
    """

    def select(self, layers: list[SparseLayer], event: Event) -> list[Mask]:
        """See `Death`."""
        return [self._tails(layer, _fraction(event)) for layer in layers]

    def _tails(self, layer: SparseLayer, fraction: float) -> Mask:
        size = magnitudes(layer)
        negative = (layer.values < 0).cpu().numpy()
        dead = np.zeros(size.size, bool)
        for tail in (np.flatnonzero(~negative), np.flatnonzero(negative)):
            dead[tail] = smallest(size[tail], share_of(fraction, tail.size))
        return dead


@dataclass
class AdaptiveThreshold:
    """DSR: every synapse with ``|w| < H``; H is doubled after too few deaths and halved after too many.

    One H for the whole network (Mostafa and Wang 2019, Algorithm 1): below ``0.9 * target`` deaths it doubles, above
    ``1.1 * target`` it halves, for the next event. A layer keeps at least its largest synapse.

    Parameters
    ----------
    fraction : float in (0, 1)
        Of all live synapses that an event should replace: the target.
    threshold : float > 0
        H at the start; afterwards the present one.
    """

    fraction: float = 0.02
    threshold: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise ValidationError(f"AdaptiveThreshold.fraction: must lie in (0, 1), got {self.fraction}")
        _positive(self.threshold)

    def select(self, layers: list[SparseLayer], event: Event) -> list[Mask]:
        """See `Death`."""
        masks = []
        for layer in layers:
            size = magnitudes(layer)
            dead = size < self.threshold
            if dead.size and dead.all():
                dead[np.argmax(size)] = False
            masks.append(dead)
        n_dead = sum(int(np.count_nonzero(mask)) for mask in masks)
        target = self.fraction * sum(layer.n_live for layer in layers)
        if n_dead < 0.9 * target:
            self.threshold *= 2
        elif n_dead > 1.1 * target:
            self.threshold /= 2
        return masks

    def state_dict(self) -> dict[str, Any]:
        """Return the present threshold."""
        return {"threshold": self.threshold}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the threshold of `state_dict`."""
        self.threshold = _positive(float(state["threshold"]))


def magnitudes(layer: SparseLayer) -> NDArray[Any]:
    """Return ``|w|`` (K,); `NeurosparseError` if any is NaN, which compares with nothing."""
    size: NDArray[Any] = layer.values.abs().cpu().numpy()
    _refuse_nan(layer, bool(np.isnan(size).any()))
    return size


def smallest(size: NDArray[Any], n: int) -> Mask:
    """Mark exactly the `n` smallest entries; of equal ones those that come first."""
    dead = np.zeros(size.size, bool)
    if n:
        dead[np.argsort(size, kind="stable")[:n]] = True
    return dead


def share_of(fraction: float, n: int) -> int:
    """Return ``fraction * n`` rounded down, as if the fraction had the digits it is written with.

    >>> share_of(0.29, 100), int(0.29 * 100)
    (29, 28)
    """
    return min(n, math.floor(fraction * n + 1e-9))


def _fraction(event: Event) -> float:
    if event.fraction is None:
        raise ValidationError(
            "schedule: says when to rewire but not which fraction of the synapses this death is to take; "
            "use one with a fraction, for instance EveryStep(n, fraction=0.3) or CosineFraction()"
        )
    return event.fraction


def _positive(threshold: float) -> float:
    if not 0 < threshold < math.inf:
        raise ValidationError(f"AdaptiveThreshold.threshold: must be finite and > 0, got {threshold}")
    return threshold


def _refuse_nan(layer: SparseLayer, found: bool) -> None:
    if found:  # NaN is not > 0 either: rewiring would quietly replace a diverged layer by newborns
        raise NeurosparseError(
            f"{layer.name}.values: {int(torch.isnan(layer.values).sum())} of {layer.n_live} weights are NaN after the "
            "optimizer step; the training diverged, try a smaller learning rate or clip the gradient"
        )
