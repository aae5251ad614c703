"""``[pruning]`` in a configuration: a dense network is trained, and a sparse one comes out, resumed or not."""

from __future__ import annotations

import pytest

import neurosparse as ns
from neurosparse.errors import UnknownNameError, ValidationError
from neurosparse.pruning import PRUNING
from neurosparse.rewiring.distribution import distribute
from neurosparse.training.config import RunConfig
from neurosparse.training.inputs import load_inputs
from neurosparse.training.run import evaluate, load_model, read_metrics, resume, train

FILES = ("network.safetensors", "checkpoint.safetensors", "initial_network.safetensors", "config.toml")


def config(pruning: dict, **training) -> RunConfig:
    return RunConfig.load(
        {
            "network": {"hidden": [24]},
            "pruning": pruning,
            "training": {"epochs": 3, "batch_size": 32, "samples": 160, **training},
        }
    )


class Killed(Exception):
    pass


@pytest.mark.parametrize(
    "pruning",
    [
        {"method": "gradual_magnitude", "density": 0.2},
        {"method": "lprune"},
        {"method": "lottery_ticket", "density": 0.2, "n_rounds": 2, "rewind": 0.5},
        {"method": "dpf", "density": 0.2, "every": 2},
        {"method": "upr", "penalty": 1e-3, "gate_rate": 0.05},
        {"method": "sparse_momentum", "density": 0.2},
    ],
    ids=lambda pruning: pruning["method"],
)
def test_a_run_interrupted_and_resumed_gives_the_same_bytes(tmp_path, pruning):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    result = train(config(pruning), straight)

    def on_batch(done, total):
        if len(read_metrics(broken)) == 1 and done == total // 2:
            raise Killed

    with pytest.raises(Killed):
        train(config(pruning), broken, on_batch=on_batch)
    resume(broken)
    assert all((broken / name).read_bytes() == (straight / name).read_bytes() for name in FILES)
    before = (straight / "network.safetensors").read_bytes()
    resume(straight)  # there is nothing left to do
    assert (straight / "network.safetensors").read_bytes() == before
    assert result.metrics[-1]["synapses"] == result.network.n_synapses
    # the last validation accuracy is that of the sparse network in the file
    inputs, labels = load_inputs(straight, "validation")
    recording = ns.simulate(result.network, inputs, backend="reference")
    assert (recording.decisions("output") == labels).mean() == result.metrics[-1]["validation_accuracy"]
    assert 0 <= evaluate(straight)["accuracy"] <= 1
    assert load_model(straight).layers()[0].connection.out_features == 24


def test_the_network_of_the_run_has_exactly_the_density_of_the_configuration(tmp_path):
    result = train(config({"method": "one_shot", "density": 0.1, "at": 1.0}), tmp_path / "run")
    assert [p.n_synapses for p in result.network.projections] == distribute([(24, 64), (10, 24)], 0.1)


def test_with_pruning_the_network_is_dense_and_nothing_rewires_unless_said_otherwise():
    settings = config({})
    assert (settings.network.connections, settings.method.name) == ("dense", "static")
    assert settings.pruning.build() == PRUNING.get("gradual_magnitude")()
    assert RunConfig.load(settings.model_dump(exclude_none=True)) == settings
    with pytest.raises(ValidationError, match=r"pruning: starts from a dense network .* got 'dense' and 'deep_r'"):
        RunConfig.load({"pruning": {}, "method": {"name": "deep_r"}})
    with pytest.raises(ValidationError, match=r"pruning: starts from a dense network .* got 'sparse' and 'static'"):
        RunConfig.load({"pruning": {}, "network": {"connections": "sparse"}})


def test_an_unknown_pruning_method_or_hyper_parameter_names_the_near_miss():
    with pytest.raises(UnknownNameError, match=r"'gradual_magnitud' is not known\. Did you mean 'gradual_magnitude'\?"):
        RunConfig.load({"pruning": {"method": "gradual_magnitud"}})
    with pytest.raises(UnknownNameError, match=r"'desity' is not known\. Did you mean 'density'\?"):
        RunConfig.load({"pruning": {"desity": 0.1}})


def test_the_resolved_configuration_of_every_method_loads_again(tmp_path):
    for name in PRUNING.names():
        settings = config({"method": name})
        (tmp_path / "config.toml").write_text(settings.to_toml())
        assert RunConfig.load(tmp_path / "config.toml") == settings
