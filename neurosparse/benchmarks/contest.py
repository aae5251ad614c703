"""A contest: some contestants, each in its own process, measured in turn on one workload after the other."""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from neurosparse.benchmarks.lineup import PEERS, Lineup
from neurosparse.benchmarks.process import ContestantProcess
from neurosparse.benchmarks.rounds import Burst, Times, take_turns
from neurosparse.errors import SidecarError

__all__ = ["Contest", "Contestant", "Measured", "in_passes"]

_log = logging.getLogger(__name__)
_PATH = re.compile(r"(?<![\w.])/[\w./-]+")  # results are published: they should not name places of a machine


@dataclass(frozen=True)
class Contestant:
    """Class `part` of ``peers/<peer>.py``, shown as `title`."""

    title: str
    peer: str
    part: str


@dataclass(frozen=True)
class Measured:
    """The outcome on one workload: times, what each contestant says of itself, and why some did not run."""

    times: Times
    facts: dict[str, dict[str, float]]
    failed: dict[str, str] = field(default_factory=dict)

    def joined(self, later: Measured) -> Measured:
        """Return this and what was measured later as one, without those who failed in either."""
        both = {name: seconds + later.times[name] for name, seconds in self.times.items() if name in later.times}
        return Measured(both, {name: later.facts[name] for name in both}, {**self.failed, **later.failed})

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain data, the times as they were taken: ratios and medians are for the reader."""
        return {"times": self.times, "facts": self.facts, "failed": self.failed}


def in_passes(
    densities: Sequence[float], n_passes: int, measure: Callable[[float, str], Measured]
) -> dict[float, Measured]:
    """Return what `measure` says of each density, all of them visited `n_passes` times.

    What else a shared machine does changes from minute to minute, and should not be the lot of one density. `measure`
    gets the density and what to say of the pass after its name.
    """
    found: dict[float, Measured] = {}
    for i, density in itertools.product(range(n_passes), densities):
        measured = measure(density, f", pass {i + 1} of {n_passes}" if n_passes > 1 else "")
        found[density] = found[density].joined(measured) if density in found else measured
    return found


class Contest:
    """Processes for `contestants`, those whose peer is in `lineup`; used as a context manager.

    Parameters
    ----------
    contestants : sequence of Contestant
    lineup : Lineup
    n_threads : int
        For every contestant.
    """

    def __init__(self, contestants: Sequence[Contestant], lineup: Lineup, *, n_threads: int) -> None:
        self._stack = contextlib.ExitStack()
        self._contestants = {c.title: c for c in contestants if c.peer in lineup.pythons}
        self._processes: dict[str, ContestantProcess] = {}
        with self._stack:  # closes what has started if the next one cannot
            for title, c in self._contestants.items():
                process = ContestantProcess(c.peer, c.part, lineup.pythons[c.peer], n_threads=n_threads)
                self._processes[title] = self._stack.enter_context(process)
            self._stack = self._stack.pop_all()

    def __enter__(self) -> Contest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def measure(
        self, folder: Path, *, n_rounds: int, budget_s: float = float("inf"), rehearsal: Path | None = None
    ) -> Measured:
        """Return times and facts for the workload in `folder`; a contestant that fails is out from then on.

        With a small workload in `rehearsal`, everybody takes a step of that first: the fact ``rss_before``, resident
        bytes before the workload, then includes not only what was imported but also what was compiled.

        Raises `SidecarError` if it is one of ours that fails.
        """
        failed: dict[str, str] = {}
        before: dict[str, int] = {}
        bursts: dict[str, Burst] = {}
        for title, process in list(self._processes.items()):
            try:
                if rehearsal is not None:
                    process.load(rehearsal)
                    process.run(1)
                before[title] = process.load(folder)
                bursts[title] = Burst.of(process.run(2)[-1])  # the first compiles, and fills memory pools
            except SidecarError as error:
                if self._contestants[title].peer == "neurosparse":
                    raise
                failed[title] = _PATH.sub("...", str(error).splitlines()[0])
                _log.warning("%s is out: %s", title, error)
                del self._processes[title]
        times = take_turns(self._processes, bursts, n_rounds=n_rounds, budget_s=budget_s)
        facts = {title: {**process.facts(), "rss_before": before[title]} for title, process in self._processes.items()}
        return Measured(times, facts, failed)

    def versions(self) -> dict[str, str]:
        """Return the versions of the packages that are compared, and of the torch each runs on."""
        found: dict[str, str] = {}
        for title, process in self._processes.items():
            peer = self._contestants[title].peer
            package = PEERS[peer].package
            versions = process.versions([package, "torch"])
            torch = f", torch {versions['torch']}" if package != "torch" and versions["torch"] else ""
            found.setdefault(peer, f"{package} {versions[package] or ''}".strip() + torch)
        return found
