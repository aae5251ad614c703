"""The gradient of synapses that do not exist, without the matrix it would fill.

The dense gradient of a linear layer is ``dW = sum over calls of delta^T x``: the activity at its input and the gradient
at its output say everything, and they are of the size of activations. A `GradientProbe` keeps both from the backward
pass of one step; whoever wants the gradient of dormant sites forms it from them block by block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neurosparse.kernels.lanes import expand_spikes
from neurosparse.kernels.vectors import LANES

if TYPE_CHECKING:
    from neurosparse.nn.sparse import SparseLinear

__all__ = ["GradientProbe", "record_rows"]

# The gradient is formed in blocks of at most so many columns and so many entries: 64 x 1024, both operands and the
# result within a core's cache. Whole rows of a wide layer would be 7 at a time and wait for memory.
_WIDTH = 1 << 10
_BLOCK = 1 << 16


class GradientProbe:
    """Collects, while it is a layer's ``gradient_probe``, what the gradient of every site can be computed from.

    Calls of one optimizer step add up, as in ``.grad``: whenever a backward pass finds the layer without gradient
    (after ``zero_grad()``, or after an attack that asked `torch.autograd.grad` for something else), it starts anew.
    """

    def __init__(self) -> None:
        self._calls: list[tuple[Any, Any]] = []
        self._pass = -1

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        """A copy of the layer is nobody's to rewire, and what is recorded here is large."""

    @property
    def n_calls(self) -> int:
        """Number of calls of the layer whose gradients are added up."""
        return len(self._calls)

    def record(self, layer: SparseLinear, source: Any, delta: Any) -> None:
        """Take note of one call, in its backward pass.

        Parameters
        ----------
        layer : SparseLinear
        source : Tensor (n_source, n_lanes), float rows, or uint16 spike words (n_source, n_lanes / 16)
            Activity at the input; lanes are samples and steps.
        delta : Tensor (n_target, n_lanes), float rows, or tiles (n_tiles, n_target, TILE)
            Gradient at the output. Kept by reference, as is `source`.
        """
        current = torch._C._current_graph_task_id()  # the same in all nodes of one backward pass
        gradient = layer.values.grad
        if current != self._pass and (gradient is None or not bool(gradient.any())):
            self._calls.clear()
        self._pass = current
        self._calls.append((source, delta))

    def blocks(self, layer: SparseLinear) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Yield the dense gradient in blocks that cover every site once: first row, first column, block.

        Blocks go down the rows of a range of columns, whose activity is unpacked once, then on to the next.
        """
        n_target, n_source = layer.out_features, layer.in_features
        dtype = np.float64 if layer.values.dtype == torch.float64 else np.float32
        width = min(n_source, _WIDTH)
        height = max(1, _BLOCK // width)
        for column in range(0, n_source, width):
            sources = [_columns(source, column, column + width, dtype) for source, _ in self._calls]
            for row in range(0, n_target, height):
                block: Tensor | None = None
                for source, (_, delta) in zip(sources, self._calls, strict=True):
                    part = _rows(delta, row, row + height, source.shape[1]) @ source.t()
                    block = part if block is None else block.add_(part)
                if block is not None:
                    yield row, column, block.cpu().numpy()


def record_rows(layer: SparseLinear | None, rows: NDArray[Any], delta: Any, *, shift: int = 0) -> None:
    """Tell the probe of `layer`, if it has one, of a call of the kernels.

    Parameters
    ----------
    layer : SparseLinear or None
        None for a connection that is dense.
    rows, delta
        `source` and `delta` of `GradientProbe.record`.
    shift : int
        Lanes by which the source acts later than it fires: one step for a recurrent connection.
    """
    if layer is None or layer.gradient_probe is None:
        return
    if shift:
        rows = rows[:, : rows.shape[1] - shift // LANES]
        delta = delta[:, shift:]
    layer.gradient_probe.record(layer, rows, delta)


def _is_packed(source: Any) -> bool:
    return isinstance(source, np.ndarray) and source.dtype == np.uint16


def _columns(source: Any, start: int, stop: int, dtype: Any) -> Tensor:
    """Return the activity of some source neurons (n, n_lanes) as floats."""
    part = source[start:stop]
    if _is_packed(source):
        part = expand_spikes(np.ascontiguousarray(part), dtype)
    return torch.from_numpy(part) if isinstance(part, np.ndarray) else cast(Tensor, part)


def _rows(delta: Any, start: int, stop: int, n_lanes: int) -> Tensor:
    """Return the gradient at some target neurons (n, n_lanes)."""
    if delta.ndim == 3:
        part = delta[:, start:stop].transpose(1, 0, 2)
        return torch.from_numpy(part.reshape(part.shape[0], -1)[:, :n_lanes])
    part = delta[start:stop]
    return torch.from_numpy(part) if isinstance(part, np.ndarray) else cast(Tensor, part)
