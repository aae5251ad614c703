"""How figures look: one palette that reads in grey, plain axes, the same bytes for the same data.

The colours of `SERIES` are 15 steps of CIE lightness apart (16, 31, 47, 62, 77), so that a grey print keeps them apart;
line styles repeat the difference for everybody who cannot see it. Nothing here touches matplotlib's global state:
figures are made without pyplot, styles are set on the axes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import Colormap

__all__ = [
    "GREY",
    "LINE_STYLES",
    "SERIES",
    "logarithmic",
    "new_axes",
    "new_grid",
    "new_row",
    "png",
    "series",
    "signed_colours",
    "style_axes",
    "whole_numbers",
]

SERIES = ("#12284c", "#e07a32", "#1f7a8c", "#8c1c47", "#e3b83f")
LINE_STYLES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (5, 1.5, 1.5, 1.5)), (0, (9, 2)))
GREY = "#6b6f76"
_INK = "#23262b"
_DPI = 160


def series(i: int) -> dict[str, Any]:
    """Return colour and line style of the i-th series of a plot; after the fifth they begin again."""
    return {"color": SERIES[i % len(SERIES)], "linestyle": LINE_STYLES[i % len(LINE_STYLES)]}


def signed_colours() -> Colormap:
    """Return the colours of signed weights: orange below 0, navy above (in grey: medium, dark), white for no weight.

    A weight of 0 is still tinted, because a synapse that exists is not one that does not.
    """
    from matplotlib.colors import LinearSegmentedColormap

    stops = [(0.0, "#c4570f"), (0.4999, "#f8d9bf"), (0.5, "#d3dbe8"), (1.0, "#12284c")]
    return LinearSegmentedColormap.from_list("neurosparse_signed", stops).with_extremes(bad="#ffffff")


def new_axes(ax: Axes | None, size: tuple[float, float] = (6.4, 3.4)) -> Axes:
    """Return `ax`, or the axes of a new figure of `size` in inches."""
    return ax if ax is not None else new_row(1, size)[0]


def new_row(n: int, size: tuple[float, float]) -> list[Axes]:
    """Return `n` axes side by side in a new figure of `size` in inches."""
    return new_grid(1, n, size)


def new_grid(n_rows: int, n_columns: int, size: tuple[float, float]) -> list[Axes]:
    """Return the axes of a new figure of `size` in inches, row by row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    return list(figure.subplots(n_rows, n_columns, squeeze=False).flat)


def style_axes(ax: Axes, *, x: str, y: str, title: str = "", grid: bool = True) -> Axes:
    """Name the axes of `ax` (with units) and take away what carries no information; return `ax`."""
    ax.set_xlabel(x, color=_INK, fontsize=9)
    ax.set_ylabel(y, color=_INK, fontsize=9)
    if title:
        ax.set_title(title, loc="left", color=_INK, fontsize=10)
    ax.tick_params(colors=_INK, labelsize=8, length=3)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(GREY)
    if grid:
        ax.grid(axis="y", color="#d9dbdf", linewidth=0.6)
        ax.set_axisbelow(True)
    return ax


def logarithmic(ax: Axes, which: Literal["x", "y"], ticks: Sequence[float] = ()) -> None:
    """Make an axis logarithmic with plain numbers at `ticks` and nowhere else, or at 1, 2, 5, 10, 20, ... without any.

    Call it when everything is drawn: over many decades fewer numbers are shown, within one decade more.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

    getattr(ax, f"set_{which}scale")("log")
    axis = ax.xaxis if which == "x" else ax.yaxis
    low, high = axis.get_view_interval()
    subs = (1.0, 2.0, 5.0) if high > 8 * low else (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)
    axis.set_major_locator(FixedLocator(list(ticks)) if ticks else LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axis.set_minor_formatter(NullFormatter())
    if ticks:
        axis.set_minor_locator(FixedLocator([]))


def _short(value: float) -> str:
    """Return a number as it is read at an axis.

    >>> [_short(value) for value in (0.05, 2000, 16384, 50000, 2e6)]
    ['0.05', '2 000', '16 384', '50k', '2M']
    """
    if value >= 1e6:
        return f"{value / 1e6:.4g}M"
    if value >= 1e4 and value % 100 == 0:
        return f"{value / 1e3:.4g}k"
    return f"{value:,.0f}".replace(",", " ") if value >= 1e4 else f"{value:,.4g}".replace(",", " ")


def whole_numbers(axis: Axis) -> None:
    """Let the ticks of an axis be whole numbers: steps, epochs and neurons have no halves."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def png(figure: Any, *, dpi: int = _DPI) -> bytes:
    """Return a matplotlib `figure` as PNG, without a date or a version in it; 256 colours, a third of the bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    before = figure.get_dpi()
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # once: `savefig` draws twice where a layout is to be found
    drawn = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba()).convert("RGB")
    figure.set_dpi(before)
    buffer = io.BytesIO()
    drawn.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
