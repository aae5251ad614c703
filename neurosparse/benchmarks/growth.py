"""How the layer step grows: with its synapses at fixed lanes, with its lanes (steps x samples) at fixed synapses.

Linear means: the seconds per further synapse (lane) are the same in the upper decade as in the lower one. What is
claimed is the ratio of the two slopes, each between the ends of its decade.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from neurosparse.benchmarks import workload
from neurosparse.benchmarks.process import ContestantProcess

__all__ = ["LANES", "SYNAPSES", "run", "slope_ratio"]

SYNAPSES = (10_000, 31_600, 100_000, 316_000, 1_000_000)
LANES = (256, 800, 2_560, 8_000, 25_600)
_N, _LANES, _SYNAPSES_AT_LANES, _N_AT_LANES, _STEPS = 4096, 1024, 52_429, 1024, 16


def run(
    *,
    synapses: Sequence[int] = SYNAPSES,
    lanes: Sequence[int] = LANES,
    rate: float = 0.05,
    n_rounds: int = 5,
    n_threads: int,
    seed: int = 0,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Measure both series; return for each its sizes, the least seconds a step and the ratio of slopes."""
    axes = {
        "synapses": (synapses, [_shape(_N, k, _LANES) for k in synapses]),
        "lanes": (lanes, [_shape(_N_AT_LANES, _SYNAPSES_AT_LANES, n) for n in lanes]),
    }
    result: dict[str, Any] = {"settings": {"rate": rate, "n_rounds": n_rounds, "seed": seed}}
    with ContestantProcess("neurosparse", "InnerLayerStep", Path(sys.executable), n_threads=n_threads) as process:
        for name, (sizes, shapes) in axes.items():
            tell(f"growth with {name}: {sizes[0]} to {sizes[-1]}")
            with tempfile.TemporaryDirectory() as temporary:
                folders = [Path(temporary) / str(size) for size in sizes]
                for folder, shape in zip(folders, shapes, strict=True):
                    workload.layer_step(folder, **shape, rate=rate, seed=seed)
                seconds = _measure(process, folders, n_rounds)
            result[name] = {
                "sizes": list(sizes),
                "seconds": seconds,
                "slope_ratio": slope_ratio(sizes, seconds),
                "fixed": {key: value for key, value in shapes[0].items() if shapes[0][key] == shapes[-1][key]},
            }
    return result


def slope_ratio(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the slope over the upper half of `sizes` divided by that over the lower half; 1 for a straight line.

    >>> slope_ratio([1, 10, 100], [1.0, 1.9, 10.9])
    1.0
    """
    middle = len(sizes) // 2
    lower = (seconds[middle] - seconds[0]) / (sizes[middle] - sizes[0])
    upper = (seconds[-1] - seconds[middle]) / (sizes[-1] - sizes[middle])
    return round(upper / lower, 3)


def _shape(n: int, n_synapses: int, n_lanes: int) -> dict[str, int]:
    return {"n": n, "n_synapses": n_synapses, "n_steps": _STEPS, "batch": n_lanes // _STEPS}


def _measure(process: ContestantProcess, folders: Sequence[Path], n_rounds: int) -> list[float]:
    """Return the least seconds a step of each workload, visited in turn: interruptions only ever add."""
    times: list[list[float]] = [[] for _ in folders]
    for _ in range(n_rounds):
        for folder, found in zip(folders, times, strict=True):
            process.load(folder)
            process.run(2)
            found += process.run(3)
    return [min(found) for found in times]
