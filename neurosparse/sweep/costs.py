"""What a run has cost in synaptic operations, counted while it trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from neurosparse.analysis.metrics import synaptic_operations
from neurosparse.backends.base import fastest_exact, simulate
from neurosparse.core.container import write_atomically
from neurosparse.core.network import Network

__all__ = ["OperationsMeter", "operations_per_sample"]

FILE = "operations.json"
SAMPLES = 200


class OperationsMeter:
    """Counts, after each epoch, the synaptic operations per sample of the network as it is; `total` for the training.

    Give it to `neurosparse.training.run.train` as ``on_epoch``. The counts are in ``operations.json`` of the run
    directory, so that a run which was killed loses none but, at worst, the last.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self._inputs: Any = None
        self.counts: dict[int, float] = {}
        if (run / FILE).is_file():
            self.counts = {int(epoch): count for epoch, count in json.loads((run / FILE).read_text()).items()}

    def __call__(self, metrics: Any) -> None:
        """Count for the epoch of `metrics` (`EpochMetrics`), whose network has just been saved."""
        from neurosparse.training.inputs import load_inputs
        from neurosparse.training.run import NETWORK

        if self._inputs is None:
            self._inputs, _ = load_inputs(self.run, "train", SAMPLES)
        self.counts[metrics.epoch] = operations_per_sample(Network.load(self.run / NETWORK), self._inputs)
        write_atomically(self.run / FILE, json.dumps(self.counts).encode())

    def total(self, n_epochs: int, n_samples: int) -> float:
        """Return the operations of the forward passes of `n_epochs` epochs of `n_samples` samples each.

        An epoch without a count, because its worker died before, counts as the next one that has one.
        """
        known = sorted(self.counts)
        if not known:
            return float("nan")
        per_sample = [self.counts[next((k for k in known if k >= e), known[-1])] for e in range(1, n_epochs + 1)]
        return sum(per_sample) * n_samples


def operations_per_sample(network: Network, inputs: Any) -> float:
    """Return the synaptic operations of `network` per sample of `inputs` (time, batch, n_inputs)."""
    recording = simulate(network, inputs, backend=fastest_exact(network))
    return synaptic_operations(network, recording, inputs) / max(recording.n_samples, 1)
