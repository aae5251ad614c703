"""Optimizer state follows its synapse: moved with it, dropped at death, zero at birth, corrected for age.

Adam divides its moments by ``1 - beta**t`` with the optimizer's own t. For a synapse born at step 5 000 that correction
is long gone, and with fresh moments its first steps are 3.2 to 6.5 times the learning rate instead of 1 (methods that
skip this play lottery with the signs of newborns). ``age_corrected`` replaces t by the age of the synapse: after each
step it takes back what Adam did to young synapses and does what Adam would have done with t = age (Kingma and Ba 2015,
Algorithm 1). ``layer_mean`` instead starts a newborn's second moment at the mean of its layer: its first steps are then
as long as its gradient is large beside the others', so that weakly driven newborns are the first to die.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from neurosparse.errors import UnknownNameError, ValidationError
from neurosparse.kernels.synapses import correct_adam
from neurosparse.kernels.turnover import Turnover
from neurosparse.rewiring.layer import SparseLayer, as_numpy

__all__ = ["OptimizerState", "StatePolicy", "checked_policy"]

StatePolicy = Literal["age_corrected", "layer_mean", "zero", "carry"]
_SECOND_MOMENTS = ("exp_avg_sq", "max_exp_avg_sq", "square_avg")


class OptimizerState:
    """The per-synapse part of an optimizer's state, for the layers of a rewirer.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Any with per-parameter state of the parameter's shape. Age correction acts on Adam and AdamW, amsgrad included;
        SGD and RMSprop have no bias correction to mend, and NAdam, RAdam and Adamax keep theirs, by their own t.
    policy : {"age_corrected", "layer_mean", "zero", "carry"}
        What newborns get: ``zero`` state, the same with ``age_corrected`` steps (the default), the ``layer_mean`` of
        the second moments, or ``carry``: the state of a synapse that died in the same layer, as in codes that keep
        dense state and never clear it.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, policy: StatePolicy) -> None:
        self.optimizer, self.policy = optimizer, checked_policy("rewirer", policy)

    def group_of(self, layer: SparseLayer) -> Mapping[str, Any]:
        """Return the parameter group that holds the layer's values."""
        values = layer.module.values
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                if parameter is values:
                    return group
        raise ValidationError(
            f"{layer.name}.values: not among the optimizer's parameters; "
            "make the optimizer from model.parameters() before attach()"
        )

    def _entries(self, layer: SparseLayer) -> dict[str, Any]:
        """Return what the optimizer holds of the layer's values; nothing before their first step."""
        return self.optimizer.state.get(layer.module.values, {})

    def learning_rate(self, layer: SparseLayer) -> float:
        """Return the current learning rate of the layer's values."""
        return float(self.group_of(layer)["lr"])

    def clock(self, layer: SparseLayer, step: int) -> int:
        """Return how many steps the layer's values have made: Adam's t, or `step` if the optimizer keeps no count."""
        return _clock(self._entries(layer), step)

    def correct_age(self, layer: SparseLayer, step: int) -> None:
        """Advance the layer's clock; redo the step just made for young synapses, with their age in place of Adam's t.

        `step` counts the rewirer's own steps. Where Adam made none (no gradient, or a step that a gradient scaler
        skipped), there is nothing to redo and nobody gets older.
        """
        state = self._entries(layer)
        before, layer.clock = layer.clock, _clock(state, step)
        if self.policy != "age_corrected" or layer.clock == before:
            return
        if "exp_avg" not in state or not isinstance(self.optimizer, (torch.optim.Adam, torch.optim.AdamW)):
            return
        group, values = self.group_of(layer), layer.array
        correct_adam(
            values,
            as_numpy(state["exp_avg"]),
            as_numpy(state["max_exp_avg_sq" if group.get("amsgrad") else "exp_avg_sq"]),
            layer.born_at,
            layer.clock,
            learning_rate=float(group["lr"]),
            betas=(float(group["betas"][0]), float(group["betas"][1])),
            epsilon=float(group["eps"]),
        )
        if not layer.module.values.is_cpu:
            layer.values.copy_(torch.from_numpy(values))

    def move(self, layer: SparseLayer, change: Turnover) -> None:
        """Take the state of the survivors of `change` along; call before the layer gets its new topology."""
        state, shape = self._entries(layer), layer.sites.shape
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape == shape:
                array = as_numpy(value)
                moved = torch.from_numpy(change.moved(array, self._of_newborns(key, array, change)))
                state[key] = moved if value.is_cpu else moved.to(value.device)

    def _of_newborns(self, key: str, array: NDArray[Any], change: Turnover) -> ArrayLike | None:
        """Return what newborns get of the entry `key` (K,): one number for all, or (G,), or None for zeros."""
        if self.policy == "carry":
            inherited = array[change.dead[: change.born.size]]
            return np.pad(inherited, (0, change.born.size - inherited.size))
        if self.policy == "layer_mean" and key in _SECOND_MOMENTS and change.dead.size < array.size:
            return cast(float, change.survivors(array).mean())
        return None


def _clock(state: Mapping[str, Any], step: int) -> int:
    t = state.get("step")
    return step if t is None else int(t)


def checked_policy(owner: str, policy: str) -> StatePolicy:
    """Return `policy` if there is such a one; `UnknownNameError` about ``<owner>.optimizer_state`` if not."""
    if policy not in get_args(StatePolicy):
        raise UnknownNameError(f"{owner}.optimizer_state", str(policy), get_args(StatePolicy))
    return cast(StatePolicy, policy)
