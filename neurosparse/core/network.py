"""`Network`: populations, sparse projections and a time step, as plain immutable data without torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.core.grid import check_grid
from neurosparse.core.neurons import LI, Neuron
from neurosparse.core.projection import Projection
from neurosparse.errors import UnknownNameError, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["INPUT", "Input", "InputKind", "Network", "Population", "Projection"]

INPUT = "input"
"""The name by which projections refer to the network's input lines."""

InputKind = Literal["spikes", "graded", "analog"]
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")


@dataclass(frozen=True)
class Input:
    """The input lines of a network.

    Parameters
    ----------
    n : int
        Number of lines.
    kind : {"spikes", "graded", "analog"}
        ``spikes``: 0 or 1. ``graded``: an 8-bit payload p that stands for p / 256 (what Loihi 2's graded spikes carry).
        ``analog``: any float; results are then not bit-exact between engines.
    """

    n: int
    kind: InputKind = "spikes"

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, (int, np.integer)) or self.n < 1:
            raise ValidationError(f"Input.n: must be an integer >= 1, got {self.n!r}")
        if self.kind not in get_args(InputKind):
            raise UnknownNameError("Input.kind", str(self.kind), get_args(InputKind))

    def values(self, inputs: ArrayLike, dtype: Any = np.float32) -> NDArray[Any]:
        """Return `inputs` (time, batch, n) or (time, n) as the values that enter the synapses, (time, batch, n) of `dtype`.

        ``graded`` takes uint8 payloads, or floats that are exact multiples of 1/256 in [0, 255/256]. Raises `ValidationError`.
        """
        array = np.asarray(inputs)
        if array.ndim == 2:
            array = array[:, np.newaxis, :]
        if array.ndim != 3 or array.shape[2] != self.n:
            raise ValidationError(
                f"inputs: expected shape (time, batch, {self.n}) or (time, {self.n}), got {np.shape(inputs)}"
            )
        if array.dtype.kind not in "bufi":
            raise ValidationError(f"inputs: expected booleans, integers or floats, got {array.dtype}")
        return getattr(self, f"_{self.kind}")(array).astype(dtype)

    def _spikes(self, array: NDArray[Any]) -> NDArray[Any]:
        if array.dtype != bool and not ((array == 0) | (array == 1)).all():
            bad = array[(array != 0) & (array != 1)].flat[0]
            raise ValidationError(
                f"inputs: this network takes spikes (0 or 1), got {bad}; a network for 8-bit payloads has Input(kind='graded')"
            )
        return array

    def _graded(self, array: NDArray[Any]) -> NDArray[Any]:
        payload = array if array.dtype.kind in "ui" else array.astype(np.float64) * 256.0
        if array.dtype == bool or not ((payload >= 0) & (payload <= 255) & (payload == np.floor(payload))).all():
            raise ValidationError(
                "inputs: this network takes 8-bit payloads: uint8, or floats that are multiples of 1/256 below 1, got "
                f"{array.dtype} in [{array.min()}, {array.max()}]; spikes need Input(kind='spikes')"
            )
        return payload.astype(np.float64) / 256.0

    def _analog(self, array: NDArray[Any]) -> NDArray[Any]:
        if not np.isfinite(array).all():
            raise ValidationError("inputs: must be finite, got NaN or infinity")
        return array


@dataclass(frozen=True, eq=False)
class Population:
    """`n` neurons of one model under one name; parameters are broadcast to one value per neuron."""

    name: str
    n: int
    neuron: Neuron

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name) or self.name == INPUT:
            raise ValidationError(
                f"Population.name: must be letters, digits, '_', '.' or '-' and not {INPUT!r}, got {self.name!r}"
            )
        if isinstance(self.n, bool) or not isinstance(self.n, (int, np.integer)) or self.n < 1:
            raise ValidationError(f"Population.n: {self.name!r} must have an integer number of neurons >= 1, got {self.n!r}")
        for name in self.neuron.parameters:
            size = getattr(self.neuron, name).shape
            if size not in ((), (self.n,)):
                raise ValidationError(
                    f"{type(self.neuron).__name__}.{name}: has {size[0]} values, population {self.name!r} has {self.n} neurons"
                )


