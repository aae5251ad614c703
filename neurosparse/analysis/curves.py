"""Curves of a training run over its epochs, from the rows of ``metrics.jsonl``.

A row is a mapping; what is missing in it is not drawn. Every function draws into `ax`, or into a new figure,
and returns the axes. `populations` limits a plot to those names: a read-out that cannot spike has no firing rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neurosparse.analysis.palette import logarithmic, new_axes, new_row, series, style_axes, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "accuracy",
    "density",
    "firing_rates",
    "loss",
    "silent_neurons",
    "total",
    "training_curves",
    "turnover",
    "turnover_and_density",
]

Metrics = Sequence[Mapping[str, Any]]


def training_curves(metrics: Metrics, *, axes: Sequence[Axes] | None = None) -> list[Axes]:
    """Draw accuracy and loss over the epochs side by side. Returns both axes."""
    pair = list(axes) if axes is not None else new_row(2, (9.4, 3.2))
    return [accuracy(metrics, ax=pair[0]), loss(metrics, ax=pair[1])]


def accuracy(metrics: Metrics, *, ax: Axes | None = None) -> Axes:
    """Draw training and validation accuracy in percent."""
    named = {"training": "train_accuracy", "validation": "validation_accuracy"}
    lines = {label: [_percent(row.get(key)) for row in metrics] for label, key in named.items()}
    return _draw(ax, metrics, lines, "accuracy (%)")


def loss(metrics: Metrics, *, ax: Axes | None = None) -> Axes:
    """Draw the mean training loss of each epoch (logarithmic where it is positive throughout)."""
    values = [row.get("loss") for row in metrics]
    ax = _draw(ax, metrics, {"training": values}, "loss")
    if values and all(value is not None and value > 0 for value in values):
        logarithmic(ax, "y")
    return ax


def turnover_and_density(
    metrics: Metrics, possible: Mapping[str, int] | None = None, *, axes: Sequence[Axes] | None = None
) -> list[Axes]:
    """Draw the rewired share per epoch and the density side by side. Returns both axes; `possible` as in `density`."""
    pair = list(axes) if axes is not None else new_row(2, (9.4, 3.2))
    return [turnover(metrics, ax=pair[0]), density(metrics, possible, ax=pair[1])]


def turnover(metrics: Metrics, *, ax: Axes | None = None) -> Axes:
    """Draw births and deaths of each epoch in percent of the live synapses.

    More than 100 means that most were replaced more than once. One line where every death is followed by a birth.
    """
    lines = {}
    for key in ("deaths", "births"):
        counts = [(total(row.get(key)), total(row.get("synapses", row.get("live")))) for row in metrics]
        lines[key] = [100 * n / live if n is not None and live else None for n, live in counts]
    if lines["deaths"] == lines["births"]:
        lines = {"births and deaths": lines["births"]}
    return _draw(ax, metrics, lines, "rewired per epoch (% of live synapses)", from_zero=True)


def density(metrics: Metrics, possible: Mapping[str, int] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the density of every layer and of all together; without the number of `possible` synapses, the live ones."""
    live = _by_name(metrics, "live")
    if possible is None:
        return _draw(ax, metrics, live, "live synapses", from_zero=True)
    lines = {name: _share(counts, possible.get(name)) for name, counts in live.items()}
    lines["whole network"] = _share([total(row.get("live")) for row in metrics], sum(possible.values()))
    return _draw(ax, metrics, lines, "density (% of possible synapses)", from_zero=True)


def firing_rates(metrics: Metrics, populations: Sequence[str] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the mean firing rate of every population."""
    return _draw(
        ax, metrics, _by_name(metrics, "rates", populations), "firing rate (spikes per neuron and step)", from_zero=True
    )


def silent_neurons(metrics: Metrics, populations: Sequence[str] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw how many neurons of every population never spiked in an epoch."""
    ax = _draw(ax, metrics, _by_name(metrics, "silent", populations), "silent neurons", from_zero=True)
    whole_numbers(ax.yaxis)
    return ax


def total(value: Any) -> float | None:
    """Return `value`, or the sum over a mapping's values (layers); None where there is none."""
    return sum(value.values()) if isinstance(value, Mapping) else value


def _by_name(metrics: Metrics, key: str, wanted: Sequence[str] | None = None) -> dict[str, list[Any]]:
    rows: list[Mapping[str, Any]] = [row.get(key) or {} for row in metrics]
    names = dict.fromkeys(name for row in rows for name in row if wanted is None or name in wanted)
    return {name: [row.get(name) for row in rows] for name in names}


def _draw(
    ax: Axes | None, metrics: Metrics, lines: Mapping[str, list[Any]], y: str, *, from_zero: bool = False
) -> Axes:
    ax = new_axes(ax)
    epochs = [row.get("epoch", i + 1) for i, row in enumerate(metrics)]
    marker = "o" if len(epochs) <= 30 else None
    drawn = 0
    for label, values in lines.items():
        points = [(epoch, value) for epoch, value in zip(epochs, values, strict=True) if value is not None]
        if points:
            ax.plot(
                *zip(*points, strict=True), label=label, linewidth=1.5, marker=marker, markersize=3, **series(drawn)
            )
            drawn += 1
    if drawn > 1 or (drawn and "births and deaths" in lines):
        ax.legend(fontsize=8, frameon=False)
    if from_zero:
        ax.set_ylim(0, 1.06 * max([value for values in lines.values() for value in values if value], default=1.0))
    whole_numbers(ax.xaxis)
    return style_axes(ax, x="epoch", y=y)


def _share(counts: list[Any], possible: int | None) -> list[float | None]:
    return [100 * count / possible if count is not None and possible else None for count in counts]


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value
