"""A `Network` as the flat tables that the compiled simulator walks through; NumPy only.

All populations' neurons stand side by side, each population padded to whole vectors of 16; all projections' synapses
stand in two orders, by target and by source (simulation_synapses.py). Populations are ordered by component: a component
is a set of populations that reach each other, or one population that no loop passes through. Components follow each
other without feedback, so that each can run for many steps before the next one starts.
"""

from __future__ import annotations

import graphlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from neurosparse.core.network import INPUT, Network
from neurosparse.core.neurons import CubaLIF
from neurosparse.kernels.simulation_synapses import SynapseTables

__all__ = ["LANES", "ROW", "SPAN", "Layout", "Pop", "Proj", "Tables", "make_tables"]

LANES = 16
SPAN = 2
"""Words of 16 steps that are computed in one go; two share the indices and weights that a gather reads."""
ROW = LANES * SPAN
"""Steps of a span."""


class Pop(NamedTuple):
    """Columns of `Tables.populations`; positions count neurons, padded ones where the name says so."""

    first: int  # padded
    n: int
    n_padded: int
    filtered: int
    """1 for CubaLIF"""
    wipe: int
    """The word of lanes that a spike sets to zero: all for reset "zero", else none"""
    slots: int
    """Currents of how many projections are kept apart and then added in their order; 1 where order does not matter"""
    slot_at: int  # padded neurons times slots, from the start of the component
    quiet: int
    """1 if blocks of neurons at rest may be skipped: worth its bookkeeping in large populations only"""
    out_first: int
    trace_first: int  # -1: voltages are not recorded
    first_projection: int
    last_projection: int


class Proj(NamedTuple):
    """Columns of `Tables.projections`."""

    source: int  # padded position of the first source neuron, input lines before all populations
    source_first: int  # the same, input lines not counted; -1 for the input
    n_source: int
    source_padded: int
    n_target: int
    target_padded: int
    delay: int
    inner: int
    """1 if source and target are in the same component"""
    slot: int
    group_at: int  # of the first pointer in `Layout.groups`
    n_groups: int
    member_at: int
    column_at: int  # of the first pointer in `Layout.columns`
    n_synapses: int
    valued: int  # 1 if the source is an input of values, not spikes
    shift: int  # of `Layout.halves`, 0 if the weights are not split
    chunk: int
    scale_at: int  # position in `Layout.scales`


class Layout(NamedTuple):
    """The arrays that the compiled code walks through; floats are in the network's precision.

    Parameters
    ----------
    components : (n_components, 3) int64: first and last population, 1 if they form a loop
    populations, projections : int64, columns `Pop` and `Proj`
    parameters : (5, n_padded) floats: beta, alpha, threshold, what a reset subtracts, bias
    resting : (n_padded / 16,) uint16: 1 where a block without input stays at rest from the start
    groups, members, sources, weights : all projections by target, one after the other (`Groups`)
    halves : uint32, two an entry: weights as integers (`Split`); empty if no projection's are
    scales : (n_projections,) floats: what the integers are to be multiplied by
    columns, targets, column_weights : all projections by source (CSC); targets are times 16, where their vector of
        currents starts, but within a loop, where currents are rows
    """

    components: NDArray[np.int64]
    populations: NDArray[np.int64]
    projections: NDArray[np.int64]
    parameters: NDArray[Any]
    resting: NDArray[np.uint16]
    groups: NDArray[np.int64]
    members: NDArray[np.int32]
    sources: NDArray[np.int32]
    weights: NDArray[Any]
    halves: NDArray[np.uint32]
    scales: NDArray[Any]
    columns: NDArray[np.int64]
    targets: NDArray[np.int32]
    column_weights: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Tables:
    """A network laid out for the compiled simulator.

    Parameters
    ----------
    layout : Layout
    names : the populations in the order of the tables
    spiking, recorded : name, first neuron and number of neurons of all populations and of those whose voltages are
        recorded, as the recording holds them: one after the other in the order of the tables, listed in the network's
    kind : kind of input
    n_lines, lines_padded, n_padded : sizes
    n_slots, n_currents : padded neurons times slots, of the largest population or component
    delay : longest delay of a projection from the input
    spare : arrays that no run is using (simulation_work.py)
    """

    layout: Layout
    names: tuple[str, ...]
    spiking: tuple[tuple[str, int, int], ...]
    recorded: tuple[tuple[str, int, int], ...]
    kind: str
    n_lines: int
    lines_padded: int
    n_padded: int
    n_slots: int
    n_currents: int
    delay: int
    spare: list[tuple[int, Any]] = field(default_factory=list)

    @cached_property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The layout as a plain tuple: to find out the types of a named one, Numba takes as long as a small network."""
        return tuple(self.layout)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The precision."""
        return self.layout.parameters.dtype

    @cached_property
    def no_input(self) -> NDArray[Any]:
        """Stands for the values where the input is spikes, and for the spikes where it is values."""
        return np.empty((0, 0, 0), self.dtype if self.kind == "spikes" else np.uint8)

    @cached_property
    def rows(self) -> tuple[int, int]:
        """Values a step and sample of the recorded spikes, and of the recorded voltages."""
        return sum(n for _, _, n in self.spiking), sum(n for _, _, n in self.recorded)


QUIET_FROM = 4096
"""Neurons from which on a population keeps account of its blocks at rest."""


