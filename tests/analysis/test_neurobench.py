"""NeuroBench's numbers by hand, and against its own harness where that is installed."""

from __future__ import annotations

import numpy as np
import pytest

from neurosparse.analysis.neurobench import neurobench
from neurosparse.backends import simulate
from neurosparse.core.network import Input, Network, Population, Projection
from neurosparse.core.neurons import LIF
from neurosparse.core.recording import Recording
from neurosparse.core.rng import stream
from neurosparse.errors import ValidationError


def test_every_number_of_a_small_network_by_hand(network: Network, recording: Recording, inputs: np.ndarray) -> None:
    found = neurobench(network, recording, inputs)
    # 12 + 6 weights of the full matrices; 5 + 2 of them are not zero (conftest.py)
    assert found.connection_sparsity == round(11 / 18, 4)
    # 3 spikes of 3 neurons x 3 steps x 2 samples; the read-out has no spikes and is not asked
    assert found.activation_sparsity == 15 / 18
    # graded input: 10 operations as MACs; spikes: one of neuron 0 and one of neuron 2 arrive, one synapse each
    assert found.effective_macs == 10 / 2
    assert found.effective_acs == 2 / 2
    assert found.dense_operations == 3 * 18
    assert found.per_step() == {"effective_macs": 5 / 3, "effective_acs": 1 / 3, "dense_operations": 18}
    assert found.footprint == 18 * 4 + found.footprint_stored - (7 * 4 + 7 * 4 + (4 + 3) * 8)
    assert (found.n_steps, found.n_samples) == (3, 2)
    assert found.to_dict()["per_step"] == found.per_step()


def test_a_weight_of_zero_is_stored_but_does_nothing() -> None:
    projection = Projection("input", "out", np.array([0, 2]), np.array([0, 1]), np.float32([0, 2]), n_source=2)
    net = Network(Input(2), [Population("out", 1, LIF(beta=0.5))], [projection])
    x = np.ones((4, 1, 2), np.uint8)
    found = neurobench(net, simulate(net, x), x)
    assert found.connection_sparsity == 0.5
    assert (found.effective_acs, found.effective_macs, found.dense_operations) == (4, 0, 8)


def test_one_analog_value_makes_the_whole_step_multiply() -> None:
    net = Network(
        Input(2, "analog"),
        [Population("out", 1, LIF(beta=0.5))],
        [Projection.from_dense("input", "out", np.float32([[1, 1]]))],
    )
    x = np.float32([[[1, 0]], [[1, 0.5]], [[0, -1]]])
    found = neurobench(net, simulate(net, x), x)
    assert (found.effective_acs, found.effective_macs) == (2, 2)


def test_inputs_of_another_recording_are_refused(network: Network, recording: Recording, inputs: np.ndarray) -> None:
    with pytest.raises(ValidationError, match=r"neurobench\.inputs: have shape"):
        neurobench(network, recording, inputs[:2])


def test_the_harness_says_the_same_of_the_dense_copy() -> None:
    pytest.importorskip("neurobench", reason="pip install --no-deps neurobench==2.3.0 tqdm")
    import snntorch as snn
    import torch
    from neurobench.benchmarks import Benchmark
    from neurobench.metrics.static import ConnectionSparsity
    from neurobench.metrics.workload import ActivationSparsity, SynapticOperations
    from neurobench.models import SNNTorchModel
    from torch.utils.data import DataLoader, TensorDataset

    rng = stream(3, "neurobench")
    weights = [
        rng.standard_normal((n_out, n_in)) * (rng.random((n_out, n_in)) < 0.2) for n_in, n_out in [(20, 15), (15, 6)]
    ]
    weights = [np.round(w * 64).astype(np.float32) / 64 for w in weights]
    net = Network(
        Input(20),
        [Population("hidden", 15, LIF(beta=0.875)), Population("out", 6, LIF(beta=0.875))],
        [Projection.from_dense("input", "hidden", weights[0]), Projection.from_dense("hidden", "out", weights[1])],
    )
    x = (rng.random((12, 8, 20)) < 0.4).astype(np.uint8)
    ours = neurobench(net, simulate(net, x), x)

    linear = [torch.nn.Linear(20, 15, bias=False), torch.nn.Linear(15, 6, bias=False)]
    for layer, w in zip(linear, weights, strict=True):
        layer.weight.data = torch.from_numpy(w)
    model = torch.nn.Sequential(
        linear[0], snn.Leaky(0.875, init_hidden=True), linear[1], snn.Leaky(0.875, init_hidden=True, output=True)
    )
    samples = torch.from_numpy(x).float().transpose(0, 1)
    loader = DataLoader(TensorDataset(samples, torch.zeros(8)), batch_size=8)
    bench = Benchmark(
        SNNTorchModel(model), loader, [], [], [[ConnectionSparsity], [ActivationSparsity, SynapticOperations]]
    )
    theirs = bench.run(quiet=True)
    assert ours.connection_sparsity == theirs["ConnectionSparsity"]
    assert ours.activation_sparsity == pytest.approx(theirs["ActivationSparsity"])
    operations = theirs["SynapticOperations"]
    assert ours.effective_acs == pytest.approx(operations["Effective_ACs"])
    assert ours.effective_macs == operations["Effective_MACs"] == 0
    assert ours.dense_operations == operations["Dense"]
