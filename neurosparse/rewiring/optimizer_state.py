"""Optimizer state follows its synapse: moved when the order changes, dropped at death, zero at birth, corrected for age.

Adam divides its moments by ``1 - beta**t`` with the optimizer's own t. For a synapse born at step 5 000 that correction is long gone,
and with fresh moments its first steps are 3.2 to 6.5 times the learning rate instead of 1 (methods that skip this play lottery with
the signs of newborns). ``age_corrected`` replaces t by the age of the synapse: after each step it takes back what Adam did to young
synapses and does what Adam would have done with t = age (Kingma and Ba 2015, Algorithm 1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neurosparse.errors import UnknownNameError, ValidationError
from neurosparse.rewiring.layer import SparseLayer

__all__ = ["OptimizerState", "StatePolicy"]

StatePolicy = Literal["age_corrected", "zero", "carry"]
_ADAM = (torch.optim.Adam, torch.optim.AdamW)


class OptimizerState:
    """The per-synapse part of an optimizer's state, for the layers of a rewirer.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Any; age correction acts on Adam and AdamW (amsgrad included), others have no bias correction to mend.
    policy : {"age_corrected", "zero", "carry"}
        What newborns get: ``zero`` state, the same with ``age_corrected`` steps (the default), or ``carry``: the state of the
        synapse that died in their place, as codes do that keep dense state.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, policy: StatePolicy) -> None:
        if policy not in get_args(StatePolicy):
            raise UnknownNameError("optimizer_state", str(policy), get_args(StatePolicy))
        self.optimizer, self.policy = optimizer, policy

    def group_of(self, layer: SparseLayer) -> Mapping[str, Any]:
        """Return the parameter group that holds the layer's values."""
        for group in self.optimizer.param_groups:
            if any(parameter is layer.module.values for parameter in group["params"]):
                return group
        raise ValidationError(
            f"{layer.name}.values: not among the optimizer's parameters; make the optimizer from model.parameters() before attach()"
        )

    def learning_rate(self, layer: SparseLayer) -> float:
        """Return the current learning rate of the layer's values."""
        return float(self.group_of(layer)["lr"])

    def correct_age(self, layer: SparseLayer, step: int) -> None:
        """Redo the optimizer step just made for synapses born during training, with their age in place of Adam's t.

        `step` counts the rewirer's steps including this one; a synapse born after step s has age ``step - s`` now.
        """
        if self.policy != "age_corrected" or not isinstance(self.optimizer, _ADAM):
            return
        state = self.optimizer.state.get(layer.module.values, {})
        if "exp_avg" not in state:
            return
        group = self.group_of(layer)
        beta1, beta2 = (float(beta) for beta in group["betas"])
        # Beyond this age both corrections are 1 to within 1e-4 and there is nothing to mend.
        horizon = math.log(1e-4) / math.log(max(beta1, beta2)) if max(beta1, beta2) > 0 else 0
        young = np.flatnonzero((layer.born_at > 0) & (step - layer.born_at < horizon))
        if not young.size:
            return
        device = layer.values.device
        slots = torch.from_numpy(young).to(device)
        age = torch.from_numpy((step - layer.born_at[young]).astype(np.float64)).to(device)
        m = state["exp_avg"][slots].double()
        v = state["max_exp_avg_sq" if group.get("amsgrad") else "exp_avg_sq"][slots].double()
        t = float(state["step"])

        def update(steps: Any) -> Tensor:
            return m / (1 - beta1**steps) / ((v / (1 - beta2**steps)).sqrt() + group["eps"])

        change = float(group["lr"]) * (update(t) - update(age))
        if group.get("maximize"):
            change = -change
        layer.values[slots] += change.to(layer.values.dtype)

    def reorder(self, layer: SparseLayer, source: NDArray[np.int64], replaced: NDArray[np.int64]) -> None:
        """Move the state of every survivor to its new slot; call after the layer has its new topology.

        Parameters
        ----------
        source : (K',) int64
            Old slot of each new one, -1 for a newborn.
        replaced : (n_newborn,) int64
            Old slots whose state ``carry`` hands to the newborns, in their order (-1: none).
        """
        state = self.optimizer.state.get(layer.module.values)
        if not state:
            return
        moves = source.copy()
        if self.policy == "carry":
            moves[source < 0] = replaced
        index = torch.from_numpy(np.maximum(moves, 0)).to(layer.values.device)
        fresh = torch.from_numpy(moves < 0).to(layer.values.device)
        for key, value in state.items():
            if isinstance(value, Tensor) and value.dim() == 1 and key != "step":
                state[key] = torch.where(fresh, value.new_zeros(()), value[index]) if value.numel() else value.new_zeros(moves.size)
