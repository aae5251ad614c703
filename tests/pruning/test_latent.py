"""Methods whose dormant weights keep a value: what they compute with, and what their latent weights feel."""

from __future__ import annotations

import math

import pytest
import torch
from scripted_pruning import Scripted
from torch import nn

from neurosparse.errors import ValidationError
from neurosparse.pruning.dnw import DNW
from neurosparse.pruning.dpf import DPF
from neurosparse.pruning.grad_r import GradR
from neurosparse.pruning.learning_compression import LearningCompression
from neurosparse.pruning.soft_deep_r import SoftDeepR
from neurosparse.pruning.sparse_momentum import SparseMomentum
from neurosparse.pruning.stds import STDS
from neurosparse.pruning.upr import UPR

ROW = [[4.0, -3.0, 1.0, -2.0]]


def test_dnw_lets_a_dormant_weight_grow_until_it_replaces_the_smallest_live_one() -> None:
    run = Scripted(DNW(density=0.5), ROW)
    assert run.weights == [[4.0, -3.0, 0.0, 0.0]]
    run.step([[0.0, 0.0, -1.5, 0.0]])
    assert run.weights == [[4.0, -3.0, 0.0, 0.0]]
    assert run.latent == [[4.0, -3.0, 2.5, -2.0]]
    run.step([[0.0, 0.0, -1.5, 0.0]])
    assert run.weights == [[4.0, 0.0, 4.0, 0.0]]
    assert run.latent == [[4.0, -3.0, 4.0, -2.0]], "what leaves keeps its value"


def test_the_gradient_of_dnw_is_taken_at_the_sparse_weights() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 3, bias=False).double())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    latent = model[0].weight.detach().clone()
    DNW(density=0.5).attach(model, optimizer, n_steps=5)
    x = torch.rand(4, 6, dtype=torch.float64)
    sparse = model[0].weight.detach().clone().requires_grad_()
    (x @ sparse.t()).square().sum().backward()
    model(x).square().sum().backward()
    optimizer.step()
    assert sparse.grad is not None
    torch.testing.assert_close(model[0].weight.detach(), latent - 0.1 * sparse.grad)


def test_dpf_keeps_its_mask_for_a_while_and_pruned_weights_learn_on() -> None:
    run = Scripted(DPF(density=0.5, every=2, end=0.2), ROW)
    run.step([[0.0, 0.0, -1.0, 0.0]])
    assert run.weights == [[4.0, -3.0, 2.0, -2.0]], "dense until the first mask"
    run.step()
    assert run.weights == [[4.0, -3.0, 0.0, 0.0]]
    run.step([[0.0, 0.0, -3.0, 0.0]])
    assert run.weights == [[4.0, -3.0, 0.0, 0.0]]
    run.step()
    assert run.weights == [[4.0, 0.0, 5.0, 0.0]], "the error of pruning was not lost: 2 + 3"


def test_stds_shrinks_by_a_threshold_that_rises_on_a_sine() -> None:
    run = Scripted(STDS(threshold=2.0), ROW, n_steps=2)
    assert run.weights == ROW
    run.step([[0.0, 0.0, 0.5, 0.0]])
    assert run.weights == [[3.0, -2.0, 0.0, -1.0]]  # d = 1 halfway; the third is 1 - 0.5 before it
    run.step([[0.0, 0.0, -4.0, 0.0]])
    assert run.latent == [[4.0, -3.0, 4.5, -2.0]], "dormant, it felt the gradient as if it were live"
    assert run.weights == [[2.0, -1.0, 2.5, 0.0]]
    run.pruner.finish()
    assert run.model[0].n_synapses == 3


def test_a_latent_weight_of_exactly_0_stays_in_stds() -> None:
    run = Scripted(STDS(threshold=0.0), [[0.0, 1.0]])
    run.step([[1.0, 1.0]])
    assert run.latent == [[0.0, 0.0]]


def test_grad_r_pulls_a_dormant_synapse_back_by_its_gradient() -> None:
    run = Scripted(GradR(density=0.5, alpha=1e-9), [[1.0, -1.0]])
    run.step([[3.0, -3.0]])  # theta of both: 1 - 3
    assert run.weights == [[0.0, 0.0]]
    run.step([[-2.5, 2.5]])
    torch.testing.assert_close(run.model[0].weight.tolist(), [[0.5, -0.5]])
    assert run.layer.births == 2


