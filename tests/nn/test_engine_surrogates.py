"""Surrogates: the formulas by hand, the recognition of snnTorch's, and the two of snnTorch's that are not accepted."""

from __future__ import annotations

from typing import Any

import pytest
import snntorch as snn
import torch
from snntorch import surrogate as snn_surrogate

from neurosparse.errors import ValidationError
from neurosparse.nn.surrogates import Atan, Boxcar, FastSigmoid, Sigmoid, Surrogate, Triangular, identify


@pytest.mark.parametrize(
    ("surrogate", "x", "slope"),
    [
        (Atan(2.0), 0.0, 1.0),
        (Atan(2.0), 1 / torch.pi, 0.5),
        (FastSigmoid(25.0), 0.04, 0.25),
        (FastSigmoid(25.0), -0.04, 0.25),
        (Sigmoid(4.0), 0.0, 1.0),
        (Triangular(0.5), 0.0, 2.0),
        (Triangular(0.5), -0.25, 1.0),
        (Triangular(0.5), 0.25, 1.0),
        (Triangular(0.5), 0.5, 0.0),
        (Boxcar(0.5), 0.49, 1.0),
        (Boxcar(0.5), -0.49, 1.0),
        (Boxcar(0.5), 0.5, 0.0),
    ],
)
def test_slopes_by_hand(surrogate: Surrogate, x: float, slope: float) -> None:
    v = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    spike = surrogate(v)
    assert spike.item() == float(x > 0)
    assert spike.dtype == torch.float64
    spike.backward()
    assert v.grad is not None
    assert v.grad.item() == pytest.approx(slope, rel=1e-12)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (snn_surrogate.atan(), Atan(2.0)),
        (snn_surrogate.atan(alpha=3), Atan(3.0)),
        (snn_surrogate.fast_sigmoid(slope=10), FastSigmoid(10.0)),
        (snn_surrogate.sigmoid(slope=5.0), Sigmoid(5.0)),
        (snn.Leaky(beta=0.5).spike_grad, Atan(2.0)),
        (Triangular(0.3), Triangular(0.3)),
    ],
)
def test_snntorchs_surrogates_are_recognised_with_their_parameter(theirs: Any, ours: Surrogate) -> None:
    assert identify(theirs) == ours


def test_a_disabled_surrogate_is_recognised_as_no_gradient() -> None:
    found = identify(snn.Leaky(beta=0.5, surrogate_disable=True).spike_grad)
    assert found is not None
    assert found.code == 0


def imposter(alpha: float) -> Any:
    def inner(x: torch.Tensor) -> torch.Tensor:
        return snn_surrogate.FastSigmoid.apply(x, alpha)

    inner.__qualname__, inner.__module__ = "atan.<locals>.inner", "snntorch.surrogate"
    return inner


class Tuned(Atan):
    pass


@pytest.mark.parametrize(
    "unknown",
    [
        snn_surrogate.triangular(),
        snn_surrogate.SFS(),
        snn_surrogate.spike_rate_escape(),
        snn_surrogate.atan(alpha=torch.tensor(2.0)),
        snn_surrogate.atan(alpha=-2.0),
        imposter(2.0),
        Tuned(2.0),
        torch.sigmoid,
    ],
)
def test_what_is_not_known_for_certain_is_not_recognised(unknown: Any) -> None:
    assert identify(unknown) is None


def test_our_sigmoid_is_finite_where_snntorchs_is_not() -> None:
    x = torch.tensor([-4.0, 4.0], requires_grad=True)
    (theirs,) = torch.autograd.grad(snn_surrogate.sigmoid(25)(x).sum(), x)
    (ours,) = torch.autograd.grad(Sigmoid(25.0)(x).sum(), x)
    assert theirs.isnan().any(), "snnTorch has mended it: say so in the docstring"
    assert ours.tolist() == pytest.approx([0.0, 0.0], abs=1e-40)


@pytest.mark.parametrize("parameter", [0.0, -1.0, float("nan"), float("inf"), "2"])
def test_a_parameter_that_is_no_positive_number_is_refused(parameter: Any) -> None:
    with pytest.raises(ValidationError, match="Boxcar: must have a positive finite parameter"):
        Boxcar(parameter)
