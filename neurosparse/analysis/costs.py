"""Figures of what a network costs: modelled energy on a chip, speed of the engines, time and memory of the training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neurosparse.analysis.palette import GREY, SERIES, logarithmic, new_axes, series, style_axes, whole_numbers
from neurosparse.deploy.energy import EnergyReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["energy_comparison", "engine_speeds", "epoch_memory", "epoch_seconds", "joules"]

_COLOURS = {
    "sparse SNN": SERIES[2],
    "dense SNN, same spikes": SERIES[0],
    "sparse, no spikes": SERIES[4],
    "dense, no spikes": SERIES[1],
}


def energy_comparison(report: EnergyReport, *, ax: Axes | None = None) -> Axes:
    """Draw the modelled energy per sample of every row of `report`, on a logarithmic axis, what it is above its bar.

    A row without published energies gets no bar, only its count of operations: nothing is borrowed from another chip.
    """
    ax = new_axes(ax, (4.6, 0.9 + 0.42 * len(report.rows)))
    rows = list(report.rows)[::-1]
    known = [row.energy_nj for row in rows if row.energy_nj]
    left = 10 ** (_exponent(min(known)) - 1) if known else 1.0
    for i, row in enumerate(rows):
        count = f"{row.operations:,.0f} {row.operation}".replace(",", " ")
        energy = joules(row.energy_nj) if row.energy_nj is not None else "no public figure"
        ax.text(left, i + 0.22, f"{row.network}, {row.machine}: {energy}", va="center", fontsize=7.5)
        ax.text(left, i - 0.3, f" {count}", va="center", fontsize=6.5, color=GREY)
        if row.energy_nj is not None:
            colour = _COLOURS.get(row.network, GREY)
            ax.barh(i - 0.06, row.energy_nj - left, left=left, height=0.2, color=colour)
    ax.set_xscale("log")
    ax.set_xlim(left, (max(known) if known else 1.0) * 10)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    style_axes(ax, x="energy per sample (nJ), a model:\ncounted events x published energies", y="", grid=False)
    ax.set_yticks([])
    ax.grid(axis="x", color="#d9dbdf", linewidth=0.6)
    ax.set_axisbelow(True)
    samples = f"{report.n_samples} samples x {report.n_steps} steps"
    ax.set_title(f"Model, not a measurement:\n{report.chip}, {samples}", loc="left", fontsize=9)
    return ax


def engine_speeds(seconds: Mapping[str, float], samples: Mapping[str, int], *, ax: Axes | None = None) -> Axes:
    """Draw milliseconds per sample of every engine on a logarithmic axis; both by name of the engine."""
    ax = new_axes(ax, (4.6, 0.9 + 0.3 * len(seconds)))
    names = list(seconds)[::-1]
    times = [1e3 * seconds[name] / samples[name] for name in names]
    left = min(times) / 3
    ax.barh(range(len(names)), [time - left for time in times], left=left, height=0.6, color=SERIES[2])
    for i, time in enumerate(times):
        ax.text(time * 1.1, i, f"{time:.2g} ms", va="center", fontsize=8)
    logarithmic(ax, "x")
    ax.set_xlim(left, max(times) * 4)
    style_axes(ax, x="milliseconds per sample, start-up included", y="", grid=False)
    ax.set_yticks(range(len(names)), names)
    return ax


def epoch_seconds(metrics: Sequence[Mapping[str, Any]], *, ax: Axes | None = None) -> Axes:
    """Draw how long every epoch of a training took."""
    return _per_epoch(metrics, "seconds", "seconds per epoch", ax)


def epoch_memory(metrics: Sequence[Mapping[str, Any]], *, ax: Axes | None = None) -> Axes:
    """Draw the resident memory of the process at the end of every epoch; the libraries alone take most of it."""
    return _per_epoch(metrics, "rss_mb", "memory of the process (MiB)", ax)


def _per_epoch(metrics: Sequence[Mapping[str, Any]], key: str, y: str, ax: Axes | None) -> Axes:
    ax = new_axes(ax)
    rows = [(row.get("epoch", i + 1), row[key]) for i, row in enumerate(metrics) if key in row]
    marker = "o" if len(rows) <= 30 else None
    ax.plot(*zip(*rows, strict=True), linewidth=1.5, marker=marker, markersize=3, **series(0))
    ax.set_ylim(bottom=0)
    whole_numbers(ax.xaxis)
    return style_axes(ax, x="epoch", y=y)


def joules(nanojoules: float) -> str:
    """Return an energy with three digits and its unit.

    >>> joules(92.14), joules(20_900.0), joules(897_000.0)
    ('92.1 nJ', '20.9 µJ', '897 µJ')
    """
    for unit, size in (("mJ", 1e6), ("µJ", 1e3), ("nJ", 1.0)):
        if nanojoules >= size:
            return f"{nanojoules / size:.3g} {unit}"
    return f"{nanojoules * 1e3:.3g} pJ"


def _exponent(value: float) -> int:
    return math.floor(math.log10(value))
