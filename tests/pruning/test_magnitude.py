"""One-shot, gradual, hard thresholding, dense-sparse-dense, lottery tickets: each followed by hand."""

from __future__ import annotations

import pytest
import torch
from scripted_pruning import Scripted
from torch import nn

from neurosparse import SparseLinear
from neurosparse.errors import UnsupportedError, ValidationError
from neurosparse.pruning.dense_sparse_dense import DenseSparseDense
from neurosparse.pruning.gradual import GradualMagnitude
from neurosparse.pruning.hard_thresholding import IterativeHardThresholding
from neurosparse.pruning.lottery_ticket import LotteryTicket
from neurosparse.pruning.one_shot import OneShot

WEIGHTS = [[4.0, -3.0], [1.0, -2.0]]


def test_one_shot_prunes_once_and_fine_tunes_only_the_survivors() -> None:
    run = Scripted(OneShot(density=0.5, at=0.5), WEIGHTS, n_steps=4)
    run.step()
    assert run.weights == WEIGHTS
    run.step()
    assert run.weights == [[4.0, -3.0], [0.0, 0.0]]
    run.step([[1.0, 1.0], [1.0, 1.0]])
    assert run.weights == [[3.0, -4.0], [0.0, 0.0]]


def test_one_shot_at_the_end_changes_nothing_before_it() -> None:
    run = Scripted(OneShot(density=0.5, at=1.0), WEIGHTS, n_steps=2)
    for _ in range(2):
        run.step()
    assert run.weights == WEIGHTS
    model = run.pruner.finish()
    assert isinstance(model[0], SparseLinear)
    assert model[0].to_dense().tolist() == [[4.0, -3.0], [0.0, 0.0]]


def test_global_pruning_compares_layers_and_normalised_it_compares_them_fairly() -> None:
    for normalise, live in ((False, [2, 1]), (True, [1, 2])):
        model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False))
        model[0].weight.data = torch.tensor([[10.0, 5.0]])
        model[1].weight.data = torch.tensor([[1.0, 0.9]])
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        method = OneShot(density=0.75, scope="global", normalise=normalise)
        pruner = method.attach(model, optimizer, n_steps=1)
        pruner.finish()
        # in units of the root mean square: 1.26, 0.63 and 1.05, 0.95
        assert [layer.n_synapses for layer in model] == live


def test_the_gradual_ramp_is_cubic_and_what_is_pruned_stays_so() -> None:
    weights = [[float(i) for i in range(1, 17)]]
    run = Scripted(GradualMagnitude(density=0.125, end=1.0, n_updates=4), weights, n_steps=4)
    counts = []
    for _ in range(4):
        run.step()
        counts.append(run.layer.n_live)
    # densities 1/8 + 7/8 (1 - x)^3 at x = 1/4, 1/2, 3/4, 1: 0.494, 0.234, 0.139, 0.125, of 16
    assert counts == [8, 4, 2, 2]
    assert run.weights == [[0.0] * 14 + [15.0, 16.0]]
    run.step([[-100.0] * 16])
    assert run.weights == [[0.0] * 14 + [115.0, 116.0]]


def test_hard_thresholding_alternates_and_ends_sparse() -> None:
    method = IterativeHardThresholding(density=0.5, warm_up=0.2, n_rounds=2, dense=0.5)
    # 10 steps: 2 of warm-up, then sparse, dense, sparse in equal parts of 8 / 3
    assert [method.phase(step / 10) for step in range(11)] == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    run = Scripted(method, WEIGHTS, momentum=0.5)
    for _ in range(2):
        run.step()
    assert run.weights == [[4.0, -3.0], [0.0, 0.0]]
    for _ in range(2):
        run.step([[0.0, 0.0], [9.0, 9.0]])
    assert run.weights == [[4.0, -3.0], [0.0, 0.0]], "only survivors learn"
    run.step()
    assert run.layer.n_live == 4
    run.step([[0.0, 0.0], [5.0, 0.0]])
    assert run.weights == [[4.0, -3.0], [-5.0, 0.0]], "restored from 0, without momentum"
    run.step()
    run.step()
    assert run.layer.mask.tolist() == [[True, False], [True, False]], "5 + 2.5 + 1.25 and 4 are the largest now"


def test_dense_sparse_dense_restores_from_zero_with_a_tenth_of_the_rate_and_stays_dense() -> None:
    run = Scripted(DenseSparseDense(density=0.5, sparse_from=0.25, dense_from=0.75), WEIGHTS, n_steps=4)
    run.step()
    assert run.weights == [[4.0, -3.0], [0.0, 0.0]]
    run.step([[1.0, 1.0], [1.0, 1.0]])
    assert run.weights == [[3.0, -4.0], [0.0, 0.0]]
    run.step()
    run.step([[0.0, 0.0], [1.0, 1.0]])
    assert run.weights == [[3.0, -4.0], [-1.0, -1.0]]
    assert isinstance(run.pruner.finish()[0], nn.Linear)
    rates = [run.pruner.learning_rate(lambda step, n: 1.0, step) for step in range(4)]
    assert rates == [1.0, 1.0, 1.0, 0.1]


