"""The command line in this process, one tiny trained run for all tests, and engines that misbehave."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from neurosparse.backends.base import BACKENDS
from neurosparse.backends.reference import Reference
from neurosparse.cli import app
from neurosparse.core.recording import Recording

CONFIG = """
seed = 3
[data]
name = "digits"
n_steps = 4
[network]
hidden = [16]
density = 0.2
[training]
epochs = 2
samples = 96
batch_size = 32
learning_rate = 0.02
"""

Invoke = Callable[..., Any]


@pytest.fixture(scope="session")
def invoke() -> Invoke:
    """Run a command: ``invoke("evaluate", path, "--json")``; the result has stdout, stderr and exit_code."""

    def run(*arguments: object) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> Path:
    """A run that ``train`` has made; not to be written to (see `run`)."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "config.toml").write_text(CONFIG)
    result = invoke("train", folder / "config.toml", "--out", folder / "run")
    assert result.exit_code == 0, result.stderr
    return folder / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained run."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@dataclasses.dataclass(frozen=True)
class Faulty(Reference):
    """The reference with one spike too many or too few: neuron 5 of the hidden layer, step 2, first sample."""

    name = "faulty"

    def simulate(self, network: Any, inputs: Any, *, record: Any, seed: int) -> Recording:
        recording = super().simulate(network, inputs, record=record, seed=seed)
        spikes = {name: np.array(raster) for name, raster in recording.spikes.items()}
        spikes["hidden1"][2, 0, 5] ^= True
        return dataclasses.replace(recording, spikes=spikes, backend="faulty")


@dataclasses.dataclass(frozen=True)
class Absent(Reference):
    """An engine that is not installed."""

    name = "absent"

    def missing(self) -> str | None:
        return "pip install absent-engine"


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register ``faulty`` and ``absent``."""
    entries = {**BACKENDS._entries, "faulty": f"{__name__}:Faulty", "absent": f"{__name__}:Absent"}
    monkeypatch.setattr(BACKENDS, "_entries", entries)


def lines(text: str) -> list[Any]:
    """Return the JSON objects of `text`; every line must be one."""
    return [json.loads(line) for line in text.splitlines()]
