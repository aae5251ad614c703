"""A model of energy and latency: events counted on real samples times published costs per event.

What is measured are the counts. The energies are other people's, per event and without whatever a chip does beside
them (input and output, clocks, leakage, the host), so their sum is a *model*, and is called so wherever it appears. A
chip of which nothing is published gets counts, and no borrowed numbers.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import ArrayLike

from neurosparse.core.graph import Graph
from neurosparse.core.matching import matching_inputs
from neurosparse.core.pipeline import pipeline
from neurosparse.core.recording import Recording
from neurosparse.deploy.chip import ChipSpec, EnergyModel
from neurosparse.deploy.events import EventCounts, count_events
from neurosparse.deploy.latency import Latency, latency
from neurosparse.deploy.placement import Placement

__all__ = ["MULTIPLY_ACCUMULATE", "EnergyReport", "EnergyRow", "OperationCost", "chip_energy_nj", "energy"]

MODEL = "model"
NO_FIGURE = "no public figure"


@dataclass(frozen=True)
class OperationCost:
    """Energy of one multiply-accumulate in picojoules, and where the number is from."""

    name: str
    picojoules: float
    source: str


_HOROWITZ = "M. Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014, 45 nm, 0.9 V"
MULTIPLY_ACCUMULATE = (
    OperationCost("float32 MAC", 3.7 + 0.9, f"{_HOROWITZ}: 3.7 pJ multiply + 0.9 pJ add"),
    OperationCost(
        "float32 MAC + SRAM read",
        3.7 + 0.9 + 5.0,
        f"{_HOROWITZ}: as above, + half of the 10 pJ of a 64-bit read from an 8 KB cache",
    ),
    OperationCost("int8 MAC", 0.2 + 0.03, f"{_HOROWITZ}: 0.2 pJ multiply + 0.03 pJ add"),
)


@dataclass(frozen=True)
class EnergyRow:
    """One network on one machine: operations and energy per sample in nanojoules, None if nothing is published."""

    network: str
    machine: str
    operations: float
    operation: str
    energy_nj: float | None
    source: str
    label: str = MODEL


@dataclass(frozen=True)
class EnergyReport:
    """Counts, modelled energies and latency of one network on one chip, with what it is compared to.

    Attributes
    ----------
    label : str
        Always ``"model"``.
    chip : str
    n_samples, n_steps : int
        What was counted on.
    sparse, dense : EventCounts
        Of the network, and of one with every possible synapse and the same spikes.
    rows : tuple of EnergyRow
    latency : Latency
    """

    label: str
    chip: str
    n_samples: int
    n_steps: int
    sparse: EventCounts
    dense: EventCounts
    rows: tuple[EnergyRow, ...]
    latency: Latency

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain types for JSON."""
        return asdict(self)


def energy(
    network: Graph[Any, Any],
    recording: Recording,
    inputs: ArrayLike,
    *,
    chip: ChipSpec,
    placement: Placement | None = None,
) -> EnergyReport:
    """Return the modelled energy and latency per sample of `network` on `chip`, beside what it is compared with.

    Compared are: the same spikes with every possible synapse (the dense SNN), and the network of equal shape that
    multiplies and accumulates once per synapse and sample (no spikes, no steps), dense and sparse.

    Parameters
    ----------
    network, recording, inputs
        As in `count_events`.
    chip : ChipSpec
    placement : Placement, optional
        For the messages between cores, and for the latency, which the fullest core decides.
    """
    x = matching_inputs("energy", network, recording, inputs, empty=False)
    sparse = count_events(network, recording, x, placement=placement)
    dense = count_events(network, recording, x, dense=True)
    rows = []
    for name, counts in (("sparse SNN", sparse), ("dense SNN, same spikes", dense)):
        for model_name, model in chip.energy.items():
            source = chip.source_of(model)
            machine = f"{chip.title}, {model_name}"
            rows.append(_row(name, machine, counts, chip_energy_nj(counts, model), source))
        if not chip.energy:
            rows.append(_row(name, chip.title, counts, None, NO_FIGURE))
    possible = sum(p.shape[0] * p.shape[1] for p in network.projections)
    for name, n in (("dense, no spikes", possible), ("sparse, no spikes", network.n_synapses)):
        for cost in MULTIPLY_ACCUMULATE:
            nanojoules = n * cost.picojoules * 1e-3
            rows.append(EnergyRow(name, cost.name, float(n), "multiply-accumulates", nanojoules, cost.source))
    hops = pipeline(network).n_extra
    return EnergyReport(
        label=MODEL,
        chip=chip.title,
        n_samples=recording.n_samples,
        n_steps=recording.n_steps,
        sparse=sparse,
        dense=dense,
        rows=tuple(rows),
        latency=latency(network, recording, x, chip, placement, hops),
    )


def chip_energy_nj(counts: EventCounts, model: EnergyModel) -> float:
    """Return events times energies in nanojoules. Events that `model` has no energy for are not counted."""
    total = counts.synaptic_operations * model.synaptic_operation_pj + counts.neuron_updates * model.neuron_update_pj
    total += counts.spikes * (model.spike_pj or 0.0)
    total += (counts.messages or 0.0) * (model.message_pj or 0.0)
    return total * 1e-3


def _row(name: str, machine: str, counts: EventCounts, nanojoules: float | None, source: str) -> EnergyRow:
    return EnergyRow(name, machine, counts.synaptic_operations, "synaptic operations", nanojoules, source)
