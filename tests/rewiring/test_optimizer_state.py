"""Optimizer state follows its synapse, and Adam's first steps on a newborn are as long as on any other weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scripted import Script, one_layer, scripted
from torch import Tensor

from neurosparse import DeepR, SparseLinear
from neurosparse.errors import UnknownNameError, ValidationError
from neurosparse.rewiring.optimizer_state import OptimizerState

ADAMS: dict[str, Any] = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.0),
    "adam-amsgrad": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw-amsgrad": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.0, amsgrad=True),
    "adam-foreach": lambda p: torch.optim.Adam(p, lr=0.01, foreach=True),
    "adam-tensor-lr": lambda p: torch.optim.Adam(p, lr=torch.tensor(0.01, dtype=torch.float64)),
    "adam-maximize": lambda p: torch.optim.Adam(p, lr=0.01, maximize=True),
}


def newborn_trajectory(make: Any, policy: str, gradient: float, n_steps: int) -> list[float]:
    """Weight of a synapse born at Adam's step 20 000 after each of its steps, at constant gradient, in units of lr."""
    layer = one_layer(3, 1, [0, 1], [1.0, 1.0])
    optimizer = make(layer.parameters())
    rewirer = scripted(layer, optimizer, Script(dies={1: [1]}, born={1: [2]}), optimizer_state=policy)

    def learn() -> None:
        layer.values.grad = torch.full((2,), gradient, dtype=torch.float64)
        optimizer.step()

    learn()
    sign = -1 if optimizer.param_groups[0]["maximize"] else 1
    state = optimizer.state[layer.values]
    state["step"] += 20_000 - 1  # as old as in a real training, its moments settled
    state["exp_avg"].fill_(sign * gradient)
    state["exp_avg_sq"].fill_(gradient**2)
    if "max_exp_avg_sq" in state:
        state["max_exp_avg_sq"].fill_(gradient**2)
    rewirer.step()
    assert layer.sites.tolist() == [0, 2]
    assert layer.values[1] == 0
    weights = []
    for _ in range(n_steps):
        learn()
        rewirer.step()
        weights.append(-sign * layer.values[1].item() / 0.01)
    return weights


@pytest.mark.parametrize("name", ADAMS)
@pytest.mark.parametrize("gradient", [0.3, 1e-3, 25.0])
def test_with_its_age_a_newborns_steps_are_one_learning_rate_each(name: str, gradient: float) -> None:
    weights = newborn_trajectory(ADAMS[name], "age_corrected", gradient, 60)
    # Adam at constant gradient steps lr * g / (|g| + eps), from the first step on
    expected = [(n + 1) * gradient / (gradient + 1e-8) for n in range(60)]
    assert weights == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ADAMS)
def test_with_the_optimizers_count_they_are_three_to_six_times_as_long(name: str) -> None:
    weights = newborn_trajectory(ADAMS[name], "zero", 0.3, 50)
    steps = np.diff([0.0, *weights])
    n = np.arange(1, 51)
    assert steps == pytest.approx((1 - 0.9**n) / np.sqrt(1 - 0.999**n), rel=1e-5)
    # in figures: 3.16 at birth, 5.8 at the fifth step, a peak of 6.6 soon after the tenth, still 4.5 at the fiftieth
    assert [round(float(steps[i]), 2) for i in (0, 4)] == [3.16, 5.8]
    assert 10 <= int(steps.argmax()) + 1 <= 15
    assert round(float(steps.max()), 1) == 6.6
    assert round(float(steps[49]), 1) == 4.5


