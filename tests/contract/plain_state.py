"""All that a training depends on, as plain numbers that compare exactly."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def plain_state(model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> list[Any]:
    """Return weights, the optimizer's moments, and arrays and numbers of a rewirer's or pruner's ``state_dict``."""
    moments = optimizer.state_dict()["state"]
    return [
        {key: value.tolist() for key, value in model.state_dict().items()},
        {i: {k: v.tolist() for k, v in s.items() if isinstance(v, Tensor)} for i, s in moments.items()},
        {key: value.tolist() for key, value in state["arrays"].items()},
        state["meta"],
    ]
