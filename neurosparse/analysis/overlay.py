"""The spikes of one sample in several engines, on top of each other: where they agree and where they do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.analysis.palette import GREY, SERIES, new_axes, style_axes, whole_numbers
from neurosparse.errors import ValidationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["mismatches", "raster_overlay"]

MAX_NEURONS, MAX_STEPS = 20, 40
"""Most neurons and steps of an overlay: a spike must stay wide enough for a bar per engine."""
_CELL = "#cfd2d8"
_BEFORE = 5  # steps shown before the first difference


def mismatches(engines: Mapping[str, NDArray[np.bool_]]) -> dict[str, int]:
    """Return for every engine but the first how many spikes (time, n) only it or only the first has."""
    (_, reference), *others = engines.items()
    return {name: int(np.count_nonzero(spikes ^ reference)) for name, spikes in others}


def raster_overlay(engines: Mapping[str, NDArray[np.bool_]], *, dt: float = 1e-3, ax: Axes | None = None) -> Axes:
    """Draw the spikes of one population for one sample in every engine, on those of the first one.

    A grey field is a spike of the first engine; inside it, every other engine has a bar of its own if it has that spike
    too, from left to right in the order of the legend. A bar outside a field, and a field without a bar, are circled.
    Of more than 20 neurons those with differences are shown, then those that spike neither always nor never; of more
    than 40 steps those from shortly before the first difference, or from the start.

    Parameters
    ----------
    engines : mapping of engine to bool array, shape (time, n)
        At least two, of one shape.
    dt : float
        Seconds per step.
    """
    shapes = {spikes.shape for spikes in engines.values()}
    if len(engines) < 2 or len(shapes) != 1:
        raise ValidationError(f"raster_overlay: needs two engines or more of one shape (time, n), got {sorted(shapes)}")
    (first, reference), *others = engines.items()
    differs = np.any([spikes ^ reference for _, spikes in others], axis=0)
    neurons, start = _shown(reference, differs)
    window = slice(start, start + MAX_STEPS)
    ax = new_axes(ax, (4.6, 1.3 + 0.14 * neurons.size))
    steps, rows = np.nonzero(reference[window, neurons])
    _rectangles(ax, steps + start, rows, 0.92, _CELL, first)
    width = 0.8 / len(others)
    for i, (name, spikes) in enumerate(others):
        offset = (i + 0.5) * width - 0.4
        steps, rows = np.nonzero(spikes[window, neurons])
        _rectangles(ax, steps + start + offset, rows, 0.55 * width, SERIES[i % len(SERIES)], name)
        steps, rows = np.nonzero((spikes ^ reference)[window, neurons])
        ring: dict[str, Any] = {"facecolors": "none", "edgecolors": "#000000", "linewidths": 1.1, "s": 42, "zorder": 5}
        ax.scatter(steps + start + offset, rows, **ring)
    n_steps = reference.shape[0]
    ax.set_xlim(start - 0.5, min(start + MAX_STEPS, n_steps) - 0.5)
    ax.set_ylim(-0.7, neurons.size - 0.3)
    ax.set_yticks(range(neurons.size), [str(neuron) for neuron in neurons])
    whole_numbers(ax.xaxis)
    style_axes(
        ax, x=f"time (steps of {dt * 1e3:g} ms)", y=f"neuron ({neurons.size} of {reference.shape[1]})", grid=False
    )
    ax.tick_params(axis="y", length=0, labelsize=6.5)
    ax.spines["left"].set_color(GREY)
    ax.legend(fontsize=7.5, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(-0.02, 1.0), handlelength=1.0)
    return ax


def _shown(reference: NDArray[np.bool_], differs: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Return the neurons to draw, in order, and the first step."""
    counts = reference.sum(axis=0)
    always_or_never = np.abs(counts - reference.shape[0] / 2)
    order = np.lexsort([always_or_never, -differs.sum(axis=0)])
    steps = np.flatnonzero(differs.any(axis=1))
    start = max(0, int(steps[0]) - _BEFORE) if steps.size and reference.shape[0] > MAX_STEPS else 0
    return np.sort(order[:MAX_NEURONS]), start


def _rectangles(ax: Axes, x: NDArray[Any], rows: NDArray[Any], width: float, colour: str, label: str) -> None:
    from matplotlib.collections import PolyCollection

    corners = np.array([[-0.5, -0.42], [0.5, -0.42], [0.5, 0.42], [-0.5, 0.42]]) * [width, 1.0]
    fields = np.stack([x, rows], axis=1)[:, np.newaxis, :] + corners
    ax.add_collection(PolyCollection(list(fields), facecolor=colour, edgecolor="none", label=label))
