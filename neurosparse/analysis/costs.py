"""The figure of an energy model: a network on a chip beside what it is compared with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from neurosparse.analysis.palette import GREY, SERIES, new_axes, style_axes
from neurosparse.deploy.energy import EnergyReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["energy_comparison", "joules"]

_COLOURS = {
    "sparse SNN": SERIES[2],
    "dense SNN, same spikes": SERIES[0],
    "sparse, no spikes": SERIES[4],
    "dense, no spikes": SERIES[1],
}


def energy_comparison(report: EnergyReport, *, ax: Axes | None = None) -> Axes:
    """Draw the modelled energy per sample of every row of `report`, on a logarithmic axis.

    A row without published energies gets no bar, only its count of operations: nothing is borrowed from another chip.
    """
    ax = new_axes(ax, (8.4, 0.9 + 0.36 * len(report.rows)))
    rows = list(report.rows)[::-1]
    known = [row.energy_nj for row in rows if row.energy_nj]
    left = 10 ** (_exponent(min(known)) - 1) if known else 1.0
    for i, row in enumerate(rows):
        count = f"{row.operations:,.0f} {row.operation}".replace(",", " ")
        if row.energy_nj is None:
            ax.text(left * 1.1, i, f"no public figure; {count}", va="center", fontsize=7.5, color=GREY)
            continue
        ax.barh(i, row.energy_nj - left, left=left, height=0.66, color=_COLOURS.get(row.network, GREY))
        ax.text(row.energy_nj * 1.08, i, f"{joules(row.energy_nj)}; {count}", va="center", fontsize=7)
    ax.set_xscale("log")
    ax.set_xlim(left, (max(known) if known else 1.0) * 200)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    style_axes(ax, x="energy per sample (nJ), a model: counted events x published energies", y="", grid=False)
    ax.set_yticks(range(len(rows)), [f"{row.network}\n{row.machine}" for row in rows], fontsize=6.5)
    ax.grid(axis="x", color="#d9dbdf", linewidth=0.6)
    ax.set_axisbelow(True)
    samples = f"{report.n_samples} samples x {report.n_steps} steps"
    ax.set_title(f"Model, not a measurement: {report.chip}, {samples}", loc="left", fontsize=10)
    return ax


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
