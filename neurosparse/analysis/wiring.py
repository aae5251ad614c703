"""Figures of a network's wiring: weights, degrees, and which input pixels it looks at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurosparse.analysis.palette import SERIES, new_axes, new_row, signed_colours, style_axes, whole_numbers
from neurosparse.core.projection import Projection
from neurosparse.errors import UnknownNameError, ValidationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "degree_histogram",
    "input_map",
    "n_new_sites",
    "scales",
    "weight_histogram",
    "weight_matrices",
    "weight_matrix",
]

MAX_IMAGE, MAX_SPARSE_IMAGE = 400, 150
"""Most rows and columns of a weight image, and of one of a density up to 2 %, whose dots would be too fine to be seen.

A larger layer is shown in bins, so that no figure costs a dense matrix.
"""

MAX_BARS = 40
"""Most bars of a histogram; more degrees than that share bars."""


def weight_matrix(
    projection: Projection, *, limit: float | None = None, title: str = "", ax: Axes | None = None
) -> Axes:
    """Draw the weights of `projection` as an image: sources to the right, targets upwards.

    A layer with more than 400 rows or columns (150 at a density up to 2 %) is shown in bins, each the colour of its
    strongest synapse.

    Parameters
    ----------
    limit : float, optional
        Weight of the darkest colour; the largest of the projection by default.
    """
    limit = _largest([projection]) if limit is None else limit
    ax = new_axes(ax, (4.8, 3.6))
    (n_target, n_source), (image, per_row, per_column) = projection.shape, _image(projection)
    drawn = ax.imshow(
        image,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=signed_colours(),
        vmin=-limit,
        vmax=limit,
        extent=(-0.5, n_source - 0.5, -0.5, n_target - 0.5),
    )
    bar = ax.figure.colorbar(drawn, ax=ax, pad=0.02, fraction=0.05)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
    bar.set_label("weight", fontsize=8)
    binned = f" ({per_row} x {per_column} sites per pixel)" if per_row * per_column > 1 else ""
    style_axes(ax, x=f"source neuron in {projection.source}", y=f"target neuron in {projection.target}", grid=False)
    count = f"{projection.n_synapses:,} synapses".replace(",", " ")
    ax.set_title(f"{title}{': ' if title else ''}{count}{binned}", loc="left", fontsize=9)
    return ax


def weight_matrices(before: Projection, after: Projection, *, axes: Sequence[Axes] | None = None) -> list[Axes]:
    """Draw the weights of one projection before and after training side by side, on one scale. Returns both axes."""
    if before.shape != after.shape:
        raise ValidationError(f"weight_matrices: before has shape {before.shape}, after {after.shape}")
    pair = list(axes) if axes is not None else new_row(2, (9.4, 3.5))
    limit = _largest([before, after])
    weight_matrix(before, limit=limit, title="before training", ax=pair[0])
    weight_matrix(after, limit=limit, title="after training", ax=pair[1])
    born = n_new_sites(before, after)
    pair[1].set_title(f"{pair[1].get_title(loc='left')}, {born} at new sites", loc="left", fontsize=9)
    return pair


def degree_histogram(
    projection: Projection,
    direction: Literal["in", "out"] = "in",
    *,
    before: Projection | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how many synapses a neuron has: into a target (``direction="in"``) or out of a source (``"out"``).

    `before`, the same projection before training, is drawn as a dashed outline.
    """
    ax = new_axes(ax)
    degrees = _degrees(projection, direction)
    former = _degrees(before, direction) if before is not None else None
    top = int(max(degrees.max(), former.max() if former is not None else 0))
    width = -(-(top + 1) // MAX_BARS)
    edges = np.arange(-(-(top + 1) // width) + 1) * width - 0.5
    ax.stairs(
        np.histogram(degrees, edges)[0],
        edges,
        fill=True,
        color=SERIES[2],
        label="after training" if before is not None else None,
    )
    if former is not None:
        ax.stairs(
            np.histogram(former, edges)[0],
            edges,
            color=SERIES[0],
            linestyle=(0, (4, 2)),
            linewidth=1.3,
            label="before training",
        )
        ax.legend(fontsize=8, frameon=False)
    whole_numbers(ax.yaxis)
    end = projection.target if direction == "in" else projection.source
    whole_numbers(ax.xaxis)
    style_axes(ax, x=f"synapses {'into' if direction == 'in' else 'out of'} a neuron of {end}", y="neurons")
    return ax


def weight_histogram(projection: Projection, *, before: Projection | None = None, ax: Axes | None = None) -> Axes:
    """Draw how many live synapses have which weight; `before` training as a dashed outline.

    Under DEEP R the middle is empty: a weight that comes to zero dies.
    """
    ax = new_axes(ax)
    states = [projection] if before is None else [projection, before]
    limit = _largest(states)
    edges = np.linspace(-limit, limit, MAX_BARS + 2)  # an odd number of bars: one of them is around zero
    counts = np.histogram(projection.weights, edges)[0]
    ax.stairs(counts, edges, fill=True, color=SERIES[2], label="after training" if before is not None else None)
    if before is not None:
        outline: dict[str, Any] = {
            "color": SERIES[0],
            "linestyle": (0, (4, 2)),
            "linewidth": 1.3,
            "label": "before training",
        }
        ax.stairs(np.histogram(before.weights, edges)[0], edges, **outline)
        ax.legend(fontsize=8, frameon=False)
    whole_numbers(ax.yaxis)
    return style_axes(ax, x=f"weight {projection.source} to {projection.target}", y="synapses")


def input_map(
    projection: Projection, shape: tuple[int, int], *, limit: int | None = None, title: str = "", ax: Axes | None = None
) -> Axes:
    """Draw how many synapses each input pixel feeds, in the `shape` (rows, columns) of the image; `limit` is black.

    Where a rewired network looks: synapses leave the pixels that say nothing.
    """
    if shape[0] * shape[1] != projection.shape[1]:
        raise ValidationError(
            f"input_map.shape: {shape[0]} x {shape[1]} pixels, the projection has {projection.shape[1]} sources"
        )
    ax = new_axes(ax, (3.2, 2.9))
    counts = _degrees(projection, "out").reshape(shape)
    drawn = ax.imshow(counts, cmap="Greys", vmin=0, vmax=limit or max(int(counts.max()), 1), interpolation="nearest")
    bar = ax.figure.colorbar(drawn, ax=ax, pad=0.02, fraction=0.05)
    bar.set_label("synapses per pixel", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
    return style_axes(ax, x="pixel column", y="pixel row", title=title, grid=False)


def n_new_sites(before: Projection, after: Projection) -> int:
    """Return how many synapses of `after` are where `before` has none."""
    return after.n_synapses - np.intersect1d(_sites(before), _sites(after), assume_unique=True).size


def scales(projections: Iterable[Projection]) -> tuple[float, int]:
    """Return the largest weight and the largest fan-out of `projections`: scales for pictures beside each other."""
    shown = list(projections)
    return _largest(shown), max((int(_degrees(p, "out").max(initial=1)) for p in shown), default=1)


def _image(projection: Projection) -> tuple[NDArray[Any], int, int]:
    """Return the weights as a masked image, and how many rows and columns a pixel is."""
    n_target, n_source = projection.shape
    most = MAX_IMAGE if projection.density > 0.02 else MAX_SPARSE_IMAGE
    per_row, per_column = -(-n_target // most), -(-n_source // most)
    image = np.ma.masked_array(np.zeros((-(-n_target // per_row), -(-n_source // per_column))), mask=True)
    order = np.argsort(np.abs(projection.weights), kind="stable")  # what is written last, stays: the strongest
    image[projection.rows[order] // per_row, projection.indices[order] // per_column] = projection.weights[order]
    return image, per_row, per_column


def _degrees(projection: Projection, direction: str) -> NDArray[np.int64]:
    if direction not in ("in", "out"):
        raise UnknownNameError("degree_histogram.direction", direction, ["in", "out"])
    if direction == "in":
        return np.diff(projection.indptr)
    return np.bincount(projection.indices, minlength=projection.n_source)


def _sites(projection: Projection) -> NDArray[np.int64]:
    return projection.rows.astype(np.int64) * projection.n_source + projection.indices


def _largest(projections: Iterable[Projection]) -> float:
    return max((float(np.abs(p.weights).max(initial=0.0)) for p in projections), default=0.0) or 1.0
