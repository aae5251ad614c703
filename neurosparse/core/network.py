"""`Network`: populations, sparse projections and a time step, as plain immutable data without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosparse.core.checks import check_count, check_duration
from neurosparse.core.graph import INPUT, Graph, check_name, members
from neurosparse.core.grid import check_grid
from neurosparse.core.inputs import Input, InputKind
from neurosparse.core.neurons import LI, NEURON_MODELS, Neuron
from neurosparse.core.projection import Projection
from neurosparse.errors import ValidationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["INPUT", "Input", "InputKind", "Network", "Population", "Projection", "is_readout"]


@dataclass(frozen=True, eq=False)
class Population:
    """`n` neurons of one model under one name; parameters are one value for all or one per neuron."""

    name: str
    n: int
    neuron: Neuron

    def __post_init__(self) -> None:
        check_name("Population", self.name)
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


@dataclass(frozen=True, eq=False, repr=False)
class Network(Graph[Population, Projection]):
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
        projections = members("Network.projections", self.projections, Projection)
        object.__setattr__(self, "populations", members("Network.populations", self.populations, Population))
        object.__setattr__(self, "projections", projections)
        object.__setattr__(self, "order", self.check_graph())
        object.__setattr__(self, "dt", check_duration("Network.dt", self.dt))
        dtypes = {projection.weights.dtype for projection in projections}
        if len(dtypes) > 1:
            raise ValidationError("Network.projections: weights must share one type, got float32 and float64")
        dtype = dtypes.pop() if dtypes else np.dtype(np.float32)
        broadcast = [Population(p.name, p.n, p.neuron.broadcast(p.n, dtype)) for p in self.populations]
        object.__setattr__(self, "populations", tuple(broadcast))
        vars(self).pop("_by_name", None)  # the graph was checked with the populations as given
        if self.grid is not None:
            check_grid(self)
            object.__setattr__(self, "grid", {p.name: int(self.grid[p.name]) for p in self.populations})

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The float type of all arithmetic: float32 or float64."""
        return self.projections[0].weights.dtype if self.projections else np.dtype(np.float32)

    def save(self, path: str | Path) -> None:
        """Write this network to one ``.safetensors`` file, atomically (`neurosparse.core.io`)."""
        from neurosparse.core.io import save_network

        save_network(self, path)

    @staticmethod
    def load(path: str | Path) -> Network:
        """Read a network written by `save`. Raises `ArtifactError` or `ValidationError`, never half a network."""
        from neurosparse.core.io import load_network

        return load_network(path)


def is_readout(population: Population) -> bool:
    """Return whether the voltage, not the spikes, is this population's output."""
    return isinstance(population.neuron, LI)