def make_tables(network: Network, traced: tuple[str, ...], *, split: bool = False) -> Tables:
    """Lay out `network`; the voltages of the populations `traced` will be recorded.

    `split` lays out weights on a grid as integers too, for processors where that is faster (`has_wide_masks`).
    """
    components = _components(network)
    names = tuple(name for component, _ in components for name in component)
    member_of = {name: i for i, (component, _) in enumerate(components) for name in component}
    first, total = {}, 0
    for name in names:
        first[name], total = total, total + _padded(network[name].n)
    lines_padded = _padded(network.input.n)
    synapses = SynapseTables(network.dtype, split=split and network.grid is not None and network.dtype == np.float32)
    projections: list[Proj] = []
    populations: list[Pop] = []
    n_slots, n_currents, out_first, trace_first, slot_at = 0, 0, 0, 0, 0
    for i, name in enumerate(names):
        if i == 0 or member_of[name] != member_of[names[i - 1]]:
            slot_at = 0
        population, into = network[name], network.projections_into(name)
        first_projection = len(projections)
        for k, p in enumerate(into):
            inner = p.source != INPUT and member_of[p.source] == member_of[name]
            valued = p.source == INPUT and network.input.kind != "spikes"
            projections.append(
                Proj(
                    source=0 if p.source == INPUT else lines_padded + first[p.source],
                    source_first=-1 if p.source == INPUT else first[p.source],
                    n_source=p.n_source,
                    source_padded=_padded(p.n_source),
                    n_target=population.n,
                    target_padded=_padded(population.n),
                    delay=p.delay,
                    inner=inner,
                    slot=0 if network.grid is not None else k,
                    n_synapses=p.n_synapses,
                    valued=valued,
                    # Only spikes that come from outside a loop are added up in integers.
                    **synapses.add(
                        p,
                        scale=1 if inner else LANES,
                        grouped=not inner,
                        exponent=None if inner or valued or network.grid is None else network.grid[name],
                    ),
                )
            )
        padded, slots = _padded(population.n), 1 if network.grid is not None else max(1, len(into))
        populations.append(
            Pop(
                first=first[name],
                n=population.n,
                n_padded=padded,
                filtered=isinstance(population.neuron, CubaLIF),
                wipe=0xFFFF if getattr(population.neuron, "reset", "none") == "zero" else 0,
                slots=slots,
                slot_at=slot_at,
                quiet=population.n >= QUIET_FROM,
                out_first=out_first,
                trace_first=trace_first if name in traced else -1,
                first_projection=first_projection,
                last_projection=len(projections),
            )
        )
        slot_at += slots * padded
        n_slots, out_first = max(n_slots, slot_at), out_first + population.n
        trace_first += population.n if name in traced else 0
        n_currents = max(n_currents, slot_at if components[member_of[name]][1] else 0)
    ends = np.cumsum([0, *(len(component) for component, _ in components)])
    loops = [loop for _, loop in components]
    parameters, resting = _parameters(network, names, total)
    layout = Layout(
        np.array([*zip(ends[:-1], ends[1:], loops, strict=True)], np.int64),
        np.array(populations, np.int64),
        np.array(projections, np.int64).reshape(-1, len(Proj._fields)),
        parameters,
        resting,
        *synapses.joined(),
    )
    return Tables(
        layout,
        names,
        spiking=_listed(network, names),
        recorded=_listed(network, [name for name in names if name in traced]),
        kind=network.input.kind,
        n_lines=network.input.n,
        lines_padded=lines_padded,
        n_padded=total,
        n_slots=n_slots,
        n_currents=n_currents,
        delay=max((p.delay for p in network.projections if p.source == INPUT), default=0),
    )


def _listed(network: Network, names: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    sizes = [network[name].n for name in names]
    starts = [0, *itertools.accumulate(sizes)]
    found = {name: (name, first, n) for name, first, n in zip(names, starts[:-1], sizes, strict=True)}
    return tuple(found[p.name] for p in network.populations if p.name in found)


def _padded(n: int) -> int:
    return -(-n // LANES) * LANES


def _components(network: Network) -> list[tuple[list[str], bool]]:
    """Return the components in an order without feedback: their populations in evaluation order, and if they loop."""
    index = {name: i for i, name in enumerate(network.order)}
    edges = [(index[p.source], index[p.target]) for p in network.projections if p.source != INPUT]
    n = len(index)
    graph = sp.coo_array((np.ones(len(edges), np.int8), np.array(edges, np.int32).reshape(-1, 2).T), (n, n))
    _, labels = sp.csgraph.connected_components(graph, directed=True, connection="strong")
    sorter: graphlib.TopologicalSorter[int] = graphlib.TopologicalSorter({int(label): () for label in labels})
    loops = set()
    for source, target in edges:
        if labels[source] == labels[target]:
            loops.add(int(labels[source]))
        else:
            sorter.add(int(labels[target]), int(labels[source]))
    members: dict[int, list[str]] = {}
    for name in network.order:
        members.setdefault(int(labels[index[name]]), []).append(name)
    return [(members[label], label in loops) for label in sorter.static_order()]


def _parameters(network: Network, names: tuple[str, ...], total: int) -> tuple[NDArray[Any], NDArray[np.uint16]]:
    """Return the neurons' parameters and which blocks start at rest: those without bias.

    Padding and read-outs have an infinite threshold, which nothing is above.
    """
    table, at = np.zeros((5, total), network.dtype), 0
    table[2] = np.inf
    for name in names:
        neuron, n = network[name].neuron, network[name].n
        table[0, at : at + n] = neuron.beta
        table[1, at : at + n] = getattr(neuron, "alpha", 0)
        table[2, at : at + n] = getattr(neuron, "v_threshold", np.inf)
        table[3, at : at + n] = table[2, at : at + n] if getattr(neuron, "reset", "none") == "subtract" else 0
        table[4, at : at + n] = neuron.bias
        at += _padded(n)
    return table, (table[4].reshape(-1, LANES) == 0).all(axis=1).astype(np.uint16)
