"""Measured costs: kept per machine, overridable, and never in the way."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from neurosparse.errors import ArtifactError
from neurosparse.kernels.choice import Costs
from neurosparse.kernels.layers import Adjoint, backward
from neurosparse.kernels.products import input_gradient
from neurosparse.nn import engine_costs

LARGE = 1e12


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NEUROSPARSE_COSTS", raising=False)
    engine_costs.set_costs(None)
    yield
    engine_costs.set_costs(None)


def test_calibration_measures_every_cost() -> None:
    costs = engine_costs.calibrate(n=64, fan_in=8, n_steps=4, batch=32, rounds=1)
    assert all(getattr(costs, item.name) > 0 for item in dataclasses.fields(Costs))


def test_the_gradients_it_times_are_really_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def seen(*arguments: Any, **options: Any) -> Adjoint:
        found.append(backward(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(engine_costs, "backward", seen)
    engine_costs.calibrate(n=64, fan_in=8, n_steps=4, batch=32, rounds=1)
    assert all(adjoint.active is not None and adjoint.active.all() for adjoint in found), (
        "a neuron without a gradient is left out"
    )
    assert sum(adjoint.values is not None and bool(adjoint.values.any()) for adjoint in found) == 2 * 3


def test_the_arrays_it_times_start_on_cache_lines_as_the_engines_do(monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[int] = []

    def seen(*arguments: Any, **options: Any) -> Any:
        timed.append(arguments[4].__array_interface__["data"][0] % 64)
        return input_gradient(*arguments, **options)

    monkeypatch.setattr(engine_costs, "input_gradient", seen)
    engine_costs.calibrate(n=64, fan_in=8, n_steps=4, batch=32, rounds=1)
    assert timed
    assert not any(timed)


def test_a_spoilt_measurement_is_neither_used_nor_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_costs, "calibrate", lambda: Costs(word_dot=1e-3))
    assert engine_costs.costs_for(LARGE) == Costs()
    assert not list((tmp_path / "cache").rglob("costs-*.json"))


def test_a_machine_may_be_slower_as_a_whole_and_somewhat_different() -> None:
    slower = Costs(**{name: 30 * cost for name, cost in dataclasses.asdict(Costs()).items()})
    assert engine_costs.believable(slower)
    assert engine_costs.believable(dataclasses.replace(slower, dense=5 * slower.dense))
    assert not engine_costs.believable(dataclasses.replace(slower, dense=Costs().dense))


def test_small_layers_use_the_built_in_costs_and_measure_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_costs, "calibrate", lambda: pytest.fail("measured"))
    assert engine_costs.costs_for(1000.0) == Costs()


def test_a_large_layer_measures_once_and_keeps_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Costs(dense=0.5)
    monkeypatch.setattr(engine_costs, "calibrate", lambda: measured)
    assert engine_costs.costs_for(LARGE) == measured
    (kept,) = (tmp_path / "cache" / "neurosparse").glob("costs-*.json")
    assert json.loads(kept.read_text()) == dataclasses.asdict(measured)
    monkeypatch.setattr(engine_costs, "calibrate", lambda: pytest.fail("measured again"))
    engine_costs.set_costs(None)
    assert engine_costs.costs_for(1.0) == measured, "a small layer of the next process reads what is kept"


@pytest.mark.parametrize("content", ['{"dense": -3}', '{"dense": 90}', "[]"])
def test_a_damaged_cache_is_measured_again(content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = engine_costs._cache_file()
    path.parent.mkdir(parents=True)
    path.write_text(content)
    monkeypatch.setattr(engine_costs, "calibrate", Costs)
    assert engine_costs.costs_for(LARGE) == Costs()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(engine_costs, "calibrate", Costs)
    assert engine_costs.costs_for(LARGE) == Costs()


def test_the_environment_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_costs, "calibrate", lambda: pytest.fail("measured"))
    monkeypatch.setenv("NEUROSPARSE_COSTS", "default")
    assert engine_costs.costs_for(LARGE) == Costs()
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps({"dense": 2.0}))
    monkeypatch.setenv("NEUROSPARSE_COSTS", str(mine))
    engine_costs.set_costs(None)
    assert engine_costs.costs_for(LARGE) == Costs(dense=2.0)
    mine.write_text("[1]")
    engine_costs.set_costs(None)
    with pytest.raises(ArtifactError, match=r"NEUROSPARSE_COSTS: .*mine\.json is no file of costs"):
        engine_costs.costs_for(LARGE)