def test_the_corrected_synapse_is_where_a_fresh_adam_would_have_put_it() -> None:
    gradients = [0.3, -0.1, 0.7, 0.2, -0.9, 0.05]
    layer = one_layer(3, 1, [0, 1], [1.0, 1.0])
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01, betas=(0.8, 0.99), eps=1e-3)
    rewirer = scripted(layer, optimizer, Script(dies={4: [1]}, born={4: [2]}))

    def learn(gradient: float) -> None:
        layer.values.grad = torch.tensor([1.0, gradient], dtype=torch.float64)
        optimizer.step()
        rewirer.step()

    for _ in range(4):
        learn(0.5)
    fresh = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    reference = torch.optim.Adam([fresh], lr=0.01, betas=(0.8, 0.99), eps=1e-3)
    for gradient in gradients:
        learn(gradient)
        fresh.grad = torch.tensor([gradient], dtype=torch.float64)
        reference.step()
        assert layer.values[1].item() == pytest.approx(fresh.item(), rel=1e-12)


def test_decoupled_weight_decay_is_not_corrected_away() -> None:
    layer = one_layer(3, 1, [0, 1], [1.0, 1.0])
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.01, weight_decay=0.5)
    rewirer = scripted(layer, optimizer, Script(dies={1: [1]}, born={1: [2]}))
    expected = 0.0
    for t in range(6):
        layer.values.grad = torch.full((2,), 0.3, dtype=torch.float64)
        optimizer.step()
        rewirer.step()
        if t:
            expected = expected * (1 - 0.01 * 0.5) - 0.01
    assert layer.values[1].item() == pytest.approx(expected, rel=1e-6)


def test_synapses_from_the_start_are_left_to_adam_alone() -> None:
    def weights(with_rewirer: bool) -> list[float]:
        layer = one_layer(3, 1, [0, 1], [1.0, 1.0])
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
        rewirer = scripted(layer, optimizer, Script())
        for t in range(5):
            layer.values.grad = torch.tensor([0.1 * t, -0.2], dtype=torch.float64)
            optimizer.step()
            if with_rewirer:
                rewirer.step()
        return layer.values.tolist()

    assert weights(True) == weights(False)


def test_where_adam_made_no_step_nothing_is_corrected_and_nobody_gets_older() -> None:
    layer = one_layer(3, 1, [0, 1], [1.0, 1.0])
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    rewirer = scripted(layer, optimizer, Script(dies={1: [1]}, born={1: [2]}))
    layer.values.grad = torch.ones(2, dtype=torch.float64)
    optimizer.step()
    rewirer.step()
    layer.values.grad = torch.ones(2, dtype=torch.float64)
    optimizer.step()
    rewirer.step()
    weights = layer.values.tolist()
    for _ in range(3):  # a gradient scaler that found an overflow, a batch that did not touch the layer
        rewirer.step()
    assert layer.values.tolist() == weights
    layer.values.grad = torch.ones(2, dtype=torch.float64)
    optimizer.step()
    rewirer.step()
    assert layer.values[1].item() == pytest.approx(-0.02, rel=1e-7)


def test_other_optimizers_get_no_correction() -> None:
    layer = one_layer(3, 1, [0, 1], [1.0, 1.0])
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.5)
    rewirer = scripted(layer, optimizer, Script(dies={1: [1]}, born={1: [2]}))
    for _ in range(3):
        layer.values.grad = torch.ones(2, dtype=torch.float64)
        optimizer.step()
        rewirer.step()
    # a fresh buffer: 1, then 0.5 + 1; the survivor's: 1, 1.5, 1.75
    assert layer.values.tolist() == pytest.approx([1 - 0.1 * (1 + 1.5 + 1.75), -0.1 * (1 + 1.5)])


MOVES = {
    "age_corrected": [10.0, 0.0, 14.0, 0.0],
    "zero": [10.0, 0.0, 14.0, 0.0],
    "carry": [10.0, 12.0, 14.0, 16.0],  # newborns take over from those that died
}


