"""Brian2's C++ standalone device: a project built once, outside the clock, whose binary runs one sample."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neurosparse.backends import brian2 as engine
from neurosparse.backends import brian2_session, copies
from neurosparse.core.network import Network, is_readout
from neurosparse.core.pipeline import pipeline

if TYPE_CHECKING:
    from neurosparse.benchmarks.worker import Work


_RUNS = 5


class Simulation:
    """The first sample; seconds are those the binary reports for its time steps (no start, no loading, no saving).

    Like the samples of others, runs are short next to what may come between: seconds are the median over five.
    """

    def __init__(self, work: Work) -> None:
        folder = Path(work.settings["folder"])
        network = Network.load(folder / "network.safetensors")
        x = work.arrays["x"][:, :1].astype(bool)
        wanted = [p.name for p in network.populations if is_readout(p)]
        spikes = {p.name: np.zeros((len(x), 1, p.n), bool) for p in network.populations}
        voltages = {name: np.zeros((len(x), 1, network[name].n), network.dtype) for name in wanted}
        stack = contextlib.ExitStack()
        session = stack.enter_context(brian2_session.session("standalone", network.dtype))
        self._end = weakref.finalize(self, stack.close)  # removes the project, at the latest when the process ends
        values = network.input.values(x, network.dtype)
        engine._Run(session, network, pipeline(network), values, wanted).store(spikes, voltages, slice(0, 1))
        work.check_spikes(spikes)
        self.events = copies.synaptic_events(network, x, spikes)
        if session.directory is None:
            raise RuntimeError("Brian2's standalone session has no directory")
        self.project, self.results = session.directory, session.device.results_dir

    def step(self) -> float:
        runs = [self.run() for _ in range(_RUNS)]
        self.whole = statistics.median(whole for whole, _ in runs)
        return statistics.median(time_steps for _, time_steps in runs)

    def run(self) -> tuple[float, float]:
        """Run the binary; return the seconds of the whole process and of its time steps."""
        begin = time.perf_counter()
        command = [str(self.project / "main"), "--results_dir", str(self.results)]
        subprocess.run(command, cwd=self.project, check=True, capture_output=True, timeout=600)
        whole = time.perf_counter() - begin
        return whole, float(Path(self.results, "last_run_info.txt").read_text().split()[0])

    def facts(self) -> dict[str, float]:
        return {"whole_seconds": self.whole, "synaptic_events": self.events}
