"""All parts of the benchmark, one after the other, and the file that keeps what they measured."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from neurosparse.benchmarks import choice, growth, large_layer, layer_step, profile, simulation, training_step
from neurosparse.benchmarks.lineup import Lineup
from neurosparse.errors import ArtifactError, UnknownNameError, ValidationError

__all__ = ["PARTS", "load", "run", "usable_cores"]

PARTS = ("layer_step", "training_step", "simulation", "large_layer", "growth", "profile", "choice")
_FORMAT = 1


def run(
    lineup: Lineup,
    *,
    parts: Sequence[str] = PARTS,
    densities: Sequence[float] | None = None,
    quick: bool = False,
    n_threads: int | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Run `parts` and return what they measured, by their names, with the conditions they ran under.

    Parameters
    ----------
    lineup : Lineup
    parts : sequence of str
        Of `PARTS`.
    densities : sequence of float in (0, 1], optional
        For the layer step and the training step, in place of their own.
    quick : bool
        Small sizes and few rounds: shows that everything runs, measures little.
    n_threads : int, optional
        For every contestant; by default one per usable core.
    tell : callable
        Gets a line when something begins.
    """
    for part in parts:
        if part not in PARTS:
            raise UnknownNameError("bench.part", part, PARTS)
    for density in densities or ():
        if not 0 < density <= 1:
            raise ValidationError(f"bench.density: must be in (0, 1], got {density}")
    threads = usable_cores() if n_threads is None else n_threads
    if threads < 1:
        raise ValidationError(f"bench.threads: must be at least 1, got {threads}")
    small: dict[str, Any]
    chosen: dict[str, Any] = {} if densities is None else {"densities": tuple(densities)}
    result: dict[str, Any] = {
        "format": _FORMAT,
        "quick": quick,
        "n_threads": threads,
        "missing": sorted(lineup.missing),
    }
    if "layer_step" in parts:
        small = {"n": 256, "n_steps": 10, "batch": 16, "n_passes": 1, "densities": (0.1, 0.01)} if quick else {}
        result["layer_step"] = layer_step.run(lineup, **{**small, **chosen}, n_threads=threads, tell=tell)
    if "training_step" in parts:
        small = (
            {"sizes": (784, 128, 10), "n_steps": 10, "batch": 16, "n_passes": 1, "densities": (0.1,)} if quick else {}
        )
        result["training_step"] = training_step.run(lineup, **{**small, **chosen}, n_threads=threads, tell=tell)
    if "simulation" in parts:
        small = {"n_samples": 3, "n_rounds": 3} if quick else {}
        result["simulation"] = simulation.run(lineup, **small, tell=tell)
    if "large_layer" in parts:
        result["large_layer"] = large_layer.run(n_threads=threads, tell=tell)
    if "growth" in parts:
        small = {"n_rounds": 1} if quick else {}
        result["growth"] = growth.run(**small, n_threads=threads, tell=tell)
    if "profile" in parts:
        small = {"n": 256, "sizes": (784, 128, 10)} if quick else {}
        result["profile"] = profile.run(**small, n_threads=threads, tell=tell)
    if "choice" in parts:
        small = {"n": 256, "n_steps": 10, "batch": 16, "n_rounds": 1} if quick else {}
        result["choice"] = choice.run(lineup, **small, n_threads=threads, tell=tell)
    return result


def load(path: Path) -> dict[str, Any]:
    """Return what was measured and kept in `path`; `ArtifactError` if it is no such file, or of another format."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: no results of a benchmark: {error}") from error
    if not isinstance(result, dict) or result.get("format") != _FORMAT:
        raise ArtifactError(f"{path}: not written by this version of `neurosparse bench`; run it again")
    return result


def usable_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
