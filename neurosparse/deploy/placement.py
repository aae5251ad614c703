"""`place`: which core holds which neurons. A synapse lies on the core of its target.

Several ways to fill cores are tried (`neurosparse.deploy.packing`) and the one with the fewest cores is kept, neurons
in their own order where that is as good. Beside the number of cores stands a lower bound for any placement at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.graph import Graph
from neurosparse.deploy.axons import Memory
from neurosparse.deploy.behaviour import behaviour_violations
from neurosparse.deploy.bounds import lower_bounds
from neurosparse.deploy.capacity import capacity_violations
from neurosparse.deploy.chip import ChipSpec
from neurosparse.deploy.clustering import clustered
from neurosparse.deploy.demand import Usage, core_sections, limits_of, out_degrees
from neurosparse.deploy.packing import Packing, by_halving, interleaved, pack, separate, stacked
from neurosparse.deploy.utilization import Utilization, utilization
from neurosparse.deploy.violation import Violation, raise_violations
from neurosparse.deploy.wiring import Connection, Wiring, wiring
from neurosparse.errors import ValidationError

__all__ = ["Block", "Core", "Placement", "place"]


@dataclass(frozen=True, eq=False)
class Block:
    """The synapses of one projection on one core, and how they are stored.

    ``lengths`` has the synapses of every source neuron onto this core, shape (n_source,).
    """

    connection: Connection
    memory: Memory
    lengths: NDArray[np.int64]

    @property
    def n_synapses(self) -> int:
        """Number of live synapses."""
        return int(self.lengths.sum())


@dataclass(frozen=True, eq=False)
class Core:
    """A core: the neurons of each population that it holds, as indices in the population, and what they need."""

    index: int
    neurons: dict[str, NDArray[np.int64]]
    usage: Usage
    blocks: tuple[Block, ...]


@dataclass(frozen=True, eq=False)
class Placement:
    """Which core of which chip holds which neurons.

    Attributes
    ----------
    title : str
        The network in words.
    chip : ChipSpec
    chips : int
        Chips that there are.
    wiring : Wiring
        The network as it was placed.
    cores : tuple of Core
        The cores used; core k is core ``k % chip.core.cores`` of chip ``k // chip.core.cores``.
    core_of : dict of population name to int array (n,)
    bounds : dict of resource to int
        Cores that any placement needs at least, by resource.
    reordered : bool
        Whether neurons lie in another order than that of their population, because it saves cores.
    halving : int
        Cores that halving every population until it fits would take: what Lava's compiler is reported to do.
    violations : tuple of Violation
        Empty if the network fits, and does nothing that the chip does not.
    """

    title: str
    chip: ChipSpec
    chips: int
    wiring: Wiring
    cores: tuple[Core, ...]
    core_of: dict[str, NDArray[np.int64]]
    bounds: dict[str, int]
    reordered: bool
    halving: int
    violations: tuple[Violation, ...]

    @cached_property
    def out_degrees(self) -> dict[str, NDArray[np.int64]]:
        """The cores that each neuron sends its spikes to, by population, shape (n,)."""
        return out_degrees(self.wiring, self.core_of, self.n_cores)

    @property
    def n_cores(self) -> int:
        """Number of cores used."""
        return len(self.cores)

    @property
    def lower_bound(self) -> int:
        """Cores that any placement needs at least."""
        return max(self.bounds.values())

    @property
    def chips_used(self) -> int:
        """Chips that these cores take, which may be more than there are."""
        core, _ = core_sections(self.chip)
        return -(-self.n_cores // core.cores.value)

    def utilization(self) -> Utilization:
        """Return used and available per resource, of every core and in total; it prints as a table."""
        return utilization(self)

    def __repr__(self) -> str:
        return (
            f"Placement({self.title} on {self.chip.title}: {self.n_cores} cores, at least {self.lower_bound} needed, "
            f"{len(self.violations)} violations)"
        )


def place(
    network: Graph[Any, Any], chip: ChipSpec, *, chips: int = 1, bits: int | None = None, strict: bool = True
) -> Placement:
    """Place `network` on the cores of `chip`.

    Parameters
    ----------
    network : Network or QuantizedNetwork
    chip : ChipSpec
        Of kind ``"cores"``, such as ``ChipSpec.load("loihi2")``.
    chips : int
        How many such chips there are.
    bits : int, optional
        Bits per weight that are assumed for a `Network`; default 8.
    strict : bool
        False: return the placement with its `violations` instead of raising them.

    Raises
    ------
    CapacityError
        With every violation: what needs how much of what, how much there is, and what would make it fit.
    UnsupportedError
        For a chip of another kind, and for loops with less delay than hops.

    Examples
    --------
    >>> import numpy as np, neurosparse as ns
    >>> weights = ns.Projection.from_dense("input", "out", np.float32([[1, 0.5], [0, 1]]))
    >>> network = ns.Network(ns.Input(2), [ns.Population("out", 2, ns.LIF(reset="zero"))], [weights])
    >>> place(network, ns.ChipSpec.load("loihi1")).cores[0].usage["synapse_bits"]
    128
    """
    if isinstance(chips, bool) or not isinstance(chips, int) or chips < 1:
        raise ValidationError(f"place.chips: must be a number of chips >= 1, got {chips!r}")
    _, synapses = core_sections(chip)
    limits, wired = limits_of(chip), wiring(network, synapses, bits)
    bounds = lower_bounds(wired, synapses, limits)
    packing, reordered = _fewest(wired, chip, limits, bounds)
    found = [
        *behaviour_violations(network, chip, bits),
        *capacity_violations(packing, wired, chip, chips, limits),
    ]
    if strict:
        raise_violations(repr(network), f"{chips} x {chip.title}" if chips > 1 else chip.title, found)
    return Placement(
        title=repr(network),
        chip=chip,
        chips=chips,
        wiring=wired,
        cores=tuple(_core(i, packing) for i in range(packing.n_cores)),
        core_of=packing.core_of(),
        bounds=bounds,
        reordered=reordered,
        halving=by_halving(wired, synapses, limits),
        violations=tuple(found),
    )


def _fewest(wired: Wiring, chip: ChipSpec, limits: dict[str, int], bounds: dict[str, int]) -> tuple[Packing, bool]:
    """Return the packing with the fewest cores, and whether it reorders neurons; stop at the lower bound."""
    _, synapses = core_sections(chip)
    natural = {name: np.arange(n) for name, n in wired.sizes.items()}
    fewest = max(bounds.values())
    best, reordered = pack(wired, natural, synapses, limits, stacked), False
    for fill in (separate, interleaved):
        if best.n_cores > fewest:
            other = pack(wired, natural, synapses, limits, fill)
            best = other if other.n_cores < best.n_cores else best
    # sharing sources saves axons and memory; where only neurons count, another order cannot help
    orders = clustered(wired, synapses, limits) if best.n_cores > fewest else None
    for fill in (separate, stacked) if orders is not None else ():
        other = pack(wired, orders or natural, synapses, limits, fill)
        if other.n_cores < best.n_cores:
            best, reordered = other, True
    return best, reordered


def _core(index: int, packing: Packing) -> Core:
    slices, demand = packing.cores[index], packing.demand
    neurons = {name: demand.orders[name][a:b] for name, (a, b) in slices.items()}
    blocks = tuple(Block(*found) for found in demand.blocks(slices))
    return Core(index, neurons, demand.usage(slices), blocks)
