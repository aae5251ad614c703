"""Every method from a configuration: it learns how long the training is, and resumes bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurosparse.rewiring import METHODS
from neurosparse.training.config import RunConfig
from neurosparse.training.run import read_metrics, resume, train

CONFIG = {
    "seed": 3,
    "data": {"name": "digits", "n_steps": 4},
    "network": {"hidden": [24, 16], "density": 0.15},
    "training": {"epochs": 3, "batch_size": 32, "samples": 300},
}
OFTEN = {"deep_r_rigl": 3, "dsr": 3, "rigl": 3, "esl_snn": 3, "ndsnn": 3}


def config(name: str) -> RunConfig:
    method = {"name": name} | ({"every": OFTEN[name]} if name in OFTEN else {})
    return RunConfig.load({**CONFIG, "method": method})


class Killed(Exception):
    pass


@pytest.mark.parametrize("name", METHODS.names())
def test_a_run_rewires_and_resumed_it_equals_the_uninterrupted_one(name: str, tmp_path: Path) -> None:
    train(config(name), tmp_path / "straight")

    def die_in_the_second_epoch(done: int, total: int) -> None:
        if len(read_metrics(tmp_path / "broken")) == 1 and done == total // 2:
            raise Killed

    with pytest.raises(Killed):
        train(config(name), tmp_path / "broken", on_batch=die_in_the_second_epoch)
    resume(tmp_path / "broken")
    for file in ("checkpoint.safetensors", "network.safetensors"):
        assert (tmp_path / "broken" / file).read_bytes() == (tmp_path / "straight" / file).read_bytes()
    births = [epoch["births"] for epoch in read_metrics(tmp_path / "straight")]
    assert (sum(births) > 0) == (name != "static")
    if name == "set":
        assert [count > 0 for count in births] == [True, True, False], "once per epoch but the last"
    if name in ("rigl", "esl_snn"):
        assert births[0] > births[2], "30 steps, annealed until the 22nd"


def test_hyper_parameters_come_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[method]\nname = "dsr"\nevery = 7\ndoublings = [0.25, 0.5]\nend = 0.9\n')
    method = RunConfig.load(path).method.build()
    assert (method.every, method.doublings, method.end) == (7, (0.25, 0.5), 0.9)
    path.write_text('[method]\nname = "set"\nevery = "epoch"\nzeta = 0.25\n')
    resolved = RunConfig.load(path)
    assert resolved.method.build().zeta == 0.25
    path.write_text(resolved.to_toml())
    assert RunConfig.load(path) == resolved
