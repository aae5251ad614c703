"""Resumed = uninterrupted, bit for bit, also when the run was killed in the middle of an epoch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neurosparse.errors import ArtifactError, ValidationError
from neurosparse.training.config import RunConfig
from neurosparse.training.run import read_metrics, resume, train

CONFIG = {
    "seed": 3,
    "network": {"hidden": [32], "density": 0.2},
    "training": {"epochs": 4, "batch_size": 16, "samples": 320},
}
FILES = ("network.safetensors", "checkpoint.safetensors", "initial_network.safetensors", "config.toml")


def config(**changes):
    content = json.loads(json.dumps(CONFIG))
    for section, values in changes.items():
        content.setdefault(section, {}).update(values)
    return RunConfig.load(content)


def contents(run: Path):
    return {name: (run / name).read_bytes() for name in FILES}


def without_clock(run: Path):
    return [{k: v for k, v in line.items() if k not in ("seconds", "rss_mb")} for line in read_metrics(run)]


class Killed(Exception):
    pass


def interrupt_after(run: Path, epochs: int, settings: RunConfig):
    """Train and die in the middle of the epoch after `epochs`."""

    def on_batch(done, total):
        if len(read_metrics(run)) == epochs and done == total // 2:
            raise Killed

    with pytest.raises(Killed):
        train(settings, run, on_batch=on_batch)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"method": {"name": "static"}},
        {"method": {"name": "deep_r_global", "temperature": 1e-6}},
        {"method": {"name": "deep_r", "signs": "redrawn"}, "training": {"optimizer": "sgd", "learning_rate": 0.1}},
        {"network": {"connections": "dense"}, "method": {"name": "static"}},
        {"network": {"recurrent_density": 0.1}, "data": {"encoding": "poisson"}},
    ],
    ids=["deep_r", "static", "global_with_noise", "sgd_redrawn", "dense", "recurrent_poisson"],
)
def test_two_epochs_interrupted_and_resumed_equal_four_straight(tmp_path, settings):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    train(config(**settings), straight)
    interrupt_after(broken, 2, config(**settings))
    resume(broken)
    assert contents(broken) == contents(straight)
    assert without_clock(broken) == without_clock(straight)


def test_a_run_killed_by_sigkill_resumes_to_the_same_bytes(tmp_path):
    settings = config(training={"samples": 1000})
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    train(settings, straight)
    (tmp_path / "config.toml").write_text(settings.to_toml())
    # the child touches a file in the middle of its third epoch and then waits there to be killed
    script = (
        "import sys, time, pathlib\n"
        "from neurosparse.training.run import train, read_metrics\n"
        "run = pathlib.Path(sys.argv[2])\n"
        "def on_batch(done, total):\n"
        "    if len(read_metrics(run)) == 2 and done == total // 2:\n"
        "        (run.parent / 'ready').touch()\n"
        "        time.sleep(300)\n"
        "train(sys.argv[1], run, on_batch=on_batch)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "config.toml"), str(killed)], env=dict(os.environ)
    )
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "ready").exists():
            assert child.poll() is None, "the training process ended by itself"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
    assert len(read_metrics(killed)) == 2
    resume(killed)
    assert contents(killed) == contents(straight)


def test_the_same_configuration_twice_gives_the_same_bytes(tmp_path):
    train(config(), tmp_path / "a")
    train(config(), tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    manifests = [json.loads((tmp_path / run / "manifest.json").read_text()) for run in "ab"]
    assert manifests[0] == manifests[1]


def test_another_seed_gives_another_network(tmp_path):
    train(config(), tmp_path / "a")
    train(RunConfig.load({**CONFIG, "seed": 4}), tmp_path / "b")
    assert (tmp_path / "a/network.safetensors").read_bytes() != (tmp_path / "b/network.safetensors").read_bytes()


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    train(config(), tmp_path / "run")
    before = contents(tmp_path / "run")
    result = resume(tmp_path / "run")
    assert contents(tmp_path / "run") == before
    assert len(result.metrics) == 4


def test_metrics_one_epoch_ahead_of_the_checkpoint_are_trained_again(tmp_path):
    train(config(), tmp_path / "straight")
    interrupt_after(tmp_path / "run", 2, config())
    path = tmp_path / "run" / "metrics.jsonl"
    path.write_text(path.read_text() + json.dumps({"epoch": 3, "loss": 0}) + "\n")
    resume(tmp_path / "run")
    assert without_clock(tmp_path / "run") == without_clock(tmp_path / "straight")


def test_training_into_a_directory_with_content_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValidationError, match=r"is not empty; choose a new directory, or continue .* --resume"):
        train(config(), tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_resuming_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"is no run directory, it has no config\.toml"):
        resume(tmp_path)


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path):
    train(config(), tmp_path / "run")
    with pytest.raises(ArtifactError, match="written by a run with another configuration"):
        train(config(training={"epochs": 5}), tmp_path / "run", resume=True)


def test_a_damaged_checkpoint_is_refused_and_left_alone(tmp_path):
    train(config(), tmp_path / "run")
    path = tmp_path / "run" / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    before = contents(tmp_path / "run")
    with pytest.raises(ArtifactError, match="damaged, truncated or not a safetensors file"):
        resume(tmp_path / "run")
    assert contents(tmp_path / "run") == before


def test_snapshots_are_kept_evenly_over_the_run(tmp_path):
    train(config(training={"epochs": 5, "snapshots": 2}), tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run" / "snapshots").iterdir()) == [
        "00002.safetensors",
        "00005.safetensors",
    ]
    last = (tmp_path / "run" / "snapshots" / "00005.safetensors").read_bytes()
    assert last == (tmp_path / "run" / "network.safetensors").read_bytes()
