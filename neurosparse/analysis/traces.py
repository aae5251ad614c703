"""Figures of a recording: spikes and voltages of one sample over time."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.analysis.palette import GREY, SERIES, new_axes, series, style_axes, whole_numbers
from neurosparse.core.recording import Recording
from neurosparse.errors import UnknownNameError, ValidationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["raster", "readout_trace", "voltage_trace"]


def raster(recording: Recording, sample: int = 0, *, ax: Axes | None = None) -> Axes:
    """Draw the spikes of one sample: time to the right, neurons upwards, one colour per population.

    Populations that cannot spike (leaky-integrator read-outs) are left out. `ValidationError` for a wrong sample.
    """
    _check_index("raster.sample", sample, recording.n_samples)
    names = [name for name in recording.spikes if name in recording.v_thresholds or not recording.v_thresholds]
    ax = new_axes(ax, (6.8, 4.2))
    ticks, labels, base, gap = [], [], 0, max(1, sum(recording.spikes[name].shape[2] for name in names) // 60)
    for i, name in enumerate(names):
        spikes = recording.spikes[name][:, sample]
        steps, neurons = np.nonzero(spikes)
        _dashes(ax, steps, neurons + base, SERIES[i % len(SERIES)])
        ticks.append(base + (spikes.shape[1] - 1) / 2)
        labels.append(f"{name}\n{spikes.shape[1]} neurons\n{steps.size} spikes")
        base += spikes.shape[1] + gap
        if i < len(names) - 1:
            ax.axhline(base - gap / 2 - 0.5, color=GREY, linewidth=0.6)
    ax.set_yticks(ticks, labels)
    ax.set_xlim(-0.5, max(recording.n_steps, 1) - 0.5)
    ax.set_ylim(-0.5 - gap / 2, max(base - gap, 1) - 0.5 + gap / 2)
    whole_numbers(ax.xaxis)
    style_axes(ax, x=_time(recording.dt), y="neuron", grid=False)
    ax.tick_params(axis="y", length=0)
    return ax


def voltage_trace(
    recording: Recording, population: str, neurons: int | Iterable[int] = 0, *, sample: int = 0, ax: Axes | None = None
) -> Axes:
    """Draw the membrane voltage of some neurons of one sample; their threshold, where there is one, is dashed.

    A dot marks the step of a spike. The recording must hold the voltages (``simulate(..., record="voltages")``), else
    `UnknownNameError`. After five neurons the colours begin again.
    """
    voltages = _voltages(recording, population, sample)
    chosen = [neurons] if isinstance(neurons, (int, np.integer)) else list(neurons)
    ax, steps = new_axes(ax), np.arange(recording.n_steps)
    for i, neuron in enumerate(chosen):
        _check_index("voltage_trace.neurons", neuron, voltages.shape[1])
        ax.plot(steps, voltages[:, neuron], linewidth=1.4, label=f"neuron {neuron}", **series(i))
        if population in recording.spikes:
            at = np.flatnonzero(recording.spikes[population][:, sample, neuron])
            ax.plot(at, voltages[at, neuron], "o", markersize=3.5, color=SERIES[i % len(SERIES)])
    thresholds = recording.v_thresholds.get(population)
    if thresholds is not None:
        for i, value in enumerate(np.unique(thresholds[chosen])):
            ax.axhline(float(value), color=GREY, linestyle=(0, (4, 3)), linewidth=1.0, label=None if i else "threshold")
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    whole_numbers(ax.xaxis)
    return style_axes(ax, x=_time(recording.dt), y=f"voltage of {population} (a. u.)")


def readout_trace(
    recording: Recording, population: str, *, label: int | None = None, sample: int = 0, ax: Axes | None = None
) -> Axes:
    """Draw the voltages of a read-out for one sample, one line per class, named at its end.

    The class that the sample is read as is dark, the right one (`label`) dashed orange if it is another, the rest grey.
    """
    voltages = _voltages(recording, population, sample)
    decided = int(recording.decisions(population)[sample])
    ax, steps = new_axes(ax), np.arange(recording.n_steps)
    ends = _spread(voltages[-1].astype(np.float64), 0.055 * float(np.ptp(voltages)))
    for neuron in range(voltages.shape[1]):
        style = series(0) if neuron == decided else series(1) if neuron == label else {"color": "#a9adb5"}
        ax.plot(steps, voltages[:, neuron], linewidth=2.0 if neuron in (decided, label) else 1.0, **style)
        ax.annotate(
            str(neuron),
            (steps[-1], ends[neuron]),
            xytext=(5, 0),
            textcoords="offset points",
            fontsize=8,
            va="center",
            color=style["color"] if neuron in (decided, label) else GREY,
        )
    ax.margins(x=0.03)
    whole_numbers(ax.xaxis)
    verdict = "" if label is None else f", which is {'right' if label == decided else f'wrong: it is a {label}'}"
    title = f"read as class {decided}{verdict}"
    return style_axes(ax, x=_time(recording.dt), y=f"voltage of {population} (a. u.)", title=title)


def _spread(positions: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Return `positions` (n,) moved apart, in their order, until neighbours are `gap` from each other."""
    order = np.argsort(positions, kind="stable")
    spread = positions.copy()
    for below, above in pairwise(order):
        spread[above] = max(spread[above], spread[below] + gap)
    return spread - (spread - positions).mean()


def _dashes(ax: Axes, steps: NDArray[Any], rows: NDArray[Any], colour: str) -> None:
    """Draw one rectangle per spike; a thin edge keeps it visible where a neuron is less than a pixel high."""
    from matplotlib.collections import PolyCollection

    corners = np.array([[-0.36, -0.42], [0.36, -0.42], [0.36, 0.42], [-0.36, 0.42]])
    rectangles = np.stack([steps, rows], axis=1)[:, np.newaxis, :] + corners
    ax.add_collection(PolyCollection(list(rectangles), facecolor=colour, edgecolor=colour, linewidth=0.3))


def _time(dt: float) -> str:
    return f"time (steps of {dt * 1e3:g} ms)"


def _voltages(recording: Recording, population: str, sample: int) -> NDArray[Any]:
    if population not in recording.voltages:
        raise UnknownNameError("Recording.voltages", population, recording.voltages)
    _check_index("sample", sample, recording.n_samples)
    return recording.voltages[population][:, sample]


def _check_index(owner: str, index: int, size: int) -> None:
    if not 0 <= index < size:
        raise ValidationError(f"{owner}: must lie in [0, {size}), got {index}")
