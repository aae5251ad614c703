"""A guard that sees every tensor torch makes and every array numpy makes, for the tests of "never a dense matrix"."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LargeAllocation(AssertionError):
    """Something of the size of the dense matrix was made."""


class _SeesTensors(TorchDispatchMode):
    """Looks at every result of every operator, in backward too: the hook sits below autograd."""

    def __init__(self, max_elements: int) -> None:
        super().__init__()
        self.max_elements, self.n_calls = max_elements, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n_calls += 1
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and _stored(leaf) > self.max_elements:
                raise LargeAllocation(f"{func} made a tensor of {_stored(leaf)} elements, shape {tuple(leaf.shape)}")
        return result


def _stored(tensor: Tensor) -> int:
    """What a tensor holds: a sparse one its values, though it says its dense size; an expanded one its storage."""
    if tensor.layout != torch.strided:
        return tensor._nnz()
    if tensor.device.type == "meta" or not tensor.numel():
        return 0
    return min(tensor.numel(), tensor.untyped_storage().nbytes() // tensor.element_size())


@contextmanager
def nothing_larger(n_sites: int) -> Iterator[None]:
    """Fail on a tensor of half as many elements as there are sites, or on numpy arrays of a sixteenth as many bytes.

    The second catches even one bit per site. What a test does in here it must have done once before: tracemalloc
    counts compilers and imports too, and kernels are compiled anew for threads where there is enough work to share.
    """
    started = not tracemalloc.is_tracing()
    if started:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        with _SeesTensors(n_sites // 2 - 1) as guard:
            yield
        peak = tracemalloc.get_traced_memory()[1] - before
        assert guard.n_calls, "the guard saw nothing"
        if peak > n_sites // 16:
            raise LargeAllocation(f"Python and numpy held {peak} bytes at once, for {n_sites} sites")
    finally:
        if started:
            tracemalloc.stop()
