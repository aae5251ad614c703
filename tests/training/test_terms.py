"""What a configuration may add to the plain training: used, resumed bit for bit, and no cost to who does without."""

from __future__ import annotations

import subprocess
import sys

import pytest

import neurosparse as ns
from neurosparse.errors import UnknownNameError, ValidationError
from neurosparse.training import trainer as trainer_module
from neurosparse.training.config import RunConfig
from neurosparse.training.inputs import load_inputs
from neurosparse.training.run import evaluate, read_metrics, resume, train

FILES = ("network.safetensors", "checkpoint.safetensors", "config.toml")


def config(**sections: dict) -> RunConfig:
    content = {
        "network": {"hidden": [24], "density": 0.3},
        "training": {"epochs": 3, "batch_size": 32, "samples": 96, **sections.pop("training", {})},
    }
    return RunConfig.load({**content, **sections})


class Killed(Exception):
    pass


SECTIONS = {
    "penalties": {
        "training": {"dropout": 0.3, "gradient_density": 0.2},
        "regularizers": {
            "target_rate": {"strength": 1.0, "rate": 0.1},
            "two_sided_rate": {},
            "proximal_l1": {},
            "l2": {},
        },
    },
    "trades": {"adversarial": {"objective": "trades", "epsilon": 0.05, "n_steps": 2}},
    "mart_of_spikes": {
        "adversarial": {"objective": "mart", "epsilon": 0.05, "n_steps": 1},
        "data": {"encoding": "poisson", "n_steps": 5},
        "network": {"hidden": [24], "density": 0.3, "readout": "rate"},
    },
    "augmentation": {"data": {"augmentation": {"degrees": 10, "scale": [0.9, 1.1]}}},
}


@pytest.mark.parametrize("sections", SECTIONS.values(), ids=SECTIONS.keys())
def test_a_run_interrupted_and_resumed_gives_the_same_bytes_and_another_than_without(tmp_path, sections):
    straight, broken, plain = tmp_path / "straight", tmp_path / "broken", tmp_path / "plain"
    train(config(**sections), straight)

    def on_batch(done, total):
        if len(read_metrics(broken)) == 1 and done == total // 2:
            raise Killed

    with pytest.raises(Killed):
        train(config(**sections), broken, on_batch=on_batch)
    resume(broken)
    assert all((broken / name).read_bytes() == (straight / name).read_bytes() for name in FILES)
    kept = {name: value for name, value in sections.items() if name in ("data", "network")}
    for value in kept.values():
        value.pop("augmentation", None)
    train(config(**kept), plain)
    assert (plain / "network.safetensors").read_bytes() != (straight / "network.safetensors").read_bytes()


def test_the_best_epoch_is_deployed_and_training_stops_when_patience_ends(tmp_path, monkeypatch):
    accuracies = iter([0.5, 0.7, 0.6, 0.7, 0.9])
    monkeypatch.setattr(trainer_module.Trainer, "validation_accuracy", lambda self: next(accuracies))
    networks = []
    result = train(
        config(training={"epochs": 9, "patience": 2}),
        tmp_path / "run",
        on_epoch=lambda epoch: networks.append((tmp_path / "run/network.safetensors").read_bytes()),
    )
    assert [line["validation_accuracy"] for line in result.metrics] == [0.5, 0.7, 0.6, 0.7], "equal is not better"
    assert networks[0] != networks[1] == networks[2] == networks[3]
    result = resume(tmp_path / "run")  # it has stopped, and stays so
    assert len(result.metrics) == 4
    assert (tmp_path / "run/network.safetensors").read_bytes() == networks[1]


def test_patience_resumed_is_patience_uninterrupted(tmp_path):
    settings = config(training={"epochs": 5, "patience": 3})
    train(settings, tmp_path / "straight")

    def on_batch(done, total):
        if len(read_metrics(tmp_path / "broken")) == 2:
            raise Killed

    with pytest.raises(Killed):
        train(settings, tmp_path / "broken", on_batch=on_batch)
    resume(tmp_path / "broken")
    for name in FILES:
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_the_deployed_network_of_a_run_with_dropout_has_none(tmp_path):
    result = train(config(training={"dropout": 0.5}), tmp_path / "run")
    inputs, labels = load_inputs(tmp_path / "run", "validation")
    recording = ns.simulate(result.network, inputs, backend="reference")
    assert (recording.decisions("output") == labels).mean() == result.metrics[-1]["validation_accuracy"]
    assert evaluate(tmp_path / "run", samples=10)["samples"] == 10


def test_proximal_l1_leaves_zeros_that_the_deployed_network_does_not_have_after_compaction(tmp_path):
    result = train(config(regularizers={"proximal_l1": {"strength": 1.0}}, method={"name": "static"}), tmp_path / "run")
    zeros = sum(int((p.weights == 0).sum()) for p in result.network.projections)
    assert zeros > 50
    assert ns.compact(result.network).n_synapses <= result.network.n_synapses - zeros


def test_a_wrong_section_is_refused_with_the_near_miss():
    with pytest.raises(UnknownNameError, match=r"regularizers: 'l1_rates' is not known\. Did you mean 'l1_rate'\?"):
        config(regularizers={"l1_rates": {}})
    with pytest.raises(UnknownNameError, match=r"\[regularizers\] l1_rate: 'strenth' is not known"):
        config(regularizers={"l1_rate": {"strenth": 1.0}})
    with pytest.raises(UnknownNameError, match=r"objectives: 'trade' is not known\. Did you mean 'trades'\?"):
        config(adversarial={"objective": "trade"})
    with pytest.raises(UnknownNameError, match=r"\[adversarial\] trades: 'epsilo' is not known"):
        config(adversarial={"epsilo": 0.1})
    with pytest.raises(UnknownNameError, match=r"\[data\.augmentation\]: 'degree' is not known"):
        config(data={"augmentation": {"degree": 3}})
    with pytest.raises(ValidationError, match=r"training\.patience: a pruning method plans for the whole training"):
        RunConfig.load({"pruning": {}, "training": {"patience": 3}})
    with pytest.raises(ValidationError, match=r"training\.dropout"):
        config(training={"dropout": 1.0})


def test_sections_survive_the_resolved_configuration(tmp_path):
    for sections in SECTIONS.values():
        settings = config(**sections)
        (tmp_path / "config.toml").write_text(settings.to_toml())
        assert RunConfig.load(tmp_path / "config.toml") == settings
    plain = config().to_toml()
    assert not any(name in plain for name in ("regularizers", "adversarial", "dropout", "patience", "augmentation"))


def test_a_run_without_them_imports_none_of_them():
    code = (
        "import sys\nfrom neurosparse.training import run\nfrom neurosparse.training.config import RunConfig\n"
        "RunConfig.load({})\n"
        "names = {n for n in sys.modules if n.startswith('neurosparse.')}\n"
        "extra = {'terms', 'attacks', 'objectives', 'pixels', 'ephemeral', 'robustness'}\n"
        "assert not names & {f'neurosparse.training.{n}' for n in extra}, names\n"
        "assert not any(n.startswith('neurosparse.pruning') for n in names), names\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