@pytest.mark.parametrize("policy", MOVES)
@pytest.mark.parametrize("make", [ADAMS["adam-amsgrad"], lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)])
def test_planted_state_moves_with_its_synapse(policy: str, make: Any) -> None:
    layer = one_layer(10, 1, [0, 2, 4, 6], [1.0, 2.0, 3.0, 4.0])
    optimizer = make(layer.parameters())
    rewirer = scripted(layer, optimizer, Script(dies={1: [2, 6]}, born={1: [1, 9]}), optimizer_state=policy)
    layer.values.grad = torch.zeros(4, dtype=torch.float64)
    optimizer.step()
    state = optimizer.state[layer.values]
    keys = [key for key, value in state.items() if isinstance(value, Tensor) and value.dim()]
    for key in keys:
        state[key] = torch.tensor([10.0, 12.0, 14.0, 16.0], dtype=torch.float64)
    shared = torch.arange(3.0)
    state["shared"] = shared  # an entry that is not per synapse stays as it is
    rewirer.step()
    assert layer.sites.tolist() == [0, 1, 4, 9]
    assert layer.values.tolist() == [1.0, 0.0, 3.0, 0.0]
    assert keys
    for key in keys:
        assert state[key].tolist() == MOVES[policy], key
    assert state["shared"] is shared


@pytest.mark.parametrize("policy", ["zero", "carry"])
def test_a_layer_may_win_or_lose_synapses(policy: str) -> None:
    class Shrinks:
        keeps = "none"

        def births(self, layers: object, deaths: list[int], event: object, generator: object) -> list[int]:
            return [{2: 1, 1: 3, 0: 0}[deaths[0]]]

    layer = one_layer(10, 1, [0, 2, 4], [1.0, 2.0, 3.0])
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.0, momentum=0.9)
    script = Script(dies={1: [2, 4], 2: [0]}, born={1: [9], 2: [1, 5, 8]})
    rewirer = scripted(layer, optimizer, script, budget=Shrinks(), optimizer_state=policy)
    layer.values.grad = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    optimizer.step()
    rewirer.step()
    buffer = optimizer.state[layer.values]["momentum_buffer"]
    assert layer.sites.tolist() == [0, 9]
    assert buffer.tolist() == ([1.0, 0.0] if policy == "zero" else [1.0, 2.0])
    rewirer.step()
    buffer = optimizer.state[layer.values]["momentum_buffer"]
    assert layer.sites.tolist() == [1, 5, 8, 9]
    assert buffer.tolist() == ([0.0] * 4 if policy == "zero" else [1.0, 0.0, 0.0, 2.0])
    layer.values.grad = torch.ones(4, dtype=torch.float64)
    optimizer.step()  # the state fits the parameter


def test_nothing_to_move_before_the_first_step() -> None:
    layer = one_layer(3, 1, [0, 1], [1.0, 1.0])
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    scripted(layer, optimizer, Script(dies={1: [1]}, born={1: [2]})).step()
    assert layer.sites.tolist() == [0, 2]
    assert not optimizer.state[layer.values]


def test_each_layer_follows_the_learning_rate_of_its_own_group() -> None:
    first, second = SparseLinear(4, 3, density=1), SparseLinear(3, 2, density=1)
    model = torch.nn.Sequential(first, second)
    groups = [{"params": first.parameters(), "lr": 0.1}, {"params": second.parameters(), "lr": 0.7}]
    rewirer = DeepR().attach(model, torch.optim.SGD(groups), seed=0)
    assert [rewirer.state.learning_rate(layer) for layer in rewirer.layers] == [0.1, 0.7]


def test_wrong_policies_and_foreign_optimizers_are_refused() -> None:
    layer = SparseLinear(4, 3, density=1)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(
        UnknownNameError, match=r"optimizer_state: 'age_correct' is not known\. Did you mean 'age_corrected'"
    ):
        OptimizerState(optimizer, "age_correct")
    with pytest.raises(ValidationError, match=r"fc\.values: not among the optimizer's parameters; make"):
        DeepR().attach(torch.nn.ModuleDict({"fc": layer}), optimizer)
