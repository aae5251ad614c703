"""Plots of speed: how many times faster against density, and how time grows with size.

Every function draws into `ax`, or into a new figure, and returns the axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neurosparse.analysis.palette import GREY, logarithmic, new_axes, series, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["gains", "growth", "speed_ups"]

_MARKERS = "ovs^DP*X"


def speed_ups(
    measured: Mapping[str, Sequence[tuple[float, float]]],
    *,
    emphasised: Sequence[str],
    reference: str,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw speed-up over `reference` against density, both logarithmic.

    Parameters
    ----------
    measured : mapping of str to (density in (0, 1], speed-up) pairs
        In order of density.
    emphasised : sequence of str
        Drawn in colour, the others in grey, told apart by their markers.
    reference : str
        Whose speed is 1.
    """
    ax = new_axes(ax, (5.2, 3.9))
    others = [name for name in measured if name not in emphasised]
    for i, name in enumerate(others):
        look: dict[str, Any] = {"color": GREY, "linewidth": 0.9, "marker": _MARKERS[i % len(_MARKERS)], "markersize": 4}
        _line(ax, measured[name], name, look)
    for i, name in enumerate(name for name in emphasised if name in measured):
        _line(ax, measured[name], name, {**series(i), "linewidth": 2.2, "marker": "o", "markersize": 4.5})
    ax.axhline(1.0, color=GREY, linewidth=0.8, linestyle=":")
    _density_axis(ax)
    _times_axis(ax)
    style_axes(ax, x="density (% of the possible synapses)", y=f"times as fast as {reference}", title=title)
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i] in others)
    ax.legend([handles[i] for i in order], [labels[i] for i in order], fontsize=7, frameon=False, loc="upper right")
    return ax


def gains(
    densities: Sequence[float],
    factors: Mapping[str, Sequence[float]],
    *,
    reference: str,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw by which factors (name -> one per density) something beats `reference`, against density."""
    ax = new_axes(ax, (4.4, 3.9))
    for i, (name, values) in enumerate(factors.items()):
        pairs = list(zip(densities, values, strict=True))
        _line(ax, pairs, name, {**series(i), "linewidth": 2.0, "marker": _MARKERS[i], "markersize": 4.5})
    ax.axhline(1.0, color=GREY, linewidth=0.8, linestyle=":")
    _density_axis(ax)
    _times_axis(ax)
    style_axes(ax, x="density (% of the possible synapses)", y=f"factor against {reference}", title=title)
    ax.legend(fontsize=7, frameon=False, loc="upper right")
    return ax


def growth(sizes: Sequence[float], seconds: Sequence[float], *, x: str, ax: Axes | None = None) -> Axes:
    """Draw milliseconds against size, both logarithmic, beside the straight line through both ends."""
    ax = new_axes(ax, (4.5, 3.4))
    slope = (seconds[-1] - seconds[0]) / (sizes[-1] - sizes[0])
    points = [sizes[0] * (sizes[-1] / sizes[0]) ** (i / 60) for i in range(61)]
    line = [1e3 * (seconds[0] + slope * (point - sizes[0])) for point in points]
    ax.plot(points, line, color=GREY, linewidth=1.0, linestyle="--", label="fixed cost + proportional")
    ax.plot(sizes, [1e3 * s for s in seconds], label="measured", linewidth=0, marker="o", color=series(0)["color"])
    logarithmic(ax, "x")
    logarithmic(ax, "y")
    ax.legend(fontsize=8, frameon=False, loc="upper left")
    return style_axes(ax, x=x, y="milliseconds a step")


def _line(ax: Axes, pairs: Sequence[tuple[float, float]], name: str, look: dict[str, Any]) -> None:
    ax.plot([100 * density for density, _ in pairs], [factor for _, factor in pairs], label=name, **look)


def _density_axis(ax: Axes) -> None:
    logarithmic(ax, "x", (1, 5, 10, 20, 50, 100))


def _times_axis(ax: Axes) -> None:
    logarithmic(ax, "y")
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, 0.5), max(high * 3.0, 4.0))  # room for the legend
