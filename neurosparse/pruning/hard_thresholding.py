"""Iterative hard thresholding: alternately train the largest weights alone and all of them.

X. Jin, X. Yuan, J. Feng, S. Yan, *Training skinny deep neural networks with iterative hard thresholding methods*,
arXiv:1607.05423, 2016. Reactivated weights start from 0, with a cleared optimizer state.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from neurosparse.errors import ValidationError
from neurosparse.pruning.base import Pruner, PruningMethod
from neurosparse.pruning.targets import Magnitude, check_fraction

__all__ = ["IterativeHardThresholding"]


@dataclass(frozen=True)
class IterativeHardThresholding(Magnitude, PruningMethod):
    """Warm up dense; then `n_rounds` times keep the largest |w| and train them, with dense training between rounds.

    Holds a dense matrix. It ends in a sparse phase, so one round is one-shot pruning with fine-tuning. Parameters as in
    `neurosparse.pruning.targets.Magnitude`, and:

    Parameters
    ----------
    warm_up : float in [0, 1)
        Dense training at the start, as a fraction of the whole.
    n_rounds : int
        Sparse phases.
    dense : float in [0, 1)
        Length of a dense phase between two sparse ones, as a fraction of both together.
    """

    warm_up: float = 0.2
    n_rounds: int = 3
    dense: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("IterativeHardThresholding", "warm_up", self.warm_up)
        check_fraction("IterativeHardThresholding", "dense", self.dense)
        if self.warm_up == 1 or self.dense == 1:
            raise ValidationError("IterativeHardThresholding: warm_up and dense must leave time for sparse training")
        if isinstance(self.n_rounds, bool) or not isinstance(self.n_rounds, int) or self.n_rounds < 1:
            raise ValidationError(f"IterativeHardThresholding.n_rounds: must be an integer >= 1, got {self.n_rounds!r}")

    def after_step(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        now = self.phase(run.progress)
        if now != run.meta.get("phase", 0):
            run.meta["phase"] = now
            masks = self.masks(run.layers, self.density) if now % 2 else [torch.ones_like(v.mask) for v in run.layers]
            for layer, mask in zip(run.layers, masks, strict=True):
                run.forget_dormant(layer)
                layer.keep(mask)
        for layer in run.layers:
            layer.apply_mask()

    def phase(self, progress: float) -> int:
        """Return 0 in the warm-up, then odd numbers in sparse phases and even ones in dense phases."""
        # n sparse phases of length 1 - dense and n - 1 dense ones between them share what the warm-up leaves
        unit = (1 - self.warm_up) / (self.n_rounds - self.dense)
        since = (progress - self.warm_up) / unit + 1e-9
        if since < 0:
            return 0
        finished = min(int(since), self.n_rounds - 1)
        return 2 * finished + (1 if since - finished < 1 - self.dense or finished == self.n_rounds - 1 else 2)

    def conclude(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        if run.meta.get("phase", 0) % 2 == 0:
            for layer, mask in zip(run.layers, self.masks(run.layers, self.density), strict=True):
                layer.keep(mask)