def test_a_lottery_ticket_rewinds_survivors_to_where_they_were() -> None:
    method = LotteryTicket(density=0.25, n_rounds=2, rewind=0.5)
    run = Scripted(method, [[4.0, -3.0, 1.0, -2.0]], n_steps=6, momentum=0.9)
    run.step([[-1.0, 0.0, 0.0, 0.0]])  # the rewinding point, in the middle of the first training
    assert run.weights == [[5.0, -3.0, 1.0, -2.0]]
    run.step([[0.0, 0.0, -9.0, 0.0]])  # the one that ends it: now 5.9, -3, 10, -2
    assert run.weights == [[5.0, 0.0, 1.0, 0.0]], "largest after training, values from before"
    run.step()
    assert run.weights == [[5.0, 0.0, 1.0, 0.0]], "the optimizer was rewound, too: no momentum"
    run.step()
    assert run.weights == [[5.0, 0.0, 0.0, 0.0]]
    rates = [run.pruner.learning_rate(lambda step, n: step / n, step) for step in range(6)]
    assert rates == [0.0, 0.5] * 3, "every training has the whole schedule"


def test_the_rewinding_point_is_a_copy() -> None:
    # an alias would be trained on; the official code of tickets in spiking networks rewound biases to nowhere
    run = Scripted(LotteryTicket(density=0.5, n_rounds=1), WEIGHTS, n_steps=4)
    for _ in range(2):
        run.step([[1.0, 1.0], [1.0, 1.0]])
    assert run.weights == [[0.0, -3.0], [0.0, -2.0]]  # trained to 2, -5, -1, -4


def test_what_cannot_be_attached_is_refused_with_the_reason() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    optimizer = torch.optim.SGD([model[0].bias], lr=1.0)
    with pytest.raises(ValidationError, match=r"0\.weight: not among the optimizer's parameters"):
        OneShot().attach(model, optimizer, n_steps=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with pytest.raises(ValidationError, match=r"'fc\*' matches no nn\.Linear; the model has 0"):
        OneShot().attach(model, optimizer, n_steps=1, include="fc*")
    with pytest.raises(ValidationError, match=r"attach\.n_steps: must be a number of optimizer steps >= 1, got 0"):
        OneShot().attach(model, optimizer, n_steps=0)
    with pytest.raises(ValidationError, match=r"is itself an nn\.Linear"):
        OneShot().attach(model[0], optimizer, n_steps=1)
    with pytest.raises(ValidationError, match="3 trainings need at least as many steps, got 2"):
        LotteryTicket(n_rounds=2).attach(model, optimizer, n_steps=2)
    with pytest.raises(ValidationError, match=r"OneShot\.density: must lie in \(0, 1\], got 0"):
        OneShot(density=0)
    with pytest.raises(LookupError, match=r"OneShot\.scope: 'globl' is not known\. Did you mean 'global'"):
        OneShot(scope="globl")
    with pytest.raises(ValidationError, match=r"GradualMagnitude\.end: must come after begin = 0.5, got 0.25"):
        GradualMagnitude(begin=0.5, end=0.25)


def test_a_closure_is_refused_and_so_is_a_step_after_the_end() -> None:
    run = Scripted(OneShot(density=0.5), WEIGHTS)
    with pytest.raises(UnsupportedError, match="a closure would see the latent weights"):
        run.optimizer.step(lambda: 0.0)
    run.pruner.finish()
    with pytest.raises(ValidationError, match=r"finish\(\) was called"):
        run.pruner.step()


def test_a_state_of_another_run_is_refused_and_touches_nothing() -> None:
    run, other = Scripted(OneShot(density=0.5), WEIGHTS), Scripted(GradualMagnitude(density=0.5), WEIGHTS)
    with pytest.raises(ValidationError, match="written with method 'GradualMagnitude', this run has 'OneShot'"):
        run.pruner.load_state_dict(other.pruner.state_dict())
    longer = Scripted(OneShot(density=0.5), WEIGHTS, n_steps=11)
    with pytest.raises(ValidationError, match="written with total_steps 11, this run has 10"):
        run.pruner.load_state_dict(longer.pruner.state_dict())
    state = run.pruner.state_dict()
    state["arrays"]["0.mask"] = state["arrays"]["0.mask"][:1]
    with pytest.raises(ValidationError, match=r"0\.mask has shape \(1, 2\), this run's has \(2, 2\)"):
        run.pruner.load_state_dict(state)
    with pytest.raises(ValidationError, match="'meta' is missing"):
        run.pruner.load_state_dict({})
    assert run.layer.n_live == 4
