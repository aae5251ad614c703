"""``deploy``: integers, placement, cost and violations of a trained run, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurosparse.backends.base import BACKENDS
from neurosparse.backends.reference import Reference
from neurosparse.cli import deploying
from neurosparse.core.hardware import hardware_paths
from neurosparse.core.network import Input, Network, Population, Projection
from neurosparse.core.neurons import LIF
from neurosparse.core.quantized import QuantizedNetwork

from .conftest import Invoke, lines


def test_deploy_prints_integers_placement_cost_and_fits(run: Path, invoke: Invoke) -> None:
    result = invoke("deploy", run, "--chip", "loihi2", "--samples", 20)
    assert result.exit_code == 0, result.stdout + result.stderr
    for word in (
        "Integers: 8 bits per weight",
        "accuracy on 20 test samples: float",
        "Placement: 1 of 120 cores; at least 1 needed",
        "16 hidden1 + 10 output",
        "estimates, not official: core.cores",
        "Energy per sample, a model",
        "no public figure",
        "float32 MAC",
        "10 + 2 steps" if "n_steps = 10" in (run / "config.toml").read_text() else "4 + 2 steps",
        "fits Intel Loihi 2",
    ):
        assert word in result.stdout, word
    assert QuantizedNetwork.load(run / "quantized.safetensors").chip == "loihi2"
    assert (run / "figures" / "cores_loihi2.png").read_bytes().startswith(b"\x89PNG")
    assert (run / "figures" / "energy_loihi2.png").is_file()


def test_tables_fit_a_terminal_of_80_columns(run: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurosparse.cli.output._PIPE_WIDTH", 80)
    result = invoke("deploy", run, "--chip", "loihi2", "--samples", 20)
    rows = [line for line in result.stdout.splitlines() if "  " in line.strip()]
    assert len(rows) > 15
    assert max(len(line) for line in rows) <= 80
    assert any(line.split()[:2] == ["float32", "MAC"] or "float32 MAC + SRAM read" in line for line in rows)


def test_deploy_as_json_has_everything_and_is_what_the_file_says(run: Path, invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("deploy", run, "--samples", 20, "--bits", 4, "--out", tmp_path / "out", "--json")
    (told,) = lines(result.stdout)
    assert told["fits"] is True
    assert told["bits"] == 4
    assert 0 <= told["accuracy"]["integer"] <= 1
    assert {p["name"] for p in told["quantization"]["populations"]} == {"hidden1", "output"}
    assert told["placement"]["n_cores"] == told["placement"]["lower_bound"] == 1
    assert {p["weight_bits"] for p in told["placement"]["projections"]} == {4}
    assert told["energy"]["label"] == "model"
    assert told["energy"]["n_samples"] == 20
    assert told["chip"]["sources"]["core.cores"].startswith("estimate: ")
    assert told["engine"] is None
    kept = json.loads((tmp_path / "out" / "deployment_loihi2.json").read_text())
    assert {key: told[key] for key in ("placement", "energy", "violations")} == {
        key: kept[key] for key in ("placement", "energy", "violations")
    }
    assert not (run / "quantized.safetensors").exists()
    assert sorted(Path(file).name for file in told["files"]) == [
        "cores_loihi2.png",
        "deployment_loihi2.json",
        "energy_loihi2.png",
        "quantized.safetensors",
    ]


def test_what_a_chip_does_not_do_is_a_failed_check_and_is_placed_all_the_same(run: Path, invoke: Invoke) -> None:
    result = invoke("deploy", run, "--chip", "loihi1", "--samples", 20)
    assert result.exit_code == 1
    assert "population 'hidden1'.reset: needs subtract, there is zero; train with reset = 'zero'" in result.stdout
    assert "violations: does not fit Intel Loihi 1" in result.stdout
    assert "Placement: 1 of 128 cores" in result.stdout
    assert "Intel Loihi 1, davies_2018" in result.stdout
    assert not (run / "quantized.safetensors").exists()


def test_a_chip_that_is_not_placed_on_is_checked_for_its_limits(run: Path, invoke: Invoke) -> None:
    result = invoke("deploy", run, "--chip", "xylo_audio2", "--samples", 20, "--json")
    assert result.exit_code == 1
    (told,) = lines(result.stdout)
    assert told["placement"] is None
    found = {(v["owner"], v["resource"]): (v["needed"], v["available"]) for v in told["violations"]}
    assert found["network", "inputs"] == (64, 16)


def too_large(path: Path) -> Path:
    """A network of 9 neurons on a chip of 2 cores of 4; returns the chip's file, the network lies beside it."""
    weights = Projection.from_dense("input", "hidden", np.ones((9, 2), np.float32))
    Network(Input(2), [Population("hidden", 9, LIF(reset="zero"))], [weights]).save(path / "net.safetensors")
    text = next(place for place in hardware_paths("loihi1.toml") if place.is_file()).read_text()
    text = text.replace("value = 128", "value = 2").replace("value = 1024", "value = 4")
    (path / "tiny.toml").write_text(text.replace('name = "loihi1"', 'name = "tiny"'))
    return path / "tiny.toml"


