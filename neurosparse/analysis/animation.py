"""A short animation of a projection while it rewires: one frame per snapshot, as a GIF that needs nothing to play."""

from __future__ import annotations

import io
from collections.abc import Sequence

from neurosparse.analysis.palette import new_axes, png
from neurosparse.analysis.wiring import scales, weight_matrix
from neurosparse.core.projection import Projection
from neurosparse.errors import ValidationError

__all__ = ["rewiring_gif"]

_FRAME_MS, _LAST_MS = 400, 2000


def rewiring_gif(snapshots: Sequence[tuple[str, Projection]], *, colours: int = 64) -> bytes:
    """Return an endlessly repeating GIF of the weight matrix; the same snapshots give the same bytes.

    Parameters
    ----------
    snapshots : sequence of (title, Projection)
        Of one projection, in the order of training; all of one shape. The colour scale is shared.
    colours : int
        Size of the palette; fewer make a smaller file.
    """
    from PIL import Image

    if len({projection.shape for _, projection in snapshots}) != 1:
        raise ValidationError("rewiring_gif: needs at least one snapshot, all of one projection's shape")
    limit, _ = scales(projection for _, projection in snapshots)
    frames = []
    for title, projection in snapshots:
        ax = weight_matrix(projection, limit=limit, title=title, ax=new_axes(None, (4.6, 3.0)))
        image = Image.open(io.BytesIO(png(ax.figure, dpi=90))).convert("RGB")
        frames.append(image.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE))
    buffer = io.BytesIO()
    duration = [_FRAME_MS] * (len(frames) - 1) + [_LAST_MS]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=duration, loop=0, optimize=True)
    return buffer.getvalue()
