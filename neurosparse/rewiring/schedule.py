"""When a rewirer acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from neurosparse.errors import ValidationError

__all__ = ["Event", "EveryStep", "Never", "Schedule"]


@dataclass(frozen=True)
class Event:
    """A moment to rewire. `fraction`: of the live synapses to replace, for deaths that need to be told how many."""

    fraction: float | None = None


class Schedule(Protocol):
    """Decides, after each optimizer step, whether to rewire now."""

    def due(self, step: int, metrics: Mapping[str, float]) -> Event | None:
        """Return the event of optimizer step `step` (1, 2, ...), or None; `metrics` came with ``Rewirer.step``."""


@dataclass(frozen=True)
class EveryStep:
    """Rewire after every `n`-th optimizer step; DEEP R does after each."""

    n: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, int) or self.n < 1:
            raise ValidationError(f"EveryStep.n: must be an integer number of optimizer steps >= 1, got {self.n!r}")

    def due(self, step: int, metrics: Mapping[str, float]) -> Event | None:
        """See `Schedule`."""
        return Event() if step % self.n == 0 else None


@dataclass(frozen=True)
class Never:
    """Never rewire: static connectivity, the control of every comparison."""

    def due(self, step: int, metrics: Mapping[str, float]) -> Event | None:
        """See `Schedule`."""
        return None
