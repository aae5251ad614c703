"""Configurations: defaults, round trip, and what a wrong one says."""

from __future__ import annotations

import pytest

from neurosparse.errors import ArtifactError, UnknownNameError, ValidationError
from neurosparse.rewiring.deep_r import DeepR
from neurosparse.training.build import build_network, build_optimizer, learning_rate_at
from neurosparse.training.config import RunConfig, TrainingConfig


def test_an_empty_configuration_has_defaults_that_name_a_whole_run():
    config = RunConfig.load({})
    assert (config.data.name, config.method.name, config.training.optimizer) == ("digits", "deep_r", "adam")
    assert config.method.build() == DeepR()


def test_the_resolved_toml_loads_to_the_same_configuration(tmp_path):
    config = RunConfig.load({"method": {"name": "deep_r", "alpha": 0.5}, "network": {"density": [0.1, 0.2, 0.3]}})
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml())
    assert RunConfig.load(path) == config
    assert RunConfig.load(path).to_toml() == config.to_toml()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"training": {"epoch": 3}}, r"training\.epoch: unknown key\. Did you mean 'epochs'\?"),
        ({"sede": 3}, r"sede: unknown key\. Did you mean 'seed'\?"),
        ({"network": {"optimizer": "adam"}}, r"network\.optimizer: unknown key\. It belongs into \[training\]"),
        ({"training": {"epochs": 0}}, r"training\.epochs: .*greater than or equal to 1, got 0"),
        ({"network": {"density": 1.5}}, r"network\.density"),
        ({"network": {"density": [0.1]}}, r"network\.density: 1 values for 3 connections"),
        ({"network": {"connections": "dense"}}, r"'deep_r' rewires sparse connections; a dense network needs 'static'"),
        ({"training": {"optimizer": "lion"}}, r"training\.optimizer: .*'adam', 'adamw' or 'sgd', got 'lion'"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong_and_what_would_be_right(content, message):
    with pytest.raises(ValidationError, match=message):
        RunConfig.load(content)


def test_an_unknown_method_or_hyper_parameter_names_the_near_miss():
    with pytest.raises(UnknownNameError, match=r"'deepr' is not known\. Did you mean 'deep_r'\?"):
        RunConfig.load({"method": {"name": "deepr"}})
    with pytest.raises(UnknownNameError, match=r"'alhpa' is not known\. Did you mean 'alpha'\?"):
        RunConfig.load({"method": {"name": "deep_r", "alhpa": 1}})
    with pytest.raises(ValidationError, match="alpha: the strength of L1 must be finite and >= 0, got -1"):
        RunConfig.load({"method": {"name": "deep_r", "alpha": -1}})


def test_a_file_that_is_missing_or_no_toml_is_an_artifact_error(tmp_path):
    with pytest.raises(ArtifactError, match="cannot be read as a configuration"):
        RunConfig.load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("seed = = 3")
    with pytest.raises(ArtifactError, match="is not TOML"):
        RunConfig.load(tmp_path / "bad.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArtifactError, match="cannot be read"):
        RunConfig.load(tmp_path / "binary.toml")


def test_the_network_of_a_configuration_has_the_budget_it_names():
    config = RunConfig.load({"network": {"hidden": [300, 100], "density": [0.01, 0.03, 0.3]}})
    layers = build_network(config, 784, 10).layers()
    assert [layer.connection.n_synapses for layer in layers] == [2352, 900, 300]


def test_sparse_and_dense_networks_start_with_the_same_spread_of_weights():
    sparse = build_network(RunConfig.load({"network": {"hidden": [400], "density": 0.25}}), 400, 10)
    dense = build_network(
        RunConfig.load({"network": {"hidden": [400], "connections": "dense"}, "method": {"name": "static"}}), 400, 10
    )
    input_scale = [
        (sparse.layers()[0].connection.to_dense() ** 2).sum(1).mean().item(),
        (dense.layers()[0].connection.weight ** 2).sum(1).mean().item(),
    ]
    # sum of squared weights into a neuron is gain**2 = 1 whatever the density
    assert input_scale == pytest.approx([1.0, 1.0], rel=0.05)


def test_the_cosine_schedule_starts_at_the_rate_and_ends_near_zero():
    settings = TrainingConfig(learning_rate=0.1, schedule="cosine")
    assert learning_rate_at(settings, 0, 100) == pytest.approx(0.1)
    assert learning_rate_at(settings, 50, 100) == pytest.approx(0.05)
    assert learning_rate_at(settings, 99, 100) < 1e-4
    assert learning_rate_at(TrainingConfig(learning_rate=0.1, schedule="constant"), 99, 100) == 0.1


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_every_optimizer_is_built_with_the_configured_rate(name):
    config = RunConfig.load({"training": {"optimizer": name, "learning_rate": 0.25, "weight_decay": 0.01}})
    optimizer = build_optimizer(config.training, build_network(config, 64, 10))
    assert type(optimizer).__name__.lower() == name
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["weight_decay"]) == (0.25, 0.01)
