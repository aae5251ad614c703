"""What happens to the optimizer's state when a dense weight is pruned, restored, or becomes sparse."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["forget", "forget_where", "replace_parameter"]


def forget(optimizer: torch.optim.Optimizer) -> None:
    """Clear the state of all parameters: a fresh optimizer with the same settings."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state.pop(parameter, None)


def forget_where(optimizer: torch.optim.Optimizer, parameter: Tensor, where: Tensor) -> None:
    """Zero the per-weight state of `parameter` where `where` (its shape, bool) is True."""
    for value in optimizer.state.get(parameter, {}).values():
        if isinstance(value, Tensor) and value.shape == where.shape:
            value[where] = 0


def replace_parameter(optimizer: torch.optim.Optimizer, dense: Tensor, sparse: nn.Parameter, sites: Tensor) -> None:
    """Put `sparse` (K,) in the place of `dense`, with the state of its `sites` (K,), flat indices into `dense`."""
    for group in optimizer.param_groups:
        group["params"] = [sparse if parameter is dense else parameter for parameter in group["params"]]
    state = optimizer.state.pop(dense, None)
    if state:
        optimizer.state[sparse] = {
            key: value.reshape(-1)[sites].clone() if isinstance(value, Tensor) and value.shape == dense.shape else value
            for key, value in state.items()
        }
