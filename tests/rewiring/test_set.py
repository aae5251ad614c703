"""SET by hand: two tails, once per epoch but the last, newborns with random weights."""

from __future__ import annotations

import numpy as np
import pytest
from fed import Fed

from neurosparse import SET
from neurosparse.errors import ValidationError


def test_both_tails_lose_their_fraction_at_the_end_of_every_epoch_but_the_last() -> None:
    sites = list(range(10))
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, -1.0, -2.0, -3.0, -4.0]
    run = Fed(SET(zeta=0.5, birth_std=0.0), 40, 1, sites, values, n_steps=9, steps_per_epoch=3)
    turnover = []
    for _ in range(9):
        run.step()
        turnover.append(run.turnover)
        if len(turnover) == 3:
            # half of six positive ones and half of four negative ones, each the closest to 0
            assert sorted(w for w in run.weights.values() if w) == [-4.0, -3.0, 0.4, 0.5, 0.6]
    assert turnover[:3] == [(0, 0), (0, 0), (5, 5)]
    assert turnover[3:6] == [(0, 0), (0, 0), (5, 5)], "of eight zeros and positive ones four, of two negative ones one"
    assert turnover[6:] == [(0, 0)] * 3


def test_newborns_are_normal_with_the_given_spread() -> None:
    n = 4000
    run = Fed(SET(zeta=0.5, every=1, birth_std=0.1), 3 * n, 1, list(range(n)), [1.0] * n)
    run.step()
    born = run.rewirer.layers[0].born_at > 0
    weights = run.layer.values.detach().numpy()
    assert born.sum() == n // 2
    assert weights[~born].tolist() == [1.0] * (n // 2)
    assert abs(weights[born].mean()) < 4 * 0.1 / np.sqrt(n / 2)
    assert weights[born].std() == pytest.approx(0.1, rel=0.1)


def test_survivors_keep_their_momentum_and_newborns_have_none() -> None:
    run = Fed(SET(zeta=0.5, every=1), 30, 1, [0, 1, 2, 3], [0.1, 1.0, 2.0, 0.2], options={"momentum": 0.9})
    run.step([[1.0, 2.0, 3.0, 4.0] + [0.0] * 26])
    momentum = dict(zip(run.weights, run.optimizer.state[run.layer.values]["momentum_buffer"].tolist(), strict=True))
    assert (momentum.pop(1), momentum.pop(2)) == (2.0, 3.0)
    assert list(momentum.values()) == [0.0, 0.0]


def test_it_asks_how_long_an_epoch_is_unless_it_is_told_steps() -> None:
    with pytest.raises(
        ValidationError, match=r"attach\.steps_per_epoch: .* or the method a number of steps \(every=\)"
    ):
        Fed(SET(), 4, 1, [0], [1.0], n_steps=100)
    Fed(SET(every=10), 4, 1, [0], [1.0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"zeta": 0.0}, r"SET.zeta: must lie in \(0, 1\], got 0"),
        ({"every": "step"}, "SET.every: must be 'epoch' or a number of optimizer steps, got 'step'"),
        ({"every": 0}, "EveryStep.n: must be an integer number of optimizer steps >= 1, got 0"),
        ({"birth_std": -1.0}, "NormalValues.std: must be finite and >= 0, got -1"),
    ],
)
def test_wrong_hyper_parameters_are_an_error_where_they_are_given(options: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SET(**options)
