"""Which weights are the largest: exactly as many as asked for, ties to the lower site."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from neurosparse.errors import NeurosparseError

__all__ = ["largest", "largest_overall"]


def largest(scores: Tensor, k: int) -> Tensor:
    """Return a mask of the shape of `scores` with exactly `k` entries: the largest, among equals the first.

    A threshold alone keeps too many or too few where scores are equal, and an unstable sort would let equal ones
    change places from call to call.

    >>> largest(torch.tensor([0.5, 2.0, 0.5, 0.5]), 2).tolist()
    [True, True, False, False]
    """
    flat = scores.reshape(-1)
    n = flat.numel()
    if k <= 0 or k >= n:
        return torch.full_like(scores, k > 0, dtype=torch.bool)
    cut = torch.kthvalue(flat, n - k + 1).values
    mask = flat > cut
    missing = k - int(mask.sum())
    mask[torch.nonzero(flat == cut).squeeze(1)[:missing]] = True
    if int(mask.sum()) != k:  # NaN is neither larger than anything nor equal to itself
        raise NeurosparseError(
            f"pruning: {int(torch.isnan(flat).sum())} of {n} weights are NaN; the training diverged, try a smaller "
            "learning rate or clip the gradient"
        )
    return mask.view(scores.shape)


def largest_overall(scores: Sequence[Tensor], k: int) -> list[Tensor]:
    """Return one mask per tensor with exactly `k` entries together, at least one in each.

    Without the exception, pruning over all layers can empty one and cut the network (Mostafa and Wang 2019 keep one
    weight alive for the same reason).
    """
    boosted = [score.reshape(-1).clone() for score in scores]
    for score in boosted:
        score[score.argmax()] = float("inf")
    chosen = largest(torch.cat(boosted), max(k, len(boosted)))
    return [
        part.view(score.shape) for part, score in zip(chosen.split([s.numel() for s in scores]), scores, strict=True)
    ]
