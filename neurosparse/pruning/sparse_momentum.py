"""Sparse networks from scratch by sparse momentum (SNFS): where the dense momentum is large, synapses grow.

T. Dettmers, L. Zettlemoyer, *Sparse networks from scratch: faster training without losing performance*,
arXiv:1907.04840, 2019. The forward pass is sparse at all times, but the momentum is that of the dense gradient, so
this belongs here. Unlike the authors' code, whose count drifts, the number of synapses is kept exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neurosparse.core.rng import sample_distinct
from neurosparse.errors import ValidationError
from neurosparse.pruning.base import Pruner, PruningMethod
from neurosparse.pruning.layer import DenseLayer
from neurosparse.pruning.selection import largest
from neurosparse.pruning.targets import Magnitude, layer_counts

__all__ = ["SparseMomentum", "shares"]


@dataclass(frozen=True)
class SparseMomentum(Magnitude, PruningMethod):
    """Every so often prune the smallest |w| of each layer and grow as many where |momentum| is largest.

    Layers get births in proportion to the mean |momentum| of their live synapses. Needs an optimizer with momentum: SGD
    with ``momentum > 0``, or Adam, whose momentum is taken as m / sqrt(v). Holds a dense matrix of momentum, which
    grown synapses start with. Parameters as in `neurosparse.pruning.targets.Magnitude` (only the initial network uses
    `distribution`), and:

    Parameters
    ----------
    fraction, last_fraction : float in (0, 1]
        Of the live synapses to replace at the beginning and at the end of the training, on a cosine between.
    every : int, optional
        Optimizer steps between two events; by default an epoch. There is none after the last step.
    """

    fraction: float = 0.5
    last_fraction: float = 0.005
    every: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("fraction", "last_fraction"):
            if not 0 < getattr(self, name) <= 1:
                raise ValidationError(f"SparseMomentum.{name}: must lie in (0, 1], got {getattr(self, name)}")
        if self.every is not None and (isinstance(self.every, bool) or self.every < 1):
            raise ValidationError(f"SparseMomentum.every: must be a number of optimizer steps >= 1, got {self.every}")
        if self.scope != "layer":
            raise ValidationError("SparseMomentum.scope: it has its own rule for layers; leave scope='layer'")

    def prepare(self, run: Pruner) -> None:
        """See `PruningMethod`: a random network, as sparse as it will stay."""
        if self.every is None and run.steps_per_epoch is None:
            raise ValidationError(
                "attach.steps_per_epoch: SparseMomentum acts once per epoch; give steps_per_epoch=len(loader), or the "
                "method every="
            )
        for layer, count in zip(run.layers, layer_counts(run.layers, self.density, self.distribution), strict=True):
            _check_momentum(run, layer)
            mask = torch.zeros(layer.n_sites, dtype=torch.bool, device=layer.latent.device)
            mask[torch.from_numpy(sample_distinct(run.generator, layer.n_sites, count)).to(mask.device)] = True
            layer.keep(mask.view(layer.shape))

    def before_step(self, run: Pruner) -> None:
        """See `PruningMethod`: momentum is of the whole gradient."""

    def after_step(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        for layer in run.layers:
            layer.apply_mask()
        every = self.every or run.steps_per_epoch or 1
        if run.n_steps % every == 0 and run.n_steps < run.total_steps:
            self._rewire(run)

    def fraction_at(self, progress: float) -> float:
        """Return the fraction of synapses to replace at `progress` in [0, 1]."""
        return self.last_fraction + (self.fraction - self.last_fraction) * 0.5 * (1 + math.cos(math.pi * progress))

    def _rewire(self, run: Pruner) -> None:
        momenta = [_momentum(run, layer) for layer in run.layers]
        weight = np.array([float(m[v.mask].mean()) for m, v in zip(momenta, run.layers, strict=True)])
        survivors, removed = [], 0
        for layer in run.layers:
            density = layer.n_live / layer.n_sites
            fraction = self.fraction_at(run.progress)
            if density > 0.8:  # else a nearly full layer, with nowhere to grow, would only turn over
                fraction = min(fraction, 1 - density)
            stay = layer.n_live - int(fraction * layer.n_live)
            removed += layer.n_live - stay
            survivors.append(largest(layer.latent.abs().masked_fill(~layer.mask, -1.0), stay))
        room = np.array([int((~mask).sum()) for mask in survivors])
        births = shares(removed, weight, room)
        for layer, mask, momentum, n_born in zip(run.layers, survivors, momenta, births, strict=True):
            grown = largest(momentum.masked_fill(mask, -1.0), int(n_born)) & ~mask
            layer.latent.mul_(mask)  # what grows starts at 0, also where it has just been pruned
            layer.keep(mask | grown)


def shares(n: int, weight: NDArray[np.float64], room: NDArray[np.int64]) -> NDArray[np.int64]:
    """Split `n` in proportion to `weight`, none above its `room`, by largest remainders; what is over is split again.

    >>> shares(10, np.array([3.0, 1.0, 1.0]), np.array([4, 100, 100])).tolist()
    [4, 3, 3]
    """
    given = np.zeros(len(room), np.int64)
    while given.sum() < n:
        open_weight = np.where(given < room, np.maximum(weight, 1e-30), 0.0)
        wanted = (n - given.sum()) * open_weight / open_weight.sum()
        whole = np.floor(wanted).astype(np.int64)
        order = np.argsort(-(wanted - whole), kind="stable")
        whole[order[: n - int(given.sum()) - int(whole.sum())]] += 1
        given = np.minimum(given + whole, room)
    return given


def _check_momentum(run: Pruner, layer: DenseLayer) -> None:
    group = run.group_of(layer)
    if not group.get("momentum") and "betas" not in group:
        raise ValidationError("SparseMomentum: the optimizer keeps no momentum; use SGD with momentum > 0, or Adam")


def _momentum(run: Pruner, layer: DenseLayer) -> Tensor:
    """Return |momentum| (n_target, n_source), 0 before there is any."""
    state = run.optimizer.state.get(layer.module.weight, {})
    if "exp_avg" in state and "exp_avg_sq" in state:
        momentum: Tensor = (state["exp_avg"] / (state["exp_avg_sq"].sqrt() + 1e-12)).abs()
        return momentum
    buffer = state.get("momentum_buffer")
    return torch.zeros_like(layer.latent) if buffer is None else buffer.abs()
