"""The simulation part: a network that really fires, and contestants that must give its spikes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from neurosparse.backends import BACKENDS, simulate
from neurosparse.benchmarks import simulation
from neurosparse.benchmarks.lineup import Lineup
from neurosparse.benchmarks.worker import Work
from neurosparse.core.rng import stream

HERE = Path(sys.executable)
SMALL = {"sizes": (30, 40, 20, 5), "density": 0.3, "input_rate": 0.2, "n_steps": 8, "n_samples": 6, "n_rounds": 2}
needs_native = pytest.mark.skipif("native" not in BACKENDS, reason="this version has no native engine")


def test_hidden_layers_fire_at_the_wanted_rate_and_the_readout_does_not() -> None:
    x = stream(0, "test").random((10, 20, 30)) < 0.2
    network = simulation.firing_network((30, 60, 40, 5), x, density=0.2, rate=0.1, seed=0)
    spikes = simulate(network, x, backend="reference").spikes
    assert spikes["hidden1"].mean() == pytest.approx(0.1, abs=0.02)
    assert spikes["hidden2"].mean() == pytest.approx(0.1, abs=0.03)
    assert not spikes["output"].any()
    assert network.n_synapses == 360 + 480 + 40


def test_wrong_spikes_are_nothing_to_compare_with() -> None:
    expected = np.zeros((4, 3, 2), np.uint8)
    expected[1, 0, 1] = 1
    work = Work({}, {"expected_hidden": expected})
    work.check_spikes({"hidden": expected[:, :1].astype(bool)})
    with pytest.raises(ValueError, match="the spikes of hidden are not the reference's"):
        work.check_spikes({"hidden": np.zeros((4, 3, 2), bool)})
    with pytest.raises(ValueError, match="hidden"):
        work.check_spikes({"hidden": np.zeros((3, 3, 2), bool)})


@needs_native
def test_ours_and_snntorchs_simulations_are_timed_on_the_same_spikes() -> None:
    found = simulation.run(Lineup({"neurosparse": HERE, "snntorch": HERE}, {}), **SMALL)
    assert set(found["times"]) == {simulation.OURS, "snnTorch, dense"}
    assert found["failed"] == {}
    assert found["facts"][simulation.OURS]["synaptic_events"] > 0


@pytest.mark.slow
@pytest.mark.brian2
@pytest.mark.compiler
def test_brian2_is_timed_by_the_clock_of_its_binary() -> None:
    found = simulation.run(Lineup({"brian2": HERE}, {}), **SMALL)
    assert found["failed"] == {}
    (times,) = found["times"].values()
    whole = found["facts"][simulation.BRIAN2]["whole_seconds"]
    assert 0 < max(times) < whole
