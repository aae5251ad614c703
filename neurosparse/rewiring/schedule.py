"""When a rewirer acts, and how much it is to replace then."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

from neurosparse.errors import ValidationError

__all__ = [
    "CosineFraction",
    "CubicRamp",
    "Event",
    "EveryEpoch",
    "EveryStep",
    "Never",
    "OneShot",
    "Periods",
    "Plan",
    "Schedule",
]


@dataclass(frozen=True)
class Event:
    """A moment to rewire.

    Attributes
    ----------
    fraction : float, optional
        Of the live synapses to replace, for deaths that need to be told how many.
    progress : float, optional
        How far, from 0 to 1, the number of synapses has to be from its initial to its final value after this event,
        for methods that change it.
    """

    fraction: float | None = None
    progress: float | None = None


@dataclass(frozen=True)
class Plan:
    """How long the training will be, in optimizer steps, as far as the user says; for schedules that anneal."""

    n_steps: int | None = None
    steps_per_epoch: int | None = None

    def __post_init__(self) -> None:
        for name in ("n_steps", "steps_per_epoch"):
            value = getattr(self, name)
            if value is not None:
                _check_count(f"attach.{name}", value)


class Schedule(ABC):
    """Decides, after each optimizer step, whether to rewire now."""

    @abstractmethod
    def due(self, step: int, metrics: Mapping[str, float]) -> Event | None:
        """Return the event of optimizer step `step` (1, 2, ...), or None; `metrics` came with ``Rewirer.step``."""

    def foresees(self, step: int) -> bool:
        """Return whether `step` will have an event, asked before it happens: who needs its gradient must record it."""
        return self.due(step, {}) is not None

    def over(self, plan: Plan) -> Schedule:
        """Return this schedule for a training of that length."""
        return self


@dataclass(frozen=True)
class Never(Schedule):
    """Never rewire: static connectivity, the control of every comparison."""

    def due(self, step: int, metrics: Mapping[str, float]) -> Event | None:
        """See `Schedule`."""
        return None


@dataclass(frozen=True)
class EveryStep(Schedule):
    """Rewire after every `n`-th optimizer step; DEEP R does after each. `fraction`: of the synapses, every time."""

    n: int = 1
    fraction: float | None = None

    def __post_init__(self) -> None:
        _check_count("EveryStep.n", self.n)
        if self.fraction is not None:
            _check_fraction("EveryStep.fraction", self.fraction)

    def due(self, step: int, metrics: Mapping[str, float]) -> Event | None:
        """See `Schedule`."""
        return Event(self.fraction) if step % self.n == 0 else None


@dataclass(frozen=True)
class EveryEpoch(Schedule):
    """Rewire at the end of every epoch but the last, whose newborns nobody would train (SET)."""

    fraction: float | None = None
    plan: Plan | None = None

    def over(self, plan: Plan) -> Schedule:
        """See `Schedule`."""
        if self.plan is not None:
            return self
        if plan.steps_per_epoch is None:
            raise ValidationError(
                "attach.steps_per_epoch: this method rewires once per epoch and is not told how many optimizer steps "
                "an epoch has; give attach(..., steps_per_epoch=len(loader)), or the method a number of steps (every=)"
            )
        return replace(self, plan=plan)

    def due(self, step: int, metrics: Mapping[str, float]) -> Event | None:
        """See `Schedule`."""
        if self.plan is None or self.plan.steps_per_epoch is None:
            raise ValidationError("EveryEpoch.plan: has not been told the length of an epoch; see Schedule.over")
        last = self.plan.n_steps is not None and step >= self.plan.n_steps
        return None if last or step % self.plan.steps_per_epoch else Event(self.fraction)


@dataclass(frozen=True)
class CosineFraction(Schedule):
    """Replace ``fraction / 2 * (1 + cos(pi * t / t_end))`` of the synapses every `n` steps t < t_end (RigL, Eq. 1).

    Parameters
    ----------
    fraction : float in (0, 1]
    n : int
        Optimizer steps between two events.
    end : float in (0, 1]
        t_end as a fraction of the whole training.
    t_end : int, optional
        In optimizer steps; by default from `end` and the length of the training, which ``attach`` is told.
    """

    fraction: float = 0.3
    n: int = 100
    end: float = 0.75
    t_end: int | None = None

    def __post_init__(self) -> None:
        _check_fraction("CosineFraction.fraction", self.fraction)
        _check_count("CosineFraction.n", self.n)
        _check_fraction("CosineFraction.end", self.end)

    def over(self, plan: Plan) -> Schedule:
        """See `Schedule`."""
        return self if self.t_end is not None else replace(self, t_end=_end_step(self.end, plan))

    def due(self, step: int, metrics: Mapping[str, float]) -> Event | None:
        """See `Schedule`."""
        t_end = _known(self.t_end, "CosineFraction")
        if step % self.n or step >= t_end:
            return None
        return Event(self.fraction / 2 * (1 + math.cos(math.pi * step / t_end)))


@dataclass(frozen=True)
class CubicRamp(Schedule):
    """Cosine-annealed replacement while the number of synapses goes to its final value along a cubic (NDSNN).

    ``progress = 1 - (1 - t / t_last)**3`` (Zhu and Gupta 2017, Eq. 1), so that most of the change is early; t_last is
    the last multiple of `n` up to t_end, where the final value is reached exactly. Parameters as in `CosineFraction`.
    """

    fraction: float = 0.3
    n: int = 100
    end: float = 0.75
    t_end: int | None = None

    def __post_init__(self) -> None:
        _check_fraction("CubicRamp.fraction", self.fraction)
        _check_count("CubicRamp.n", self.n)
        _check_fraction("CubicRamp.end", self.end)

    def over(self, plan: Plan) -> Schedule:
        """See `Schedule`; refuses a training too short for a single event."""
        if self.t_end is not None:
            return self
        t_end = _end_step(self.end, plan)
        if t_end < self.n:
            raise ValidationError(
                f"CubicRamp.n: one event every {self.n} steps, but the ramp ends after {t_end}; "
                "make n smaller or train longer"
            )
        return replace(self, t_end=t_end)

    def due(self, step: int, metrics: Mapping[str, float]) -> Event | None:
        """See `Schedule`."""
        t_end = _known(self.t_end, "CubicRamp")
        last = t_end // self.n * self.n
        if step % self.n or step > last:
            return None
        fraction = self.fraction / 2 * (1 + math.cos(math.pi * step / t_end))
        return Event(fraction, 1.0 - (1.0 - step / last) ** 3)


@dataclass(frozen=True)
class OneShot(Schedule):
    """Act once, after optimizer step `at`; `fraction`: of the synapses."""

    at: int
    fraction: float | None = None

    def __post_init__(self) -> None:
        _check_count("OneShot.at", self.at)
        if self.fraction is not None:
            _check_fraction("OneShot.fraction", self.fraction)

    def due(self, step: int, metrics: Mapping[str, float]) -> Event | None:
        """See `Schedule`."""
        return Event(self.fraction, 1.0) if step == self.at else None


@dataclass(frozen=True)
class Periods(Schedule):
    """Rewire every `n` steps, and twice as seldom from each of the `doublings` on; not at all from `end` on (DSR).

    `doublings` and `end` are fractions of the training. An empty `doublings` and an `end` of 1 need no known length.
    """

    n: int = 100
    doublings: tuple[float, ...] = ()
    end: float = 1.0
    n_steps: int | None = None

    def __post_init__(self) -> None:
        _check_count("Periods.n", self.n)
        for name, value in (*(("doublings", x) for x in self.doublings), ("end", self.end)):
            _check_fraction(f"Periods.{name}", value)
        if list(self.doublings) != sorted(self.doublings):
            raise ValidationError(f"Periods.doublings: must increase, got {self.doublings}")

    def over(self, plan: Plan) -> Schedule:
        """See `Schedule`."""
        if self.n_steps is not None or (not self.doublings and self.end == 1):
            return self
        return replace(self, n_steps=_end_step(1.0, plan))

    def due(self, step: int, metrics: Mapping[str, float]) -> Event | None:
        """See `Schedule`."""
        if not self.doublings and self.end == 1:
            return Event() if step % self.n == 0 else None
        n_steps = _known(self.n_steps, "Periods")
        if step >= self.end * n_steps:
            return None
        starts = [start for x in self.doublings if (start := math.floor(x * n_steps)) < step]
        since = step - (starts[-1] if starts else 0)
        return Event() if since % (self.n << len(starts)) == 0 else None


def _end_step(end: float, plan: Plan) -> int:
    if plan.n_steps is None:
        raise ValidationError(
            "attach.n_steps: this method changes over the training and is not told how long that is; give "
            "attach(..., n_steps=epochs * len(loader))"
        )
    return max(1, math.floor(end * plan.n_steps + 1e-9))


def _known(step: int | None, owner: str) -> int:
    if step is None:
        raise ValidationError(f"{owner}: has not been told how long the training is; see Schedule.over")
    return step


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValidationError(f"{name}: must be an integer number of optimizer steps >= 1, got {value!r}")


def _check_fraction(name: str, value: float) -> None:
    if not 0 < value <= 1:
        raise ValidationError(f"{name}: must lie in (0, 1], got {value}")
