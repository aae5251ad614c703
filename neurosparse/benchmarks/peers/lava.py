"""Lava's floating-point processes on the CPU, in the environment that `neurosparse doctor --setup-lava` made."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from neurosparse.backends import simulate
from neurosparse.core.network import Network

if TYPE_CHECKING:
    from neurosparse.benchmarks.worker import Work


class Simulation:
    """The first sample; seconds are those between start and stop of Lava's processes."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.network = Network.load(Path(work.settings["folder"]) / "network.safetensors")
        self.x = work.arrays["x"][:, :1].astype(bool)

    def step(self) -> float:
        begin = time.perf_counter()
        recording = simulate(self.network, self.x, backend="lava")
        self.whole = time.perf_counter() - begin
        self.work.check_spikes(dict(recording.spikes))
        return float(recording.info["run_seconds"])

    def facts(self) -> dict[str, float]:
        return {"whole_seconds": self.whole}
