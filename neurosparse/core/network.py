"""`Network`: populations, sparse projections and a time step, as plain immutable data without torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosparse.core.checks import check_count, check_duration
from neurosparse.core.grid import check_grid
from neurosparse.core.inputs import Input, InputKind
from neurosparse.core.neurons import LI, NEURON_MODELS, Neuron
from neurosparse.core.projection import Projection
from neurosparse.errors import UnknownNameError, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["INPUT", "Input", "InputKind", "Network", "Population", "Projection", "is_readout"]

INPUT = "input"
"""The name by which projections refer to the network's input lines."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")


@dataclass(frozen=True, eq=False)
class Population:
    """`n` neurons of one model under one name; parameters are one value for all or one per neuron."""

    name: str
    n: int
    neuron: Neuron

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name) or self.name == INPUT:
            raise ValidationError(
                f"Population.name: must be letters, digits, '_', '.' or '-' and not {INPUT!r}, got {self.name!r}"
            )
        label = f"Population {self.name!r}"
        object.__setattr__(self, "n", check_count(f"{label}.n", self.n))
        if not isinstance(self.neuron, tuple(NEURON_MODELS.values())):
            raise ValidationError(f"{label}.neuron: must be one of {', '.join(NEURON_MODELS)}, got {self.neuron!r}")
        for name in self.neuron.parameters:
            size = getattr(self.neuron, name).shape
            if size not in ((), (self.n,)):
                raise ValidationError(
                    f"{type(self.neuron).__name__}.{name}: has {size[0]} values, "
                    f"population {self.name!r} has {self.n} neurons"
                )


@dataclass(frozen=True, eq=False)
class Network:
    """A spiking network as data: what is trained, saved, simulated and deployed.

    Parameters
    ----------
    input : Input
        The input lines; projections name them ``"input"``.
    populations : sequence of Population
        At least one; their parameters are broadcast to one value per neuron in the float type of the weights.
    projections : sequence of Projection
        Weights share one float type (float32 or float64), which is the precision of every simulation.
    dt : float
        Duration of a time step in seconds.
    grid : mapping of population name to int, optional
        For a spike-exact network: every weight and bias into a population is a multiple of 2**-q and the sums are
        order-free (`neurosparse.core.grid`). Checked here, so that it cannot be wrong. None: nothing is promised.

    Raises
    ------
    ValidationError, UnknownNameError
        Naming the field, for whatever could not be simulated: sizes that do not match, a loop without delay, ...

    Examples
    --------
    >>> import numpy as np
    >>> from neurosparse import LIF
    >>> weights = Projection.from_dense("input", "out", np.float32([[1, 0.5]]))
    >>> Network(Input(2), [Population("out", 1, LIF(beta=0.5))], [weights])
    Network(2->1, 2 synapses, density 1)
    """

    input: Input
    populations: Sequence[Population]
    projections: Sequence[Projection]
    dt: float = 1e-3
    grid: Mapping[str, int] | None = None
    order: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.input, Input):
            raise ValidationError(f"Network.input: must be an Input such as Input(784), got {self.input!r}")
        populations = _members("populations", self.populations, Population)
        projections = _members("projections", self.projections, Projection)
        object.__setattr__(self, "projections", projections)
        if not populations:
            raise ValidationError("Network.populations: a network has at least one population, got none")
        names = [population.name for population in populations]
        if len(set(names)) != len(names):
            raise ValidationError(f"Network.populations: names must differ, got {', '.join(names)}")
        object.__setattr__(self, "dt", check_duration("Network.dt", self.dt))
        dtypes = {projection.weights.dtype for projection in projections}
        if len(dtypes) > 1:
            raise ValidationError("Network.projections: weights must share one type, got float32 and float64")
        dtype = dtypes.pop() if dtypes else np.dtype(np.float32)
        broadcast = [Population(p.name, p.n, p.neuron.broadcast(p.n, dtype)) for p in populations]
        object.__setattr__(self, "populations", tuple(broadcast))
        for projection in projections:
            self._check_ends(projection)
        object.__setattr__(self, "order", _evaluation_order(names, projections))
        if self.grid is not None:
            check_grid(self)
            object.__setattr__(self, "grid", {name: int(self.grid[name]) for name in names})

    def _check_ends(self, projection: Projection) -> None:
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

    def __getitem__(self, name: str) -> Population:
        """Return the population called `name`."""
        if name not in self._by_name:
            raise UnknownNameError("population", name, self._by_name)
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Population]:
        return {population.name: population for population in self.populations}

    def size_of(self, name: str) -> int:
        """Return the number of neurons of population `name`, or of lines for ``"input"``."""
        return self.input.n if name == INPUT else self[name].n

    def projections_into(self, name: str) -> tuple[Projection, ...]:
        """Return the projections whose target is `name`, in the order given."""
        return tuple(p for p in self.projections if p.target == name)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The float type of all arithmetic: float32 or float64."""
        return self.projections[0].weights.dtype if self.projections else np.dtype(np.float32)

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
        return f"Network({sizes}, {synapses} synapses, density {self.density:.3g})"

    def save(self, path: str | Path) -> None:
        """Write this network to one ``.safetensors`` file, atomically (`neurosparse.core.io`)."""
        from neurosparse.core.io import save_network

        save_network(self, path)

    @staticmethod
    def load(path: str | Path) -> Network:
        """Read a network written by `save`. Raises `ArtifactError` or `ValidationError`, never half a network."""
        from neurosparse.core.io import load_network

        return load_network(path)


def _members(field_name: str, values: Any, kind: type[Any]) -> tuple[Any, ...]:
    if isinstance(values, kind) or not isinstance(values, Iterable):
        raise ValidationError(f"Network.{field_name}: must be a sequence of {kind.__name__}, got {values!r}")
    members = tuple(values)
    for value in members:
        if not isinstance(value, kind):
            raise ValidationError(f"Network.{field_name}: must be a sequence of {kind.__name__}, got {value!r} in it")
    return members


def _evaluation_order(names: Sequence[str], projections: Iterable[Projection]) -> tuple[str, ...]:
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
            f"Network.projections: {', '.join(stuck)} form a loop without delay, or follow one; "
            "at least one projection of a loop needs delay >= 1"
        )
    return tuple(order)


def is_readout(population: Population) -> bool:
    """Return whether the voltage, not the spikes, is this population's output."""
    return isinstance(population.neuron, LI)
