"""The model zoo: every model has its recipe, card and network, and runs as its card says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import neurosparse as ns
from neurosparse.errors import DataNotFoundError
from neurosparse.training.config import RunConfig
from neurosparse.training.inputs import load_inputs
from neurosparse.training.run import evaluate

MODELS = Path(__file__).resolve().parents[2] / "models"
NAMES = sorted(path.parent.name for path in MODELS.glob("*/config.toml"))


def _deployed(folder: Path) -> ns.Network | ns.QuantizedNetwork:
    if (folder / "quantized.safetensors").is_file():
        return ns.QuantizedNetwork.load(folder / "quantized.safetensors")
    return ns.Network.load(folder / "network.safetensors")


def test_the_promised_models_are_there() -> None:
    assert {"digits", "digits-8bit", "digits-recurrent", "mnist-1.33pc", "mnist-5pc"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_complete_and_small(name: str) -> None:
    folder = MODELS / name
    for file in ("config.toml", "network.safetensors", "results.json", "README.md", "overview.png"):
        assert (folder / file).is_file(), file
    assert (folder / "network.safetensors").stat().st_size < 500_000
    results = json.loads((folder / "results.json").read_text())
    network = _deployed(folder)
    assert isinstance(network, ns.QuantizedNetwork) or network.grid is not None
    assert results["synapses"] == network.n_synapses
    assert results["seed"] == RunConfig.load(folder / "config.toml").seed


@pytest.mark.parametrize("name", NAMES)
def test_a_model_has_the_accuracy_of_its_card_and_the_same_spikes_elsewhere(name: str) -> None:
    folder = MODELS / name
    try:
        inputs, _ = load_inputs(folder, "test", 20)
    except DataNotFoundError as error:
        pytest.skip(str(error))
    network = _deployed(folder)
    reference = ns.simulate(network, inputs)
    engine = "native" if isinstance(network, ns.QuantizedNetwork) else "brian2"
    assert ns.parity(reference, ns.simulate(network, inputs, backend=engine)).identical
    assert all(np.any(reference.spikes[p.name]) for p in network.populations if p.name not in network.outputs)
    results = json.loads((folder / "results.json").read_text())
    assert evaluate(folder, "test")["accuracy"] == results["test_accuracy"]


def test_the_cards_are_what_the_results_say() -> None:
    command = [sys.executable, str(MODELS / "update.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
