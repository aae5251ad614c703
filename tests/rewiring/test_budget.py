"""Deaths become births: per layer, or in one pool for the whole network."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from neurosparse import GlobalDeepR, SparseLinear
from neurosparse.errors import ValidationError
from neurosparse.rewiring.budget import BySurvivors, GlobalPool, KeepPerLayer, NoBirths, Ramp, ToRamp
from neurosparse.rewiring.layer import SparseLayer
from neurosparse.rewiring.schedule import Event


def layer(n_sites: int, n_live: int, initial_density: float) -> SparseLayer:
    module = SparseLinear(n_sites, 1, n_synapses=max(n_live, 1), generator=np.random.default_rng(0))
    sites = module.sites[:n_live]
    return SparseLayer("layer", 0, "input", module, initial_density, sites, None, np.zeros(n_live, np.int64))


def test_per_layer_what_dies_is_born_where_it_died() -> None:
    layers = [layer(10, 5, 0.5), layer(20, 5, 0.25)]
    assert KeepPerLayer().births(layers, [3, 0], Event(), np.random.default_rng(0)) == [3, 0]


def test_the_pool_favours_layers_by_sites_times_initial_density() -> None:
    # weights 1000 * 0.1, 1000 * 0.3 and 500 * 0.8: shares 1/9, 3/9, 4/9... of 100 + 300 + 400 = 800
    layers = [layer(1000, 100, 0.1), layer(1000, 300, 0.3), layer(500, 90, 0.8)]
    rng = np.random.default_rng(0)
    births = np.sum([GlobalPool().births(layers, [20, 10, 0], Event(), rng) for _ in range(1000)], axis=0)
    assert births.sum() == 30_000
    assert scipy.stats.chisquare(births, 30_000 * np.array([100, 300, 400]) / 800).pvalue > 1e-4


def test_what_a_full_layer_cannot_take_goes_to_the_others() -> None:
    # the first layer has 1 free site and one that dies; its weight would ask for nearly all births
    layers = [layer(100, 99, 1.0), layer(1000, 10, 0.001)]
    for seed in range(20):
        assert GlobalPool().births(layers, [1, 9], Event(), np.random.default_rng(seed)) == [2, 8]


@given(
    sizes=st.lists(st.tuples(st.integers(1, 30), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=4),
    seed=st.integers(0, 2**31),
)
def test_the_total_is_exact_and_no_layer_overflows(sizes: list[tuple[int, float, float]], seed: int) -> None:
    layers = [layer(n, max(1, round(live * n)), max(1, round(live * n)) / n) for n, live, _ in sizes]
    deaths = [round(dead * part.n_live) for part, (_, _, dead) in zip(layers, sizes, strict=True)]
    births = GlobalPool().births(layers, deaths, Event(), np.random.default_rng(seed))
    assert sum(births) == sum(deaths)
    for part, dead, born in zip(layers, deaths, births, strict=True):
        assert 0 <= born <= part.n_sites - part.n_live + dead


def test_a_layer_that_lost_all_its_synapses_can_get_new_ones() -> None:
    model = nn.Sequential(SparseLinear(6, 2, n_synapses=4), SparseLinear(2, 30, n_synapses=40))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    rewirer = GlobalDeepR(alpha=0.0).attach(model, optimizer, seed=0)
    emptied = refilled = False
    for _ in range(300):
        optimizer.zero_grad()
        (model(torch.ones(2, 6)) * 0).sum().backward()
        optimizer.step()
        for part in rewirer.layers:  # all die, so the small layer is often left with none
            part.values.zero_()
        was_empty = model[0].n_synapses == 0
        rewirer.step()
        assert model[0].n_synapses + model[1].n_synapses == 44
        emptied |= model[0].n_synapses == 0
        refilled |= was_empty and model[0].n_synapses > 0
        if refilled:
            break
    assert emptied
    assert refilled
    assert model[0].values.shape == optimizer.state[model[0].values]["exp_avg"].shape


def test_training_with_a_pool_works_while_the_last_loss_is_alive() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(SparseLinear(12, 8, n_synapses=30), nn.Tanh(), SparseLinear(8, 3, n_synapses=10))
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, lr=0.1)
    rewirer = GlobalDeepR().attach(model, optimizer, seed=0)
    counts = set()
    for _ in range(20):
        loss = model(torch.randn(16, 12)).square().sum()  # keeps the graph of the step before until it is replaced
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rewirer.step()
        counts.add(model[0].n_synapses)
    assert len(counts) > 1, "synapses moved between the layers"
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))


@pytest.mark.parametrize(("budget", "promise"), [(KeepPerLayer, "layer"), (GlobalPool, "total")])
def test_a_budget_says_what_it_keeps(budget: type, promise: str) -> None:
    assert budget.keeps == promise


@given(
    sizes=st.lists(st.tuples(st.integers(1, 30), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=4),
    seed=st.integers(0, 2**31),
)
def test_by_survivors_the_total_is_exact_and_no_layer_overflows(
    sizes: list[tuple[int, float, float]], seed: int
) -> None:
    layers = [layer(n, max(1, round(live * n)), 0.5) for n, live, _ in sizes]
    deaths = [round(dead * part.n_live) for part, (_, _, dead) in zip(layers, sizes, strict=True)]
    births = BySurvivors().births(layers, deaths, Event(), np.random.default_rng(seed))
    assert sum(births) == sum(deaths)
    for part, dead, born in zip(layers, deaths, births, strict=True):
        assert 0 <= born <= part.n_sites - part.n_live + dead


def test_by_survivors_shares_are_proportional_and_the_remainder_goes_to_one_layer() -> None:
    layers = [layer(1000, 60, 0.1), layer(1000, 30, 0.1), layer(1000, 25, 0.1)]
    # 15 die in the last, survivors 60, 30, 10: floors of 15 * (0.6, 0.3, 0.1) are 9, 4, 1; one is left
    seen = {tuple(BySurvivors().births(layers, [0, 0, 15], Event(), np.random.default_rng(seed))) for seed in range(40)}
    assert seen == {(10, 4, 1), (9, 5, 1), (9, 4, 2)}


def test_by_survivors_a_full_layers_share_goes_to_the_others() -> None:
    layers = [layer(60, 60, 1.0), layer(1000, 20, 0.1)]
    assert BySurvivors().births(layers, [0, 10], Event(), np.random.default_rng(0)) == [0, 10]
    # what has just died is room only when there is no other
    assert BySurvivors().births(layers, [10, 0], Event(), np.random.default_rng(0)) == [0, 10]


def test_pruning_has_no_births() -> None:
    assert NoBirths().births([layer(10, 5, 0.5)], [3], Event(), np.random.default_rng(0)) == [0]


def test_a_ramp_asks_the_schedule_how_far_it_is() -> None:
    part = layer(20, 8, 0.4)
    assert [Ramp(0.25).target(part, Event(progress=p)) for p in (0.0, 0.5, 1.0)] == [8, 5, 2]
    assert ToRamp(Ramp(0.25)).births([part], [4], Event(progress=0.5), np.random.default_rng(0)) == [1]
    assert ToRamp(Ramp(0.25)).births([part], [2], Event(progress=0.5), np.random.default_rng(0)) == [0]
    with pytest.raises(ValidationError, match="schedule: says nothing about the progress that a ramp follows"):
        Ramp(0.25).target(part, Event())
