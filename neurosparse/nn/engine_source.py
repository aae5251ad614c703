"""What a fused layer reads: spikes as bits from the layer before, or the user's tensor brought into rows of lanes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from neurosparse.kernels.lanes import Lanes, expand_spikes, pack_spikes, to_rows

__all__ = ["PackedSpikes", "Source", "float_source", "gradient_array", "numpy_dtype", "packed_source", "tensor_of_rows"]


@dataclass(frozen=True)
class PackedSpikes:
    """The spikes of a fused layer as bits, 1/32 of the memory of floats.

    Attributes
    ----------
    anchor : Tensor, shape (time, batch, n)
        Stands for the spikes in autograd's graph; one zero, expanded. Its gradient is that of the spikes.
    words : (n, n_words) uint16
    lanes : Lanes
    maker : Call, optional
        Of the layer that made them, if it can compute their gradient itself (`neurosparse.nn.engine_owed`).
    """

    anchor: Tensor
    words: NDArray[Any]
    lanes: Lanes
    maker: Any = None

    def tensor(self) -> Tensor:
        """Return the spikes as floats (time, batch, n), differentiable; strided: ``contiguous()`` before ``view``."""
        spikes: Tensor = _Unpack.apply(self.anchor, self)
        return spikes


class _Unpack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, anchor: Tensor, packed: PackedSpikes) -> Tensor:
        return tensor_of_rows(expand_spikes(packed.words, numpy_dtype(anchor.dtype)), packed.lanes)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


@dataclass(frozen=True)
class Source:
    """The input of a fused layer.

    Attributes
    ----------
    anchor : Tensor
        What autograd sees: (time, batch, n), or (1, batch, n) for a constant input.
    rows : (n, n_words) uint16 or (n, n_lanes) floats
    lanes : Lanes
        Of the rows: one step for a constant input.
    n_steps : int
        Length of the sequence.
    wants_steps : bool
        Whether the gradient should have the user's layout (time, batch, n) and not the kernels' rows.
    maker : Call, optional
        See `PackedSpikes`.
    """

    anchor: Tensor
    rows: NDArray[Any]
    lanes: Lanes
    n_steps: int
    wants_steps: bool
    maker: Any = None

    @property
    def constant(self) -> bool:
        """Whether the rows hold one step that repeats."""
        return self.lanes.n_steps != self.n_steps


def packed_source(x: Tensor | PackedSpikes, dtype: torch.dtype) -> Source:
    """Return `x` with spikes as bits where it is spikes, and as rows of `dtype` where it is not."""
    if isinstance(x, PackedSpikes):
        return Source(x.anchor, x.words, x.lanes, x.lanes.n_steps, False, x.maker)
    x, lanes, n_steps = _sequence(x)
    if x.dtype not in (torch.uint8, torch.bool):
        x = x.to(dtype)
    words = pack_spikes(x.detach().contiguous().numpy())
    if words is None or x.requires_grad:
        anchor = x.to(dtype)
    else:  # nobody asks for the gradient: only the shape matters
        anchor = torch.zeros((), dtype=dtype).expand(x.shape)
    rows = to_rows(anchor.detach().contiguous().numpy()) if words is None else words
    return Source(anchor, rows, lanes, n_steps, True)


def float_source(x: Tensor | PackedSpikes, dtype: torch.dtype) -> Source:
    """Return `x` as rows of floats."""
    if isinstance(x, PackedSpikes):
        return Source(x.anchor, expand_spikes(x.words, numpy_dtype(dtype)), x.lanes, x.lanes.n_steps, False)
    x, lanes, n_steps = _sequence(x)
    anchor = x.to(dtype)
    return Source(anchor, to_rows(anchor.detach().contiguous().numpy()), lanes, n_steps, True)


def _sequence(x: Tensor) -> tuple[Tensor, Lanes, int]:
    """Return one copy of what repeats, its lanes, and the number of steps in all."""
    n_steps = x.shape[0]
    # One input expanded over time has stride 0: its product is computed once, and autograd's expand sums the gradient.
    if n_steps > 1 and x.stride(0) == 0:
        x = x[:1]
    return x, Lanes(x.shape[0], x.shape[1]), n_steps


def tensor_of_rows(rows: NDArray[Any], lanes: Lanes) -> Tensor:
    """Return rows (n, n_lanes) as a tensor (time, batch, n) that looks into the same memory."""
    return torch.from_numpy(rows).as_strided(
        (lanes.n_steps, lanes.n_samples, rows.shape[0]), (lanes.padded, 1, lanes.n_lanes)
    )


def gradient_array(gradient: Tensor | None, lanes: Lanes, n: int) -> NDArray[Any] | None:
    """Return a gradient (time, batch, n) for the kernels: its rows if it is laid out so, else a contiguous array."""
    if gradient is None:
        return None
    in_rows = gradient.stride() == (lanes.padded, 1, lanes.n_lanes)
    if in_rows and min(gradient.shape) > 1:
        # Only the kernels lay out padded rows, and theirs are zero in the padding; torch never makes such strides.
        whole = gradient.untyped_storage().nbytes() // gradient.element_size() - gradient.storage_offset()
        if whole >= n * lanes.n_lanes:
            return gradient.detach().as_strided((n, lanes.n_lanes), (lanes.n_lanes, 1)).numpy()
    return gradient.detach().contiguous().numpy()


def numpy_dtype(dtype: torch.dtype) -> Any:
    """Return the numpy type of float32 or float64."""
    import numpy as np

    return np.float64 if dtype == torch.float64 else np.float32
