"""SET: sparse evolutionary training.

D. C. Mocanu, E. Mocanu, P. Stone, P. H. Nguyen, M. Gibescu, A. Liotta, *Scalable training of artificial neural networks
with adaptive sparse connectivity inspired by network science*, Nature Communications 9:2383, 2018, Algorithm 1. At the
end of every epoch but the last, a fraction zeta of the positive weights closest to 0 and a fraction zeta of the
negative ones closest to 0 are removed, and as many synapses are added at random.

As in the authors' sparse code newborns start at N(0, 0.1**2) and momentum stays with the survivors. Unlike there, no
site is drawn twice. (A widely used PyTorch reimplementation has the second tail inverted; comparisons with it compare
with something else.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from neurosparse.errors import ValidationError
from neurosparse.rewiring.base import Method, Parts
from neurosparse.rewiring.birth import NormalValues
from neurosparse.rewiring.death import TwoTailed
from neurosparse.rewiring.optimizer_state import StatePolicy, checked_policy
from neurosparse.rewiring.schedule import EveryEpoch, EveryStep, Schedule

__all__ = ["SET"]


@dataclass(frozen=True)
class SET(Method):
    """Sparse evolutionary training: the weakest of both signs make room for random newcomers.

    Parameters
    ----------
    zeta : float in (0, 1]
        Fraction of each tail that is replaced.
    every : "epoch" or int
        ``"epoch"`` (the paper) needs ``attach(..., steps_per_epoch=...)``, which `neurosparse train` gives; or a number
        of optimizer steps.
    birth_std : float
        Newborns are N(0, birth_std**2); 0 lets them start at 0, as in the authors' Keras code and in RigL's SET.
    optimizer_state : {"age_corrected", "layer_mean", "zero", "carry"}
        What newborns get; see `neurosparse.rewiring.optimizer_state`.
    """

    zeta: float = 0.3
    every: int | Literal["epoch"] = "epoch"
    birth_std: float = 0.1
    optimizer_state: StatePolicy = "age_corrected"

    def __post_init__(self) -> None:
        if not 0 < self.zeta <= 1:
            raise ValidationError(f"SET.zeta: must lie in (0, 1], got {self.zeta}")
        if isinstance(self.every, str) and self.every != "epoch":
            raise ValidationError(f"SET.every: must be 'epoch' or a number of optimizer steps, got {self.every!r}")
        self.parts()

    def parts(self) -> Parts:
        """See `Method`."""
        schedule: Schedule = EveryEpoch(self.zeta) if self.every == "epoch" else EveryStep(int(self.every), self.zeta)
        return Parts(
            schedule=schedule,
            death=TwoTailed(),
            values=NormalValues(self.birth_std),
            optimizer_state=checked_policy("SET", self.optimizer_state),
        )
