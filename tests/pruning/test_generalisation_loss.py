"""Prechelt's rules: nothing while the validation error falls, more the worse it has become."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scripted_pruning import Scripted

from neurosparse.errors import ValidationError
from neurosparse.pruning.generalisation_loss import AutoPrune, LPrune, significance

WEIGHTS = [[4.0, -3.0], [1.0, -2.0]]


def learn(run: Scripted, spread: float = 0.1) -> None:
    """Two steps whose gradients cancel, so that weights stay and only the statistic learns of them."""
    gradient = [[spread, spread], [spread, spread]]
    run.step(gradient)
    run.step([[-g for g in row] for row in gradient])


@pytest.mark.parametrize("method", [LPrune(floor=0.0), AutoPrune(floor=0.0)])
def test_nothing_is_pruned_while_the_validation_error_falls(method: LPrune | AutoPrune) -> None:
    run = Scripted(method, WEIGHTS)
    for error in (1.0, 0.9, 0.7, 0.7, 0.3):
        learn(run)
        run.pruner.observe(validation_loss=error)
    assert run.layer.n_live == 4


def test_the_statistic_is_that_of_finnoff_worked_by_hand() -> None:
    run = Scripted(LPrune(), [[2.0, 0.0]], lr=0.5)
    run.step([[1.0, 0.0]])
    run.step([[3.0, 0.0]])
    # w is now 2 - 0.5 - 1.5 = 0; mean gradient 2, squares 2: |2 (0 - 0.5 * 2)| / (0.5 sqrt 2)
    statistic = significance(run.layer, 0.5, 2)
    assert statistic[0, 0].item() == pytest.approx(math.log(2 / (0.5 * math.sqrt(2))))
    assert statistic[0, 1].item() == 0.0, "no example moves it"


def test_the_batch_size_cancels() -> None:
    """The statistic over single examples, as in the paper, is that over the means of random batches, on average."""
    rng = torch.Generator().manual_seed(0)
    gradients = torch.randn(4000, generator=rng, dtype=torch.float64) + 0.1
    results = []
    for batch in (1, 10):
        run = Scripted(LPrune(), [[1.0]], lr=1e-9)
        for g in gradients.view(-1, batch).mean(1).tolist():
            run.step([[g]])
        results.append(significance(run.layer, 0.1, 4000 // batch)[0, 0].item())
    assert results[0] == pytest.approx(results[1], abs=0.1)


def test_lprune_prunes_what_lies_below_lambda_times_the_mean() -> None:
    run = Scripted(LPrune(floor=0.0), WEIGHTS)
    learn(run)
    run.pruner.observe(validation_loss=1.0)
    learn(run)
    # T = log(2 |w| / sqrt(0.02)): 4.037, 3.750, 2.651, 3.344; mean 3.445. GL = 100: lambda = 2/3 (1 - 1/201) = 0.663
    run.pruner.observe(validation_loss=2.0)
    assert run.layer.n_live == 4, "the smallest T, 2.651, is above 0.663 * 3.445 = 2.285"
    learn(run, spread=0.6)
    # T = 2.244, 1.956, 0.857, 1.550; mean 1.652, cut 1.096
    run.pruner.observe(validation_loss=2.0)
    assert run.weights == [[4.0, -3.0], [0.0, -2.0]]


@given(st.floats(0, 1e3), st.floats(0, 1e3))
def test_lprunes_strength_grows_with_the_generalisation_loss_from_0_to_its_limit(a: float, b: float) -> None:
    method = LPrune()
    low, high = sorted((a, b))
    assert 0 <= method.strength(low) <= method.strength(high) < 2 / 3
    assert method.strength(0.0) == 0.0


def test_autoprune_takes_35_percent_first_and_10_percent_later() -> None:
    weights = [[float(i) for i in range(1, 101)]]
    run = Scripted(AutoPrune(floor=0.0), weights, n_steps=100)
    counts = []
    for error in (1.0, 1.1, 1.5, 1.6, 1.6, 1.7):  # after a pruning, 1.5 is the first error of another network
        run.step([[0.1] * 100])
        run.step([[-0.1] * 100])
        run.pruner.observe(validation_loss=error)
        counts.append(run.layer.n_live)
    assert counts == [100, 65, 65, 65 - 6, 59, 59 - 6]  # 35 % of 100; 10 % of 65 and of 59, rounded
    assert run.weights[0][:47] == [0.0] * 47
    assert run.weights[0][47:] == weights[0][47:]


def test_the_floor_ends_the_pruning() -> None:
    run = Scripted(AutoPrune(first=1.0, floor=0.5), WEIGHTS)
    for error in (1.0, 5.0, 1.0, 5.0):
        learn(run)
        run.pruner.observe(validation_loss=error)
    assert run.layer.n_live == 2


@pytest.mark.parametrize(("n_steps", "left"), [(4, 100), (5, 65)])
def test_nothing_is_pruned_after_the_last_step_when_nothing_could_mend_it(n_steps: int, left: int) -> None:
    run = Scripted(AutoPrune(floor=0.0), [[float(i) for i in range(1, 101)]], n_steps=n_steps)
    for error in (1.0, 2.0):
        run.step([[0.1] * 100])
        run.step([[-0.1] * 100])
        run.pruner.observe(validation_loss=error)
    assert run.layer.n_live == left


def test_a_loss_that_cannot_be_compared_is_refused() -> None:
    run = Scripted(LPrune(), WEIGHTS)
    with pytest.raises(ValidationError, match=r"observe\.validation_loss: must be > 0"):
        run.pruner.observe(validation_loss=float("nan"))
    run.pruner.observe(accuracy=0.0)  # of no interest to it
