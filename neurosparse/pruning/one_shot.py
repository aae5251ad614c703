"""One-shot magnitude pruning: train dense, keep the largest weights, fine-tune what is left.

S. Han, J. Pool, J. Tran, W. Dally, *Learning both weights and connections for efficient neural networks*, NeurIPS 2015.
In a spiking network the accuracy that pruning costs is mostly silence, less current into every neuron, which
fine-tuning brings back; without fine-tuning look at the firing rates.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurosparse.pruning.base import Pruner, PruningMethod
from neurosparse.pruning.targets import Magnitude, check_fraction

__all__ = ["OneShot"]


@dataclass(frozen=True)
class OneShot(Magnitude, PruningMethod):
    """Prune once by |w|, to `density`.

    Holds a dense matrix. Parameters as in `neurosparse.pruning.targets.Magnitude`, and:

    Parameters
    ----------
    at : float in [0, 1]
        When, as a fraction of the training; the rest of it fine-tunes the survivors with a fresh optimizer. 1: no
        fine-tuning.
    """

    at: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("OneShot", "at", self.at)

    def after_step(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        if run.n_steps == round(self.at * run.total_steps) < run.total_steps:
            self._prune(run)
            run.forget_optimizer()
        for layer in run.layers:
            layer.apply_mask()

    def conclude(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        if not run.meta.get("pruned"):
            self._prune(run)

    def _prune(self, run: Pruner) -> None:
        run.meta["pruned"] = True
        for layer, mask in zip(run.layers, self.masks(run.layers, self.density), strict=True):
            layer.keep(mask)
