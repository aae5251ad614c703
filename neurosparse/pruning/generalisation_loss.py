"""Pruning driven by the generalisation loss: how much, is decided by what the validation error has been doing.

L. Prechelt, *Connection pruning with static and adaptive pruning schedules*, Neurocomputing 16:49-61, 1997. With the
validation error E(t) and its minimum so far,

    GL = 100 (E / E_min - 1)                                                                in percent
    T(w) = log( |sum_p (w - lr g_p)| / (lr sqrt(sum_p (g_p - mean g)^2)) )                  Finnoff et al. 1993

T asks whether w would differ significantly from 0 after one more step; the sums run over the mini-batches since the
last observation (the batch size cancels, if batches are independent draws). Three definitions of ours: T is clipped at
0, because a mean near 0 would make the rule of lprune erratic; T = 0 for a weight that no example moves, such as that
of a pixel which is always black; and the minimum starts anew after each pruning, or the damage that pruning does would
be taken for overfitting and answered by more. Nothing is pruned after the last step, when nothing could mend it. The
constants 35 %, 10 %, 2/3 and 2 could not be checked against the paper's text.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neurosparse.errors import ValidationError
from neurosparse.pruning.base import Pruner, PruningMethod
from neurosparse.pruning.layer import DenseLayer
from neurosparse.pruning.selection import largest_overall
from neurosparse.pruning.targets import check_fraction

__all__ = ["AutoPrune", "LPrune", "significance"]


@dataclass(frozen=True)
class _OnGeneralisationLoss(PruningMethod):
    """Accumulate the moments of the gradient; at each observation of ``validation_loss`` decide what to prune.

    Parameters
    ----------
    floor : float in [0, 1]
        Density of all layers together below which nothing is pruned.
    """

    floor: float = 0.01
    wants: ClassVar[tuple[str, ...]] = ("validation_loss",)

    def __post_init__(self) -> None:
        check_fraction(type(self).__name__, "floor", self.floor)

    def prepare(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        run.meta.update(best=None, n_gradients=0, generalisation_loss=0.0, events=0)
        for layer in run.layers:
            layer.arrays["mean"] = torch.zeros_like(layer.latent)
            layer.arrays["squares"] = torch.zeros_like(layer.latent)

    def before_step(self, run: Pruner) -> None:
        """See `PruningMethod`; also take the gradient into the moments (Welford 1962)."""
        run.mask_gradients()
        run.meta["n_gradients"] += 1
        for layer in run.layers:
            if layer.gradient is not None:
                difference = layer.gradient - layer.arrays["mean"]
                layer.arrays["mean"].add_(difference / run.meta["n_gradients"])
                layer.arrays["squares"].add_(difference * (layer.gradient - layer.arrays["mean"]))

    def after_step(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        for layer in run.layers:
            layer.apply_mask()

    def observe(self, run: Pruner, metrics: Mapping[str, float]) -> None:
        """See `PruningMethod`."""
        if "validation_loss" not in metrics:
            return
        error = float(metrics["validation_loss"])
        if not error > 0:
            raise ValidationError(f"observe.validation_loss: must be > 0 to be compared with its minimum, got {error}")
        best = error if run.meta["best"] is None else min(run.meta["best"], error)
        run.meta.update(best=best, generalisation_loss=100 * (error / best - 1))
        statistics = [
            significance(layer, float(run.group_of(layer)["lr"]), run.meta["n_gradients"]) for layer in run.layers
        ]
        if run.meta["n_gradients"] > 1 and run.n_steps < run.total_steps:  # else nothing is left to mend what it breaks
            self._prune(run, statistics)
        run.meta["n_gradients"] = 0
        for layer in run.layers:
            layer.arrays["mean"].zero_()
            layer.arrays["squares"].zero_()

    def _prune(self, run: Pruner, statistics: list[Tensor]) -> None:
        live = torch.cat([t[layer.mask] for t, layer in zip(statistics, run.layers, strict=True)])
        n_dead = self.deaths(run, live)
        least = round(self.floor * sum(layer.n_sites for layer in run.layers))
        n_dead = min(n_dead, max(0, live.numel() - max(least, len(run.layers))))
        if n_dead == 0:
            return
        run.meta["events"] += 1
        run.meta["best"] = None  # what follows is another network: the damage of pruning it is not overfitting
        scores = [t.masked_fill(~layer.mask, -1.0) for t, layer in zip(statistics, run.layers, strict=True)]
        for layer, mask in zip(run.layers, largest_overall(scores, live.numel() - n_dead), strict=True):
            layer.keep(mask & layer.mask)

    @abstractmethod
    def deaths(self, run: Pruner, statistics: Tensor) -> int:
        """Return how many of the live synapses, whose T are `statistics`, die now: those of the smallest T."""


@dataclass(frozen=True)
class AutoPrune(_OnGeneralisationLoss):
    """Prune a fixed fraction of the least significant synapses whenever the network overfits.

    Holds a dense matrix and two more for the moments of the gradient. `floor` as in `LPrune`.

    Parameters
    ----------
    first, later : float in [0, 1]
        Fraction of the live synapses to prune at the first event and at later ones.
    onset : float
        Generalisation loss, in percent, above which the network counts as overfitting.
    """

    first: float = 0.35
    later: float = 0.10
    onset: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("AutoPrune", "first", self.first)
        check_fraction("AutoPrune", "later", self.later)

    def deaths(self, run: Pruner, statistics: Tensor) -> int:
        """See `_OnGeneralisationLoss`."""
        if run.meta["generalisation_loss"] <= self.onset:
            return 0
        return round((self.later if run.meta["events"] else self.first) * statistics.numel())


@dataclass(frozen=True)
class LPrune(_OnGeneralisationLoss):
    """Prune every synapse with ``T < lambda * mean T``, ``lambda = strongest (1 - 1 / (1 + alpha GL))``.

    Nothing is pruned while the validation error falls, and the more the worse it has become. Holds a dense matrix and
    two more for the moments of the gradient. The density is a result.

    Parameters
    ----------
    floor : float in [0, 1]
        Density of all layers together below which nothing is pruned.
    strongest : float in [0, 1]
        lambda as GL goes to infinity.
    alpha : float
        How fast the strength grows with GL.
    """

    strongest: float = 2 / 3
    alpha: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("LPrune", "strongest", self.strongest)
        if not self.alpha >= 0:
            raise ValidationError(f"LPrune.alpha: must be >= 0, got {self.alpha}")

    def strength(self, generalisation_loss: float) -> float:
        """Return lambda."""
        return self.strongest * (1 - 1 / (1 + self.alpha * generalisation_loss))

    def deaths(self, run: Pruner, statistics: Tensor) -> int:
        """See `_OnGeneralisationLoss`."""
        cut = self.strength(run.meta["generalisation_loss"]) * statistics.double().mean()
        return int((statistics < cut).sum())


def significance(layer: DenseLayer, learning_rate: float, n_gradients: int) -> Tensor:
    """Return T of every weight of `layer` (n_target, n_source), at least 0, from the moments of its gradients."""
    spread = learning_rate * torch.sqrt(layer.arrays["squares"])
    shifted = n_gradients * (layer.latent - learning_rate * layer.arrays["mean"]).abs()
    statistic = torch.log(shifted / spread).clamp(min=0)
    return torch.where(spread > 0, statistic, 0.0)
