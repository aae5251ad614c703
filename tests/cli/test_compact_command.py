"""``compact``: what went, that the file is what is left, and that a spike that differs is a failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosparse.cli.compacting as compacting
from neurosparse.core.compaction import compact_with_report
from neurosparse.core.network import Input, Network, Population, Projection
from neurosparse.core.neurons import LIF
from neurosparse.core.quantized import QuantizedNetwork

from .conftest import Invoke, lines


@pytest.fixture
def with_dead_neurons(tmp_path: Path) -> Path:
    """a0 has no input, b1 has none but a0; nothing depends on b2."""
    network = Network(
        Input(2),
        [Population("a", 2, LIF()), Population("b", 3, LIF()), Population("out", 1, LIF())],
        [
            Projection.from_dense("input", "a", np.float32([[0, 0], [2, 2]])),
            Projection.from_dense("a", "b", np.float32([[0, 2], [2, 0], [0, 2]])),
            Projection.from_dense("b", "out", np.float32([[2, 2, 0]])),
        ],
    )
    path = tmp_path / "network.safetensors"
    network.save(path)
    return path


def test_what_went_is_counted_and_what_is_left_is_written(
    with_dead_neurons: Path, tmp_path: Path, invoke: Invoke
) -> None:
    result = invoke("compact", with_dead_neurons, "--out", tmp_path / "small.safetensors", "--json")
    assert result.exit_code == 0
    (found,) = lines(result.stdout)
    assert (found["neurons"], found["synapses"]) == ([6, 3], [7, 4])
    assert found["populations"] == {"a": [2, 1], "b": [3, 1], "out": [1, 1]}
    assert found["never_fire"] == {"a": 1, "b": 1, "out": 0}
    assert found["no_effect"] == {"a": 0, "b": 1, "out": 0}
    assert found["bytes"][0] > found["bytes"][1]
    assert (found["identical"], found["checked_on"], found["samples"], found["steps"]) == (
        True,
        "random spikes",
        32,
        50,
    )
    left = Network.load(tmp_path / "small.safetensors")
    assert (left.n_neurons, left.n_synapses) == (3, 4)
    assert found["bytes"][1] == compacting.array_bytes(left)


def test_a_run_is_checked_on_its_test_samples(trained: Path, invoke: Invoke) -> None:
    result = invoke("compact", trained)
    assert result.exit_code == 0
    for word in ("neurons of hidden1", "synapses", "bytes", "checked on 200 test samples, 4 steps", "every spike is"):
        assert word in result.stdout, word


def test_integers_are_compacted_as_such(run: Path, tmp_path: Path, invoke: Invoke) -> None:
    assert invoke("compact", run, "--integer").exit_code == 2  # none have been chosen
    assert invoke("deploy", run, "--samples", 20).exit_code == 0
    out = tmp_path / "small.safetensors"
    assert invoke("compact", run, "--integer", "--samples", 30, "--out", out).exit_code == 0
    left = QuantizedNetwork.load(out)
    expected = compact_with_report(QuantizedNetwork.load(run / "quantized.safetensors"))[0]
    assert (left.n_neurons, left.n_synapses) == (expected.n_neurons, expected.n_synapses)


def test_a_single_spike_that_differs_fails_and_writes_nothing(
    with_dead_neurons: Path, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(network: Any) -> Any:
        compacted, report = compact_with_report(network)
        weaker = [p if p.target != "a" else _halved(p) for p in compacted.projections]
        return Network(compacted.input, compacted.populations, weaker), report

    monkeypatch.setattr(compacting, "compact_with_report", wrong)
    result = invoke("compact", with_dead_neurons, "--out", tmp_path / "small.safetensors", "--json")
    assert result.exit_code == 1
    (found,) = lines(result.stdout)
    assert (found["identical"], found["out"]) == (False, None)
    assert not (tmp_path / "small.safetensors").exists()


def _halved(projection: Projection) -> Projection:
    return Projection.from_dense(
        projection.source, projection.target, np.full(projection.shape, 0.5, np.float32), delay=projection.delay
    )