def test_too_few_cores_are_a_failed_check_with_a_way_out(tmp_path: Path, invoke: Invoke) -> None:
    chip = too_large(tmp_path)
    result = invoke("deploy", tmp_path / "net.safetensors", "--chip", chip)
    assert result.exit_code == 1
    assert "network.cores: needs 3, there is 2; 2 chips hold it, or about 6 neurons instead of 9" in result.stdout
    assert "written" not in result.stdout  # a network's file is not a place for results
    assert invoke("deploy", tmp_path / "net.safetensors", "--chip", chip, "--chips", 2).exit_code == 0


def test_unknown_chips_and_engines_are_refused_before_anything_runs(run: Path, invoke: Invoke) -> None:
    result = invoke("deploy", run, "--chip", "loihi3")
    assert result.exit_code == 2
    assert "Did you mean 'loihi" in result.stderr
    result = invoke("deploy", run, "--run", "brian2")
    assert result.exit_code == 2
    assert "deploy --run: 'brian2' is not known" in result.stderr
    assert "quantising" not in result.stderr


def test_there_must_be_something_to_compare(tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploying, "_check_engine", lambda engine: None)
    chip = too_large(tmp_path)
    result = invoke("deploy", tmp_path / "net.safetensors", "--chip", chip, "--chips", 2, "--run", "lava")
    assert result.exit_code == 2
    assert "there is nothing to compare: a network's file has no samples" in result.stderr


class Wrong(Reference):
    """The integer twin, off by one unit in one voltage."""

    name = "lava"

    def simulate(self, network: Any, inputs: Any, *, record: Any, seed: int) -> Any:
        recording = super().simulate(network, inputs, record=record, seed=seed)
        recording.voltages["hidden1"][1, 0, 3] += 1
        return recording


def test_an_engine_that_differs_in_one_bit_is_a_failed_check(
    run: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BACKENDS, "_entries", {**BACKENDS._entries, "lava": f"{__name__}:Wrong"})
    result = invoke("deploy", run, "--samples", 3, "--run", "lava", "--json")
    assert result.exit_code == 1
    (told,) = lines(result.stdout)
    assert told["fits"] is True
    assert told["engine"]["identical"] is False
    assert told["engine"]["parity"]["populations"]["hidden1"]["voltage_mismatches"] == 1


@pytest.mark.lava
def test_lava_agrees_with_the_integer_twin_bit_for_bit(run: Path, invoke: Invoke) -> None:
    result = invoke("deploy", run, "--samples", 5, "--run", "lava")
    assert result.exit_code == 0, result.stdout + result.stderr
    assert "lava, 5 samples: identical:" in result.stdout
