"""A whole run in one picture: what was wired before and after, what it learned, how it spikes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neurosparse.analysis.curves import accuracy
from neurosparse.analysis.palette import new_grid
from neurosparse.analysis.traces import raster
from neurosparse.analysis.wiring import weight_matrices
from neurosparse.core.projection import Projection
from neurosparse.core.recording import Recording

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["overview"]


def overview(
    before: Projection,
    after: Projection,
    metrics: Sequence[Mapping[str, Any]],
    recording: Recording,
    *,
    sample: int = 0,
) -> list[Axes]:
    """Draw a projection before and after training, the accuracy of the epochs and the spikes of a sample; four axes."""
    axes = new_grid(2, 2, (9.6, 6.6))
    weight_matrices(before, after, axes=axes[:2])
    accuracy(metrics, ax=axes[2])
    raster(recording, sample, ax=axes[3])
    return axes
