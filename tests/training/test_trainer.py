"""The training loop, the losses and the evaluation."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import neurosparse as ns
from neurosparse.errors import NeurosparseError, UnknownNameError, ValidationError
from neurosparse.training.checkpoint import state_bytes
from neurosparse.training.config import RunConfig
from neurosparse.training.inputs import load_inputs
from neurosparse.training.losses import decisions, rate_cross_entropy, voltage_cross_entropy
from neurosparse.training.run import evaluate, read_metrics, train
from neurosparse.training.trainer import to_tensor

SMALL = {"network": {"hidden": [48], "density": 0.2}, "training": {"epochs": 8, "batch_size": 32}}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(RunConfig.load(SMALL), tmp_path_factory.mktemp("runs") / "small")


def test_rate_cross_entropy_of_hand_made_counts():
    spikes = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]], [[1.0, 1.0]]])  # counts 3 and 1
    loss = rate_cross_entropy(SimpleNamespace(spikes=spikes, voltages=None), torch.tensor([0]))
    assert loss.item() == pytest.approx(-math.log(math.exp(3) / (math.exp(3) + math.exp(1))), rel=1e-6)


def test_voltage_cross_entropy_of_hand_made_means():
    voltages = torch.tensor([[[1.0, 0.0]], [[3.0, 2.0]]])  # means 2 and 1
    loss = voltage_cross_entropy(SimpleNamespace(spikes=None, voltages=voltages), torch.tensor([1]))
    assert loss.item() == pytest.approx(-math.log(math.exp(1) / (math.exp(2) + math.exp(1))), rel=1e-6)


def test_decisions_read_what_the_configuration_says_and_ties_go_to_the_lower_class():
    output = SimpleNamespace(spikes=torch.tensor([[[0.0, 1.0, 1.0]]]), voltages=torch.tensor([[[5.0, 5.0, 0.0]]]))
    assert decisions(output, "rate").tolist() == [1]
    assert decisions(output, "voltage").tolist() == [0]
    with pytest.raises(UnknownNameError, match="read-out: 'rates' is not known"):
        decisions(output, "rates")


def test_training_learns_and_keeps_the_number_of_synapses(run):
    first, last = run.metrics[0], run.metrics[-1]
    assert last["loss"] < 0.5 * first["loss"]
    assert last["validation_accuracy"] > 0.85
    assert {line["synapses"] for line in run.metrics} == {run.network.n_synapses}
    assert sum(line["births"] for line in run.metrics) == sum(line["deaths"] for line in run.metrics) > 0


def test_the_metrics_tell_what_became_of_every_layers_synapses(run):
    metrics = read_metrics(run.path)
    network = run.network
    for row in metrics:
        assert set(row["history"]) == set(row["live"])
    last = metrics[-1]["history"]
    assert sum(found["deaths"] for found in last.values()) == sum(row["deaths"] for row in metrics) > 0
    for projection in network.projections:
        found = last[projection.target]
        assert sum(found["ages"]) == projection.n_synapses
        assert sum(found["lifetimes"]) == found["deaths"]
        assert projection.n_synapses <= found["visited"] <= projection.n_synapses + found["deaths"]
        assert (found["n_sites"], found["visited_error"]) == (projection.shape[0] * projection.shape[1], 0.0)


def test_a_checkpoint_says_how_many_bytes_of_it_hold_what(run):
    sizes = state_bytes(run.path / "checkpoint.safetensors")
    assert set(sizes) == {"network", "optimizer", "rewiring"}
    assert sizes["network"] >= 4 * run.network.n_synapses
    assert sizes["rewiring"] >= (8 + 1) * run.network.n_synapses  # born_at and signs
    assert 0 < sum(sizes.values()) < (run.path / "checkpoint.safetensors").stat().st_size


def test_the_reported_validation_accuracy_is_that_of_the_deployed_network(run):
    """The exact grid is applied before the accuracy is measured, so any engine running the file gives that number."""
    inputs, labels = load_inputs(run.path, "validation")
    recording = ns.simulate(run.network, inputs, backend="reference")
    assert (recording.decisions("output") == labels).mean() == run.metrics[-1]["validation_accuracy"]


def test_evaluate_gives_the_accuracy_that_the_reference_backend_gives(run):
    inputs, labels = load_inputs(run.path, "test")
    recording = ns.simulate(run.network, inputs, backend="reference")
    result = evaluate(run.path)
    assert result["accuracy"] == (recording.decisions("output") == labels).mean()
    assert (result["samples"], result["synapses"]) == (360, run.network.n_synapses)
    assert evaluate(run.path, samples=20)["samples"] == 20


def test_an_unknown_split_is_refused(run):
    with pytest.raises(ValidationError, match="split: must be train, validation or test, got 'dev'"):
        load_inputs(run.path, "dev")


@pytest.mark.parametrize("encoding", ["constant", "rate", "poisson", "latency"])
@pytest.mark.parametrize("readout", ["voltage", "rate"])
def test_every_encoding_trains_with_every_readout(tmp_path, encoding, readout):
    content = {
        "data": {"encoding": encoding, "n_steps": 6},
        "network": {"hidden": [24], "density": 0.3, "readout": readout, "neuron": "synaptic", "reset": "zero"},
        "training": {"epochs": 1, "batch_size": 64, "samples": 256},
    }
    result = train(RunConfig.load(content), tmp_path / "run")
    inputs, labels = load_inputs(tmp_path / "run", "validation")
    recording = ns.simulate(result.network, inputs)
    assert (recording.decisions("output") == labels).mean() == result.metrics[-1]["validation_accuracy"]


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_the_last_checkpoint(tmp_path):
    # weights of 1e38 overflow float32 sums in the first batch
    content = {"network": {"hidden": [8], "density": 1.0, "gain": 1e38}, "method": {"name": "static"}}
    with pytest.raises((NeurosparseError, ValidationError)):
        train(RunConfig.load(content), tmp_path / "run")
    assert read_metrics(tmp_path / "run") == []


def test_a_constant_input_stays_one_row_in_memory():
    payload = np.broadcast_to(np.full((3, 4), 128, np.uint8), (10, 3, 4))
    tensor = to_tensor(payload)
    assert tensor.shape == (10, 3, 4)
    assert tensor.stride(0) == 0
    assert tensor.unique().tolist() == [0.5]


@pytest.mark.mnist
def test_mnist_trains_from_a_local_folder(tmp_path):
    content = {
        "data": {"name": "mnist"},
        "network": {"hidden": [64], "density": 0.05},
        "training": {"epochs": 1, "samples": 6400, "learning_rate": 2e-2},
    }
    result = train(RunConfig.load(content), tmp_path / "run")
    assert result.metrics[-1]["validation_accuracy"] > 0.75
