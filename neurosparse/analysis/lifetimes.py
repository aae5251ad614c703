"""Figures of what became of a run's synapses: how long they lived, how old the living are, how much was tried.

From the ``history`` of the rows of ``metrics.jsonl``; runs whose method holds a dense matrix have none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosparse.analysis.palette import logarithmic, new_axes, series, style_axes, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ages", "history_of", "lifetimes", "visited_sites"]

Metrics = Sequence[Mapping[str, Any]]


def history_of(metrics: Metrics) -> dict[str, dict[str, Any]]:
    """Return the history of every rewired layer at the end of a run, by name; empty where there is none."""
    return dict(metrics[-1].get("history") or {}) if metrics else {}


def lifetimes(metrics: Metrics, *, ax: Axes | None = None) -> Axes:
    """Draw which share of the synapses that died in each layer had lived at least so many optimizer steps."""
    return _survival(metrics, "lifetimes", "lifetime of at least (optimizer steps)", "synapses that died (%)", ax)


def ages(metrics: Metrics, *, ax: Axes | None = None) -> Axes:
    """Draw which share of the synapses that live at the end of a run have lived so many optimizer steps or more."""
    return _survival(metrics, "ages", "age of at least (optimizer steps)", "living synapses (%)", ax)


def visited_sites(metrics: Metrics, *, ax: Axes | None = None) -> Axes:
    """Draw which share of the possible sites of each layer have ever held a synapse, over the epochs.

    Where that is an estimate, a band of twice its standard error each way.
    """
    ax = new_axes(ax)
    for i, name in enumerate(history_of(metrics)):
        rows = [(row.get("epoch", k + 1), row["history"][name]) for k, row in enumerate(metrics) if row.get("history")]
        epochs = [epoch for epoch, _ in rows]
        share, error = (
            np.array([100 * found[key] / found["n_sites"] for _, found in rows]) for key in ("visited", "visited_error")
        )
        style = series(i)
        if error.any():
            ax.fill_between(epochs, share - 2 * error, share + 2 * error, color=style["color"], alpha=0.2, linewidth=0)
        marker = "o" if len(epochs) <= 30 else None
        ax.plot(epochs, share, label=name, linewidth=1.5, marker=marker, markersize=3, **style)
    ax.set_ylim(bottom=0)
    if ax.lines:
        ax.legend(fontsize=8, frameon=False)
    whole_numbers(ax.xaxis)
    return style_axes(ax, x="epoch", y="sites ever visited (% of possible)")


def _survival(metrics: Metrics, key: str, x: str, y: str, ax: Axes | None) -> Axes:
    ax = new_axes(ax)
    drawn, longest = 0, 2
    for name, found in history_of(metrics).items():
        counts = np.array(found[key])
        if not counts.size:
            continue
        share = 100 * counts[::-1].cumsum()[::-1] / counts.sum()
        steps = 2 ** np.arange(counts.size)
        ax.plot(steps, share, label=name, linewidth=1.5, marker="o", markersize=3, **series(drawn))
        drawn, longest = drawn + 1, max(longest, int(steps[-1]))
    stride = -(-int(np.log2(longest)) // 8)  # no more than nine numbers below the axis
    logarithmic(ax, "x", [2**i for i in range(0, int(np.log2(longest)) + 1, stride)])
    ax.set_ylim(0, 105)
    if drawn:
        ax.legend(fontsize=8, frameon=False)
    return style_axes(ax, x=x, y=y)
