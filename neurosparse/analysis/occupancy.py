"""Figures of a placement: what lies on which core, and how full each core is of what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neurosparse.analysis.palette import GREY, SERIES, new_axes, new_grid, style_axes, whole_numbers
from neurosparse.deploy.utilization import Utilization

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["core_contents", "core_occupancy", "occupancy_map"]

RESOURCE_NAMES = {
    "neurons": "neurons",
    "synapse_bits": "synapse memory",
    "in_axons": "axons in",
    "out_axons": "axons out",
    "decay_sets": "decays",
    "threshold_sets": "thresholds",
}
_MANY, _LEAST = 64, 8
MAX_NUMBERS = 24
"""Most cores whose shares are written into the map; of more, colours tell."""


def core_occupancy(utilization: Utilization, *, axes: Sequence[Axes] | None = None) -> list[Axes]:
    """Draw what the cores hold above how full they are, core by core. Returns both axes."""
    pair = list(axes) if axes is not None else new_grid(2, 1, (4.6, 4.4))
    core_contents(utilization, ax=pair[0])
    occupancy_map(utilization, ax=pair[1])
    pair[0].set_xlim(pair[1].get_xlim())
    pair[0].set_xlabel("")
    return pair


def core_contents(utilization: Utilization, *, ax: Axes | None = None) -> Axes:
    """Draw how many neurons of each population every core holds, one colour per population."""
    ax = new_axes(ax, (4.6, 2.4))
    names = list(utilization.populations)
    places, bottom = np.arange(utilization.n_cores), np.zeros(utilization.n_cores)
    for i, name in enumerate(names):
        sizes = np.array([core.populations.get(name, 0) for core in utilization.cores])
        # hatches begin where the colours begin again, so that six populations are still told apart
        hatch = "" if i < len(SERIES) else "///"
        ax.bar(
            places,
            sizes,
            0.86 if utilization.n_cores <= _MANY else 1.0,
            bottom,
            color=SERIES[i % len(SERIES)],
            hatch=hatch,
            label=name,
        )
        bottom += sizes
    if len(names) <= 2 * len(SERIES):
        ax.legend(fontsize=7.5, frameon=False, ncols=min(len(names), 4), loc="upper right", handlelength=1.2)
    ax.set_ylim(0, 1.35 * bottom.max())  # room for the legend
    style_axes(ax, x="core", y="neurons")
    _core_axis(ax, utilization, told=True)
    cores = f"{utilization.n_cores} core{'s' * (utilization.n_cores != 1)}, at least {utilization.lower_bound} needed"
    ax.set_title(f"{utilization.chip}: {cores}", loc="left", fontsize=9)
    return ax


def occupancy_map(utilization: Utilization, *, ax: Axes | None = None) -> Axes:
    """Draw the share used of every resource of every core: white is empty, dark is full, orange is too much.

    Resources whose limit is an estimate are marked with a star.
    """
    from matplotlib.colors import LinearSegmentedColormap

    ax = new_axes(ax, (4.6, 2.4))
    names = list(utilization.limits)
    shares = np.array([[core.usage[n] / utilization.limits[n] for core in utilization.cores] for n in names])
    shades = LinearSegmentedColormap.from_list("neurosparse_occupancy", ["#f4f5f8", "#7f9cc0", SERIES[0]])
    colours = shades.with_extremes(over=SERIES[1])
    drawn = ax.imshow(shares, aspect="auto", interpolation="nearest", cmap=colours, vmin=0, vmax=1)
    if utilization.n_cores <= MAX_NUMBERS:
        for (row, column), share in np.ndenumerate(shares):
            ink = "white" if 0.55 < share <= 1 else "#23262b"
            ax.text(column, row, f"{share:.0%}", ha="center", va="center", fontsize=6.5, color=ink)
    if utilization.n_cores <= _MANY:
        ax.set_xticks(np.arange(-0.5, utilization.n_cores), minor=True)
    ax.set_yticks(np.arange(-0.5, len(names)), minor=True)
    ax.grid(which="minor", color="white", linewidth=1.0)
    ax.tick_params(which="minor", length=0)
    style_axes(ax, x="core", y="", grid=False)
    _core_axis(ax, utilization)
    estimated = {name.removeprefix("core.") for name in utilization.estimates}
    ax.set_yticks(range(len(names)), [RESOURCE_NAMES.get(n, n) + ("*" if n in estimated else "") for n in names])
    bar = ax.figure.colorbar(drawn, ax=ax, pad=0.02, fraction=0.05, extend="max" if (shares > 1).any() else "neither")
    bar.set_label("used / limit", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
    if estimated & set(names):
        ax.set_title("* limit estimated, not official", loc="right", fontsize=7, color=GREY)
    return ax


def _core_axis(ax: Axes, utilization: Utilization, *, told: bool = False) -> None:
    """Number the cores, leave room beside few, and draw a dashed line where the chip, or the last one, ends."""
    n, there = utilization.n_cores, utilization.chips * utilization.cores_per_chip
    ax.set_xlim(-0.5, max(n, _LEAST) - 0.5)
    if n <= MAX_NUMBERS:
        ax.set_xticks(range(n))
    else:
        whole_numbers(ax.xaxis)
    for end in range(utilization.cores_per_chip, n, utilization.cores_per_chip):
        beyond = end >= there
        ax.axvline(end - 0.5, color=SERIES[3] if beyond else GREY, linestyle=(0, (4, 2)), linewidth=1.2)
        if told and end == there:
            text = f" beyond the {there} cores there are"
            ax.text(end - 0.5, 1.0, text, transform=ax.get_xaxis_transform(), va="top", fontsize=7, color=SERIES[3])
