"""`Utilization`: how full a placement makes the cores, in numbers, as a table and as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from neurosparse.deploy.capacity import binding
from neurosparse.deploy.demand import Usage, limits_of

if TYPE_CHECKING:
    from neurosparse.deploy.placement import Core, Placement

__all__ = ["CoreUse", "ProjectionUse", "Utilization", "contents", "utilization"]


@dataclass(frozen=True)
class CoreUse:
    """One core: its chip, how many neurons of each population, what is used, and which limit is nearest."""

    core: int
    chip: int
    populations: dict[str, int]
    usage: Usage
    binding: str
    share: float


@dataclass(frozen=True)
class ProjectionUse:
    """One projection: its synapses, how they are stored, and its largest degrees.

    ``bits_per_synapse`` counts everything: weight, delay, index, headers and what rounding to words wastes.
    """

    name: str
    synapses: int
    density: float
    weight_bits: int
    chip_delay: int
    cores: int
    dense_cores: int
    index_bits: tuple[int, int]
    bits: int
    bits_per_synapse: float
    largest_fan_in: int
    largest_fan_out: int


@dataclass(frozen=True)
class Utilization:
    """Used and available, of every core and in total.

    Attributes
    ----------
    network, chip : str
    populations : dict of name to int
        Their sizes.
    n_cores, lower_bound, halving : int
        Cores used; cores that any placement needs; cores that halving every population would use.
    bounds : dict of resource to int
        The lower bound by resource.
    chips_used, chips, cores_per_chip : int
    limits : dict of resource to int
        Of one core.
    used : dict of resource to int
        Sum over the cores used.
    binding : str
        The resource that is nearest to its limit on most cores.
    estimates : tuple of str
        Limits that no official source states.
    reordered : bool
        Whether neurons lie in another order than in their population.
    hops : int
        Steps by which the last population runs behind the input.
    cores : tuple of CoreUse
    projections : tuple of ProjectionUse
    violations : tuple of str
    """

    network: str
    chip: str
    populations: dict[str, int]
    n_cores: int
    lower_bound: int
    halving: int
    bounds: dict[str, int]
    chips_used: int
    chips: int
    cores_per_chip: int
    limits: dict[str, int]
    used: dict[str, int]
    binding: str
    estimates: tuple[str, ...]
    reordered: bool
    hops: int
    cores: tuple[CoreUse, ...]
    projections: tuple[ProjectionUse, ...]
    violations: tuple[str, ...]

    def share(self, resource: str) -> float:
        """Return used / available of the cores used, in [0, 1] where nothing is violated."""
        return self.used[resource] / (self.limits[resource] * self.n_cores)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain types for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """Return a line per core, as Nengo-Loihi prints its blocks, then totals and projections."""
        names = list(self.limits)
        lines = [f"{self.network}", f"{self.chip}: {self.n_cores} cores of {self.chips} x {self.cores_per_chip}"]
        for core in self.cores:
            shares = ", ".join(f"{core.usage[name] / self.limits[name]:.1%} {name}" for name in names)
            lines.append(f"core {core.core:3d}  {contents(core)}: {shares}")
        shares = ", ".join(f"{self.share(name):.1%} {name}" for name in names)
        lines.append(f"average: {shares}; binding: {self.binding}")
        for p in self.projections:
            coding = f"{p.dense_cores} dense and {p.cores - p.dense_cores} sparse blocks"
            lines.append(f"{p.name}: {p.synapses} synapses, {coding}, {p.bits_per_synapse:.1f} bits per synapse")
        if self.estimates:
            lines.append(f"estimates, not official: {', '.join(self.estimates)}")
        return "\n".join([*lines, *self.violations])


def contents(core: CoreUse) -> str:
    """Return what a core holds in words, ``"513 hidden1 + 10 output"``."""
    return " + ".join(f"{n} {name}" for name, n in core.populations.items())


def utilization(placement: Placement) -> Utilization:
    """Return how full `placement` makes its cores."""
    limits, chip = limits_of(placement.chip), placement.chip
    per_chip = chip.core.cores.value if chip.core is not None else 1
    cores = tuple(_core(core, limits, per_chip) for core in placement.cores)
    return Utilization(
        network=placement.title,
        chip=chip.title,
        populations=dict(placement.wiring.sizes),
        n_cores=placement.n_cores,
        lower_bound=placement.lower_bound,
        halving=placement.halving,
        bounds=placement.bounds,
        chips_used=placement.chips_used,
        chips=placement.chips,
        cores_per_chip=per_chip,
        limits=limits,
        used={name: sum(core.usage[name] for core in cores) for name in limits},
        binding=Counter(core.binding for core in cores).most_common(1)[0][0],
        estimates=tuple(name for name, limit in chip.limits().items() if limit.estimate),
        reordered=placement.reordered,
        hops=placement.wiring.hops,
        cores=cores,
        projections=_projections(placement),
        violations=tuple(str(violation) for violation in placement.violations),
    )


def _core(core: Core, limits: dict[str, int], per_chip: int) -> CoreUse:
    nearest = binding(core.usage, limits)
    sizes = {name: int(neurons.size) for name, neurons in core.neurons.items()}
    share = core.usage[nearest] / limits[nearest]
    return CoreUse(core.index, core.index // per_chip, sizes, core.usage, nearest, share)


def _projections(placement: Placement) -> tuple[ProjectionUse, ...]:
    found = []
    for connection in placement.wiring.connections:
        blocks = [b for core in placement.cores for b in core.blocks if b.connection.index == connection.index]
        bits, n = sum(block.memory.bits for block in blocks), connection.n_synapses
        widths = [block.memory.index_bits for block in blocks if block.memory.coding == "sparse"]
        found.append(
            ProjectionUse(
                name=connection.name,
                synapses=n,
                density=n / ((connection.indptr.size - 1) * connection.n_source),
                weight_bits=connection.weight_bits,
                chip_delay=connection.chip_delay,
                cores=len(blocks),
                dense_cores=sum(block.memory.coding == "dense" for block in blocks),
                index_bits=(min(widths, default=0), max(widths, default=0)),
                bits=bits,
                bits_per_synapse=bits / n if n else 0.0,
                largest_fan_in=int(connection.fan_in().max(initial=0)),
                largest_fan_out=int(connection.fan_out().max(initial=0)),
            )
        )
    return tuple(found)