def test_the_prior_of_grad_r_has_the_density_as_its_mass_above_zero_and_pulls_to_its_mean() -> None:
    method = GradR(density=0.1, alpha=0.5)
    assert 0.5 * math.exp(method.alpha * method.mean) == pytest.approx(0.1)
    run = Scripted(method, [[1.0, -1.0, 0.25, 0.0]])
    run.step()
    assert run.weights == [[0.5, -0.5, 0.0, 0.0]]
    for _ in range(20):
        run.step()
    theta = (run.layer.latent * run.layer.arrays["sign"]).reshape(-1)
    assert bool(((theta - method.mean).abs() <= 0.5).all()), "around mu = ln(0.2) / 0.5 = -3.2"


def test_without_a_gradient_soft_deep_r_samples_its_density() -> None:
    method = SoftDeepR(density=0.2, alpha=1.0, temperature=0.02)
    assert method.floor == pytest.approx(-0.08)
    torch.manual_seed(0)
    run = Scripted(method, (0.05 * torch.randn(40, 50)).tolist(), n_steps=4000, lr=0.002, seed=1)
    assert run.layer.n_live == pytest.approx(400, abs=60)
    counts = []
    for step in range(1500):
        run.step()
        if step >= 500:
            counts.append(run.layer.n_live)
    # clipping at the floor, not reflecting, and steps of finite size take a little from the box
    assert sum(counts) / len(counts) / 2000 == pytest.approx(0.2, abs=0.03)
    assert run.layer.births > 0
    assert bool(((run.layer.latent * run.layer.arrays["sign"]) >= method.floor - 1e-12).all())


def test_in_soft_deep_r_dormant_synapses_feel_neither_gradient_nor_momentum() -> None:
    method = SoftDeepR(density=0.5, alpha=1e-12, temperature=1e-12)  # a box down to -1, and next to no noise
    run = Scripted(method, [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]], momentum=0.9, seed=3)
    live, before = run.layer.mask.clone(), run.layer.latent.clone()
    assert 0 < run.layer.n_live < 6
    for _ in range(3):
        run.step([[-1.0] * 6])
    moved = (run.layer.latent - before).abs() > 1e-3
    assert torch.equal(moved, live)


def test_upr_opens_and_closes_gates_by_the_chain_rule() -> None:
    run = Scripted(UPR(penalty=0.0, gate_rate=0.1, search=0.5, sharpness=(1.0, 1.0)), [[2.0, 2.0, -2.0]], n_steps=4)
    assert run.weights == [[1.0, 1.0, -1.0]], "all gates half open"
    run.step([[1.0, -1.0, 0.0]])
    # d/da = g w / 4 is 0.5 and -0.5, and the first step of Adam is its rate; the weight feels half the gradient
    assert run.layer.arrays["gate"].tolist() == [[pytest.approx(-0.1), pytest.approx(0.1), 0.0]]
    assert run.latent == [[1.5, 2.5, -2.0]]
    run.step()
    assert run.layer.mask.tolist() == [[False, True, False]]
    run.step([[1.0, 1.0, 1.0]])
    assert run.weights == [[0.0, 1.5, 0.0]]
    assert run.pruner.finish()[0].n_synapses == 1


