"""The machine's costs for the engine's choices: measured once, kept in the user's cache, overridable.

``NEUROSPARSE_COSTS`` names a JSON file to use instead, or is ``default`` for the built-in values. Without it the engine
measures when the first large layer runs (under 2 seconds once the kernels are compiled) and keeps the result under the
user's cache directory, one file for each processor and thread count.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from neurosparse.errors import ArtifactError
from neurosparse.kernels.buffers import borrow
from neurosparse.kernels.choice import Costs
from neurosparse.kernels.compiled import TILE
from neurosparse.kernels.events import list_events, spikes_per_word
from neurosparse.kernels.jit import fingerprint, n_threads
from neurosparse.kernels.lanes import Lanes, expand_spikes
from neurosparse.kernels.layers import Sparse, backward, forward, forward_neurons, make_cells
from neurosparse.kernels.membrane import NO_GRADIENT, NONE
from neurosparse.kernels.products import input_gradient
from neurosparse.kernels.topology import csc_from_csr, csr_from_sites

__all__ = ["believable", "calibrate", "costs_for", "set_costs"]

logger = logging.getLogger(__name__)

_LARGE = 2e8  # synapse-lanes of a layer worth measuring for: 10 ms of work
_chosen: dict[str, Costs | None] = {}  # "stored": what was found or measured; None if nothing was found yet


def costs_for(work: float) -> Costs:
    """Return the costs to plan with, for a layer of `work` synapse-lanes; measures them if that is worth it."""
    if "stored" not in _chosen:
        _chosen["stored"] = _stored()
    stored = _chosen["stored"]
    if stored is None:
        if work < _LARGE:
            return Costs()
        stored = _chosen["stored"] = _measured_and_kept()
    return stored


def set_costs(costs: Costs | None) -> None:
    """Use `costs` from now on in this process; None forgets them, and the next layer looks again."""
    _chosen.clear()
    if costs is not None:
        _chosen["stored"] = costs


def _stored() -> Costs | None:
    override = os.environ.get("NEUROSPARSE_COSTS", "")
    if override == "default":
        return Costs()
    if override:
        return _read(Path(override), strict=True)
    kept = _read(_cache_file(), strict=False)
    return kept if kept is not None and believable(kept) else None


def _read(path: Path, *, strict: bool) -> Costs | None:
    try:
        return Costs(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        if strict:
            raise ArtifactError(
                f"NEUROSPARSE_COSTS: {path} is no file of costs ({error}); 'default' uses the built-in ones"
            ) from error
        return None


def _measured_and_kept() -> Costs:
    costs = calibrate()
    if not believable(costs):
        logger.info("the measured costs cannot be right, something disturbed them; this process uses the built-in ones")
        return Costs()
    path = _cache_file()
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(dataclasses.asdict(costs), indent=1), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        logger.info("the measured costs could not be kept in %s (%s); the next process measures again", path, error)
    return costs


def believable(costs: Costs) -> bool:
    """Whether all costs are as many times the built-in ones, within a factor of 10: machines differ as a whole.

    Other vector units shift the balance by a factor of 4; a measurement that a busy machine has spoilt, by hundreds.
    """
    here, built_in = dataclasses.astuple(costs), dataclasses.astuple(Costs())
    ratios = np.array(here) / np.array(built_in)
    speed = np.median(ratios)
    return bool((ratios < 10 * speed).all() and (ratios > speed / 10).all())


def _cache_file() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or str(Path.home() / ".cache")
    machine = "/".join([platform.node(), platform.processor(), platform.machine(), torch.__version__, fingerprint()])
    name = hashlib.sha256(machine.encode()).hexdigest()[:16]
    return Path(base) / "neurosparse" / f"costs-{name}-{n_threads()}-{torch.get_num_threads()}.json"


def calibrate(*, n: int = 384, fan_in: int = 40, n_steps: int = 32, batch: int = 64, rounds: int = 20) -> Costs:
    """Measure this machine: each kernel a few times on a small layer, the fastest counts.

    Parameters
    ----------
    n, fan_in : int
        Neurons and synapses each of the layer.
    n_steps, batch : int
    rounds : int
        Repetitions; a machine that is busy with other things needs many.
    """
    rng = np.random.default_rng(0)
    lanes = Lanes(n_steps, batch)
    sites = np.concatenate([i * n + np.sort(rng.choice(n, fan_in, replace=False)) for i in range(n)])
    indptr, indices = csr_from_sites(sites, n, n)
    values = rng.standard_normal(indices.size).astype(np.float32)
    words = np.packbits(rng.random((n, lanes.n_lanes)) < 0.05, axis=1, bitorder="little").view(np.uint16)
    four = np.tile(words, (1, 4))
    floats = expand_spikes(words)
    one = np.ones(n, np.float32)
    cells = make_cells(NONE, None, one, one)
    # Arrays from the pool, as in the engine: vectors that cross cache lines cost twice as much.
    given, incoming = lanes.rows(n, np.float32), lanes.rows(n, np.float32)
    tiles = borrow((-(-lanes.n_lanes // TILE), n, TILE), np.float32)
    given[...], incoming[...], tiles[...] = 0, 1, 1  # a neuron whose gradient is zero is left out, and costs nothing
    state = forward_neurons(given, cells, lanes)
    csc = csc_from_csr(indptr, indices, n)
    quarter, few = csc_from_csr(*csr_from_sites(sites[::4].copy(), n, n), n), values[::4].copy()
    dense, x = torch.ones(n, n), torch.from_numpy(floats)
    out = torch.empty(n, lanes.n_lanes)

    def linear(rows: np.ndarray, method: str = "words") -> Sparse:
        return Sparse(indptr, indices, values, rows, method)  # type: ignore[arg-type]

    def differentiate(source: Sparse | None) -> Callable[[], object]:
        return lambda: backward(
            state, cells, lanes, NO_GRADIENT, 1.0, g_spikes=None, g_voltages=incoming, linear=source
        )

    work = indices.size * lanes.n_words
    events = work * spikes_per_word(words)
    best = _fastest(
        {
            "neurons": lambda: forward_neurons(given, cells, lanes),
            "back": differentiate(None),
            "listing": lambda: list_events(words, lanes.n_words),
            "listing of four": lambda: list_events(four, lanes.n_words),
            "word_add": lambda: forward(linear(words), None, cells, lanes),
            "event_add": lambda: forward(linear(words, "events"), None, cells, lanes),
            "word_dot": differentiate(linear(words)),
            "event_dot": differentiate(linear(words, "events")),
            "row_add": lambda: forward(linear(floats), None, cells, lanes),
            "row_dot": differentiate(linear(floats)),
            "transposed_add": lambda: input_gradient(*csc, values, tiles, lanes, steps_layout=False),
            "quarter transposed": lambda: input_gradient(*quarter, few, tiles, lanes, steps_layout=False),
            "dense": lambda: torch.mm(dense, x, out=out),
        },
        rounds,
    )

    def unit(name: str, count: float, *without: str) -> float:
        return max(1e-3, 1e9 * (best[name] - sum(best[part] for part in without)) / count)

    costs = Costs(
        word_add=unit("word_add", work, "neurons"),
        event_add=unit("event_add", events, "neurons", "listing"),
        word_dot=unit("word_dot", work, "back"),
        event_dot=unit("event_dot", events, "back", "listing"),
        row_add=unit("row_add", work, "neurons"),
        row_dot=unit("row_dot", work, "back"),
        transposed_add=unit("transposed_add", 0.75 * work, "quarter transposed"),
        dense=unit("dense", n * n * lanes.n_words),
        stream=unit("neurons", n * lanes.n_words),
        listing=unit("listing of four", 3 * n * lanes.n_words, "listing"),
    )
    logger.info("measured costs: %s", costs)
    return costs


def _fastest(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the seconds of each call at its best, all taking turns: what disturbs the machine passes in some round."""
    best = dict.fromkeys(calls, float("inf"))
    for i in range(rounds + 1):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            if i:  # the first round compiles
                best[name] = min(best[name], time.perf_counter() - begin)
    return best
