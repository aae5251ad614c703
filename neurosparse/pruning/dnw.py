"""DNW: discovering neural wirings, the largest latent weights of every moment.

M. Wortsman, A. Farhadi, M. Rastegari, *Discovering neural wirings*, NeurIPS 2019, arXiv:1906.00586. The gradient at the
sparse weights goes to all latent ones, so a dormant weight moves by the correlation of its neurons and enters when it
outgrows the smallest live one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from neurosparse.pruning.base import Pruner, PruningMethod
from neurosparse.pruning.targets import Magnitude

__all__ = ["DNW"]


@dataclass(frozen=True)
class DNW(Magnitude, PruningMethod):
    """Compute with the largest |latent|, chosen anew after every step; learn all latent weights, straight through.

    Holds a dense matrix of latent weights beside the sparse ones. Weight decay on dormant weights makes the wiring
    stickier. Parameters as in `neurosparse.pruning.targets.Magnitude`.
    """

    keeps_latent: ClassVar[bool] = True

    def prepare(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        self.after_step(run)

    def before_step(self, run: Pruner) -> None:
        """See `PruningMethod`: dormant weights learn, too."""

    def after_step(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        for layer, mask in zip(run.layers, self.masks(run.layers, self.density, survivors=False), strict=True):
            layer.keep(mask)
