"""Where the time of our own steps goes: every kernel of a layer step at several densities, and of a training step.

What a further synapse costs is the slope between the lowest and the highest density; what is left at no density is the
neurons' own: their recursions, and the memory that voltages and gradients move through.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neurosparse.benchmarks import workload
from neurosparse.benchmarks.process import ContestantProcess
from neurosparse.benchmarks.rounds import Burst

__all__ = ["DENSITIES", "REST", "run", "slope"]

DENSITIES = (0.01, 0.05, 0.1)
REST = "Python, autograd and torch"
_KERNEL = "kernel "  # what the names of kernels begin with among the facts of a contestant


def run(
    *,
    densities: Sequence[float] = DENSITIES,
    n: int = 1024,
    sizes: Sequence[int] = (784, 1024, 1024, 10),
    training_density: float = 0.05,
    rate: float = 0.05,
    n_threads: int,
    seed: int = 0,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Return seconds a step, in all and of each kernel.

    Returns
    -------
    dict
        ``layer``: for each density ``density``, ``synapse_words`` (synapses times vectors of 16 lanes), ``seconds``
        and ``kernels``, name -> seconds. ``training``: the same of one training step, and ``rewiring_share``.
        ``clock_ghz``: of a core while it computes.
    """
    n_steps, batch = 52, 64
    layer = []
    with ContestantProcess("neurosparse", "Profile", Path(sys.executable), n_threads=n_threads) as process:
        for density in densities:
            tell(f"profile of a layer step {n} -> {n}, density {density:g}")
            with tempfile.TemporaryDirectory() as temporary:
                n_synapses = round(density * n * n)
                shape = {"n": n, "n_synapses": n_synapses, "n_steps": n_steps, "batch": batch}
                workload.layer_step(Path(temporary), **shape, rate=rate, seed=seed)
                measured = _measured(process, Path(temporary))
            layer.append({"density": density, "synapse_words": n_synapses * n_steps * batch // 16, **measured})
        tell(f"profile of a training step {'-'.join(map(str, sizes))}, density {training_density:g}")
        with tempfile.TemporaryDirectory() as temporary:
            network: dict[str, Any] = {"sizes": list(sizes), "density": training_density}
            workload.training_step(Path(temporary), **network, rate=rate, n_steps=25, batch=128, seed=seed)
            training = {**network, **_measured(process, Path(temporary))}
        facts = process.facts()
    training["rewiring_share"] = facts["rewiring_share"]
    settings = {"n": n, "n_steps": n_steps, "batch": batch, "rate": rate, "seed": seed, "n_threads": n_threads}
    return {"settings": settings, "layer": layer, "training": training, "clock_ghz": facts["clock_ghz"]}


def slope(rows: Sequence[Mapping[str, Any]], kernel: str) -> float:
    """Return the seconds of `kernel` per further synapse and vector of 16 lanes, from the first row to the last.

    >>> rows = [{"synapse_words": 10, "kernels": {"a": 3.0}}, {"synapse_words": 20, "kernels": {"a": 4.0}}]
    >>> slope(rows, "a")
    0.1
    """
    first, last = rows[0], rows[-1]
    seconds = float(last["kernels"].get(kernel, 0.0) - first["kernels"].get(kernel, 0.0))
    return seconds / (last["synapse_words"] - first["synapse_words"])


def _measured(process: ContestantProcess, folder: Path) -> dict[str, Any]:
    process.load(folder)
    warm, counted = Burst.of(process.run(2)[-1])
    seconds = statistics.median(process.run(warm + 4 * counted)[warm:])
    kernels = {k.removeprefix(_KERNEL): s for k, s in process.facts().items() if k.startswith(_KERNEL)}
    return {"seconds": seconds, "kernels": dict(sorted(kernels.items(), key=lambda item: -item[1]))}
