"""``neurosparse demo``: the whole chain, small."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurosparse.cli import demo
from neurosparse.training.config import RunConfig

from .conftest import Invoke, lines


@pytest.fixture
def small(engines: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A demo of seconds that knows snntorch and an engine that is not installed; the current folder is empty."""
    content = {**demo.CONFIG, "network": {"hidden": [16], "density": 0.2}, "training": {"epochs": 1, "samples": 64}}
    monkeypatch.setattr(demo, "CONFIG", content)
    monkeypatch.setattr(demo, "BACKENDS", ("snntorch", "absent"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_demo_trains_compares_and_reports(small: Path, invoke: Invoke) -> None:
    result = invoke("demo", "--out", small / "run")
    assert result.exit_code == 0
    for word in ("accuracy", "synapses", "density", "spikes", "seconds", "parity", "identical", "not installed"):
        assert word in result.stdout, word
    assert "absent: pip install absent-engine" in result.stdout
    assert (small / "run" / "report.html").is_file()
    assert {"raster.png", "accuracy.png", "turnover.png"} <= {
        path.name for path in (small / "run" / "figures").iterdir()
    }


def test_the_demo_again_goes_into_a_folder_of_its_own(small: Path, invoke: Invoke) -> None:
    told = [lines(invoke("demo", "--json").stdout)[-1] for _ in range(2)]
    assert [line["run"] for line in told] == ["runs/demo", "runs/demo-2"]
    assert [row["identical"] for row in told[0]["simulations"]] == [None, True, None]
    networks = [(small / line["run"] / "network.safetensors").read_bytes() for line in told]
    assert networks[0] == networks[1]


def test_the_configuration_of_the_demo_is_valid_and_what_it_says() -> None:
    config = RunConfig.load(demo.CONFIG)
    assert (config.method.name, config.network.hidden, config.network.density) == ("deep_r", [256, 128], 0.05)
