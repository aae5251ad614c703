"""Penalties worked by hand, the same for every batch size and length, and what they do to a network."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import snntorch as snn
import torch
from torch import nn

import neurosparse as ns
from neurosparse import SparseLinear, SparseSNN, readout
from neurosparse.errors import ValidationError
from neurosparse.training.regularizers import REGULARIZERS

SPIKES = torch.zeros(4, 2, 3)  # 4 steps, 2 samples
SPIKES[:, :, 0] = 1.0  # rate 1
SPIKES[0, :, 1] = 1.0  # rate 1/4, one spike per sample
# the third neuron is silent


def output(spikes: torch.Tensor = SPIKES) -> SimpleNamespace:
    """A hidden layer and a read-out, which is of no interest to a rate."""
    return SimpleNamespace(layers=((spikes, spikes), (torch.ones(4, 2, 9), torch.ones(4, 2, 9))))


def test_l1_sums_the_rates_of_hidden_neurons() -> None:
    assert ns.losses.L1Rate(2.0)(output()).item() == pytest.approx(2 * 1.25)


def test_the_target_rate_pulls_from_both_sides() -> None:
    assert ns.losses.TargetRate(2.0, rate=0.25)(output()).item() == pytest.approx(2 * (0.75**2 + 0 + 0.25**2))


def test_the_two_sides_are_a_ceiling_of_the_mean_and_a_floor_of_every_neuron() -> None:
    loss = ns.losses.TwoSidedRate(upper=1.0, lower=0.5, upper_strength=3.0, lower_strength=10.0)
    # counts 4, 1, 0: mean 5/3; only the silent neuron is below the floor
    assert loss(output()).item() == pytest.approx(3 * (5 / 3 - 1) + 10 * 0.25)


@pytest.mark.parametrize("name", ["l1_rate", "target_rate"])
def test_a_strength_means_the_same_for_every_batch_and_length(name: str) -> None:
    regularizer = REGULARIZERS.get(name)(0.5)
    longer = SPIKES.repeat(3, 5, 1)
    assert regularizer(output(longer)).item() == pytest.approx(regularizer(output()).item())
    assert regularizer([longer]).item() == pytest.approx(regularizer(output()).item()), "a list of spikes does, too"


@pytest.mark.parametrize(
    ("regularizer", "lower"), [(ns.losses.L1Rate(0.5), True), (ns.losses.TargetRate(5.0, rate=0.9), False)]
)
def test_training_by_a_rate_penalty_alone_moves_the_rate(regularizer: object, lower: bool) -> None:
    torch.manual_seed(0)
    hidden = SparseLinear(10, 8, density=0.8, gain=2.0)
    net = SparseSNN(hidden, snn.Leaky(beta=0.9), SparseLinear(8, 2, density=1.0), readout(), input="analog")
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    x = torch.rand(8, 6, 10)
    rates = []
    for _ in range(25):
        found = net(x, record=True)
        rates.append(found.rates[0].mean().item())
        optimizer.zero_grad()
        regularizer(found).backward()
        optimizer.step()
    assert (rates[-1] < 0.6 * rates[0]) if lower else (rates[-1] > 1.2 * rates[0])


def model() -> nn.Module:
    layers = nn.Sequential(nn.Linear(2, 1), SparseLinear(1, 2, density=1.0))
    layers[0].weight.data = torch.tensor([[3.0, -0.5]])
    layers[0].bias.data = torch.tensor([7.0])
    layers[1].values.data = torch.tensor([0.0, -1.0])
    return layers


def test_penalties_on_weights_leave_biases_alone() -> None:
    layers = model()
    assert ns.losses.L1Weights(2.0)(None, layers).item() == pytest.approx(2 * 4.5)
    assert ns.losses.L2Weights(2.0)(None, layers).item() == pytest.approx(9 + 0.25 + 1)
    ns.losses.L1Weights(2.0)(None, layers).backward()
    assert layers[0].weight.grad.tolist() == [[2.0, -2.0]]
    assert layers[1].values.grad.tolist() == [0.0, -2.0]
    assert layers[0].bias.grad is None


def test_the_proximal_step_makes_exact_zeros_and_never_steps_over_them() -> None:
    layers = model()
    optimizer = torch.optim.SGD(layers.parameters(), lr=0.5)
    regularizer = ns.losses.ProximalL1(2.0)
    regularizer.attach(layers, optimizer)
    for parameter in layers.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert layers[0].weight.tolist() == [[2.0, 0.0]]
    assert layers[1].values.tolist() == [0.0, 0.0]
    assert layers[0].bias.tolist() == [7.0]
    assert regularizer(None, layers).item() == 0


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"L1Rate\.strength: must be a finite number >= 0, got -1"):
        ns.losses.L1Rate(-1)
    with pytest.raises(ValidationError, match=r"call the network with net\(x, record=True\)"):
        ns.losses.L1Rate()(SimpleNamespace(layers=()))
    with pytest.raises(ValidationError, match="needs the model as its second argument"):
        ns.losses.L1Weights()(output())
