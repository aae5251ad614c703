"""A network and a recording small enough to count by hand, and a run directory made without training."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurosparse.analysis import report, report_figures
from neurosparse.analysis.comparison import Simulation, write_simulations
from neurosparse.analysis.palette import new_axes, png
from neurosparse.analysis.rasters import write_rasters
from neurosparse.core.network import Input, Network, Population, Projection
from neurosparse.core.neurons import LI, LIF
from neurosparse.core.recording import Recording


@pytest.fixture
def network() -> Network:
    """4 lines -> 3 LIF -> 2 LI; 5 of 12 and 2 of 6 synapses, the second projection one step late."""
    first = np.float32([[1.0, 0, 0, 0.5], [0, 0, -0.5, 0], [0.25, 0, 0, 2.0]])
    second = np.float32([[1.0, 0, 0], [0, 0, -1.0]])
    return Network(
        Input(4, "graded"),
        [Population("hidden", 3, LIF(beta=0.5)), Population("output", 2, LI(beta=1.0))],
        [Projection.from_dense("input", "hidden", first), Projection.from_dense("hidden", "output", second, delay=1)],
    )


@pytest.fixture
def inputs() -> np.ndarray:
    """3 steps, 2 samples, 4 lines: line 0 at 4 of the 6 (step, sample) pairs, line 3 at one, lines 1 and 2 at none."""
    x = np.zeros((3, 2, 4), np.uint8)
    x[:, 0, 0] = [10, 20, 30]
    x[1, 1, 0] = 5
    x[2, 1, 3] = 255
    return x


@pytest.fixture
def recording() -> Recording:
    """Neuron 0 spikes at steps 0 and 2 of sample 0, neuron 2 at step 1 of sample 1, neuron 1 never."""
    spikes = np.zeros((3, 2, 3), bool)
    spikes[0, 0, 0] = spikes[2, 0, 0] = spikes[1, 1, 2] = True
    voltages = {
        "hidden": np.arange(18, dtype=np.float32).reshape(3, 2, 3) / 10,
        "output": np.float32([[[1, 0], [0, 1]], [[2, 0], [0, 2]], [[3, 0], [0, 3]]]),
    }
    thresholds = {"hidden": np.ones(3, np.float32)}
    rasters = {"hidden": spikes, "output": np.zeros((3, 2, 2), bool)}
    return Recording(rasters, voltages, thresholds, backend="reference")


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the figures of a report, but make no pixels of them: for tests of its words, ten times as fast."""
    pixel = png(new_axes(None).figure, dpi=20)
    for module in (report_figures, report):
        monkeypatch.setattr(module, "png", lambda figure: pixel)


@pytest.fixture
def metrics() -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "loss": 2.0 / epoch,
            "train_accuracy": 0.5 + epoch / 10,
            "validation_accuracy": 0.4 + epoch / 10,
            "learning_rate": 0.01,
            "synapses": 7,
            "live": {"hidden": 5, "output": 2},
            "births": 4 - epoch,
            "deaths": 4 - epoch,
            "rates": {"hidden": 0.1 * epoch, "output": 0.0},
            "silent": {"hidden": 2, "output": 2},
            "seconds": 1.5,
            "rss_mb": 100.0 + epoch,
            "history": {
                "hidden": history(12, 5 + epoch, 0.25, [3, 1, epoch], [0, 2, 3]),
                "output": history(6, 2, 0.0, [], [0, 0, 2]),
            },
        }
        for epoch in (1, 2, 3)
    ]


def history(n_sites: int, visited: float, error: float, lifetimes: list[int], ages: list[int]) -> dict[str, Any]:
    """What a run writes of a layer; the mean lifetime is that of the lower ends."""
    deaths = sum(lifetimes)
    mean = sum(n * 2**i for i, n in enumerate(lifetimes)) / deaths if deaths else None
    found = {"n_sites": n_sites, "visited": visited, "visited_error": error, "deaths": deaths, "mean_lifetime": mean}
    return {**found, "lifetimes": lifetimes, "ages": ages}


@pytest.fixture
def run(
    tmp_path: Path, network: Network, metrics: list[dict[str, Any]], recording: Recording, inputs: np.ndarray
) -> Path:
    """A complete run directory; in the initial network, one synapse of the first projection was elsewhere."""
    before = np.float32([[1.0, 0, 0, 0.5], [0, -0.5, 0, 0], [0.25, 0, 0, 2.0]])
    projections = (Projection.from_dense("input", "hidden", before), network.projections[1])
    network.save(tmp_path / "network.safetensors")
    dataclasses.replace(network, projections=projections).save(tmp_path / "initial_network.safetensors")
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metrics))
    (tmp_path / "config.toml").write_text('seed = 0\n[data]\nname = "<b>digits</b>"\n')
    rows = [
        Simulation("reference", 2, 3, 0.5, 3, 0.01, verdict="what the others are compared with"),
        Simulation("brian2", 2, 3, 0.5, 3, 1.0, True, {"voltage_mismatches": 0}, "identical: 3 spikes"),
        Simulation("lava", missing="run `neurosparse doctor --setup-lava`"),
    ]
    write_simulations(tmp_path, rows)
    write_rasters(tmp_path, [recording, dataclasses.replace(recording, backend="brian2")], inputs, 0)
    return tmp_path
