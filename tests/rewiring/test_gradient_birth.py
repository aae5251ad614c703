"""Births where the gradient is largest: hand-made gradients, ties, and what happens where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scripted import one_layer

from neurosparse import SparseLinear
from neurosparse.errors import NeurosparseError, ValidationError
from neurosparse.nn import gradient_probe
from neurosparse.nn.gradient_probe import GradientProbe
from neurosparse.rewiring.birth import FixedSigns
from neurosparse.rewiring.gradient_birth import LargestGradient
from neurosparse.rewiring.layer import SparseLayer


def with_gradient(module: SparseLinear, gradient: list[list[float]]) -> SparseLayer:
    """A view of `module` whose probe saw a backward pass with this dense gradient."""
    module.gradient_probe = GradientProbe()
    rows = torch.tensor(gradient, dtype=torch.float64)
    # one sample per target neuron, unit delta: dW = I^T rows
    module(rows).backward(torch.eye(len(gradient), dtype=torch.float64))
    return SparseLayer("layer", 0, "input", module, module.density, module.sites, None, np.zeros(module.n_synapses))


def choose(layer: SparseLayer, n: int, dead: tuple[int, ...] = (), **options: object) -> list[int]:
    slots = np.array(dead, np.int64)
    return LargestGradient(**options).choose(layer, slots, n, np.random.default_rng(0)).tolist()


def test_the_largest_gradients_of_dormant_sites_win_whatever_their_sign() -> None:
    #                 live: 0 and 4; gradients there do not count
    layer = with_gradient(one_layer(3, 2, [0, 4], [1.0, 1.0]), [[9, -5, 1], [2, 8, -3]])
    assert choose(layer, 1) == [1]
    assert choose(layer, 2) == [1, 5]
    assert choose(layer, 4) == [1, 2, 3, 5]
    assert choose(layer, 0) == []


def test_a_site_that_has_just_died_is_a_candidate() -> None:
    layer = with_gradient(one_layer(3, 2, [0, 4], [1.0, 1.0]), [[9, -5, 1], [2, 8, -3]])
    assert choose(layer, 2, dead=(1,)) == [1, 4]


def test_of_equal_gradients_the_lower_site_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = with_gradient(one_layer(4, 2, [0], [1.0]), [[7, 1, 2, 2], [1, -2, 2, 2]])
    for width in (1, 2, 4):
        monkeypatch.setattr(gradient_probe, "_WIDTH", width)
        monkeypatch.setattr(gradient_probe, "_BLOCK", width)
        assert choose(layer, 3) == [2, 3, 5]


@given(
    n_in=st.integers(1, 9), n_out=st.integers(1, 9), share=st.floats(0, 1), block=st.integers(1, 20),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_it_is_the_top_k_of_the_dense_gradient(n_in: int, n_out: int, share: float, block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    module = SparseLinear(
        n_in, n_out, n_synapses=int(rng.integers(n_out, n_in * n_out + 1)), generator=rng, dtype=torch.float64
    )
    gradient = rng.integers(-4, 5, (n_out, n_in)).astype(float)  # many ties, many zeros
    layer = with_gradient(module, gradient.tolist())
    n = round(share * (layer.n_sites - layer.n_live))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradient_probe, "_WIDTH", block)
        patch.setattr(gradient_probe, "_BLOCK", 2 * block)
        born = np.array(choose(layer, n), np.int64)
    score = np.abs(gradient).reshape(-1)
    score[layer.sites] = -1
    ranked = sorted(np.flatnonzero(score > 0).tolist(), key=lambda site: (-score[site], site))[:n]
    assert born.size == n
    assert (np.diff(born) > 0).all()
    assert not np.isin(born, layer.sites).any()
    assert set(ranked) <= set(born.tolist())
    assert (score[np.setdiff1d(born, ranked)] == 0).all(), "only where no gradient is left"


def test_where_there_is_no_gradient_births_are_uniform_and_not_all_in_the_first_rows() -> None:
    module = SparseLinear(40, 50, n_synapses=50, generator=np.random.default_rng(0), dtype=torch.float64)
    layer = with_gradient(module, np.zeros((50, 40)).tolist())
    born = LargestGradient().choose(layer, np.zeros(0, np.int64), 400, np.random.default_rng(0))
    rows = np.bincount(born // 40, minlength=50)
    assert rows.max() < 20
    assert (rows > 0).all()


def test_a_layer_that_never_ran_gets_uniform_births() -> None:
    module = one_layer(3, 2, [0, 4], [1.0, 1.0])
    module.gradient_probe = GradientProbe()
    layer = SparseLayer("layer", 0, "input", module, 1 / 3, module.sites, None, np.zeros(2))
    assert len(choose(layer, 4)) == 4


def test_with_fixed_signs_only_a_pull_to_the_own_side_counts() -> None:
    module = SparseLinear(6, 5, n_synapses=5, generator=np.random.default_rng(0), dtype=torch.float64)
    rng = np.random.default_rng(1)
    gradient = rng.standard_normal((5, 6))
    layer = with_gradient(module, gradient.tolist())
    layer.seed = 3
    signs = FixedSigns().of(layer, np.arange(30), 3, rng)
    pulled = np.setdiff1d(np.flatnonzero(signs * gradient.reshape(-1) < 0), layer.sites)  # descent goes against it
    best = pulled[np.argsort(-np.abs(gradient.reshape(-1)[pulled]))][:4]
    assert choose(layer, 4, signs=FixedSigns()) == sorted(best.tolist())


def test_without_a_recorded_gradient_births_are_refused() -> None:
    module = one_layer(3, 2, [0, 4], [1.0, 1.0])
    layer = SparseLayer("layer", 0, "input", module, 1 / 3, module.sites, None, np.zeros(2))
    with pytest.raises(ValidationError, match="layer: births by gradient in a step whose gradient nobody recorded"):
        choose(layer, 1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_is_an_error(bad: float) -> None:
    layer = with_gradient(one_layer(3, 2, [0, 4], [1.0, 1.0]), [[9, bad, 1], [2, 8, -3]])
    with pytest.raises(NeurosparseError, match="layer: the gradient of its dormant synapses is not finite"):
        choose(layer, 1)
