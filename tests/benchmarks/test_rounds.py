"""Times in turn, ratios of the same round."""

from __future__ import annotations

import itertools

import pytest

from neurosparse.benchmarks.growth import slope_ratio
from neurosparse.benchmarks.rounds import Burst, best, medians, ratio, take_turns


class Clock:
    """Takes the seconds it is told to, in order, and writes its name into a log for every turn."""

    def __init__(self, name: str, seconds: list[float], log: list[str]) -> None:
        self.name, self.seconds, self.log = name, itertools.cycle(seconds), log

    def run(self, n_steps: int) -> list[float]:
        self.log.append(self.name)
        return [next(self.seconds) for _ in range(n_steps)]


def test_contestants_take_turns_and_the_first_steps_of_a_turn_are_not_counted() -> None:
    log: list[str] = []
    a, b = Clock("a", [9.0, 1.0, 2.0, 3.0], log), Clock("b", [7.0, 5.0], log)
    times = take_turns({"a": a, "b": b}, {"a": Burst(1, 3), "b": Burst(1, 1)}, n_rounds=2)
    assert log == ["a", "b", "a", "b"]
    assert times == {"a": [2.0, 2.0], "b": [5.0, 5.0]}


@pytest.mark.parametrize(("step_s", "warm", "counted"), [(0.005, 20, 20), (0.04, 3, 3), (0.2, 1, 3), (5.0, 1, 1)])
def test_a_turn_warms_up_for_a_tenth_of_a_second_and_counts_as_long(step_s: float, warm: int, counted: int) -> None:
    assert Burst.of(step_s) == (warm, counted)


@pytest.mark.parametrize(("n_rounds", "taken"), [(10, 3), (2, 2)])
def test_a_spent_budget_leaves_three_rounds(n_rounds: int, taken: int) -> None:
    times = take_turns({"a": Clock("a", [1.0], [])}, {"a": Burst(1, 1)}, n_rounds=n_rounds, budget_s=-1.0)
    assert len(times["a"]) == taken


def test_a_ratio_compares_times_of_the_same_round() -> None:
    # the machine was four times slower in the second round: the ratio of the medians is 8 / 2 = 4, too, but by luck
    times = {"a": [4.0, 16.0, 8.0], "b": [1.0, 4.0, 2.0], "c": [2.0, 1.0, 3.0]}
    assert ratio(times, "a", "b") == 4.0
    assert ratio(times, "a", "c") == pytest.approx(8 / 3)  # of 2, 16 and 8/3
    assert medians(times) == {"a": 8.0, "b": 2.0, "c": 2.0}
    assert best(times, ["a", "c"]) == "c"


def test_the_ratio_of_slopes_ignores_a_fixed_cost_and_sees_a_bend() -> None:
    assert slope_ratio([1, 10, 100], [101.0, 110.0, 200.0]) == 1.0
    assert slope_ratio([1, 10, 100], [1.0, 10.0, 190.0]) == 2.0
