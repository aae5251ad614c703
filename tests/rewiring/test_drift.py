"""L1, Langevin noise, and their sum as Bellec et al. 2018 write it."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scripted import one_layer
from torch import nn

from neurosparse import DeepR, SparseLinear
from neurosparse.core.rng import generator_state, stream
from neurosparse.errors import ValidationError
from neurosparse.rewiring.drift import L1Proximal, Langevin, WeightDecay, temperature_from_code
from neurosparse.rewiring.layer import SparseLayer


def view(values: list[float]) -> SparseLayer:
    module = one_layer(len(values), 1, list(range(len(values))), values)
    sites = module.sites
    return SparseLayer("layer", 0, "input", module, 1.0, sites, None, np.zeros(sites.size, np.int64))


def test_l1_shrinks_by_learning_rate_times_alpha_and_stops_at_zero() -> None:
    layer = view([0.3, -0.2, 0.05, -0.05, 0.0, 0.1])
    L1Proximal(0.5).apply(layer, 0.2, np.random.default_rng(0))
    assert layer.values.tolist() == pytest.approx([0.2, -0.1, 0.0, 0.0, 0.0, 0.0])
    assert layer.values[2:].tolist() == [0.0, 0.0, 0.0, 0.0], "exactly zero, never beyond"


def test_no_alpha_no_change() -> None:
    layer = view([0.3, -0.2])
    L1Proximal(0.0).apply(layer, 0.2, np.random.default_rng(0))
    assert layer.values.tolist() == [0.3, -0.2]


def test_langevin_noise_has_variance_two_learning_rate_temperature() -> None:
    n, learning_rate, temperature = 40_000, 0.05, 0.002
    layer = view([1.0] * n)
    Langevin(temperature).apply(layer, learning_rate, np.random.default_rng(0))
    noise = layer.values.numpy() - 1
    expected = 2 * learning_rate * temperature
    assert noise.var() == pytest.approx(expected, rel=4 * math.sqrt(2 / n))
    assert abs(noise.mean()) < 4 * math.sqrt(expected / n)


def test_a_weight_of_zero_gets_no_noise() -> None:
    layer = view([0.0, 1.0, 0.0])
    Langevin(1.0).apply(layer, 0.1, np.random.default_rng(0))
    assert layer.values[0] == layer.values[2] == 0
    assert layer.values[1] != 1


def test_temperature_zero_draws_no_number() -> None:
    layer, generator = view([1.0]), np.random.default_rng(0)
    before = generator_state(generator)
    Langevin(0.0).apply(layer, 0.1, generator)
    assert generator_state(generator) == before
    assert layer.values.tolist() == [1.0]


def test_the_temperature_of_the_authors_code() -> None:
    assert temperature_from_code(0.5, 1e-5) == pytest.approx(2.5e-11)
    # the same standard deviation per step, in both notations
    learning_rate, sigma = 0.3, 2e-3
    paper = math.sqrt(2 * learning_rate * temperature_from_code(learning_rate, sigma))
    assert paper == pytest.approx(learning_rate * sigma)


@given(
    theta=st.lists(st.floats(-1, 1).filter(lambda x: x != 0), min_size=1, max_size=8),
    gradient=st.floats(-1, 1),
    learning_rate=st.floats(1e-3, 0.5),
    alpha=st.floats(0, 1),
    temperature=st.floats(1e-6, 0.5),
    seed=st.integers(0, 2**31),
)
def test_a_step_of_deep_r_is_the_papers(
    theta: list[float], gradient: float, learning_rate: float, alpha: float, temperature: float, seed: int
) -> None:
    # theta <- theta - lr dE/dtheta - lr alpha + sqrt(2 lr T) nu; alive if that is > 0
    n = len(theta)
    layer = one_layer(n, 1, list(range(n)), [0.5] * n)
    optimizer = torch.optim.SGD(layer.parameters(), lr=learning_rate)
    rewirer = DeepR(alpha=alpha, temperature=temperature).attach(nn.Sequential(layer), optimizer, seed=seed)
    signs = rewirer.layers[0].signs.astype(float)
    layer.values.data = torch.from_numpy(signs * theta)
    layer.values.grad = torch.full((n,), gradient, dtype=torch.float64)
    moved = np.array(theta) - learning_rate * gradient * signs
    noise = math.sqrt(2 * learning_rate * temperature) * stream(seed, "rewiring").standard_normal(n)
    expected = moved - learning_rate * alpha + np.where(moved != 0, noise * signs, 0)
    if np.abs(expected).min() < 1e-9:
        return  # too close to call in another order of rounding
    optimizer.step()
    rewirer.step()
    alive = expected > 0
    assert rewirer.stats.deaths["0"] == (~alive).sum()
    # a full layer: whoever dies is born again in its place, with weight 0
    weights = layer.values.detach().numpy() * signs
    np.testing.assert_allclose(weights, np.where(alive, expected, 0), atol=1e-12)


@pytest.mark.parametrize("bad", [-1e-9, math.nan, math.inf])
def test_strengths_that_cannot_be_are_refused(bad: float) -> None:
    with pytest.raises(
        ValidationError, match=re.escape(f"alpha: the strength of L1 must be finite and >= 0, got {bad}")
    ):
        L1Proximal(bad)
    with pytest.raises(ValidationError, match=re.escape(f"temperature: must be finite and >= 0, got {bad}")):
        Langevin(bad)


def test_decoupled_weight_decay_shrinks_by_learning_rate_times_strength() -> None:
    part = view([0.5, -0.2])
    WeightDecay(0.5).apply(part, 0.1, stream(0, "rewiring"))
    assert part.values.tolist() == pytest.approx([0.475, -0.19])


def test_without_a_learning_rate_there_is_no_noise_and_no_number_is_drawn() -> None:
    part, generator = view([0.5, -0.2]), stream(0, "rewiring")
    before = generator_state(generator)
    Langevin(1.0).apply(part, 0.0, generator)
    assert part.values.tolist() == [0.5, -0.2]
    assert generator_state(generator) == before


def test_drift_acts_on_sparse_values_only() -> None:
    model = nn.Sequential(SparseLinear(4, 3, density=1, bias=True), nn.Linear(3, 2))
    model[0].bias.data.fill_(1.0)
    weight = model[1].weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    DeepR(alpha=1.0, temperature=1.0).attach(model, optimizer).step()
    assert model[0].bias.tolist() == [1.0] * 3
    assert torch.equal(model[1].weight, weight)
