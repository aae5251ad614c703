"""The plan of a sweep: its points, their configurations, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neurosparse.errors import ArtifactError, NeurosparseError, ValidationError
from neurosparse.sweep.plan import SweepPlan
from neurosparse.training.config import RunConfig

from .conftest import BASE


def test_the_grid_has_every_combination_and_one_dense_run_per_seed() -> None:
    plan = SweepPlan.make(
        base=BASE, densities=[0.1, 0.3], methods=["static", "dense"], seeds=2, vary={"network.beta": [0.8, 0.9]}
    )
    found = [(p["method"], p["density"], p["network.beta"], p["seed"]) for p in plan.points()]
    assert found == [
        *[("static", d, b, s) for d in (0.1, 0.3) for b in (0.8, 0.9) for s in (3, 4)],
        *[("dense", 1.0, b, s) for b in (0.8, 0.9) for s in (3, 4)],
    ]


def test_a_point_becomes_the_configuration_of_its_run() -> None:
    base = {**BASE, "method": {"name": "deep_r", "alpha": 0.02}}
    plan = SweepPlan.make(
        base=base, densities=[0.1], methods=["deep_r", "static", "dense"], vary={"network.beta": [0.8]}
    )
    configs = {p["method"]: plan.config(p) for p in plan.points() if p["seed"] == 4}
    assert isinstance(configs["deep_r"], RunConfig)
    assert {c.seed for c in configs.values()} == {4}
    assert {c.network.beta for c in configs.values()} == {0.8}
    assert configs["deep_r"].network.density == 0.1
    assert configs["deep_r"].method.build().alpha == 0.02
    assert configs["static"].method.name == "static"  # without the alpha, which is the other method's
    assert configs["dense"].network.connections == "dense"


def test_a_method_that_prunes_starts_dense_and_ends_at_the_density() -> None:
    base = {**BASE, "pruning": {"method": "one_shot", "at": 0.25}}
    plan = SweepPlan.make(
        base=base,
        densities=[0.1],
        methods=["one_shot", "gradual_magnitude", "set", "dense"],
        vary={"method.zeta": [0.1], "pruning.scope": ["global"]},
        seeds=1,
    )
    configs = {p["method"]: plan.config(p) for p in plan.points()}
    for name in ("one_shot", "gradual_magnitude"):
        assert configs[name].network.connections == "dense"
        assert configs[name].pruning is not None
        method = configs[name].pruning.build()
        assert (method.density, method.scope) == (0.1, "global")
    assert configs["one_shot"].pruning.build().at == 0.25
    assert configs["gradual_magnitude"].pruning.model_extra == {"density": 0.1, "scope": "global"}
    assert configs["set"].pruning is None
    assert (configs["set"].network.connections, configs["set"].network.density) == ("sparse", 0.1)
    assert configs["set"].method.build().zeta == 0.1
    assert (configs["dense"].pruning, configs["dense"].method.name) == (None, "static")


def test_a_plan_is_read_as_it_was_written(tmp_path: Path, plan: SweepPlan) -> None:
    plan.save(tmp_path / "sweep.json")
    assert SweepPlan.load(tmp_path / "sweep.json").to_json() == plan.to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"densities": []}, "densities"),
        ({"densities": [0.1, 0.1]}, "stands there twice"),
        ({"densities": [1.5]}, r"densities\.0.*got 1\.5"),
        ({"methods": ["deep_rr"]}, "deep_r"),
        ({"vary": {"network.betta": [0.5]}}, r"network\.betta: unknown key. Did you mean 'beta'"),
        ({"vary": {"beta": [0.5]}}, r"'beta' is no key.*section\.key"),
        ({"search": 5, "densities": [0.1]}, "needs a lowest and a highest density"),
        ({"seeds": 0}, "seeds"),
        ({"methods": ["stds"]}, "'stds' has no density to set"),
    ],
)
def test_a_wrong_plan_is_refused_before_anything_runs(change: dict[str, Any], message: str) -> None:
    fields = {"base": BASE, "densities": [0.1, 0.2], "methods": ["static"], **change}
    with pytest.raises(NeurosparseError, match=message):
        SweepPlan.make(**fields)


@pytest.mark.parametrize("content", ["", "[]", "{", json.dumps({"base": {}})])
def test_a_damaged_plan_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises((ArtifactError, ValidationError)):
        SweepPlan.load(tmp_path / "sweep.json")


def test_a_method_whose_density_is_a_result_starts_dense_and_varies_what_it_follows_from() -> None:
    thresholds = [0.1, 0.2]
    plan = SweepPlan.make(base=BASE, densities=[1.0], methods=["stds"], vary={"pruning.threshold": thresholds}, seeds=1)
    found = [plan.config(point).pruning for point in plan.points()]
    assert [section.build().threshold for section in found if section is not None] == thresholds
