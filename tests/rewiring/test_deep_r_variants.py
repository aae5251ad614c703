"""DEEP R in other hands: births by gradient, L1 in the gradient, weight decay and a budget by size."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
from fed import Fed
from torch import nn

from neurosparse import BayesianConnectivity, DeepRRigL, MLGeNNDeepR, SparseLinear
from neurosparse.errors import UnknownNameError, ValidationError
from neurosparse.rewiring.birth import FixedSigns
from neurosparse.rewiring.budget import GlobalPool


def signs_of(run: Fed) -> np.ndarray:
    """The fixed sign of every site."""
    layer = run.rewirer.layers[0]
    return FixedSigns().of(layer, np.arange(layer.n_sites), 0, run.rewirer.generator).astype(float)


# --- DEEP R's deaths, RigL's births


def test_who_crosses_zero_is_replaced_where_the_gradient_pulls_most_to_the_own_side() -> None:
    run = Fed(DeepRRigL(alpha=0.0, every=1), 10, 1, [0, 1, 2, 3], [0.5] * 4, lr=1.0)
    signs = signs_of(run)
    gradient = np.zeros(10)
    gradient[1] = signs[1]  # 1.0 against a weight of 0.5: it crosses
    gradient[6] = 5 * signs[6]  # the largest, but it pulls to the other side
    gradient[8] = -2 * signs[8]
    gradient[9] = -1 * signs[9]
    run.step([gradient.tolist()])
    assert run.weights == pytest.approx({0: 0.5 * signs[0], 2: 0.5 * signs[2], 3: 0.5 * signs[3], 8: 0.0})
    run.step([(-0.25 * signs).tolist()])
    assert run.weights[8] == pytest.approx(0.25 * signs[8]), "and it survives its first step"
    assert run.turnover == (0, 0)


def test_it_records_gradients_only_when_it_rewires() -> None:
    run = Fed(DeepRRigL(every=3), 10, 1, [0, 1], [0.5, 0.5])
    armed = []
    for _ in range(6):
        armed.append(run.layer.gradient_probe is not None)
        run.step()
    assert armed == [False, False, True, False, False, True]


def test_its_signs_are_fixed_or_dales() -> None:
    with pytest.raises(UnknownNameError, match=r"DeepRRigL\.signs: 'redrawn' is not known"):
        DeepRRigL(signs="redrawn")
    run = Fed(DeepRRigL(signs="dale", every=1, alpha=0.5), 6, 4, [0, 7, 14, 21], [0.1] * 4, lr=1.0)
    for _ in range(5):
        run.step([[1, -1, 2, -2, 3, -3]] * 4)
        layer = run.rewirer.layers[0]
        sources = layer.sites % 6
        assert all(len(set(layer.signs[sources == j].tolist())) <= 1 for j in range(6))


# --- mlGeNN's


def test_its_l1_joins_the_gradient_by_the_sign_of_the_site() -> None:
    run = Fed(MLGeNNDeepR(strength=0.25), 6, 1, [0, 1, 2], [0.5, 0.4, 0.3], lr=0.1)
    signs = signs_of(run)
    run.step([[0.5, 0.0, 0.0, 0, 0, 0]])
    expected = {0: 0.5 * signs[0] - 0.1 * (0.5 + 0.25 * signs[0])}
    expected |= {k: w * signs[k] - 0.1 * 0.25 * signs[k] for k, w in ((1, 0.4), (2, 0.3))}
    assert run.weights == pytest.approx(expected)


def test_under_adam_any_strength_is_a_whole_step_where_nothing_else_pulls() -> None:
    for strength in (1e-4, 0.5):
        options = {"eps": 1e-12}
        run = Fed(
            MLGeNNDeepR(strength=strength),
            6,
            1,
            [0, 1],
            [0.5, 0.4],
            lr=0.01,
            optimizer=torch.optim.Adam,
            options=options,
        )
        run.step()
        assert [abs(w) for w in run.weights.values()] == pytest.approx([0.49, 0.39])


def test_newborns_have_no_moments_and_the_optimizers_own_clock() -> None:
    run = Fed(MLGeNNDeepR(strength=0.0), 3, 1, [0], [0.05], lr=0.1, optimizer=torch.optim.Adam)
    run.layer.values.data *= 1.0
    signs = signs_of(run)
    for _ in range(30):  # until Adam's correction has mostly worn off, the synapse held in place
        run.step()
    run.step([[10 * signs[0], 0, 0]])
    (site,) = run.weights
    born = run.rewirer.layers[0].born_at[0]
    assert born == run.rewirer.layers[0].clock == 31
    state = run.optimizer.state[run.layer.values]
    assert (state["exp_avg"].item(), state["exp_avg_sq"].item()) == (0.0, 0.0)
    gradient = [0.0, 0.0, 0.0]
    gradient[site] = -float(signs[site])
    run.step([gradient])
    # zero moments with t = 32: (1 - b1) / (1 - b1^t) / sqrt((1 - b2) / (1 - b2^t)) times the learning rate, not 1
    step = (0.1 / (1 - 0.9**32)) / np.sqrt(0.001 / (1 - 0.999**32))
    assert abs(run.weights[site]) == pytest.approx(0.1 * step, rel=1e-5)
    assert step < 1  # small t; from t = 1000 on it exceeds 2.5


def test_the_hook_ends_with_the_rewirer() -> None:
    run = Fed(MLGeNNDeepR(strength=0.25), 6, 1, [0, 1, 2], [0.5, 0.4, 0.3], lr=0.1)
    optimizer, layer = run.optimizer, run.layer
    del run
    before = layer.values.detach().clone()
    layer.values.grad = torch.zeros_like(before)
    optimizer.step()
    assert torch.equal(layer.values, before)


# --- Bayesian connectivity sampling


def test_weights_decay_and_there_is_no_l1() -> None:
    run = Fed(BayesianConnectivity(weight_decay=0.5, temperature=0.0), 6, 1, [0, 1], [0.5, 0.2], lr=0.1)
    signs = signs_of(run)
    run.step()
    assert run.weights == pytest.approx({0: 0.5 * 0.95 * signs[0], 1: 0.2 * 0.95 * signs[1]})
    run.step()
    assert run.weights == pytest.approx({0: 0.5 * 0.95**2 * signs[0], 1: 0.2 * 0.95**2 * signs[1]})


def test_births_go_to_layers_by_their_possible_synapses() -> None:
    model = nn.Sequential(SparseLinear(60, 50, n_synapses=100), SparseLinear(50, 20, n_synapses=300))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    rewirer = BayesianConnectivity().attach(model, optimizer, seed=0)
    births = np.zeros(2)
    for _ in range(40):
        for layer in rewirer.layers:
            layer.values.zero_()
            layer.values[: layer.n_live // 2] = torch.from_numpy(layer.signs[: layer.n_live // 2]).float()
        rewirer.step()
        births += list(rewirer.stats.births.values())
        assert sum(layer.n_live for layer in rewirer.layers) == 400
    assert scipy.stats.chisquare(births, births.sum() * np.array([3000, 1000]) / 4000).pvalue > 1e-4


def test_the_pool_by_size_does_not_look_at_initial_densities() -> None:
    assert GlobalPool("sites") != GlobalPool()
    with pytest.raises(UnknownNameError, match=r"GlobalPool\.by: 'size' is not known"):
        GlobalPool("size")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BayesianConnectivity(weight_decay=-1.0), "weight_decay: must be finite and >= 0, got -1"),
        (lambda: BayesianConnectivity(temperature=-1.0), "temperature: must be finite and >= 0, got -1"),
        (lambda: MLGeNNDeepR(strength=-1.0), r"GradientL1\.strength: must be finite and >= 0, got -1"),
        (lambda: DeepRRigL(alpha=-1.0), "alpha: the strength of L1 must be finite and >= 0, got -1"),
    ],
)
def test_wrong_hyper_parameters_are_an_error_where_they_are_given(make: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make()
