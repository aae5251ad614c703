"""Losses on the output of a spiking network.

Each takes an `Output`, or anything with ``spikes`` and ``voltages`` (time, batch, n), and labels (batch,). The
penalties of `neurosparse.training.regularizers` are here, too.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from neurosparse.errors import UnknownNameError
from neurosparse.training.regularizers import L1Rate, L1Weights, L2Weights, ProximalL1, TargetRate, TwoSidedRate

__all__ = [
    "LOSSES",
    "L1Rate",
    "L1Weights",
    "L2Weights",
    "ProximalL1",
    "TargetRate",
    "TwoSidedRate",
    "decisions",
    "rate_cross_entropy",
    "voltage_cross_entropy",
]


class _HasTraces(Protocol):
    spikes: Tensor
    voltages: Tensor


def rate_cross_entropy(output: _HasTraces, labels: Tensor) -> Tensor:
    """Return the cross-entropy of the spike counts, ``softmax(sum_t s(t))``; for a read-out that spikes."""
    return functional.cross_entropy(output.spikes.sum(0), labels)


def voltage_cross_entropy(output: _HasTraces, labels: Tensor) -> Tensor:
    """Return the cross-entropy of the mean voltage, ``softmax(mean_t v(t))``; for a leaky-integrator read-out."""
    return functional.cross_entropy(output.voltages.mean(0), labels)


LOSSES = {"rate": rate_cross_entropy, "voltage": voltage_cross_entropy}
"""By the name of what is read out."""


def decisions(output: _HasTraces, read: str) -> Tensor:
    """Return the class each sample is read as (batch,): largest mean voltage, or spike count; ties go to the lower.

    The same rule as `Recording.decisions`, so that an accuracy is the same number whichever engine ran.
    """
    if read == "voltage":
        return output.voltages.sum(0, dtype=torch.float64).argmax(1)
    if read == "rate":
        return output.spikes.sum(0).argmax(1)
    raise UnknownNameError("read-out", read, LOSSES)
