"""Lottery tickets: iterative magnitude pruning with rewinding.

J. Frankle, M. Carbin, *The lottery ticket hypothesis*, ICLR 2019, arXiv:1803.03635; late rewinding: Frankle, Dziugaite,
Roy, Carbin, ICML 2020; in spiking networks: Y. Kim et al., ECCV 2022, arXiv:2207.01382. Train, prune the smallest
survivors, set what is left back to where it was early in training, and train again.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from neurosparse.errors import ValidationError
from neurosparse.pruning.base import Pruner, PruningMethod, RateAt
from neurosparse.pruning.targets import Magnitude, check_fraction

__all__ = ["LotteryTicket"]


@dataclass(frozen=True)
class LotteryTicket(Magnitude, PruningMethod):
    """Prune to `density` in `n_rounds` equal factors, rewinding all parameters and the optimizer after each.

    The training is split into ``n_rounds + 1`` of equal length, each with the whole learning-rate schedule. Holds a
    dense matrix and a copy of all parameters. Parameters as in `neurosparse.pruning.targets.Magnitude`, and:

    Parameters
    ----------
    n_rounds : int
        Prunings. Usual factors are 0.8 (Frankle and Carbin) and 0.75 (Kim et al.) per round.
    rewind : float in [0, 1)
        Where in the first training the parameters go back to, as a fraction of it; 0: to initialisation.
    """

    n_rounds: int = 5
    rewind: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("LotteryTicket", "rewind", self.rewind)
        if self.rewind == 1:
            raise ValidationError("LotteryTicket.rewind: must lie in [0, 1), got 1")
        if isinstance(self.n_rounds, bool) or not isinstance(self.n_rounds, int) or self.n_rounds < 1:
            raise ValidationError(f"LotteryTicket.n_rounds: must be an integer >= 1, got {self.n_rounds!r}")

    def prepare(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        if run.total_steps < self.n_rounds + 1:
            raise ValidationError(
                f"attach.n_steps: {self.n_rounds + 1} trainings need at least as many steps, got {run.total_steps}"
            )
        self._remember(run)

    def round_length(self, run: Pruner) -> int:
        """Return the optimizer steps of one training; the last takes what division leaves, too."""
        return run.total_steps // (self.n_rounds + 1)

    def after_step(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        for layer in run.layers:
            layer.apply_mask()
        length = self.round_length(run)
        if run.n_steps == int(self.rewind * length):
            self._remember(run)
        finished, into = divmod(run.n_steps, length)
        if into == 0 and 1 <= finished <= self.n_rounds:
            self._prune(run, self.density ** (finished / self.n_rounds))
            for name, tensor in _tensors(run):
                tensor.copy_(run.extra[name])
            for layer in run.layers:
                layer.apply_mask()
            run.forget_optimizer()

    def conclude(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        self._prune(run, self.density)

    def _prune(self, run: Pruner, density: float) -> None:
        for layer, mask in zip(run.layers, self.masks(run.layers, density), strict=True):
            layer.keep(mask & layer.mask)

    @staticmethod
    def _remember(run: Pruner) -> None:
        for name, tensor in _tensors(run):
            run.extra[name] = tensor.clone()  # a copy: an alias would be trained on, and rewind to nowhere

    def learning_rate(self, run: Pruner, rate_at: RateAt, step: int) -> float:
        """See `PruningMethod`."""
        length = self.round_length(run)
        start = min(step // length, self.n_rounds) * length
        return rate_at(step - start, length if start < self.n_rounds * length else run.total_steps - start)


def _tensors(run: Pruner) -> list[tuple[str, torch.Tensor]]:
    """Return all parameters and floating-point buffers of the model by name, as tensors to write into."""
    named = [*run.model.named_parameters(), *run.model.named_buffers()]
    return [(name, tensor.data) for name, tensor in named if tensor.is_floating_point()]
