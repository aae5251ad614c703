"""ESL-SNN: magnitude deaths with random or gradient births at constant density."""

from __future__ import annotations

import pytest
from fed import Fed

from neurosparse import ESLSNN
from neurosparse.errors import UnknownNameError

GRADIENT = [[0.0] * 6 + [3.0, 1.0]]


def after_one_event(growth: str, seed: int = 0) -> Fed:
    method = ESLSNN(growth=growth, fraction=1.0, every=1, end=1.0)
    run = Fed(method, 8, 1, [0, 1, 2, 3], [0.1, -0.4, 0.2, 0.3], seed=seed, n_steps=2)
    run.step(GRADIENT)  # f(1) = 0.5 (1 + cos(pi / 2)): half of them
    return run


def test_by_gradient_the_smallest_make_room_for_the_largest_gradients() -> None:
    run = after_one_event("gradient")
    assert run.weights == {1: -0.4, 3: 0.3, 6: 0.0, 7: 0.0}


def test_at_random_the_gradient_does_not_matter() -> None:
    chosen = set()
    for seed in range(20):
        run = after_one_event("random", seed)
        assert run.layer.gradient_probe is None
        chosen |= set(run.weights)
        assert len(run.weights) == 4
        assert {1, 3} <= set(run.weights)
    assert chosen == set(range(8))


def test_its_gradient_step_is_made() -> None:
    method = ESLSNN(fraction=1.0, every=1, end=1.0)
    run = Fed(method, 8, 1, [0, 1, 2, 3], [0.1, -0.4, 0.2, 0.3], lr=1.0, n_steps=2)
    run.step([[0.0, 1.0, 0, 0, 0, 0, 3.0, 1.0]])
    assert run.weights[1] == -1.4


def test_an_unknown_growth_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"ESLSNN\.growth: 'gradients' is not known\. Did you mean 'gradient'"):
        ESLSNN(growth="gradients")
