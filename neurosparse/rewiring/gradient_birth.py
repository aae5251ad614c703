"""Birth where the gradient is largest, from a gradient that is never there as a whole.

U. Evci, T. Gale, J. Menick, P. S. Castro, E. Elsen, *Rigging the Lottery: Making All Tickets Winners*, ICML 2020,
Section 3: the best dormant sites of a layer are those with the largest ``|dL/dW|``. The authors compute the dense
gradient of a layer; here blocks of rows go by and only the best so far are kept: O(block x n_in + n) memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import NeurosparseError, ValidationError
from neurosparse.kernels.topology import draw_dormant
from neurosparse.rewiring.birth import Signs, Sites, Slots
from neurosparse.rewiring.layer import SparseLayer

__all__ = ["LargestGradient"]


@dataclass(frozen=True)
class LargestGradient:
    """The dormant sites with the largest ``|dL/dW|``, those that have just died included.

    Of equal gradients the lower site is taken; where fewer sites than births have a gradient at all (nothing spiked),
    the others are drawn uniformly instead of filling up the first rows.

    Parameters
    ----------
    signs : Signs, optional
        For methods with fixed signs: only a gradient that pulls a synapse to its own side counts. Any other newborn
        would leave 0 for the wrong side with its first step, and die.
    """

    signs: Signs | None = None
    needs_gradient: ClassVar[bool] = True

    def choose(self, layer: SparseLayer, dead: Slots, n: int, generator: np.random.Generator) -> Sites:
        """See `BirthSites`."""
        probe = layer.module.gradient_probe
        if probe is None:
            raise ValidationError(
                f"{layer.name}: births by gradient in a step whose gradient nobody recorded; the schedule has to "
                "foresee its events (Schedule.foresees)"
            )
        best, survivors = _Best(n), np.delete(layer.sites, dead)
        for row, column, block in probe.blocks(layer.module):
            best.add(*self._candidates(layer, survivors, row, column, block, generator, best.least))
        born = np.sort(best.sites)
        if born.size < n:
            taken = np.union1d(survivors, born)
            born = np.union1d(born, draw_dormant(taken, layer.n_sites, n - born.size, generator))
        return born

    def _candidates(
        self,
        layer: SparseLayer,
        survivors: Sites,
        row: int,
        column: int,
        gradient: NDArray[Any],
        generator: np.random.Generator,
        least: float,
    ) -> tuple[NDArray[Any], Sites]:
        """Return scores and sites of a block's dormant sites that score, and at least `least`."""
        if not np.isfinite(gradient).all():
            raise NeurosparseError(
                f"{layer.name}: the gradient of its dormant synapses is not finite; the training diverged, "
                "try a smaller learning rate or clip the gradient"
            )
        height, width = gradient.shape
        n_source = layer.module.in_features
        score = np.abs(gradient)
        first, last = np.searchsorted(survivors, [row * n_source, (row + height) * n_source])
        rows, columns = np.divmod(survivors[first:last], n_source)
        inside = (columns >= column) & (columns < column + width)
        score[rows[inside] - row, columns[inside] - column] = 0
        at = np.flatnonzero((score > 0) & (score >= least))
        sites = (row + at // width) * n_source + column + at % width
        if self.signs is not None:
            signs = self.signs.of(layer, sites, layer.seed, generator)
            pulled = slice(None) if signs is None else signs * gradient.reshape(-1)[at] < 0
            at, sites = at[pulled], sites[pulled]
        return score.reshape(-1)[at], sites


class _Best:
    """The `n` best of what was added: by score, then by the lower site."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.scores: NDArray[Any] = np.zeros(0)
        self.sites: Sites = np.zeros(0, np.int64)
        self.least = 0.0

    def add(self, scores: NDArray[Any], sites: Sites) -> None:
        scores, sites = np.concatenate([self.scores, scores]), np.concatenate([self.sites, sites])
        if scores.size > self.n:
            # a selection first: sorting all candidates of a block would cost more than forming it
            least = np.partition(scores, scores.size - self.n)[scores.size - self.n] if self.n else np.inf
            kept = scores >= least
            scores, sites = scores[kept], sites[kept]
            order = np.lexsort((sites, -scores))[: self.n]
            scores, sites = scores[order], sites[order]
        self.scores, self.sites = scores, sites
        if self.n and scores.size == self.n:
            self.least = float(scores.min())
