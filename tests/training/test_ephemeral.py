"""Dropout held over a sequence, and gradients of which the largest part comes now and the rest later."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn

from neurosparse import DeepR, SparseLinear, SparseSNN, readout
from neurosparse.errors import ValidationError
from neurosparse.training.ephemeral import SequenceDropout, TopKGradient, add_dropout


def test_a_mask_is_held_over_time_and_differs_between_samples() -> None:
    dropout = SequenceDropout(0.5, seed=1)
    y = dropout(torch.ones(7, 20, 30))
    assert bool((y == y[0]).all())
    assert set(y.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(y[0, 0], y[0, 1])
    assert (y[0] == 0).float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert not torch.equal(dropout(torch.ones(7, 20, 30)), y), "another sequence, another mask"


def test_step_by_step_it_is_the_same_mask_until_reset() -> None:
    whole, steps = SequenceDropout(0.3, seed=1), SequenceDropout(0.3, seed=1)
    x = torch.rand(5, 4, 6)
    torch.testing.assert_close(whole(x), torch.stack([steps(x[t]) for t in range(5)]))
    steps.reset()
    torch.testing.assert_close(whole(x), torch.stack([steps(x[t]) for t in range(5)]))


def test_masks_are_a_function_of_seed_name_and_step() -> None:
    x = torch.ones(2, 3, 50)
    first = SequenceDropout(0.5, seed=1, name="a")(x)
    assert torch.equal(SequenceDropout(0.5, seed=1, name="a")(x), first)
    assert not torch.equal(SequenceDropout(0.5, seed=2, name="a")(x), first)
    assert not torch.equal(SequenceDropout(0.5, seed=1, name="b")(x), first)
    late = SequenceDropout(0.5, seed=1, name="a")
    late.step = 9
    assert not torch.equal(late(x), first)


def test_in_eval_mode_it_is_not_there() -> None:
    x = torch.rand(2, 3, 4)
    assert SequenceDropout(0.5).eval()(x) is x


def net() -> SparseSNN:
    generator = np.random.default_rng(0)
    return SparseSNN(
        SparseLinear(6, 20, density=0.5, gain=3.0, generator=generator), snn.Leaky(beta=0.9),
        SparseLinear(20, 3, density=0.9, generator=generator), readout(), input="analog",
    )  # fmt: skip


def test_hidden_neurons_are_dropped_for_whole_sequences_and_only_in_training() -> None:
    model, x = net(), torch.rand(8, 5, 6)
    plain = model(x, record=True)
    (dropout,) = add_dropout(model, 0.4, seed=3)
    twin = SequenceDropout(0.4, seed=3, name=dropout.name)
    hidden = twin(plain.layers[0][0])
    expected = copy.deepcopy(net())(x)  # the read-out of what is left, by the layers themselves
    current = model.layers()[1].connection.eval()(hidden)
    model.train()
    voltage, voltages = torch.zeros(5, 3), []
    for t in range(8):
        voltage = 0.9 * voltage + current[t]
        voltages.append(voltage)
    torch.testing.assert_close(model(x).voltages, torch.stack(voltages))
    model.eval()
    torch.testing.assert_close(model(x).voltages, expected.voltages)
    model.to_network(exact=False)  # it is still a connection like any other


@pytest.mark.parametrize("p", [-0.1, 1.0, True, "0.5"])
def test_a_probability_that_is_none_is_refused(p: object) -> None:
    with pytest.raises(ValidationError, match=r"SequenceDropout\.p: must lie in \[0, 1\)"):
        SequenceDropout(p)


def one_weight(n: int) -> tuple[nn.Parameter, torch.optim.Optimizer]:
    parameter = nn.Parameter(torch.zeros(n))
    return parameter, torch.optim.SGD([parameter], lr=1.0)


def test_small_gradients_come_later_and_none_is_lost() -> None:
    parameter, optimizer = one_weight(4)
    TopKGradient(optimizer, 0.25)
    steps = []
    for _ in range(3):
        before = parameter.detach().clone()
        parameter.grad = torch.tensor([1.0, -0.75, 0.5, 0.0])
        optimizer.step()
        steps.append((before - parameter.detach()).tolist())
    # residuals: -, 0.75, 0.5 -> then 1.0, 1.5, 1.0 of which the second goes -> 2.0, 0.75, 1.5 of which the first
    assert steps == [[1.0, 0.0, 0.0, 0.0], [0.0, -1.5, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0]]
    residual = optimizer.state[parameter]["gradient_residual"]
    assert residual.tolist() == [0.0, -0.75, 1.5, 0.0]
    sent = -parameter.detach()
    torch.testing.assert_close(sent + residual, 3 * torch.tensor([1.0, -0.75, 0.5, 0.0]))


@pytest.mark.parametrize("make", [torch.optim.Adam, torch.optim.AdamW])
def test_it_works_with_adam_and_its_state_is_saved_with_the_optimizer(make: type[torch.optim.Optimizer]) -> None:
    runs = []
    for interrupted in (False, True):
        torch.manual_seed(0)
        layer = nn.Linear(5, 3)
        optimizer = make(layer.parameters(), lr=0.1)
        TopKGradient(optimizer, 0.3)
        for step in range(6):
            if interrupted and step == 3:
                state, weights = copy.deepcopy(optimizer.state_dict()), copy.deepcopy(layer.state_dict())
                layer = nn.Linear(5, 3)
                optimizer = make(layer.parameters(), lr=0.1)
                TopKGradient(optimizer, 0.3)
                layer.load_state_dict(weights)
                optimizer.load_state_dict(state)
            optimizer.zero_grad()
            layer(torch.full((2, 5), 1.0 + step)).square().sum().backward()
            optimizer.step()
        runs.append(layer.weight.detach())
    assert torch.equal(runs[0], runs[1])


def test_the_residual_follows_its_synapse_when_that_is_rewired() -> None:
    layer = SparseLinear(10, 8, density=0.4, generator=np.random.default_rng(0))
    model = nn.Sequential(layer)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    TopKGradient(optimizer, 0.2)
    rewirer = DeepR(alpha=0.5).attach(model, optimizer, seed=0)
    births = 0
    for _ in range(10):
        optimizer.zero_grad()
        model(torch.rand(4, 10)).square().sum().backward()
        optimizer.step()
        before = dict(
            zip(layer.sites.tolist(), optimizer.state[layer.values]["gradient_residual"].tolist(), strict=True)
        )
        rewirer.step()
        after = optimizer.state[layer.values]["gradient_residual"]
        assert after.shape == layer.values.shape
        births += sum(rewirer.stats.births.values())
        born = rewirer.layers[0].born_at == rewirer.layers[0].clock
        for site, value, new in zip(layer.sites.tolist(), after.tolist(), born, strict=True):
            assert value == (0.0 if new else before[site])
    assert births > 0


def test_a_density_that_is_none_is_refused_and_removed_it_is_gone() -> None:
    parameter, optimizer = one_weight(2)
    with pytest.raises(ValidationError, match=r"TopKGradient\.density: must lie in \(0, 1\], got 0"):
        TopKGradient(optimizer, 0)
    TopKGradient(optimizer, 0.5).remove()
    parameter.grad = torch.tensor([1.0, 2.0])
    optimizer.step()
    assert parameter.tolist() == [-1.0, -2.0]
