"""When methods act, and how much they replace: by hand."""

from __future__ import annotations

import pytest

from neurosparse.errors import ValidationError
from neurosparse.rewiring.schedule import (
    CosineFraction,
    CubicRamp,
    Event,
    EveryEpoch,
    EveryStep,
    Never,
    OneShot,
    Periods,
    Plan,
    Schedule,
)


def steps(schedule: Schedule, n: int) -> list[int]:
    return [t for t in range(1, n + 1) if schedule.due(t, {}) is not None]


def test_every_nth_step_with_a_fraction() -> None:
    assert EveryStep(4, 0.25).due(8, {}) == Event(0.25)
    assert EveryStep(4).due(8, {}) == Event()
    assert not EveryStep(4).foresees(7)
    assert EveryStep(4).foresees(8)
    assert steps(Never(), 9) == []


def test_the_cosine_falls_from_its_fraction_to_nothing_at_its_end() -> None:
    # alpha / 2 (1 + cos(pi t / T_end)): alpha at 0, half of it in the middle, three quarters at a third
    schedule = CosineFraction(0.4, n=10, end=0.5).over(Plan(n_steps=120))
    assert schedule.t_end == 60
    assert steps(schedule, 120) == [10, 20, 30, 40, 50]
    assert schedule.due(20, {}).fraction == pytest.approx(0.4 * 0.75)
    assert schedule.due(30, {}).fraction == pytest.approx(0.4 * 0.5)
    assert schedule.due(40, {}).fraction == pytest.approx(0.4 * 0.25)


def test_the_end_of_a_fraction_is_exact() -> None:
    assert CosineFraction(end=0.7).over(Plan(n_steps=10)).t_end == 7  # 0.7 * 10 is 7.000000000000001 or 6.99...
    assert CosineFraction(end=0.29).over(Plan(n_steps=100)).t_end == 29  # 28.999999999999996


def test_the_cubic_ramp_does_most_early_and_arrives_exactly() -> None:
    schedule = CubicRamp(0.3, n=10, end=1.0).over(Plan(n_steps=45))
    assert steps(schedule, 60) == [10, 20, 30, 40]
    progress = [schedule.due(t, {}).progress for t in (10, 20, 30, 40)]
    assert progress == pytest.approx([1 - (3 / 4) ** 3, 1 - 1 / 8, 1 - 1 / 64, 1.0])
    assert progress[-1] == 1.0


def test_one_shot() -> None:
    assert steps(OneShot(7), 20) == [7]
    assert OneShot(7, 0.5).due(7, {}) == Event(0.5, 1.0)


def test_every_epoch_but_the_last() -> None:
    assert steps(EveryEpoch(0.3).over(Plan(n_steps=15, steps_per_epoch=5)), 15) == [5, 10]
    assert steps(EveryEpoch(0.3).over(Plan(steps_per_epoch=5)), 15) == [5, 10, 15], "nobody said which is the last"


def test_periods_double() -> None:
    # 2, 4, 6, ... until step 10; every 4th after it until 20; every 8th after that, before 90 % of 40
    schedule = Periods(2, (0.25, 0.5), 0.9).over(Plan(n_steps=40))
    assert steps(schedule, 40) == [2, 4, 6, 8, 10, 14, 18, 28]
    assert steps(Periods(3), 10) == [3, 6, 9]
    assert steps(Periods(3, end=0.5).over(Plan(n_steps=12)), 12) == [3]


def test_a_resolved_schedule_stays_what_it_is() -> None:
    for schedule in (CosineFraction(), CubicRamp(), EveryEpoch(), Periods(end=0.5), EveryStep()):
        resolved = schedule.over(Plan(1000, 100))
        assert resolved.over(Plan(5, 5)) == resolved


@pytest.mark.parametrize("schedule", [CosineFraction(), CubicRamp(), Periods(end=0.5)])
def test_what_changes_over_the_training_asks_how_long_it_is(schedule: Schedule) -> None:
    with pytest.raises(ValidationError, match=r"attach\.n_steps: this method changes over the training .* n_steps=epo"):
        schedule.over(Plan())
    with pytest.raises(ValidationError, match="has not been told how long the training is"):
        schedule.due(100, {})


def test_what_acts_by_epochs_asks_how_long_one_is() -> None:
    with pytest.raises(ValidationError, match=r"attach\.steps_per_epoch: .* steps_per_epoch=len\(loader\)"):
        EveryEpoch().over(Plan(n_steps=100))
    with pytest.raises(ValidationError, match=r"EveryEpoch\.plan: has not been told"):
        EveryEpoch().due(1, {})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CosineFraction(0.0), r"CosineFraction.fraction: must lie in \(0, 1\], got 0"),
        (lambda: CosineFraction(end=1.5), r"CosineFraction.end: must lie in \(0, 1\], got 1.5"),
        (lambda: CubicRamp(n=0), "CubicRamp.n: must be an integer number of optimizer steps >= 1, got 0"),
        (lambda: CubicRamp(n=100).over(Plan(n_steps=100)), "one event every 100 steps, but the ramp ends after 75"),
        (lambda: OneShot(0), "OneShot.at: must be an integer"),
        (lambda: OneShot(1, 2.0), "OneShot.fraction"),
        (lambda: EveryStep(1, -0.1), "EveryStep.fraction"),
        (lambda: Periods(doublings=(0.5, 0.2)), "Periods.doublings: must increase"),
        (lambda: Periods(doublings=(0.0, 0.2)), r"Periods.doublings: must lie in \(0, 1\], got 0"),
        (lambda: Plan(n_steps=0), r"attach\.n_steps: must be an integer number of optimizer steps >= 1, got 0"),
        (lambda: Plan(steps_per_epoch=2.5), r"attach\.steps_per_epoch: must be an integer"),
    ],
)
def test_impossible_settings_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make()
