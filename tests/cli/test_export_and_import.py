"""``export`` to other programs and ``import`` from NIR: files, notes, assumptions, and a way from one to the other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import neurosparse as ns
from neurosparse.core.network import Network
from neurosparse.core.quantized import QuantizedNetwork, QuantizedPopulation, QuantizedProjection
from neurosparse.training.inputs import load_inputs

from .conftest import Invoke, lines


@pytest.mark.brian2
def test_a_trained_run_becomes_a_script_that_prints_its_spikes(trained: Path, tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("export", trained, "--to", "brian2", "--out", tmp_path / "b", "--samples", 3)
    assert result.exit_code == 0, result.stderr
    script, data = (Path(line) for line in result.stdout.splitlines())
    assert (script.name, data.name) == ("simulate.py", "network.npz")
    command = [sys.executable, "-I", str(script), "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
    recording = ns.simulate(Network.load(trained / "network.safetensors"), load_inputs(trained, "test", 3)[0])
    counted = {name: int(recording.spikes[name].sum()) for name in recording.v_thresholds}
    assert [line for line in done.stdout.splitlines() if "spikes in" in line] == [
        f"{name}: {n} spikes in 3 samples of 4 steps" for name, n in counted.items()
    ]
    assert sum(counted.values()) > 0


def test_a_trained_run_goes_to_nir_and_comes_back(trained: Path, tmp_path: Path, invoke: Invoke) -> None:
    pytest.importorskip("nir")
    result = invoke("export", trained, "--to", "nir", "--out", tmp_path / "run.nir", "--json")
    (told,) = lines(result.stdout)
    assert told["files"] == [str(tmp_path / "run.nir")]
    assert any("NIR has no time step" in note for note in told["notes"])
    result = invoke("import", tmp_path / "run.nir", "--out", tmp_path / "back.safetensors", "--json")
    assert result.exit_code == 0, result.stderr
    (told,) = lines(result.stdout)
    assert told["assumptions"] == []
    assert (tmp_path / "back.safetensors").read_bytes() == (trained / "network.safetensors").read_bytes()


def test_the_graph_of_another_program_comes_in_with_its_assumptions_and_goes_out(
    tmp_path: Path, invoke: Invoke
) -> None:
    nir = pytest.importorskip("nir")
    fields = {"tau": 4e-4, "r": 4.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    neuron = nir.LIF(**{name: np.full(2, value) for name, value in fields.items()})
    nir.write(tmp_path / "x.nir", nir.NIRGraph.from_list(nir.Linear(np.float32([[1, 0], [2, 3]])), neuron))
    told = invoke("import", tmp_path / "x.nir", "--out", tmp_path / "x.safetensors")
    assert told.exit_code == 2
    assert "NIR has no time step" in told.stderr
    assert not (tmp_path / "x.safetensors").exists()
    told = invoke(
        "import", tmp_path / "x.nir", "--out", tmp_path / "x.safetensors", "--dt", "1e-4", "--reset", "subtract"
    )
    assert told.exit_code == 0, told.stderr
    assert "Network(2->2, 3 synapses, density 0.75)" in told.stdout
    assert "lif: 2 x LIF(beta=0.75, v_threshold=1, bias=0, reset='subtract')" in told.stdout
    assert "assumed: dt = 0.0001 s; a decay per step is 1 - dt/tau (forward Euler)" in told.stderr
    out = invoke("export", tmp_path / "x.safetensors", "--to", "scipy", "--out", tmp_path / "matrices")
    assert out.exit_code == 0, out.stderr
    again = invoke("import", tmp_path / "x.nir", "--out", tmp_path / "x.safetensors", "--dt", "1e-4")
    assert again.exit_code == 2
    assert "nothing is overwritten" in again.stderr


@pytest.mark.parametrize("to", ["nir", "scipy", "network"])
def test_samples_go_only_where_there_is_a_place_for_them(
    trained: Path, tmp_path: Path, invoke: Invoke, to: str
) -> None:
    result = invoke("export", trained, "--to", to, "--out", tmp_path / "x", "--samples", 2)
    assert result.exit_code == 2
    assert f"{to} holds no input; brian2 and lava do" in result.stderr
    assert os.listdir(tmp_path) == []


def test_a_network_file_has_no_samples(trained: Path, tmp_path: Path, invoke: Invoke) -> None:
    result = invoke(
        "export", trained / "network.safetensors", "--to", "brian2", "--out", tmp_path / "x", "--samples", 2
    )
    assert result.exit_code == 2
    assert "is no run directory, so it names no data set" in result.stderr


def test_the_integers_of_a_file_become_a_bundle(tmp_path: Path, invoke: Invoke) -> None:
    synapse = QuantizedProjection("input", "a", [0, 1], [0], np.int16([10]), 1)
    QuantizedNetwork(ns.Input(1), [QuantizedPopulation("a", 1, dv=163, v_threshold=25)], [synapse]).save(tmp_path / "q")
    result = invoke("export", tmp_path / "q", "--to", "lava", "--out", tmp_path / "bundle")
    assert result.exit_code == 0, result.stderr
    assert str(tmp_path / "bundle" / "run.py") in result.stdout.splitlines()
    assert (tmp_path / "bundle" / "lava_processes" / "adapters.py").is_file()
