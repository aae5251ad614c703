"""How times are taken: all contestants in turn, round after round, and only ratios of the same round are claimed.

The machine may be shared. In its turn a contestant takes a few steps one after the other, as in a training loop; the
first of them, which finds the caches full of the others' data and the others' threads still spinning, is not counted.
The time of a round is the mean of the counted steps; a ratio is the median over rounds of times taken in the same
round.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Protocol

__all__ = ["Times", "best", "medians", "ratio", "take_turns"]

Times = dict[str, list[float]]
"""Contestant -> seconds a step, one per round."""


class Steps(Protocol):
    """Anything that takes steps and says how long each took: a `ContestantProcess`, or a stand-in."""

    def run(self, n_steps: int) -> list[float]:
        """Take `n_steps` steps; return the seconds of each."""


def take_turns(
    contestants: Mapping[str, Steps], bursts: Mapping[str, int], *, n_rounds: int, budget_s: float = float("inf")
) -> Times:
    """Return the times of `contestants`, in `n_rounds` rounds of so many steps as `bursts` says, the first not counted.

    After `budget_s` seconds no further round begins, but there are always three (or `n_rounds`, if that is less).
    """
    times: Times = {name: [] for name in contestants}
    begin = time.monotonic()
    for i in range(n_rounds):
        if i >= 3 and time.monotonic() - begin > budget_s:
            break
        for name, contestant in contestants.items():
            seconds = contestant.run(bursts[name])
            times[name].append(statistics.fmean(seconds[1:] or seconds))
    return times


def medians(times: Times) -> dict[str, float]:
    """Return the median seconds a step of every contestant."""
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def ratio(times: Times, slower: str, faster: str) -> float:
    """Return the median over rounds of how many times longer `slower` took than `faster` in the same round."""
    return statistics.median(a / b for a, b in zip(times[slower], times[faster], strict=True))


def best(times: Times, names: list[str]) -> str:
    """Return which of `names` has the shortest median."""
    found = medians(times)
    return min(names, key=lambda name: found[name])