def test_upr_closes_whole_neurons_when_asked_to() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2, bias=False), nn.Linear(2, 2, bias=False)).double()
    model[1].weight.data = torch.tensor([[2.0, 4.0], [-2.0, 4.0]], dtype=torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    method = UPR(penalty=0.0, gate_rate=0.1, search=0.5, sharpness=(1.0, 1.0), neurons=True)
    pruner = method.attach(model, optimizer, n_steps=2)
    first, second = pruner.layers
    assert "neuron_gate" not in first.arrays, "input lines have no gates"
    assert second.effective.tolist() == [[0.5, 1.0], [-0.5, 1.0]], "both gates half open"
    model[0].weight.grad = torch.zeros(2, 3, dtype=torch.float64)
    model[1].weight.grad = torch.tensor([[1.0, -1.0], [1.0, 1.0]], dtype=torch.float64)
    model[1].weight.grad[0, 1] = -3.0
    optimizer.step()
    # by neuron: 2 - 2 = 0 and -12 + 4 < 0, which opens the second; by weight 2, -12, -2, 4
    pruner.step()
    assert second.arrays["neuron_gate"].tolist() == [0.0, pytest.approx(0.1)]
    assert second.arrays["gate"].tolist() == [
        [pytest.approx(-0.1), pytest.approx(0.1)],
        [pytest.approx(0.1), pytest.approx(-0.1)],
    ]
    # a weight feels a quarter of its gradient
    assert second.latent.tolist() == [[1.75, 4.75], [-2.25, 3.75]]
    assert second.mask.tolist() == [[False, True], [False, False]], "where both gates are open"


def test_the_penalty_of_upr_closes_gates_that_the_loss_does_not_need() -> None:
    run = Scripted(UPR(penalty=1e-3, gate_rate=0.1, search=1.0), [[2.0, 2.0]], n_steps=5)
    for _ in range(5):
        run.step([[0.0, -1.0]])
    run.pruner.finish()
    assert run.model[0].sites.tolist() == [1]


def test_learning_compression_adds_the_gradient_of_its_penalty() -> None:
    method = LearningCompression(density=0.5, mu=0.5, growth=2.0, n_rounds=2, multipliers=False)
    run = Scripted(method, ROW, n_steps=9)
    run.step()
    assert run.weights == [[4.0, -3.0, 0.5, -1.0]], "w - mu (w - theta), theta = 4, -3, 0, 0"
    # three units of three steps: the first L step takes two, the second one
    assert [method.round_at(step / 9) for step in range(10)] == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
    assert method.mu_of(1) == 1.0
    rates = [run.pruner.learning_rate(lambda step, n: 1.5 - step, step) for step in (0, 5, 8)]
    assert rates == [1.5, 1.5, 1.0], "the rate of the start, and at most 1 / mu"
    for _ in range(8):
        run.step()
    run.pruner.finish()
    assert run.model[0].to_dense().tolist() == [[4.0, -3.0, 0.0, 0.0]]


def test_the_multipliers_of_learning_compression_follow_the_constraint() -> None:
    method = LearningCompression(density=0.5, mu=0.5, growth=1.0, n_rounds=2)
    run = Scripted(method, ROW, n_steps=3)
    run.step()
    run.step()  # w = 4, -3, 0.25, -0.5; the C step leaves theta = 4, -3, 0, 0; lambda = -mu (w - theta)
    assert run.layer.arrays["multiplier"].tolist() == [[0.0, 0.0, -0.125, 0.25]]
    run.step()  # w - mu (w - theta) + lambda
    assert run.weights == [[4.0, -3.0, 0.0, 0.0]]


def test_sparse_momentum_grows_where_the_momentum_is_largest_and_keeps_it() -> None:
    method = SparseMomentum(density=0.5, every=1, fraction=0.5, last_fraction=0.5)
    run = Scripted(method, [[8.0, 7.0, 6.0, 5.0]], n_steps=2, momentum=0.5, seed=0)
    live = run.layer.mask.reshape(-1).tolist()
    dormant = [i for i in range(4) if not live[i]]
    weakest = max(i for i in range(4) if live[i])
    gradient = [0.0] * 4
    gradient[dormant[0]], gradient[dormant[1]] = 0.25, 0.5
    run.step([gradient])
    assert run.layer.n_live == 2
    assert run.layer.mask.reshape(-1)[dormant[1]]
    assert not run.layer.mask.reshape(-1)[weakest]
    assert run.weights[0][dormant[1]] == 0.0, "born at 0"
    run.step()
    assert run.weights[0][dormant[1]] == -0.25, "its first step is half the gradient it felt before it was born"


def test_sparse_momentum_gives_layers_births_by_their_momentum_and_keeps_the_total() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 20), nn.Linear(20, 20)).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    pruner = SparseMomentum(density=0.25, every=1).attach(model, optimizer, n_steps=10)
    for _ in range(3):
        model[0].weight.grad = torch.randn(20, 20, dtype=torch.float64)
        model[1].weight.grad = 0.1 * torch.randn(20, 20, dtype=torch.float64)
        optimizer.step()
        pruner.step()
        assert sum(pruner.stats.live.values()) == 200
    assert pruner.stats.live["0"] > 150


def test_sparse_momentum_needs_momentum_and_to_know_what_an_epoch_is() -> None:
    with pytest.raises(ValidationError, match="the optimizer keeps no momentum"):
        Scripted(SparseMomentum(density=0.5, every=1), ROW)
    with pytest.raises(ValidationError, match=r"attach\.steps_per_epoch: SparseMomentum acts once per epoch"):
        Scripted(SparseMomentum(density=0.5), ROW, momentum=0.9)
    with pytest.raises(ValidationError, match=r"GradR\.density: the prior's mean is negative only .* got 0.7"):
        GradR(density=0.7)
    with pytest.raises(ValidationError, match=r"UPR\.sharpness: must be two numbers 0 < first <= last"):
        UPR(sharpness=(5.0, 1.0))
    with pytest.raises(ValidationError, match=r"SoftDeepR\.temperature: must be finite and > 0, got 0"):
        SoftDeepR(temperature=0)
