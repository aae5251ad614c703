"""Gradual magnitude pruning along a cubic ramp.

M. Zhu, S. Gupta, *To prune, or not to prune*, arXiv:1710.01878, 2017, eq. 1; pruned weights are zero for good, as in
JaxPruner (in the authors' TensorFlow code they keep their last value and may return, which is rare). Let the ramp end
while the learning rate is still high: what is pruned after its decay is not recovered.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurosparse.errors import ValidationError
from neurosparse.pruning.base import Pruner, PruningMethod
from neurosparse.pruning.targets import Magnitude, check_fraction, cubic_density

__all__ = ["GradualMagnitude"]


@dataclass(frozen=True)
class GradualMagnitude(Magnitude, PruningMethod):
    """Prune the smallest |w| in `n_updates` steps, ``1 - d = (1 - d_final) (1 - (1 - x)**3)`` with x from 0 to 1.

    Holds a dense matrix. Parameters as in `neurosparse.pruning.targets.Magnitude`, and:

    Parameters
    ----------
    begin, end : float in [0, 1]
        Of the ramp, as fractions of the training.
    n_updates : int
        Pruning events on the ramp, evenly spaced.
    """

    begin: float = 0.0
    end: float = 0.6
    n_updates: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("GradualMagnitude", "begin", self.begin)
        check_fraction("GradualMagnitude", "end", self.end)
        if self.begin >= self.end:
            raise ValidationError(f"GradualMagnitude.end: must come after begin = {self.begin}, got {self.end}")
        if isinstance(self.n_updates, bool) or not isinstance(self.n_updates, int) or self.n_updates < 1:
            raise ValidationError(f"GradualMagnitude.n_updates: must be an integer >= 1, got {self.n_updates!r}")

    def after_step(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        done = self._updates_until(run.n_steps / run.total_steps)
        if done != run.meta.get("updates", 0):
            run.meta["updates"] = done
            self._prune(run, cubic_density(done / self.n_updates, self.density))
        for layer in run.layers:
            layer.apply_mask()

    def conclude(self, run: Pruner) -> None:
        """See `PruningMethod`."""
        self._prune(run, self.density)

    def _updates_until(self, progress: float) -> int:
        ramp = (progress - self.begin) / (self.end - self.begin)
        return int(min(max(ramp, 0.0), 1.0) * self.n_updates + 1e-9)

    def _prune(self, run: Pruner, density: float) -> None:
        for layer, mask in zip(run.layers, self.masks(run.layers, density), strict=True):
            layer.keep(mask & layer.mask)
