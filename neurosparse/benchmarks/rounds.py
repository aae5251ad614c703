"""How times are taken: all contestants in turn, round after round, and only ratios of the same round are claimed.

The machine may be shared. In its turn a contestant takes steps one after the other, as in a training loop, which never
rests. So the steps of the first tenth of a second are not counted, at least one: they find the caches full of the
others' data (measured: after a pause of 0.1 s a step of ours takes 9.5, 8.2, 6.6, 6.1, 5.8 ms and then 5.2), and the
others' threads still spinning. The time of a round is the mean of the counted steps; a ratio is the median over rounds
of times taken in the same round.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from typing import NamedTuple, Protocol

__all__ = ["Burst", "Times", "best", "medians", "ratio", "take_turns"]

_PART_S = 0.1  # of a turn before the counted steps, and of these
_LONG_S = 0.3  # a step longer than this evens out by itself what shorter ones need a mean for

Times = dict[str, list[float]]
"""Contestant -> seconds a step, one per round."""


class Burst(NamedTuple):
    """The steps of one turn: first those that only warm up, then those that count."""

    warm: int
    counted: int

    @classmethod
    def of(cls, step_s: float) -> Burst:
        """Return the burst for steps that take about `step_s` seconds."""
        part = math.ceil(_PART_S / max(step_s, 1e-3))
        return cls(part, max(part, 1 if step_s > _LONG_S else 3))


class Steps(Protocol):
    """Anything that takes steps and says how long each took: a `ContestantProcess`, or a stand-in."""

    def run(self, n_steps: int) -> list[float]:
        """Take `n_steps` steps; return the seconds of each."""


def take_turns(
    contestants: Mapping[str, Steps], bursts: Mapping[str, Burst], *, n_rounds: int, budget_s: float = float("inf")
) -> Times:
    """Return the times of `contestants`, in `n_rounds` rounds of so many steps as `bursts` says.

    After `budget_s` seconds no further round begins, but there are always three (or `n_rounds`, if that is less).
    """
    times: Times = {name: [] for name in contestants}
    begin = time.monotonic()
    for i in range(n_rounds):
        if i >= 3 and time.monotonic() - begin > budget_s:
            break
        for name, contestant in contestants.items():
            warm, counted = bursts[name]
            times[name].append(statistics.fmean(contestant.run(warm + counted)[warm:]))
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
