"""A layer that cannot be dense: training steps of 60 000 x 60 000 with 100 000 synapses in 6 GB of address space."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from neurosparse.benchmarks import workload
from neurosparse.benchmarks.process import ContestantProcess
from neurosparse.core.rng import stream
from neurosparse.errors import SidecarError

__all__ = ["run"]


def run(
    *,
    n: int = 60_000,
    n_synapses: int = 100_000,
    address_space: int = 6_000_000 * 1024,  # ulimit -v 6000000
    n_steps: int = 2,
    batch: int = 2,
    n_training_steps: int = 3,
    n_threads: int,
    seed: int = 0,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Train the layer under the limit; return whether it passed, its memory in bytes, and what dense weights take.

    ``passed`` is False if the process ran out of memory or failed; ``problem`` then says how.
    """
    tell(f"large layer {n} x {n}, {n_synapses} synapses, {address_space / 1e9:.1f} GB of address space")
    settings = {
        "n": n,
        "n_synapses": n_synapses,
        "n_steps": n_steps,
        "batch": batch,
        "seed": seed,
        "address_space": address_space,
        "dense_weights_bytes": 4 * n * n,
        "n_training_steps": n_training_steps,
    }
    spikes = stream(seed, "benchmark", "spikes").random((n_steps, batch, n), np.float32) < 0.5
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        workload.write(Path(temporary), settings, {"x": spikes.view(np.uint8)})
        try:
            with ContestantProcess(
                "neurosparse",
                "LargeLayer",
                Path(sys.executable),
                n_threads=n_threads,
                address_space=address_space,
            ) as process:
                before = process.load(Path(temporary))
                seconds = process.run(n_training_steps)
                facts = {**process.facts(), "rss_before": before, "step_seconds": min(seconds)}
        except SidecarError as error:
            return {"settings": settings, "passed": False, "problem": str(error)}
    return {"settings": settings, "passed": True, "facts": facts, "seconds": time.perf_counter() - begin}
