"""Learning-compression: pruning as a constrained optimisation, by a quadratic penalty or an augmented Lagrangian.

M. Carreira-Perpinan, Y. Idelbayev, *"Learning-compression" algorithms for neural net pruning*, CVPR 2018. Not an
extension of dense-sparse-dense, as which it is sometimes listed. With weights w, their compressed copy theta, and
multipliers lambda:

    L step   train w on  loss + mu/2 |w - theta - lambda/mu|^2
    C step   theta = the largest |w - lambda/mu|, 0 elsewhere
             lambda <- lambda - mu (w - theta),  mu <- growth * mu
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from neurosparse.errors import ValidationError
from neurosparse.pruning.base import Pruner, PruningMethod, RateAt
from neurosparse.pruning.targets import Magnitude, Scope, check_fraction, select

__all__ = ["LearningCompression"]


@dataclass(frozen=True)
class LearningCompression(Magnitude, PruningMethod):
    """Pull the dense weights ever more strongly to the nearest weights of `density`; end with those.

    Holds a dense matrix and two more, theta and the multipliers. The network computes with the dense w until
    ``finish()``; the counts in `stats` are theta's. The density is that of all layers together and each layer's
    emerges, unless `scope` is ``layer``. Parameters as in `neurosparse.pruning.targets.Magnitude`, and:

    Parameters
    ----------
    mu, growth : float
        Strength of the penalty in the first L step, and its factor from one to the next. Too fast a growth is one-shot
        pruning.
    n_rounds : int
        L steps, of equal length but for the first, which takes twice as long. Each has a fresh optimizer.
    multipliers : bool
        Augmented Lagrangian; False: quadratic penalty.
    decay : float in (0, 1]
        Factor of the learning rate from one L step to the next. It starts as the user's schedule does and is never
        above 1 / mu; a schedule that ends at 0 would end before the weights have come to theta.
    """

    scope: Scope = "global"
    mu: float = 1e-3
    growth: float = 2.5
    n_rounds: int = 10
    multipliers: bool = True
    decay: float = 0.98

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.mu < math.inf:
            raise ValidationError(f"LearningCompression.mu: must be finite and > 0, got {self.mu}")
        if not 1 <= self.growth < math.inf:
            raise ValidationError(f"LearningCompression.growth: must be finite and >= 1, got {self.growth}")
        check_fraction("LearningCompression", "decay", self.decay, low_included=False)
        if isinstance(self.n_rounds, bool) or not isinstance(self.n_rounds, int) or self.n_rounds < 1:
            raise ValidationError(f"LearningCompression.n_rounds: must be an integer >= 1, got {self.n_rounds!r}")

    def prepare(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        for layer in run.layers:
            layer.arrays["theta"] = torch.zeros_like(layer.latent)
            layer.arrays["multiplier"] = torch.zeros_like(layer.latent)
        self._compress(run, self.mu)

    def mu_of(self, round_index: int) -> float:
        """Return mu in L step `round_index` (0, 1, ...)."""
        return self.mu * self.growth**round_index

    def round_at(self, progress: float) -> int:
        """Return the L step at `progress` in [0, 1]."""
        return min(max(0, int(progress * (self.n_rounds + 1) + 1e-9) - 1), self.n_rounds - 1)

    def before_step(self, run: Pruner) -> None:
        """See `PruningMethod`: the penalty's gradient, ``mu (w - theta) - lambda``."""
        mu = self.mu_of(self.round_at(run.progress))
        for layer in run.layers:
            if layer.gradient is not None:
                layer.gradient.add_(mu * (layer.latent - layer.arrays["theta"]) - layer.arrays["multiplier"])

    def after_step(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        before = self.round_at((run.n_steps - 1) / run.total_steps)
        if self.round_at(run.progress) != before:
            mu = self.mu_of(before)
            self._compress(run, mu)
            if self.multipliers:
                for layer in run.layers:
                    layer.arrays["multiplier"].sub_(mu * (layer.latent - layer.arrays["theta"]))
            run.forget_optimizer()

    def _compress(self, run: Pruner, mu: float) -> None:
        """C step: project ``w - lambda / mu`` onto the weights of `density`."""
        targets = [layer.latent - layer.arrays["multiplier"] / mu for layer in run.layers]
        masks = select(run.layers, [t.abs() for t in targets], self.density, self.scope, self.distribution)
        for layer, target, mask in zip(run.layers, targets, masks, strict=True):
            layer.births += int((mask & ~layer.mask).sum())
            layer.deaths += int((layer.mask & ~mask).sum())
            layer.mask = mask  # what theta keeps; the network goes on with w
            layer.arrays["theta"].copy_(target * mask)

    def conclude(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        self._compress(run, self.mu_of(self.n_rounds - 1))
        for layer in run.layers:
            layer.latent.copy_(layer.arrays["theta"])
            layer.arrays["multiplier"].zero_()

    def learning_rate(self, run: Pruner, rate_at: RateAt, step: int) -> float:
        """See `PruningMethod`."""
        now = self.round_at(step / run.total_steps)
        return min(rate_at(0, run.total_steps) * self.decay**now, 1 / self.mu_of(now))
