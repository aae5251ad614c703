"""The tables of ``neurosparse deploy``, narrow enough for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neurosparse.analysis.costs import joules
from neurosparse.analysis.summary import count
from neurosparse.cli.output import stdout
from neurosparse.deploy.utilization import Utilization, contents

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.table import Table

    from neurosparse.cli.deploying import Deployment
    from neurosparse.core.quantized import QuantizedNetwork
    from neurosparse.deploy.energy import EnergyReport
    from neurosparse.deploy.quantization_report import QuantizationReport

__all__ = ["print_deployment"]

_SHOWN_CORES = 24
_SETS = ("decay_sets", "threshold_sets")
_HEADINGS = {
    "neurons": "neurons",
    "synapse_bits": "memory",
    "in_axons": "in",
    "out_axons": "out",
    "decay_sets": "decays",
    "threshold_sets": "thresholds",
}


def print_deployment(found: Deployment, files: Sequence[Path]) -> None:
    """Print what was found: integers, accuracy, placement, cost, violations, files."""
    console = stdout()
    console.print(f"{found.network} on {found.chip.title}", style="bold", markup=False, soft_wrap=True)
    if found.quantized is not None and found.quantized.report is not None:
        console.print(_quantization(found.quantized.report, found.bits))
        console.print(_parameters(found.quantized))
    if found.float_accuracy is not None:
        integer = f", integers {found.integer_accuracy:.2%}" if found.integer_accuracy is not None else ""
        console.print(f"accuracy on {count(found.n_samples)} test samples: float {found.float_accuracy:.2%}{integer}")
    if found.parity is not None:
        verdict = f"{found.engine}, {found.compared} samples: {found.parity}"
        console.print(verdict, markup=False, soft_wrap=True)
    if found.placement is not None:
        use = found.placement.utilization()
        for table in (_cores(use), _projections(use)):
            console.print(table)
        for line in _remarks(use):
            console.print(line, markup=False, soft_wrap=True)
    if found.energy is not None:
        console.print(_energy(found.energy))
        console.print(_latency(found.energy), markup=False, soft_wrap=True)
    if found.violations:
        console.print(f"{len(found.violations)} violations: does not fit {found.chip.title}", style="bold")
        for violation in found.violations:
            console.print(f"- {violation}", markup=False, soft_wrap=True)
    else:
        console.print(f"fits {found.chip.title}", style="bold")
    if files:
        console.print(f"written: {', '.join(map(str, files))}", markup=False, soft_wrap=True)


def _table(title: str, headings: Iterable[str], *, left: int = 1) -> Table:
    from rich import box
    from rich.table import Table

    # no vertical lines and no padding on the left: eight columns and their frames would not fit 80 characters
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i < left else "right", no_wrap=i >= left, overflow="fold")
    return table


def _quantization(report: QuantizationReport, bits: int) -> Table:
    title = f"Integers: {bits} bits per weight"
    table = _table(title, ["population", "synapses", "lost", "clipped", "weights", "decays", "satur.", "agreement"])
    for p in report.populations:
        agreement = "" if p.agreement is None else f"{p.agreement:.2%}"
        if p.voltage_error is not None:
            agreement = f"{p.voltage_error:.2%} off"
        saturated = "" if p.saturated_states is None else count(p.saturated_states)
        errors = (f"±{p.weight_error:.2%}", f"±{p.decay_error:.2g}%")
        synapses = (count(p.n_weights), count(p.lost_synapses), count(p.clipped_weights))
        table.add_row(p.name, *synapses, *errors, saturated, agreement)
    return table


def _parameters(network: QuantizedNetwork) -> Table:
    headings = ["population", "reset", "du", "dv", "threshold", "bias", "unit of v", "weights from"]
    table = _table("Registers (decays in 4096ths), and the exponents of the weights", headings)
    for p in network.populations:
        into = ", ".join(f"{q.source} {q.exponent}" for q in network.projections_into(p.name))
        threshold = "-" if p.readout else _range(p.v_threshold)
        registers = (_range(p.du) if p.has_current else "-", _range(p.dv), threshold, _range(p.bias))
        table.add_row(p.name, "-" if p.readout else p.reset, *registers, f"{network.scales[p.name]:.3g}", into)
    return table


def _range(values: NDArray[np.int32]) -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low}..{high}"


def _cores(use: Utilization) -> Table:
    names = [name for name in use.limits if name not in _SETS]
    cores = f"{use.n_cores} of {use.chips * use.cores_per_chip} cores"
    title = f"Placement: {cores}; at least {use.lower_bound} needed. In, out: axons"
    table = _table(title, ["core", "neurons of", *(_HEADINGS[name] for name in names), "full by"], left=2)
    for core in use.cores[:_SHOWN_CORES]:
        shares = (f"{core.usage[name] / use.limits[name]:.1%}" for name in names)
        table.add_row(str(core.core), contents(core), *shares, _HEADINGS[core.binding])
    if use.n_cores > _SHOWN_CORES:
        table.add_row("...", f"{use.n_cores - _SHOWN_CORES} more", *("" for _ in names), "")
    table.add_section()
    table.add_row("all", "used", *(_short(use.used[name]) for name in names), "")
    table.add_row("", "per core", *(_short(use.limits[name]) for name in names), "")
    table.add_row("", "mean", *(f"{use.share(name):.1%}" for name in names), _HEADINGS[use.binding])
    return table


def _short(n: int) -> str:
    return f"{n / 1e6:.2f}M" if n >= 1_000_000 else f"{n / 1e3:.1f}k" if n >= 10_000 else str(n)


def _projections(use: Utilization) -> Table:
    headings = ["projection", "synapses", "density", "bits", "index", "all", "dense", "fan-in", "-out"]
    table = _table("Synapses: bits of weight, of index, of all; cores coded densely; largest fans", headings)
    for p in use.projections:
        low, high = p.index_bits
        index = "-" if not high else str(high) if low == high else f"{low}-{high}"
        sizes = (count(p.synapses), f"{p.density:.2%}", str(p.weight_bits), index, f"{p.bits_per_synapse:.1f}")
        table.add_row(p.name, *sizes, f"{p.dense_cores}/{p.cores}", str(p.largest_fan_in), str(p.largest_fan_out))
    return table


def _remarks(use: Utilization) -> list[str]:
    chips = f"{use.chips_used} chip{'s' * (use.chips_used != 1)}"
    bounds = ", ".join(f"{_HEADINGS[name]} {bound}" for name, bound in use.bounds.items())
    lines = [
        f"{chips}; at least, by resource: {bounds}; halving each population would take {use.halving} cores",
    ]
    for name in _SETS:
        if name in use.limits:
            most = max(core.usage[name] for core in use.cores)
            lines.append(f"different {_HEADINGS[name]} on a core: at most {most} of {use.limits[name]}")
    if use.reordered:
        lines.append("neurons are reordered within their populations: those that share sources lie on one core")
    delays = [f"{p.name} {p.chip_delay}" for p in use.projections if p.chip_delay]
    if delays:
        lines.append(f"delays beyond one step per hop: {', '.join(delays)}")
    if use.estimates:
        lines.append(f"estimates, not official: {', '.join(use.estimates)}")
    return lines


def _energy(report: EnergyReport) -> Table:
    title = f"Energy per sample, a model: counts of {report.n_samples} samples x published energies"
    table = _table(title, ["network", "with the energies of", "operations", "energy"], left=2)
    for row in report.rows:
        energy = "no public figure" if row.energy_nj is None else joules(row.energy_nj)
        table.add_row(row.network, row.machine, count(round(row.operations)), energy)
    return table


def _latency(report: EnergyReport) -> str:
    latency, counts = report.latency, report.sparse
    spikes = f"{counts.spikes:.0f} spikes, {counts.neuron_updates:.0f} neuron updates"
    messages = f", {counts.messages:.0f} messages (a spike to a core)" if counts.messages is not None else ""
    steps = f"{latency.n_steps} + {latency.hops} steps per sample (one per hop)"
    if latency.sample_us is None:
        return f"counted: {spikes}{messages}; latency: {steps}, time per step: {latency.source}"
    low, high = latency.sample_us
    return f"counted: {spikes}{messages}; latency, a model: {steps}, {low:.0f} to {high:.0f} µs"