@dataclass(frozen=True, eq=False)
class Network:
    """A spiking network as data: what is trained, saved, simulated and deployed.

    Parameters
    ----------
    input : Input
        The input lines; projections name them ``"input"``.
    populations : iterable of Population
    projections : iterable of Projection
        Weights share one float type (float32 or float64), which is the precision of every simulation.
    dt : float
        Duration of a time step in seconds.
    grid : mapping of population name to int, optional
        For a spike-exact network: every weight and bias into a population is a multiple of 2**-q and the sums are order-free
        (`neurosparse.core.grid`). Checked here, so that it cannot be wrong. None: nothing is promised.

    Examples
    --------
    >>> import numpy as np
    >>> from neurosparse import LIF
    >>> weights = Projection.from_dense("input", "out", np.float32([[1, 0.5]]))
    >>> Network(Input(2), [Population("out", 1, LIF(beta=0.5))], [weights])
    Network(2->1, 2 synapses, density 1)
    """

    input: Input
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    dt: float = 1e-3
    grid: Mapping[str, int] | None = None
    order: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        populations, projections = tuple(self.populations), tuple(self.projections)
        object.__setattr__(self, "projections", projections)
        if not populations:
            raise ValidationError("Network.populations: a network has at least one population, got none")
        names = [population.name for population in populations]
        if len(set(names)) != len(names):
            raise ValidationError(f"Network.populations: names must differ, got {', '.join(names)}")
        if not (isinstance(self.dt, (int, float)) and np.isfinite(self.dt) and self.dt > 0):
            raise ValidationError(f"Network.dt: must be a duration in seconds > 0, got {self.dt!r}")
        dtypes = {projection.weights.dtype for projection in projections}
        if len(dtypes) > 1:
            raise ValidationError("Network.projections: weights must share one type, got float32 and float64")
        dtype = dtypes.pop() if dtypes else np.dtype(np.float32)
        broadcast = [Population(p.name, int(p.n), p.neuron.broadcast(p.n, dtype)) for p in populations]
        object.__setattr__(self, "populations", tuple(broadcast))
        for projection in projections:
            self._check_ends(projection)
        object.__setattr__(self, "order", _evaluation_order(names, projections))
        if self.grid is not None:
            object.__setattr__(self, "grid", dict(self.grid))
            check_grid(self)

    def _check_ends(self, projection: Projection) -> None:
        label = f"Projection {projection.source}->{projection.target}"
        known = [INPUT, *(p.name for p in self.populations)]
        for end in (projection.source, projection.target):
            if end not in known:
                raise UnknownNameError(label, end, known)
        if projection.target == INPUT:
            raise ValidationError(f"{label}: the input cannot be a target")
        expected = (self[projection.target].n, self.size_of(projection.source))
        if projection.shape != expected:
            raise ValidationError(f"{label}: weights have shape {projection.shape}, the populations need {expected}")

    def __getitem__(self, name: str) -> Population:
        """Return the population called `name`."""
        for population in self.populations:
            if population.name == name:
                return population
        raise UnknownNameError("population", name, [p.name for p in self.populations])

    def size_of(self, name: str) -> int:
        """Return the number of neurons of population `name`, or of lines for ``"input"``."""
        return int(self.input.n) if name == INPUT else self[name].n

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


def _evaluation_order(names: Iterable[str], projections: Iterable[Projection]) -> tuple[str, ...]:
    """Order populations so that every projection without delay comes from an earlier one (Kahn 1962)."""
    waiting = {name: {p.source for p in projections if p.target == name and p.delay == 0} - {INPUT} for name in names}
    order: list[str] = []
    while waiting:
        ready = [name for name, needs in waiting.items() if not needs & waiting.keys()]
        if not ready:
            raise ValidationError(
                f"Network.projections: {', '.join(waiting)} form a loop without delay; at least one projection of a loop needs delay >= 1"
            )
        order += ready
        for name in ready:
            del waiting[name]
    return tuple(order)


def is_readout(population: Population) -> bool:
    """Return whether the voltage, not the spikes, is this population's output."""
    return isinstance(population.neuron, LI)
