"""The workloads, as files that every contestant reads: the same spikes, weights and gradients for all of them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.rng import sample_distinct, stream

__all__ = ["Connectivity", "layer_step", "random_connectivity", "training_step", "write"]

Connectivity = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]
"""Row pointers, column indices and values of a CSR matrix."""


def layer_step(
    folder: Path, *, n: int, n_synapses: int, rate: float, n_steps: int, batch: int, seed: int
) -> dict[str, Any]:
    """Write the layer step: n -> n, LIF, Bernoulli input spikes, a gradient of the output; return its settings.

    Arrays: ``x`` uint8 and ``g`` float32, both (n_steps, batch, n); ``indptr``, ``indices``, ``values``.
    """
    # Such weights make the layer fire at about the rate of its input.
    indptr, indices, values = random_connectivity(n, n, n_synapses, gain=0.5 / rate**0.5, seed=seed)
    shape = (n_steps, batch, n)
    arrays: dict[str, NDArray[Any]] = {
        "x": (stream(seed, "benchmark", "spikes").random(shape, np.float32) < rate).view(np.uint8),
        "g": stream(seed, "benchmark", "gradient").standard_normal(shape, np.float32),
        "indptr": indptr,
        "indices": indices,
        "values": values,
    }
    settings = {"n": n, "n_synapses": n_synapses, "rate": rate, "n_steps": n_steps, "batch": batch, "seed": seed}
    return write(folder, settings, arrays)


def training_step(
    folder: Path, *, sizes: list[int], density: float, rate: float, n_steps: int, batch: int, seed: int
) -> dict[str, Any]:
    """Write the training step of a stack ``sizes[0] - sizes[1] - ...``; return its settings.

    Arrays: ``x`` uint8 (n_steps, batch, sizes[0]), ``labels`` int64 (batch,), and ``indptr0``, ``indices0``,
    ``values0``, ... of every layer.
    """
    shape = (n_steps, batch, sizes[0])
    arrays: dict[str, NDArray[Any]] = {
        "x": (stream(seed, "benchmark", "spikes").random(shape, np.float32) < rate).view(np.uint8),
        "labels": stream(seed, "benchmark", "labels").integers(0, sizes[-1], batch),
    }
    counts = []
    for i, (n_source, n_target) in enumerate(itertools.pairwise(sizes)):
        counts.append(max(n_target, round(density * n_source * n_target)))
        parts = random_connectivity(n_source, n_target, counts[-1], gain=0.5 / rate**0.5, seed=seed + i)
        arrays |= dict(zip((f"indptr{i}", f"indices{i}", f"values{i}"), parts, strict=True))
    settings = {
        "sizes": sizes,
        "density": density,
        "n_synapses": counts,
        "rate": rate,
        "n_steps": n_steps,
        "batch": batch,
        "seed": seed,
    }
    return write(folder, settings, arrays)


def random_connectivity(n_source: int, n_target: int, n_synapses: int, *, gain: float, seed: int) -> Connectivity:
    """Return `n_synapses` synapses on random sites, with weights N(0, gain^2 / fan-in of the neuron).

    >>> indptr, indices, values = random_connectivity(4, 2, 8, gain=1.0, seed=0)
    >>> indptr.tolist(), indices.tolist()
    ([0, 4, 8], [0, 1, 2, 3, 0, 1, 2, 3])
    """
    sites = sample_distinct(stream(seed, "benchmark", "sites"), n_source * n_target, n_synapses)
    fan_in = np.bincount(sites // n_source, minlength=n_target)
    indptr = np.concatenate([[0], np.cumsum(fan_in)]).astype(np.int32)
    scale = gain / np.sqrt(np.maximum(fan_in, 1))
    noise = stream(seed, "benchmark", "weights").standard_normal(n_synapses)
    return indptr, (sites % n_source).astype(np.int32), (noise * np.repeat(scale, fan_in)).astype(np.float32)


def write(folder: Path, settings: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Write ``settings.json`` and one ``.npy`` file per array into `folder` (made if needed); return `settings`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    return settings
