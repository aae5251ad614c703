"""A run in integers: what is deployed is what was trained, and an interrupted one ends in the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosparse as ns
from neurosparse.errors import ArtifactError, ValidationError
from neurosparse.training.config import RunConfig
from neurosparse.training.inputs import load_inputs
from neurosparse.training.integers import INTEGERS, QUANTIZED, START, finetuning, prepare
from neurosparse.training.run import evaluate, load_model, train

BASE: dict[str, Any] = {
    "seed": 2,
    "data": {"name": "digits", "n_steps": 4},
    "network": {"hidden": [16], "density": 0.3},
    "training": {"epochs": 3, "samples": 192, "batch_size": 32, "learning_rate": 0.03},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(RunConfig.load(BASE), tmp_path_factory.mktemp("float") / "run").path


def _start(trained: Path, out: Path, bits: int = 3) -> RunConfig:
    network = ns.Network.load(trained / "network.safetensors")
    calibration, _ = load_inputs(trained, "train", 50)
    prepare(out, network, ns.quantize(network, bits=bits, calibration=calibration))
    return finetuning(RunConfig.load(trained / "config.toml"), bits, epochs=3)


def test_the_result_is_what_was_trained_and_learns_something(trained: Path, tmp_path: Path) -> None:
    config = _start(trained, tmp_path / "fine")
    assert config.training.learning_rate == pytest.approx(0.006)
    result = train(config, tmp_path / "fine", resume=True)
    quantized = ns.QuantizedNetwork.load(tmp_path / "fine" / QUANTIZED)
    assert {p.bits for p in quantized.projections} == {3}
    inputs, labels = load_inputs(tmp_path / "fine", "test")
    correct = (ns.simulate(quantized, inputs).decisions("output") == labels).mean()
    assert evaluate(tmp_path / "fine")["accuracy"] == correct
    assert result.metrics[-1]["loss"] < result.metrics[0]["loss"]
    assert load_model(tmp_path / "fine").to_quantized().n_synapses == quantized.n_synapses


def test_an_interrupted_fine_tuning_goes_on_to_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    class PowerCut(Exception):
        pass

    def fail(epoch: Any) -> None:
        if epoch.epoch == 1:
            raise PowerCut

    for name in ("whole", "cut"):
        config = _start(trained, tmp_path / name)
    train(config, tmp_path / "whole", resume=True)
    with pytest.raises(PowerCut):
        train(config, tmp_path / "cut", resume=True, on_epoch=fail)
    train(tmp_path / "cut" / "config.toml", tmp_path / "cut", resume=True)
    for file in (QUANTIZED, "network.safetensors", "checkpoint.safetensors"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file


def test_what_is_missing_or_in_the_way_is_told(trained: Path, tmp_path: Path) -> None:
    config = finetuning(RunConfig.load(BASE), 8, epochs=1)
    with pytest.raises(ArtifactError, match=rf"has no {START}; start a fine-tuning with: neurosparse finetune"):
        train(config, tmp_path / "empty")
    network = ns.Network.load(trained / "network.safetensors")
    integers = ns.quantize(network)
    with pytest.raises(ValidationError, match="is not empty"):
        prepare(trained, network, integers)
    with pytest.raises(ValidationError, match="quantization: trains a sparse network"):
        RunConfig.load({**BASE, "network": {"connections": "dense"}, "method": {"name": "static"}, "quantization": {}})
    other = ns.Network(
        ns.Input(network.input.n, "graded"),
        [ns.Population("other", 2, ns.LIF())],
        [ns.Projection.from_dense("input", "other", np.ones((2, network.input.n), np.float32))],
    )
    prepare(tmp_path / "mixed", network, ns.quantize(other))
    with pytest.raises(ValidationError, match=r"QuantizedSNN\.like: has the populations other"):
        train(config, tmp_path / "mixed", resume=True)
    assert (tmp_path / "mixed" / INTEGERS).is_file()
