"""How many synapses are born in each layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import UnknownNameError, ValidationError
from neurosparse.rewiring.layer import SparseLayer
from neurosparse.rewiring.schedule import Event

__all__ = ["Budget", "BySurvivors", "GlobalPool", "KeepPerLayer", "NoBirths", "Promise", "Ramp", "ToRamp"]

Promise = Literal["layer", "total", "schedule", "none"]
"""Whose number of synapses is exact: every layer's, the network's, what the schedule says, or nobody's."""


class Budget(Protocol):
    """Turns deaths into births."""

    keeps: ClassVar[Promise]

    def births(
        self, layers: list[SparseLayer], deaths: list[int], event: Event, generator: np.random.Generator
    ) -> list[int]:
        """Return the number of births per layer; never more than the layer's dormant sites after the deaths."""


@dataclass(frozen=True)
class KeepPerLayer:
    """Every layer keeps its number of synapses exactly."""

    keeps: ClassVar[Promise] = "layer"

    def births(
        self, layers: list[SparseLayer], deaths: list[int], event: Event, generator: np.random.Generator
    ) -> list[int]:
        """See `Budget`."""
        return list(deaths)


@dataclass(frozen=True)
class NoBirths:
    """What dies is not replaced: pruning."""

    keeps: ClassVar[Promise] = "none"

    def births(
        self, layers: list[SparseLayer], deaths: list[int], event: Event, generator: np.random.Generator
    ) -> list[int]:
        """See `Budget`."""
        return [0] * len(layers)


@dataclass(frozen=True)
class GlobalPool:
    """Only the total is kept: births go to layer l with probability proportional to its weight.

    What a full layer cannot take is drawn again.

    Parameters
    ----------
    by : {"initial", "sites"}
        The weight: synapses at the start, n_sites_l * initial density_l, as in the ``rewiring_global_constraint`` of
        Bellec et al. 2018 and in LSNN; or possible synapses, n_sites_l, as in Özdenizci and Legenstein 2021.
    """

    by: Literal["initial", "sites"] = "initial"
    keeps: ClassVar[Promise] = "total"

    def __post_init__(self) -> None:
        if self.by not in ("initial", "sites"):
            raise UnknownNameError("GlobalPool.by", str(self.by), ["initial", "sites"])

    def births(
        self, layers: list[SparseLayer], deaths: list[int], event: Event, generator: np.random.Generator
    ) -> list[int]:
        """See `Budget`."""
        share = [layer.initial_density if self.by == "initial" else 1.0 for layer in layers]
        weight = np.array([layer.n_sites * s for layer, s in zip(layers, share, strict=True)])
        room = _room(layers, deaths)
        births = np.zeros(len(layers), np.int64)
        left = sum(deaths)
        while left > 0:
            open_layers = np.where(births < room, weight, 0.0)
            drawn = generator.multinomial(left, open_layers / open_layers.sum())
            births = np.minimum(births + drawn, room)
            left = sum(deaths) - int(births.sum())
        return [int(n) for n in births]


@dataclass(frozen=True)
class BySurvivors:
    """DSR: births go to layer l in proportion to its survivors R_l, ``G_l = sum(deaths) * R_l / sum(R)``.

    Rounded down, the remainder in one random layer; what a full layer cannot take is shared out again (Mostafa and
    Wang 2019, Algorithm 1). Sites that have just died are counted as room only when there is no other.
    """

    keeps: ClassVar[Promise] = "total"

    def births(
        self, layers: list[SparseLayer], deaths: list[int], event: Event, generator: np.random.Generator
    ) -> list[int]:
        """See `Budget`."""
        dead = np.array(deaths)
        survivors = np.array([layer.n_live for layer in layers]) - dead
        births = np.zeros(len(layers), np.int64)
        for room in (_room(layers, [0] * len(layers)), _room(layers, deaths)):
            while births.sum() < dead.sum() and (births < room).any():
                births = np.minimum(
                    births + self._shares(dead.sum() - births.sum(), survivors, births < room, generator), room
                )
        return [int(n) for n in births]

    @staticmethod
    def _shares(
        n: int, survivors: NDArray[np.int64], has_room: NDArray[np.bool_], generator: np.random.Generator
    ) -> NDArray[np.int64]:
        weight = np.where(has_room, survivors, 0)
        if not weight.sum():
            weight = has_room.astype(np.int64)
        shares = n * weight // weight.sum()
        shares[generator.choice(np.flatnonzero(weight))] += n - shares.sum()
        return shares


@dataclass(frozen=True)
class Ramp:
    """A number of synapses that goes from the initial one to `final` of it as the event's progress goes from 0 to 1.

    In densities, ``d = d_final + (d_initial - d_final) * (1 - progress)``: with a `CubicRamp` the sparsity of Zhu and
    Gupta 2017, every layer by the same factor.
    """

    final: float

    def __post_init__(self) -> None:
        if not 0 < self.final <= 1:
            raise ValidationError(f"final: must lie in (0, 1] of the initial number of synapses, got {self.final}")

    def target(self, layer: SparseLayer, event: Event) -> int:
        """Return how many synapses `layer` is to have after `event`."""
        if event.progress is None:
            raise ValidationError(
                "schedule: says nothing about the progress that a ramp follows; use one that does, as CubicRamp()"
            )
        initial = layer.initial_density * layer.n_sites
        return round(initial * (self.final + (1 - self.final) * (1 - event.progress)))


@dataclass(frozen=True)
class ToRamp:
    """As many births as bring every layer to the ramp's number of synapses; none where that is already exceeded."""

    ramp: Ramp
    keeps: ClassVar[Promise] = "schedule"

    def births(
        self, layers: list[SparseLayer], deaths: list[int], event: Event, generator: np.random.Generator
    ) -> list[int]:
        """See `Budget`."""
        targets = [self.ramp.target(layer, event) for layer in layers]
        return [max(0, t - layer.n_live + dead) for t, layer, dead in zip(targets, layers, deaths, strict=True)]


def _room(layers: list[SparseLayer], deaths: list[int]) -> NDArray[np.int64]:
    return np.array([layer.n_sites - layer.n_live + dead for layer, dead in zip(layers, deaths, strict=True)])
