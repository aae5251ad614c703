"""Accuracy against density and cost, over methods and seeds: points with confidence, paired tests, the plots.

A row is one finished run, a mapping with ``method``, ``density``, ``seed``, ``test_accuracy``, ``synapses``,
``synaptic_operations`` and further varied values under ``varied``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neurosparse.analysis.palette import GREY, logarithmic, new_axes, series, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Paired", "Point", "accuracy_density", "accuracy_operations", "paired_tests", "pareto_front", "points"]

Row = Mapping[str, Any]
DENSE = "dense"


@dataclass(frozen=True)
class Point:
    """The runs of one method at one density, over their seeds.

    `low` and `high` bound the mean test accuracy with 95 % confidence (Student's t, and no further than 0 and 1); of a
    single run they are its own.
    """

    method: str
    density: float
    n: int
    mean: float
    sd: float
    low: float
    high: float
    synapses: float
    synaptic_operations: float
    seconds: float
    varied: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Paired:
    """Two methods at one density, compared seed by seed: mean difference (first - second) and its p-value."""

    first: str
    second: str
    density: float
    n: int
    difference: float
    low: float
    high: float
    p: float


def points(rows: Iterable[Row]) -> list[Point]:
    """Return one point per method, density and varied values, in that order."""
    found = []
    for (method, density, varied), group in _grouped(rows).items():
        accuracy = [row["test_accuracy"] for row in group]
        mean, sd, low, high = _interval(accuracy)
        low, high = max(low, 0.0), min(high, 1.0)  # with two seeds t is 12.7
        cost = {
            name: float(np.mean([row[name] for row in group]))
            for name in ("synapses", "synaptic_operations", "seconds")
        }
        found.append(Point(method, density, len(group), mean, sd, low, high, varied=varied, **cost))
    return found


def paired_tests(rows: Iterable[Row]) -> list[Paired]:
    """Return every pair of methods at every density they share, compared over common seeds (paired t-test).

    A p-value needs at least three pairs that differ differently; else it is NaN. A dense baseline, which has no
    density of its own, is compared with every density. Nothing is corrected for the number of comparisons.
    """
    from scipy import stats  # imported here: it is slow to import

    groups: dict[tuple[Any, ...], dict[float, dict[int, float]]] = {}
    for (method, density, varied), group in _grouped(rows).items():
        groups.setdefault((method, varied), {})[density] = {row["seed"]: row["test_accuracy"] for row in group}
    found = []
    for first, second in itertools.combinations(groups, 2):
        if first[1] != second[1]:
            continue
        one, two = groups[first], groups[second]
        densities = sorted(set(one) ^ set(two) if DENSE in (first[0], second[0]) else set(one) & set(two))
        for density in densities:
            a, b = one.get(density, one.get(1.0)), two.get(density, two.get(1.0))
            seeds = sorted(set(a or {}) & set(b or {}))
            if a is None or b is None or not seeds:
                continue
            differences = np.array([a[seed] - b[seed] for seed in seeds])
            mean, sd, low, high = _interval(differences)
            p = float(stats.ttest_1samp(differences, 0.0).pvalue) if len(seeds) >= 3 and sd > 0 else float("nan")
            found.append(Paired(first[0], second[0], density, len(seeds), mean, low, high, p))
    return found


def pareto_front(rows: Sequence[Row], objectives: Mapping[str, int]) -> list[Row]:
    """Return the rows that no other row beats: `objectives` maps a key to +1 (more is better) or -1 (less is)."""
    values = np.array([[sign * float(row[key]) for key, sign in objectives.items()] for row in rows])
    beaten = [bool(((values >= mine).all(axis=1) & (values > mine).any(axis=1)).any()) for mine in values]
    return [row for row, worse in zip(rows, beaten, strict=True) if not worse]


def accuracy_density(rows: Sequence[Row], *, ax: Axes | None = None) -> Axes:
    """Draw test accuracy against density: every run a point, a line through the means, a 95 % band."""
    return _draw(rows, "density", 100.0, "density (% of possible synapses)", ax)


def accuracy_operations(rows: Sequence[Row], *, ax: Axes | None = None) -> Axes:
    """Draw test accuracy against synaptic operations per sample."""
    return _draw(rows, "synaptic_operations", 1.0, "synaptic operations per sample", ax)


def _draw(rows: Sequence[Row], key: str, scale: float, label: str, ax: Axes | None) -> Axes:
    ax = ax if ax is not None else new_axes(None, (4.6, 3.4))
    per_line: dict[tuple[Any, ...], list[Point]] = {}
    for point in points(rows):
        per_line.setdefault((point.method, point.varied), []).append(point)
    sparse = [line for line in per_line if line[0] != DENSE]
    for i, line in enumerate(sparse):
        found = sorted(per_line[line], key=lambda point: getattr(point, key))
        style = series(i)
        x = [scale * getattr(point, key) for point in found]
        ax.fill_between(
            x,
            [100 * p.low for p in found],
            [100 * p.high for p in found],
            color=style["color"],
            alpha=0.15,
            linewidth=0,
        )
        ax.plot(x, [100 * p.mean for p in found], label=_name(*line), linewidth=1.5, **style)
        mine = [row for row in rows if (row["method"], _varied(row)) == line]
        ax.scatter(
            [scale * row[key] for row in mine],
            [100 * row["test_accuracy"] for row in mine],
            s=12,
            color=style["color"],
            marker="osD^v"[i % 5],
            zorder=3,
        )
    for line in per_line:
        if line[0] == DENSE:
            for point in per_line[line]:
                ax.axhspan(100 * point.low, 100 * point.high, color=GREY, alpha=0.15, linewidth=0)
                ax.axhline(100 * point.mean, color=GREY, linewidth=1.2, linestyle=(0, (2, 2)), label=_name(*line))
    values = sorted({scale * point.density for line in sparse for point in per_line[line]} if key == "density" else [])
    if rows:  # what was measured is to be seen; the band of two seeds would make a line of it
        measured = [100 * row["test_accuracy"] for row in rows]
        margin = max(0.5, 0.15 * (max(measured) - min(measured)))
        ax.set_ylim(min(measured) - margin, min(max(measured) + margin, 100.5))
    if sparse:
        logarithmic(ax, "x", values)
    if per_line:
        ax.legend(fontsize=8, frameon=False)
    return style_axes(ax, x=label, y="test accuracy (%)")


def _grouped(rows: Iterable[Row]) -> dict[tuple[str, float, tuple[tuple[str, Any], ...]], list[Row]]:
    groups: dict[tuple[str, float, tuple[tuple[str, Any], ...]], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["method"], row["density"], _varied(row)), []).append(row)
    return dict(sorted(groups.items(), key=lambda item: (item[0][0] == DENSE, item[0][0], str(item[0][2]), item[0][1])))


def _varied(row: Row) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(dict(row.get("varied") or {}).items()))


def _name(method: str, varied: tuple[tuple[str, Any], ...]) -> str:
    return ", ".join([method, *(f"{key.rpartition('.')[2]} {value}" for key, value in varied)])


def _interval(values: Sequence[float] | np.ndarray[Any, Any]) -> tuple[float, float, float, float]:
    """Return mean, standard deviation (n - 1) and the 95 % confidence interval of the mean."""
    from scipy import stats

    array = np.asarray(values, float)
    mean = float(array.mean())
    if array.size < 2:
        return mean, 0.0, mean, mean
    sd = float(array.std(ddof=1))
    half = float(stats.t.ppf(0.975, array.size - 1)) * sd / array.size**0.5
    return mean, sd, mean - half, mean + half
