"""Sweeps that run, die and go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neurosparse.cli import app
from neurosparse.errors import ArtifactError, ValidationError
from neurosparse.sweep import Sweep, SweepPlan, read_results
from neurosparse.sweep.costs import OperationsMeter
from neurosparse.sweep.work import run_sweep, work

from .conftest import BASE


def _networks(sweep: Path) -> dict[str, bytes]:
    return {file.parent.name: file.read_bytes() for file in sweep.glob("runs/*/network.safetensors")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    plan = SweepPlan.make(base=BASE, densities=[0.1, 0.3], methods=["deep_r", "dense"], seeds=2, samples=20)
    sweep = Sweep(tmp_path_factory.mktemp("sweep") / "s", plan)
    told: list[dict[str, int]] = []
    run_sweep(sweep, on_change=told.append)
    assert told[-1] == {"waiting": 0, "running": 0, "complete": 6, "failed": 0, "total": 6}
    return sweep


def test_every_point_has_one_result(finished: Sweep) -> None:
    results = read_results(finished.path)
    points = [("deep_r", 0.1), ("deep_r", 0.3), ("dense", 1.0)]
    assert sorted((r.method, r.density, r.seed) for r in results) == [(*p, seed) for p in points for seed in (3, 4)]
    for result in results:
        assert 0 <= result.test_accuracy <= 1
        assert result.synapses == pytest.approx(result.density * (64 * 12 + 12 * 10), abs=1)
        assert result.synaptic_operations > 0
    assert finished.next_job() is None


def test_a_run_counts_what_its_training_has_cost(finished: Sweep) -> None:
    for result in read_results(finished.path):
        counts = json.loads((finished.path / result.run / "operations.json").read_text())
        assert result.training_operations == pytest.approx(64 * (counts["1"] + counts["2"]))
        # the second network has learned for one more epoch, but it has as many synapses and sees the same images
        assert 0 < counts["1"] < 2 * counts["2"]
        possible = 64 * 12 + 12 * 10
        assert result.training_bytes is not None
        if result.method == "dense":  # weight, gradient and two moments of Adam, and the neurons' few constants
            assert 16 * possible <= result.training_bytes < 16 * possible + 200
        else:
            assert 20 * result.synapses < result.training_bytes < 60 * result.synapses


def test_operations_that_a_kill_left_uncounted_are_those_of_the_next_epoch(tmp_path: Path) -> None:
    (tmp_path / "operations.json").write_text('{"1": 5.0, "3": 7.0}')
    assert OperationsMeter(tmp_path).total(4, 10) == 10 * (5 + 7 + 7 + 7)


def test_a_result_of_before_costs_were_counted_is_still_read(tmp_path: Path, finished: Sweep) -> None:
    run = tmp_path / "runs" / "0"
    run.mkdir(parents=True)
    old = dict(vars(read_results(finished.path)[0]))
    del old["training_operations"], old["training_bytes"]
    (run / "result.json").write_text(json.dumps(old))
    assert read_results(tmp_path)[0].training_bytes is None
    del old["seconds"]
    (run / "result.json").write_text(json.dumps(old))
    with pytest.raises(ArtifactError, match="is no result of a run"):
        read_results(tmp_path)


def test_a_pruned_network_takes_part_at_its_density(tmp_path: Path) -> None:
    plan = SweepPlan.make(base=BASE, densities=[0.2], methods=["gradual_magnitude"], seeds=1, samples=20)
    sweep = Sweep(tmp_path / "s", plan)
    work(sweep)
    (result,) = read_results(sweep.path)
    assert result.synapses == round(0.2 * (64 * 12 + 12 * 10))
    sites = 64 * 12 + 12 * 10
    assert result.training_bytes is not None
    assert 17 * sites <= result.training_bytes < 17 * sites + 200  # the dense ones and a mask of a byte per synapse


def test_a_run_whose_worker_is_gone_is_given_to_the_next_and_a_held_one_to_nobody(tmp_path: Path) -> None:
    plan = SweepPlan.make(base=BASE, densities=[0.1], methods=["static"], seeds=2)
    first, second = Sweep(tmp_path / "s", plan), Sweep(tmp_path / "s")
    held, other = first.next_job(), second.next_job()
    assert held is not None
    assert other is not None
    assert held.number != other.number
    assert second.next_job() is None  # both are held by the living
    held.abandon()  # as the operating system does when a process dies
    again = second.next_job()
    assert again is not None
    assert (again.number, again.parameters) == (held.number, held.parameters)
    again.abandon()
    other.abandon()


def test_a_sweep_that_was_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    slow = {**BASE, "training": {"epochs": 60, "samples": 64, "batch_size": 32}}
    plan = SweepPlan.make(base=slow, densities=[0.2], methods=["deep_r"], seeds=1, samples=20)
    whole, killed = Sweep(tmp_path / "whole", plan), Sweep(tmp_path / "killed", plan)
    work(whole)
    command = [sys.executable, "-m", "neurosparse.cli", "sweep", "--resume", str(killed.path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not list(killed.path.glob("runs/*/checkpoint.safetensors")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not read_results(killed.path), "this test has not killed anything in time"
    run_sweep(Sweep(killed.path))
    assert _networks(killed.path) == _networks(whole.path)
    assert len(read_results(killed.path)) == 1


def test_several_processes_share_the_work(tmp_path: Path, finished: Sweep) -> None:
    sweep = Sweep(tmp_path / "s", finished.plan)
    run_sweep(sweep, jobs=2)
    assert _networks(sweep.path) == _networks(finished.path)


def test_a_run_that_cannot_be_made_fails_alone_and_is_tried_again_on_request(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    plan = SweepPlan.make(
        base={**BASE, "data": {"name": "mnist", "root": str(missing)}}, densities=[0.1], methods=["static"], seeds=1
    )
    sweep = Sweep(tmp_path / "s", plan)
    work(sweep)
    ((name, reason),) = sweep.failures().items()
    assert "static" in name
    assert str(missing) in reason
    assert sweep.retry_failed() == 1
    assert sweep.counts() == {"waiting": 1, "running": 0, "complete": 0, "failed": 0, "total": 1}


def test_a_search_looks_for_the_best_trade_offs(tmp_path: Path) -> None:
    plan = SweepPlan.make(base=BASE, densities=[0.05, 0.5], methods=["deep_r", "static"], search=4, samples=20)
    sweep = Sweep(tmp_path / "s", plan)
    work(sweep)
    results = read_results(sweep.path)
    assert len(results) == 4
    assert all(0.05 <= r.density <= 0.5 for r in results)
    assert len({r.density for r in results}) > 1
    assert len(sweep.study.best_trials) >= 1


def test_another_plan_does_not_go_into_the_same_folder(tmp_path: Path, plan: SweepPlan) -> None:
    Sweep(tmp_path / "s", plan)
    with pytest.raises(ValidationError, match="holds a sweep of another plan"):
        Sweep(tmp_path / "s", plan.model_copy(update={"seeds": 2}))
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "letter.txt").write_text("dear")
    with pytest.raises(ValidationError, match="not empty and no sweep"):
        Sweep(tmp_path / "t", plan)
    with pytest.raises(ArtifactError, match=r"has no sweep\.json"):
        Sweep(tmp_path / "t")


def test_the_command_prints_points_tests_and_files(tmp_path: Path, finished: Sweep) -> None:
    from typer.testing import CliRunner

    result = CliRunner().invoke(app, ["sweep", "--resume", str(finished.path)], catch_exceptions=False)
    assert result.exit_code == 0
    for word in ("Test accuracy", "Paired by seed", "deep_r - dense", "10.00%"):
        assert word in result.stdout, word
    told = json.loads(
        CliRunner().invoke(app, ["sweep", "--resume", str(finished.path), "--json"], catch_exceptions=False).stdout
    )
    assert [(p["method"], p["n"]) for p in told["points"]] == [("deep_r", 2), ("deep_r", 2), ("dense", 2)]
    assert all(Path(file).stat().st_size > 0 for file in told["files"])
    wrong = CliRunner().invoke(app, ["sweep", "--resume", str(tmp_path), "--out", "x"])
    assert wrong.exit_code == 2


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    slow = {**BASE, "training": {"epochs": 100_000, "samples": 64, "batch_size": 32}}
    plan = SweepPlan.make(base=slow, densities=[0.2], methods=["static"], seeds=2)
    sweep = Sweep(tmp_path / "s", plan)
    command = [sys.executable, "-m", "neurosparse.cli", "sweep", "--resume", str(sweep.path), "--jobs", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while len(list(sweep.path.glob("runs/*/checkpoint.safetensors"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    jobs = []
    while len(jobs) < 2 and time.monotonic() < deadline:  # what dead workers have held can be taken
        job = sweep.next_job()
        jobs += [job] if job is not None else []
        time.sleep(0.05)
    assert len(jobs) == 2
    for job in jobs:
        job.abandon()
