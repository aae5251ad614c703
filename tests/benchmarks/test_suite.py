"""The whole benchmark at toy size: that contestants compute the same thing, and that parts are what was asked for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from neurosparse.benchmarks import layer_step, suite, training_step
from neurosparse.benchmarks.contest import Contest, Contestant, Measured
from neurosparse.benchmarks.lineup import Lineup
from neurosparse.benchmarks.workload import layer_step as write_layer_step
from neurosparse.errors import ArtifactError, SidecarError, UnknownNameError, ValidationError

HERE = Path(sys.executable)
ONLY_US = Lineup({"neurosparse": HERE, "snntorch": HERE}, {"norse": "install it"})


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    told: list[str] = []
    sizes = {"n_steps": 6, "batch": 4, "n_threads": 1, "tell": told.append}
    layer = layer_step.run(ONLY_US, densities=(0.3,), n=40, n_passes=2, n_rounds=1, **sizes)
    training = training_step.run(
        ONLY_US, densities=(0.3,), sizes=(30, 40, 5), rate=0.3, n_passes=1, n_rounds=2, **sizes
    )
    return {"layer_step": layer, "training_step": training, "told": told}


def test_a_layer_step_of_ours_and_of_snntorch_is_the_same_computation(measured: dict[str, Any]) -> None:
    (row,) = measured["layer_step"]["rows"]
    assert set(row["times"]) == {layer_step.SNNTORCH, layer_step.OURS, layer_step.INSIDE}
    assert all(len(times) == 2 for times in row["times"].values())
    theirs = row["facts"][layer_step.SNNTORCH]
    assert 0 < theirs["rate"] < 1
    for title in (layer_step.OURS, layer_step.INSIDE):
        for name in ("rate", "values_gradient", "input_gradient"):
            assert row["facts"][title][name] == pytest.approx(theirs[name], rel=1e-4)


def test_a_training_step_begins_with_the_loss_of_snntorch(measured: dict[str, Any]) -> None:
    (row,) = measured["training_step"]["rows"]
    theirs, ours = row["facts"][training_step.SNNTORCH], row["facts"][training_step.OURS]
    assert ours["first_loss"] == pytest.approx(theirs["first_loss"], rel=1e-5)
    n_synapses = round(0.3 * 30 * 40) + round(0.3 * 40 * 5)
    assert row["n_synapses"] == n_synapses
    assert ours["weights_bytes"] == 4 * n_synapses
    assert theirs["weights_bytes"] == 4 * (30 * 40 + 40 * 5)
    # Adam's two moments, and a step count per tensor
    assert ours["optimizer_bytes"] == 2 * ours["weights_bytes"] + 2 * 4
    assert theirs["optimizer_bytes"] == 2 * theirs["weights_bytes"] + 2 * 4
    assert 0 < ours["synaptic_operations"] < theirs["synaptic_operations"]
    assert 0 < ours["rewiring_share"] < 1


def test_every_density_is_announced_and_versions_are_kept(measured: dict[str, Any]) -> None:
    assert measured["told"] == [
        "layer step 40 -> 40, density 0.3, pass 1 of 2",
        "layer step 40 -> 40, density 0.3, pass 2 of 2",
        "training step 30-40-5, density 0.3",
    ]
    assert measured["layer_step"]["versions"]["snntorch"].startswith("snntorch 1.")
    json.dumps(measured)  # everything can be kept in a file


def test_a_peer_that_fails_is_out_and_says_why_but_we_may_not_fail(tmp_path: Path) -> None:
    write_layer_step(tmp_path, n=20, n_synapses=100, rate=0.2, n_steps=4, batch=3, seed=0)
    lineup = Lineup({"neurosparse": HERE, "norse": HERE}, {})  # this interpreter has no norse
    contestants = (Contestant("Norse", "norse", "LayerStep"), Contestant("we", "neurosparse", "LayerStep"))
    with Contest(contestants, lineup, n_threads=1) as contest:
        measured = contest.measure(tmp_path, n_rounds=1)
        assert list(measured.times) == ["we"]
        assert "No module named 'norse'" in measured.failed["Norse"]
        (tmp_path / "indices.npy").unlink()
        with pytest.raises(SidecarError, match=r"neurosparse\.LayerStep: KeyError"):
            contest.measure(tmp_path, n_rounds=1)


def test_who_fails_in_one_pass_is_out_of_all() -> None:
    first = Measured({"a": [1.0], "b": [2.0]}, {"a": {"x": 1.0}, "b": {}})
    second = Measured({"a": [3.0]}, {"a": {"x": 4.0}}, {"b": "it broke"})
    assert first.joined(second) == Measured({"a": [1.0, 3.0]}, {"a": {"x": 4.0}}, {"b": "it broke"})


def test_wrong_wishes_are_errors_before_anything_starts() -> None:
    with pytest.raises(UnknownNameError, match=r"bench\.part: 'layerstep' is not known. Did you mean 'layer_step'\?"):
        suite.run(ONLY_US, parts=["layerstep"])
    with pytest.raises(ValidationError, match=r"bench\.density: must be in \(0, 1\], got 5"):
        suite.run(ONLY_US, densities=[5])
    with pytest.raises(ValidationError, match=r"bench\.threads: must be at least 1, got 0"):
        suite.run(ONLY_US, n_threads=0)


def test_no_parts_are_no_measurement_but_say_under_which_conditions() -> None:
    assert suite.run(ONLY_US, parts=[], n_threads=2) == {
        "format": 1,
        "quick": False,
        "n_threads": 2,
        "missing": ["norse"],
    }


def test_kept_results_are_read_back_and_other_files_refused(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    with pytest.raises(ArtifactError, match="no results of a benchmark"):
        suite.load(path)
    path.write_text('{"format": 99}')
    with pytest.raises(ArtifactError, match="not written by this version"):
        suite.load(path)
    path.write_text('{"format": 1, "quick": true}')
    assert suite.load(path)["quick"] is True


def test_a_large_layer_passes_under_its_limit_and_fails_honestly_without_memory() -> None:
    from neurosparse.benchmarks import large_layer

    small = {"n": 3000, "n_synapses": 5000, "n_training_steps": 1, "n_threads": 1}
    passed = large_layer.run(**small)
    assert passed["passed"]
    assert passed["facts"]["n_synapses"] == 5000
    failed = large_layer.run(**small, address_space=150_000_000)  # not enough to import torch
    assert not failed["passed"]
    assert failed["problem"].startswith("neurosparse.LargeLayer")


def test_the_profile_knows_the_kernels_of_a_step() -> None:
    from neurosparse.benchmarks import profile

    found = profile.run(densities=(0.1, 0.3), n=64, sizes=(32, 40, 5), n_threads=1)
    for row in (*found["layer"], found["training"]):
        assert {"forward_sparse", "backward"} <= set(row["kernels"])
        assert sum(row["kernels"].values()) > 0
    assert [row["synapse_words"] for row in found["layer"]] == [410 * 208, 1229 * 208]
    assert found["clock_ghz"] > 0


def test_the_three_methods_and_the_engines_choice_compute_the_same() -> None:
    from neurosparse.benchmarks import choice

    sizes = {"n": 40, "n_steps": 6, "batch": 4, "n_rounds": 1, "n_threads": 1}
    (row,) = choice.run(ONLY_US, densities=(0.3,), rates=(0.2,), **sizes)["rows"]
    assert set(row["times"]) == {"auto", "words", "events", "dense"}
    auto = row["facts"]["auto"]
    for method in choice.METHODS:
        assert row["facts"][method]["values_gradient"] == pytest.approx(auto["values_gradient"], rel=1e-4)
        assert row["facts"][method]["input_gradient"] == pytest.approx(auto["input_gradient"], rel=1e-4)


def test_growth_measures_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    from neurosparse.benchmarks import growth

    monkeypatch.setattr(growth, "_N", 64)
    found = growth.run(synapses=(100, 300, 1000), lanes=(16, 48, 160), n_rounds=1, n_threads=1)
    for name in ("synapses", "lanes"):
        assert len(found[name]["seconds"]) == 3
        assert min(found[name]["seconds"]) > 0
    assert found["synapses"]["fixed"] == {"n": 64, "n_steps": 16, "batch": 64}
    assert "n_synapses" in found["lanes"]["fixed"]
