"""DSD: dense, sparse, dense again. A regulariser for dense networks; the result is dense.

S. Han et al., *DSD: Dense-Sparse-Dense training for deep neural networks*, ICLR 2017, arXiv:1607.04381. A fair control
trains a dense network for the same number of steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from neurosparse.errors import ValidationError
from neurosparse.pruning.base import Pruner, PruningMethod, RateAt
from neurosparse.pruning.targets import Magnitude, check_fraction

__all__ = ["DenseSparseDense"]


@dataclass(frozen=True)
class DenseSparseDense(Magnitude, PruningMethod):
    """Train dense, prune to `density` and retrain, then restore the pruned weights from 0 and train all of them.

    Holds a dense matrix, and returns one: ``finish()`` leaves the `torch.nn.Linear` layers. Every phase has a fresh
    optimizer. Parameters as in `neurosparse.pruning.targets.Magnitude`, and:

    Parameters
    ----------
    sparse_from, dense_from : float in [0, 1]
        Where the sparse and the last phase begin, as fractions of the training.
    last_rate : float in (0, 1]
        Learning rate of the last phase, as a fraction of what the schedule says.
    """

    density: float = 0.7
    sparse_from: float = 0.4
    dense_from: float = 0.7
    last_rate: float = 0.1
    ends_sparse: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("DenseSparseDense", "sparse_from", self.sparse_from)
        check_fraction("DenseSparseDense", "dense_from", self.dense_from)
        check_fraction("DenseSparseDense", "last_rate", self.last_rate, low_included=False)
        if self.sparse_from >= self.dense_from:
            raise ValidationError(
                f"DenseSparseDense.dense_from: must come after sparse_from = {self.sparse_from}, got {self.dense_from}"
            )

    def after_step(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        now = (run.progress >= self.sparse_from) + (run.progress >= self.dense_from)
        if now != run.meta.get("phase", 0):
            run.meta["phase"] = now
            run.forget_optimizer()
            if now == 1:
                for layer, mask in zip(run.layers, self.masks(run.layers, self.density), strict=True):
                    layer.keep(mask)
            else:
                self._restore(run)
        for layer in run.layers:
            layer.apply_mask()

    def conclude(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        self._restore(run)

    @staticmethod
    def _restore(run: Pruner) -> None:
        for layer in run.layers:
            layer.keep(torch.ones_like(layer.mask))

    def learning_rate(self, run: Pruner, rate_at: RateAt, step: int) -> float:
        """See `PruningMethod`."""
        rate = rate_at(step, run.total_steps)
        return rate * self.last_rate if step / run.total_steps >= self.dense_from else rate
