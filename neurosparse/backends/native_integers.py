"""A `QuantizedNetwork` in compiled integers: its tables for `neurosparse.kernels.integers` and its recordings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import get_num_threads, set_num_threads
from numpy.typing import ArrayLike, NDArray

from neurosparse.backends.integers import integer_inputs, integer_recording
from neurosparse.core import integers as z
from neurosparse.core.network import INPUT
from neurosparse.core.quantized import QuantizedNetwork, QuantizedPopulation
from neurosparse.core.recording import Recording
from neurosparse.kernels.integers import NEVER, RESETS, IntegerNeurons, IntegerSynapses, run_integers

__all__ = ["simulate_integers"]


def simulate_integers(
    network: QuantizedNetwork, inputs: ArrayLike, *, record: frozenset[Any], threads: int | None = None
) -> Recording:
    """Run `network` on `inputs` (time, batch, n_inputs), bit for bit as the reference does; see `simulate`."""
    backend = "native"
    x = integer_inputs(network, inputs)
    recording = integer_recording(network, 0, 0, record, backend)  # which names are wanted; the kernel makes the arrays
    names, first, end = [*network.order], {}, 0
    for name in names:
        first[name], end = end, end + network[name].n
    slices = {name: slice(first[name], first[name] + network[name].n) for name in names}
    wanted = {"voltages": list(recording.voltages), "currents": list(recording.currents)}
    columns = {kind: _columns(slices, chosen, end) for kind, chosen in wanted.items()}
    tables = _neurons([network[name] for name in names]), _synapses(network, first, end)
    with _at_most(threads):
        spikes, *states = run_integers(*tables, np.ascontiguousarray(x), columns["voltages"], columns["currents"])
    recorded: dict[str, dict[str, NDArray[Any]]] = {}
    for kind, values in zip(wanted, states, strict=True):
        recorded[kind] = {}
        for name in wanted[kind]:
            start = int(columns[kind][first[name]])
            recorded[kind][name] = np.ascontiguousarray(values[:, :, start : start + network[name].n])
    return Recording(
        {p.name: np.ascontiguousarray(spikes[:, :, slices[p.name]]) for p in network.populations},
        recorded["voltages"],
        recording.v_thresholds,
        network.dt,
        backend,
        {},
        recorded["currents"],
    )


@contextlib.contextmanager
def _at_most(threads: int | None) -> Iterator[None]:
    """Limit the threads among which Numba shares the samples."""
    before = get_num_threads()
    set_num_threads(before if threads is None else min(threads, before))
    try:
        yield
    finally:
        set_num_threads(before)


def _columns(slices: dict[str, slice], wanted: list[str], n: int) -> NDArray[np.int64]:
    columns, end = np.full(n, -1, np.int64), 0
    for name in wanted:
        size = slices[name].stop - slices[name].start
        columns[slices[name]] = np.arange(end, end + size)
        end += size
    return columns


def _neurons(populations: list[QuantizedPopulation]) -> IntegerNeurons:
    def joined(values: list[NDArray[Any]]) -> NDArray[np.int64]:
        return np.concatenate(values).astype(np.int64)

    return IntegerNeurons(
        current_kept=joined([z.DECAY_UNITY - (p.du + 1) for p in populations]),
        voltage_kept=joined([z.DECAY_UNITY - p.dv for p in populations]),
        bias=joined([z.effective_bias(p.bias, p.bias_exponent) for p in populations]),
        threshold=joined(
            [
                np.full(p.n, NEVER) if p.readout else p.v_threshold.astype(np.int64) << z.ALIGNMENT_BITS
                for p in populations
            ]
        ),
        reset=joined([np.full(p.n, RESETS[p.reset]) for p in populations]),
    )


def _synapses(network: QuantizedNetwork, first: dict[str, int], n: int) -> IntegerSynapses:
    """Sort the synapses of all projections by source; input lines are numbered before the neurons."""
    n_lines = network.input.n
    starts_at = {INPUT: 0, **{name: n_lines + start for name, start in first.items()}}
    columns: list[list[NDArray[Any]]] = [[np.empty(0, np.int64)] for _ in range(4)]
    sources, targets, weights, delays = columns
    for p in network.projections:
        sources.append(p.indices + starts_at[p.source])
        targets.append(p.rows + first[p.target])
        weights.append(p.weights.astype(np.int64) << p.exponent)
        delays.append(np.full(p.n_synapses, p.delay))
    source = np.concatenate(sources)
    order = np.argsort(source, kind="stable")
    counts = np.bincount(source, minlength=n_lines + n)
    return IntegerSynapses(
        starts=np.append(0, np.cumsum(counts)).astype(np.int64),
        targets=np.concatenate(targets)[order].astype(np.int32),
        weights=np.concatenate(weights)[order].astype(np.int32),
        delays=np.concatenate(delays)[order].astype(np.int32),
    )
