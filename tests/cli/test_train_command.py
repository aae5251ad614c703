"""``neurosparse train``: progress, JSON lines, resuming, and what a user does wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from neurosparse.cli.progress import _Progress
from neurosparse.training.trainer import EpochMetrics

from .conftest import CONFIG, Invoke, lines


def _without_clock(path: Path) -> list[dict]:
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in ("seconds", "rss_mb")} for row in rows]


def test_training_makes_a_run_directory(trained: Path) -> None:
    files = {path.name for path in trained.iterdir()}
    assert {"config.toml", "metrics.jsonl", "checkpoint.safetensors", "manifest.json"} <= files
    assert {"network.safetensors", "initial_network.safetensors"} <= files


def test_every_epoch_is_one_line_on_stderr_and_json_on_stdout(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    result = invoke("train", tmp_path / "config.toml", "--out", tmp_path / "run", "--json")
    first, second, summary = lines(result.stdout)
    assert (first["epoch"], second["epoch"]) == (1, 2)
    assert summary["run"] == str(tmp_path / "run")
    assert summary["synapses"] == second["synapses"]
    told = [line for line in result.stderr.splitlines() if line.startswith("epoch ")]
    assert [line[:9] for line in told] == ["epoch 1/2", "epoch 2/2"]
    for word in ("loss", "train", "validation", "live", "births", "rates", "silent", " s ", " MB"):
        assert word in told[0], word


def test_the_epoch_line_leaves_out_the_readout_that_cannot_spike(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    result = invoke("train", tmp_path / "config.toml", "--out", tmp_path / "run", "--json")
    metrics = lines(result.stdout)[0]
    line = next(line for line in result.stderr.splitlines() if line.startswith("epoch 1/2"))
    assert f"rates {metrics['rates']['hidden1']:.3f}  silent {metrics['silent']['hidden1']}  " in line


def test_without_json_stdout_stays_empty(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    result = invoke("train", tmp_path / "config.toml", "--out", tmp_path / "run")
    assert result.stdout == ""
    assert f"neurosparse simulate {tmp_path / 'run'} --backend brian2" in result.stderr


def test_ctrl_c_says_how_to_go_on_and_going_on_changes_nothing(
    trained: Path, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: _Progress, metrics: EpochMetrics) -> None:
        raise KeyboardInterrupt

    (tmp_path / "config.toml").write_text(CONFIG)
    with monkeypatch.context() as patch:
        patch.setattr(_Progress, "epoch", interrupt)
        result = invoke("train", tmp_path / "config.toml", "--out", tmp_path / "run")
    assert result.exit_code == 130
    assert f"neurosparse train --resume {tmp_path / 'run'}" in result.stderr
    assert len(_without_clock(tmp_path / "run")) == 1

    result = invoke("train", "--resume", tmp_path / "run", "--json")
    assert result.exit_code == 0
    assert [line["epoch"] for line in lines(result.stdout)[:-1]] == [2]
    assert _without_clock(tmp_path / "run") == _without_clock(trained)
    network = "network.safetensors"
    assert (tmp_path / "run" / network).read_bytes() == (trained / network).read_bytes()


@pytest.mark.parametrize("arguments", [[], ["config.toml"], ["--out", "x"], ["config.toml", "--resume", "x"]])
def test_train_wants_either_a_new_run_or_one_to_continue(arguments: list[str], invoke: Invoke) -> None:
    result = invoke("train", *arguments)
    assert result.exit_code == 2
    assert "--resume" in result.stderr
    assert result.stdout == ""


def test_an_unknown_key_is_told_with_its_near_miss(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.replace("n_steps", "n_step"))
    result = invoke("train", tmp_path / "config.toml", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "data.n_step: unknown key. Did you mean 'n_steps'?" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_an_error_is_json_too(tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("train", tmp_path / "absent.toml", "--out", tmp_path / "run", "--json")
    assert result.exit_code == 2
    (error,) = lines(result.stdout)
    assert error["error"]["type"] == "ArtifactError"
    assert "absent.toml" in error["error"]["message"]


def test_a_run_is_never_overwritten(trained: Path, tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    result = invoke("train", tmp_path / "config.toml", "--out", trained)
    assert result.exit_code == 2
    assert f"{trained} is not empty" in result.stderr


def test_what_is_no_run_cannot_be_resumed(tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("train", "--resume", tmp_path)
    assert result.exit_code == 2
    assert "is no run directory" in result.stderr


def test_a_package_that_is_not_installed_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    code = (
        "import sys; sys.modules['torch'] = None; from neurosparse.cli import main; "
        "sys.argv = ['neurosparse', 'train', 'config.toml', '--out', 'run']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert "`neurosparse train` needs torch, which is not installed" in done.stderr
    assert "Traceback" not in done.stderr
