"""NDSNN by hand: the number of synapses follows its cubic, and is exact at the end."""

from __future__ import annotations

import pytest
import torch
from fed import Fed
from torch import nn

from neurosparse import NDSNN, SparseLinear
from neurosparse.errors import ValidationError


def test_the_number_of_synapses_follows_the_cubic() -> None:
    # 80 synapses, a quarter at the end: K_t = 20 + 60 (1 - t / 40)^3 at t = 10, 20, 30, 40
    run = Fed(NDSNN(final=0.25, every=10, end=0.8), 200, 1, list(range(80)), [1.0] * 80, n_steps=50)
    counts = []
    for _ in range(50):
        run.step()
        counts.append(run.layer.n_synapses)
    expected = [round(20 + 60 * (1 - t / 40) ** 3) for t in (10, 20, 30, 40)]
    assert expected == [45, 28, 21, 20]
    assert counts == [80] * 9 + [45] * 10 + [28] * 10 + [21] * 10 + [20] * 11


def test_births_fill_up_what_the_deaths_left_below_the_target() -> None:
    # progress 1 - (1 - 1/4)^3 = 37/64, target 8 (1 - 37/64 / 2) = 5.69; f(1) = 0.25 (1 + cos(pi / 4)) = 0.427: 3 die
    run = Fed(
        NDSNN(final=0.5, fraction=0.5, every=1, end=1.0), 12, 1, list(range(8)), [1, 2, 3, 4, 5, 6, 7, 8], n_steps=4
    )
    run.step([[0.0] * 11 + [1.0]])
    assert run.turnover == (3, 1)
    assert run.weights == {3: 4.0, 4: 5.0, 5: 6.0, 6: 7.0, 7: 8.0, 11: 0.0}


def test_where_the_fraction_is_not_enough_more_die_and_none_is_born() -> None:
    method = NDSNN(final=0.25, fraction=0.1, every=1, end=1.0)
    run = Fed(method, 12, 1, list(range(8)), [1, 2, 3, 4, 5, 6, 7, 8], n_steps=4)
    run.step()
    # target 8 * (1 - 0.75 * 37/64) = 4.53 -> 5
    assert run.turnover == (3, 0)
    assert list(run.weights) == [3, 4, 5, 6, 7]


def test_every_layer_shrinks_by_the_same_factor() -> None:
    model = nn.Sequential(SparseLinear(20, 10, n_synapses=100), SparseLinear(10, 10, n_synapses=40))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    rewirer = NDSNN(final=0.2, every=1, end=0.5).attach(model, optimizer, n_steps=10)
    for _ in range(10):
        optimizer.zero_grad()
        model(torch.ones(2, 20)).sum().backward()
        optimizer.step()
        rewirer.step()
    assert [layer.n_synapses for layer in model] == [20, 8]


def test_a_resumed_ramp_knows_where_it_started() -> None:
    def attached(n: int) -> tuple[nn.Sequential, torch.optim.Optimizer, object]:
        model = nn.Sequential(SparseLinear(20, 10, n_synapses=n))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        return model, optimizer, NDSNN(final=0.5, every=1, end=1.0).attach(model, optimizer, n_steps=4)

    model, _, rewirer = attached(100)
    model(torch.ones(2, 20)).sum().backward()
    rewirer.step()
    assert model[0].n_synapses == 71  # 100 (1 - 0.5 * 37/64)
    other, _, resumed = attached(13)
    other.load_state_dict(model.state_dict())
    resumed.load_state_dict(rewirer.state_dict())
    for _ in range(3):
        resumed.step()
    assert other[0].n_synapses == 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"final": 0.0}, r"final: must lie in \(0, 1\] of the initial number of synapses, got 0"),
        ({"final": 1.5}, "final: must lie in"),
        ({"fraction": 0.0}, r"CubicRamp\.fraction"),
    ],
)
def test_wrong_hyper_parameters_are_an_error_where_they_are_given(options: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        NDSNN(**options)
