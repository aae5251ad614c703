"""What `Network` and `QuantizedNetwork` share: named populations, projections between them, an order of evaluation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from neurosparse.core.inputs import Input
from neurosparse.errors import UnknownNameError, ValidationError

__all__ = ["INPUT", "Graph", "check_name", "members"]

INPUT = "input"
"""The name by which projections refer to the network's input lines."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")


class _Node(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def n(self) -> int: ...


class _Edge(Protocol):
    @property
    def source(self) -> str: ...

    @property
    def target(self) -> str: ...

    @property
    def delay(self) -> int: ...

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def n_synapses(self) -> int: ...


PopulationT = TypeVar("PopulationT", bound=_Node)
ProjectionT = TypeVar("ProjectionT", bound=_Edge)


class Graph(Generic[PopulationT, ProjectionT]):
    """The nouns of a network, whatever its arithmetic. Subclasses are frozen dataclasses with these fields."""

    input: Input
    populations: Sequence[PopulationT]
    projections: Sequence[ProjectionT]
    dt: float
    order: tuple[str, ...]

    def check_graph(self) -> tuple[str, ...]:
        """Return the order of evaluation. Raises for names that are used twice or lead nowhere, sizes and loops."""
        owner = type(self).__name__
        if not isinstance(self.input, Input):
            raise ValidationError(f"{owner}.input: must be an Input such as Input(784), got {self.input!r}")
        if not self.populations:
            raise ValidationError(f"{owner}.populations: a network has at least one population, got none")
        names = [population.name for population in self.populations]
        if len(set(names)) != len(names):
            raise ValidationError(f"{owner}.populations: names must differ, got {', '.join(names)}")
        for projection in self.projections:
            self._check_ends(projection)
        return _evaluation_order(owner, names, self.projections)

    def _check_ends(self, projection: ProjectionT) -> None:
        label = f"Projection {projection.source}->{projection.target}"
        for end in (projection.source, projection.target):
            if end != INPUT and end not in self._by_name:
                raise UnknownNameError(label, end, [INPUT, *self._by_name])
        if projection.target == INPUT:
            raise ValidationError(f"{label}: the input cannot be a target")
        expected = (self[projection.target].n, self.size_of(projection.source))
        if projection.shape != expected:
            raise ValidationError(
                f"{label}: weights (n_target, n_source) have shape {projection.shape}, the populations need {expected}"
            )

    def __getitem__(self, name: str) -> PopulationT:
        """Return the population called `name`."""
        if name not in self._by_name:
            raise UnknownNameError("population", name, self._by_name)
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, PopulationT]:
        return {population.name: population for population in self.populations}

    def size_of(self, name: str) -> int:
        """Return the number of neurons of population `name`, or of lines for ``"input"``."""
        return self.input.n if name == INPUT else self[name].n

    def projections_into(self, name: str) -> tuple[ProjectionT, ...]:
        """Return the projections whose target is `name`, in the order given."""
        return tuple(p for p in self.projections if p.target == name)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the populations that project to no other population: what a user reads out."""
        sources = {p.source for p in self.projections if p.source != p.target}
        return tuple(p.name for p in self.populations if p.name not in sources)

    @property
    def n_neurons(self) -> int:
        """Number of neurons, input lines not counted."""
        return sum(p.n for p in self.populations)

    @property
    def n_synapses(self) -> int:
        """Number of live synapses (a synapse of weight 0 counts: it is in the index)."""
        return sum(p.n_synapses for p in self.projections)

    @property
    def density(self) -> float:
        """Live synapses / possible synapses of the existing projections."""
        possible = sum(p.shape[0] * p.shape[1] for p in self.projections)
        return self.n_synapses / possible if possible else 0.0

    def __repr__(self) -> str:
        sizes = "->".join(str(n) for n in [self.input.n, *(p.n for p in self.populations)])
        synapses = f"{self.n_synapses:,}".replace(",", " ")
        return f"{type(self).__name__}({sizes}, {synapses} synapses, density {self.density:.3g})"


def check_name(owner: str, name: Any) -> None:
    """Raise `ValidationError` unless `name` can name a population."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == INPUT:
        raise ValidationError(f"{owner}.name: must be letters, digits, '_', '.' or '-' and not {INPUT!r}, got {name!r}")


def members(label: str, values: Any, kind: type[Any]) -> tuple[Any, ...]:
    """Return `values` as a tuple if it is a sequence of `kind` and nothing else; else raise `ValidationError`."""
    if isinstance(values, kind) or not isinstance(values, Iterable):
        raise ValidationError(f"{label}: must be a sequence of {kind.__name__}, got {values!r}")
    found = tuple(values)
    for value in found:
        if not isinstance(value, kind):
            raise ValidationError(f"{label}: must be a sequence of {kind.__name__}, got {value!r} in it")
    return found


def _evaluation_order(owner: str, names: Sequence[str], projections: Iterable[_Edge]) -> tuple[str, ...]:
    """Order populations so that every projection without delay comes from an earlier one (Kahn 1962)."""
    needs: dict[str, set[str]] = {name: set() for name in names}
    followers: dict[str, set[str]] = {name: set() for name in names}
    for projection in projections:
        if projection.delay == 0 and projection.source != INPUT:
            needs[projection.target].add(projection.source)
            followers[projection.source].add(projection.target)
    order: list[str] = []
    position = {name: i for i, name in enumerate(names)}
    ready = [name for name in names if not needs[name]]
    while ready:
        order += ready
        released: set[str] = set()
        for name in ready:
            for follower in followers[name]:
                needs[follower].remove(name)
                if not needs[follower]:
                    released.add(follower)
        ready = sorted(released, key=position.__getitem__)
    stuck = [name for name in names if needs[name]]
    if stuck:
        raise ValidationError(
            f"{owner}.projections: {', '.join(stuck)} form a loop without delay, or follow one; "
            "at least one projection of a loop needs delay >= 1"
        )
    return tuple(order)
