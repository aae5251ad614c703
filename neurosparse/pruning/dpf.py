"""DPF: dynamic pruning with feedback; the gradient is taken at the pruned weights and applied to the dense ones.

T. Lin, S. Stich, L. Barba, D. Dmitriev, M. Jaggi, *Dynamic model pruning with feedback*, ICLR 2020, arXiv:2006.07253.
The pruning error w - m * w is carried along instead of lost. DNW is DPF with a mask for every step and a constant
density; gradual magnitude pruning is DPF with the gradient masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from neurosparse.errors import ValidationError
from neurosparse.pruning.base import Pruner, PruningMethod
from neurosparse.pruning.targets import Magnitude, check_fraction, cubic_density

__all__ = ["DPF"]


@dataclass(frozen=True)
class DPF(Magnitude, PruningMethod):
    """Compute with a mask that is renewed every so often, at a density on a cubic ramp; learn all latent weights.

    Holds a dense matrix of latent weights beside the sparse ones. Parameters as in
    `neurosparse.pruning.targets.Magnitude`, and:

    Parameters
    ----------
    every : int
        Optimizer steps between two masks; the authors use 16.
    end : float in (0, 1]
        Where the ramp to `density` ends, as a fraction of the training.
    """

    every: int = 16
    end: float = 0.5
    keeps_latent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("DPF", "end", self.end, low_included=False)
        if isinstance(self.every, bool) or not isinstance(self.every, int) or self.every < 1:
            raise ValidationError(f"DPF.every: must be a number of optimizer steps >= 1, got {self.every!r}")

    def before_step(self, run: Pruner) -> None:
        """See `PruningMethod`: dormant weights learn, too."""

    def after_step(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        if run.n_steps % self.every == 0:
            self._renew(run, cubic_density(run.progress / self.end, self.density))
        for layer in run.layers:
            layer.apply_mask()

    def conclude(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        masks = self.masks(run.layers, self.density, survivors=False)
        wanted, live = [int(mask.sum()) for mask in masks], [layer.n_live for layer in run.layers]
        # Where the ramp has ended, the last mask stays: the weights were trained under it.
        if wanted != live and (self.scope == "layer" or sum(wanted) != sum(live)):
            for layer, mask in zip(run.layers, masks, strict=True):
                layer.keep(mask)

    def _renew(self, run: Pruner, density: float) -> None:
        for layer, mask in zip(run.layers, self.masks(run.layers, density, survivors=False), strict=True):
            layer.keep(mask)
