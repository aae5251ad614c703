"""A folder that runs in Lava without neurosparse: what is in it, what it prints, and what keeps it off a chip."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosparse as ns
from neurosparse.core.network import INPUT, Input
from neurosparse.core.quantized import QuantizedNetwork, QuantizedPopulation, QuantizedProjection
from neurosparse.errors import UnsupportedError
from neurosparse.formats.lava_bundle import silicon_obstacles

SHARED_MEMORY = Path("/dev/shm")


def projection(
    rng: np.random.Generator, source: str, target: str, n: tuple[int, int], mean: float = 20, **how: Any
) -> QuantizedProjection:
    """Random even 8-bit weights from n[0] to n[1] neurons at density 1/2."""
    matrix = (rng.normal(mean, 40, (n[1], n[0])) // 2 * 2).clip(-200, 200) * (rng.random((n[1], n[0])) < 0.5)
    float_projection = ns.Projection.from_dense(source, target, matrix, delay=how.get("delay", 0))
    weights = float_projection.weights.astype(np.int16)
    return QuantizedProjection(source, target, float_projection.indptr, float_projection.indices, weights, n[0], **how)


def for_the_chip(rng: np.random.Generator) -> QuantizedNetwork:
    """Reset to zero, a recurrent and a skipping connection, synaptic currents, an exponent: nothing against silicon."""
    populations = [
        QuantizedPopulation("a", 8, dv=400, v_threshold=60),
        QuantizedPopulation("out", 4, dv=200, du=1000, v_threshold=160),
    ]
    projections = [
        projection(rng, INPUT, "a", (5, 8)),
        projection(rng, "a", "a", (8, 8), mean=-10, delay=1),
        projection(rng, "a", "out", (8, 4), exponent=1),
        projection(rng, INPUT, "out", (5, 4), delay=3),
    ]
    return QuantizedNetwork(Input(5), populations, projections)


def for_the_simulation(rng: np.random.Generator) -> QuantizedNetwork:
    """Biases, other resets, one parameter per neuron, a read-out, payloads: what only the simulation has."""
    populations = [
        QuantizedPopulation(
            "a", 8, dv=np.arange(8) * 100, v_threshold=6000, bias=100, bias_exponent=3, reset="subtract"
        ),
        QuantizedPopulation("b", 4, dv=200, v_threshold=80, bias=[5, -6, 7, 300], reset="none"),
        QuantizedPopulation("r", 3, dv=4096, readout=True),
    ]
    projections = [
        projection(rng, INPUT, "a", (5, 8)),
        projection(rng, "a", "b", (8, 4), delay=2),
        projection(rng, "b", "r", (4, 3)),
        projection(rng, INPUT, "b", (5, 4), mean=5, delay=70),
    ]
    return QuantizedNetwork(Input(5, "graded"), populations, projections)


def inputs_for(network: QuantizedNetwork, rng: np.random.Generator) -> np.ndarray:
    shape = (80, 3, network.input.n)
    return rng.random(shape) < 0.4 if network.input.kind == "spikes" else rng.integers(0, 256, shape, dtype=np.uint8)


def run_in_lava(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the bundle by the Lava environment's Python, isolated from paths and variables of this one."""
    from neurosparse.backends.sidecar import lava_python

    command = [str(lava_python()), "-I", "run.py", *arguments]
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.lava
@pytest.mark.parametrize("build", [for_the_chip, for_the_simulation])
def test_a_bundle_prints_the_spikes_of_the_integer_model(build: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    network = build(rng)
    x = inputs_for(network, rng)
    folder = tmp_path / "bundle"
    ns.export(network, folder, to="lava", inputs=x)
    done = run_in_lava(folder, "--save", "out.npz", "--side-by-side", "2", "--time-limit", "120")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    expected = ns.simulate(network, x)
    assert expected.n_spikes > 50
    saved = np.load(folder / "out.npz", allow_pickle=False)
    for population in network.populations:
        name = population.name
        if population.readout:
            np.testing.assert_array_equal(saved[f"{name}.v"], expected.voltages[name])
            assert saved[f"{name}.v"].any()
            continue
        sample, step, neuron = saved[name].T
        raster = np.zeros_like(expected.spikes[name])
        raster[step, sample, neuron] = True
        np.testing.assert_array_equal(raster, expected.spikes[name])
        for t, s in zip(*np.nonzero(raster.any(axis=2)), strict=True):
            row = " ".join(map(str, np.flatnonzero(raster[t, s])))
            assert f"sample {s} step {t} {name}: {row}\n" in done.stdout


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="shared memory is no folder here")
def test_a_run_that_is_ended_leaves_neither_processes_nor_shared_memory(tmp_path: Path) -> None:
    ns.export(for_the_chip(np.random.default_rng(3)), tmp_path / "x", to="lava")
    spec = importlib.util.spec_from_file_location("bundle_run", tmp_path / "x" / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    segment = SHARED_MEMORY / f"psm_{secrets.token_hex(4)}"
    segment.write_bytes(b"left over")
    (tmp_path / "shared_memory.txt").write_text(f"{segment.name}\npsm_never_there\n")
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    module.end(process, tmp_path)
    assert process.returncode == -signal.SIGKILL
    assert not segment.exists()
    module.end(process, tmp_path)  # again, when everything is gone


@pytest.mark.lava
def test_the_chip_is_refused_where_it_is_not_or_where_the_network_cannot_go(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    ns.export(for_the_chip(rng), tmp_path / "chip", to="lava")
    done = run_in_lava(tmp_path / "chip", "--target", "loihi2")
    assert done.returncode == 1
    assert "--target loihi2 needs Intel's lava-loihi, for members of the INRC" in done.stderr
    ns.export(for_the_simulation(rng), tmp_path / "simulation", to="lava")
    done = run_in_lava(tmp_path / "simulation", "--target", "loihi2")
    assert done.returncode == 1
    assert "this network runs in simulation only:" in done.stderr
    assert "population 'b': reset 'none' needs microcode" in done.stderr


@pytest.mark.lava
def test_a_network_that_fails_in_lava_ends_with_its_traceback(tmp_path: Path) -> None:
    ns.export(for_the_chip(np.random.default_rng(3)), tmp_path / "x", to="lava")
    processes = tmp_path / "x" / "lava_processes" / "files.py"
    text = processes.read_text()
    processes.write_text(
        text.replace("    def write(self, values):\n", "    def write(self, values):\n        1 // 0\n")
    )
    assert processes.read_text() != text
    done = run_in_lava(tmp_path / "x", "--rate", "0.2", "--steps", "4", "--time-limit", "100")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "run.py: Lava has failed; its message is above" in done.stderr


def test_a_bundle_holds_everything_and_nothing_of_this_package(tmp_path: Path) -> None:
    network = for_the_chip(np.random.default_rng(3))
    files = ns.export(network, tmp_path / "x", to="lava", inputs=np.ones((4, 2, 5), bool))
    assert {str(path.relative_to(tmp_path / "x")) for path in files} == {
        *("README.md", "requirements.txt", "run.py", "network.json", "network.npz", "input.npy"),
        *("lava_worker.py", "lava_build.py"),
        *(f"lava_processes/{name}.py" for name in ("__init__", "adapters", "files", "integers", "neurons")),
    }
    for path in files:
        if path.suffix == ".py":
            text = path.read_text()
            compile(text, str(path), "exec")
            assert max(map(len, text.splitlines())) <= 120
            assert not re.search(r"^\s*(from|import) neurosparse", text, re.MULTILINE)
    spec = json.loads((tmp_path / "x" / "network.json").read_text())
    assert spec["obstacles"] == []
    arrays = np.load(tmp_path / "x" / "network.npz", allow_pickle=False)
    np.testing.assert_array_equal(arrays["weights_0"], network.projections[0].weights)
    readme = (tmp_path / "x" / "README.md").read_text()
    for words in (
        "lava-nc",
        "INRC",
        "Membership",
        'TARGET = "loihi2"',
        "| a | 8 | zero | 400 | 4095 | 60 |",
        "2 samples",
    ):
        assert words in readme, words
    assert "simulation only" not in readme


def test_every_obstacle_on_the_way_to_silicon_is_named() -> None:
    rng = np.random.default_rng(3)
    assert silicon_obstacles(for_the_chip(rng)) == []
    text = "\n".join(silicon_obstacles(for_the_simulation(rng)))
    for words in (
        "population 'a': reset 'subtract' needs microcode",
        "population 'a': a bias cannot be switched on",
        "population 'a': dv differs from neuron to neuron",
        "population 'r': a read-out",
        "population 'r': dv = 4096 does not fit into 12 bits",
    ):
        assert words in text, words

    def summing(kind: Any, exponent: int) -> QuantizedNetwork:
        """Four lines of weight 100 << exponent: 400 << exponent in a step, and 255 times that of payloads."""
        four = QuantizedProjection(INPUT, "a", [0, 4], np.arange(4), np.full(4, 100, np.int16), 4, exponent=exponent)
        return QuantizedNetwork(Input(4, kind), [QuantizedPopulation("a", 1, dv=0, v_threshold=1)], [four])

    assert silicon_obstacles(summing("spikes", 6)) == []
    (obstacle,) = silicon_obstacles(summing("spikes", 7))
    assert "add up to 51200 in a step, the chip's accumulator of 16 bits holds 32767" in obstacle
    assert silicon_obstacles(summing("graded", 0)) == []
    (obstacle,) = silicon_obstacles(summing("graded", 1))
    assert "add up to 204000 in a step, the chip's accumulator of 18 bits holds 131071" in obstacle
    assert silicon_obstacles(summing("graded", 1), np.full((3, 1, 4), 100, np.uint8)) == []
    one = QuantizedProjection(INPUT, "a", [0, 1], [0], np.int16([2]), 1, delay=64)
    late = QuantizedNetwork(Input(1), [QuantizedPopulation("a", 1, dv=0, v_threshold=1)], [one])
    assert silicon_obstacles(late) == ["projection input->a: waits 64 steps, 62 at most"]


def test_what_would_overflow_in_lava_is_refused() -> None:
    many = QuantizedProjection(INPUT, "a", [0, 64], np.arange(64), np.full(64, 254, np.int16), 64, exponent=7)
    network = QuantizedNetwork(Input(64), [QuantizedPopulation("a", 1, dv=0, v_threshold=1)], [many])
    with pytest.raises(UnsupportedError, match="export --to lava: population 'a': its weights can add up to 2080768"):
        ns.export(network, "never", to="lava")


def test_only_integers_go_to_lava_and_only_floats_elsewhere(tmp_path: Path) -> None:
    network = for_the_chip(np.random.default_rng(3))
    with pytest.raises(UnsupportedError, match="export --to brian2: takes a Network, got a QuantizedNetwork"):
        ns.export(network, tmp_path / "x", to="brian2")
    weights = ns.Projection.from_dense(INPUT, "a", np.float32([[1.0]]))
    with pytest.raises(UnsupportedError, match="export --to lava: takes a QuantizedNetwork, got a Network; quantise"):
        ns.export(ns.Network(Input(1), [ns.Population("a", 1, ns.LIF())], [weights]), tmp_path / "x", to="lava")
    assert ns.export(network, tmp_path / "x", to="network") == [tmp_path / "x"]
    assert QuantizedNetwork.load(tmp_path / "x").n_synapses == network.n_synapses
