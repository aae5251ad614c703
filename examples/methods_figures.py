"""The figures of `methods_on_mnist.py`. Not a script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from methods_entries import DENSE, SPARSE, STRUCTURED

from neurosparse.analysis.palette import GREY, SERIES, new_row, png, style_axes

DENSITIES = [0.1, 0.05, 0.02, 0.01]


def draw(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return the figure: one panel per density, one line per method, every seed a point, the mean a bar."""
    drawn = [*SPARSE, *DENSE, *STRUCTURED]
    names = [name for name in drawn if any((r["method"], r["density"]) == (name, DENSITIES[0]) for r in rows)]
    dense = [100 * row["test_accuracy"] for row in rows if row["method"] == "dense"]
    axes = new_row(len(DENSITIES), (11.0, 0.9 + 0.27 * len(names)))
    for ax, density in zip(axes, DENSITIES, strict=True):
        control = [100 * r["test_accuracy"] for r in rows if (r["method"], r["density"]) == ("static", density)]
        top, middle = float(np.mean(dense)) + 0.4, float(np.mean(control))
        left = top - 2.5 * (top - middle)  # what is far below static is told in figures, or nothing else could be seen
        ax.set_xlim(left, top)
        for i, name in enumerate(names):
            mine = [100 * r["test_accuracy"] for r in rows if (r["method"], r["density"]) == (name, density)]
            kind = 0 if name in SPARSE else 1 if name in DENSE else 2
            if mine and min(mine) < left:
                spread = f"\u25c2 {np.mean(mine):.1f} \u00b1 {np.std(mine, ddof=1):.1f}"
                ax.text(left, i, f" {spread}", va="center", fontsize=8, color=SERIES[kind])
            elif mine:
                ax.plot(mine, [i] * len(mine), "osD"[kind], color=SERIES[kind], markersize=4, alpha=0.6)
                ax.plot(np.mean(mine), i, "|", color=SERIES[kind], markersize=14, markeredgewidth=2.5)
        ax.axvline(middle, color=GREY, linewidth=0.9, linestyle=(0, (2, 2)))
        ax.axvline(float(np.mean(dense)), color=GREY, linewidth=1.2)
        ax.set_yticks(range(len(names)), names if ax is axes[0] else [""] * len(names))
        ax.set_ylim(len(names) - 0.5, -0.5)
        style_axes(ax, x="test accuracy (%)", y="", title=f"{100 * density:g} % of the synapses", grid=False)
        ax.grid(axis="x", color="#d9dbdf", linewidth=0.6)
        ax.set_axisbelow(True)
    return png(axes[0].figure)


def draw_emergent(found: dict[str, Any]) -> bytes:
    """Return the figure of the methods whose density is a result: every run a point, beside two that are told."""
    ax = new_row(1, (6.4, 4.2))[0]
    lowest = 86.0  # what is below stands at the edge, with its accuracy
    names = list(dict.fromkeys(row["method"] for row in found["emergent"]))
    for i, name in enumerate(names):
        rows = [row for row in found["emergent"] if row["method"] == name]
        x, y = [100 * r["density"] for r in rows], [100 * r["test_accuracy"] for r in rows]
        ax.plot(x, y, "osD^vP"[i % 6], color=SERIES[i % len(SERIES)], markersize=5, alpha=0.8, label=name)
        for density, accuracy in zip(x, y, strict=True):
            if accuracy < lowest:
                ax.text(
                    density, lowest, f"\u25be {accuracy:.0f}", fontsize=7, va="bottom", color=SERIES[i % len(SERIES)]
                )
    for name, dashes in (("deep_r", "-"), ("static", (0, (2, 2)))):
        means = [
            np.mean([100 * r["test_accuracy"] for r in found["rows"] if (r["method"], r["density"]) == (name, d)])
            for d in DENSITIES
        ]
        ax.plot([100 * d for d in DENSITIES], means, color=GREY, linewidth=1.2, linestyle=dashes, label=name)
    ax.set_xscale("log")
    ax.set_ylim(lowest, 97.0)
    ticks = [1, 2, 5, 10, 20, 50, 100]
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    style_axes(ax, x="density reached (%)", y="test accuracy (%)", title="Nobody sets the density")
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    return png(ax.figure)
