"""Samples side by side: a batch as disjoint copies of the network, for engines that know no batch.

Neuron i of copy b has index ``b * n + i``, where n counts the neurons of all populations in the order of
``network.populations``. An input value x on a line is a spike of a *generator*, a source whose synapses have the
weights ``w * x``: one generator for every distinct (sample, line, value). Binary spikes, 8-bit payloads and analog
values are then all the same thing to the engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.graph import Graph
from neurosparse.core.network import INPUT, Network
from neurosparse.core.pipeline import Pipeline

__all__ = [
    "Generators",
    "Synapses",
    "batches",
    "generators",
    "input_synapses",
    "recurrent_synapses",
    "starts",
    "synaptic_events",
]


@dataclass(frozen=True)
class Synapses:
    """Synapses as a list of sources, targets, weights and the engine's delays in steps (>= 1), each of shape (K,)."""

    sources: NDArray[np.int32]
    targets: NDArray[np.int32]
    weights: NDArray[Any]
    delays: NDArray[np.int32]


@dataclass(frozen=True)
class Generators:
    """Sources of input spikes.

    Parameters
    ----------
    samples, lines, values : arrays, shape (n_generators,)
        What each generator stands for; ordered by sample, then line, then value.
    steps, indices : int arrays, shape (n_events,)
        Its spikes, ordered by step, then generator.
    """

    samples: NDArray[np.int64]
    lines: NDArray[np.int64]
    values: NDArray[Any]
    steps: NDArray[np.int64]
    indices: NDArray[np.int64]


def starts(network: Network) -> dict[str, int]:
    """Return the index of the first neuron of every population within one copy."""
    ends = np.cumsum([0, *(p.n for p in network.populations)])
    return {p.name: int(start) for p, start in zip(network.populations, ends[:-1], strict=True)}


def generators(x: NDArray[Any]) -> Generators:
    """Return the generators of the input values `x` (time, batch, n_lines); a value of 0 is no event."""
    steps, samples, lines = np.nonzero(x)
    values = x[steps, samples, lines]
    order = np.lexsort((steps, values, lines, samples))
    steps, samples, lines, values = steps[order], samples[order], lines[order], values[order]
    new = np.ones(steps.size, bool)
    new[1:] = (samples[1:] != samples[:-1]) | (lines[1:] != lines[:-1]) | (values[1:] != values[:-1])
    indices = np.cumsum(new) - 1
    by_step = np.lexsort((indices, steps))
    return Generators(samples[new], lines[new], values[new], steps[by_step], indices[by_step])


def recurrent_synapses(network: Network, pipeline: Pipeline, n_copies: int) -> Synapses:
    """Return the synapses among the neurons of `n_copies` copies."""
    first, copies = starts(network), np.arange(n_copies, dtype=np.int32)[:, np.newaxis] * np.int32(network.n_neurons)
    parts = []
    for projection, delay in zip(network.projections, pipeline.delays, strict=True):
        if projection.source != INPUT:
            sources = (copies + (first[projection.source] + projection.indices)).reshape(-1)
            targets = (copies + (first[projection.target] + projection.rows)).reshape(-1)
            parts.append(_part(sources, targets, np.tile(projection.weights, n_copies), delay))
    return _join(parts, network.dtype)


def input_synapses(network: Network, pipeline: Pipeline, inputs: Generators) -> Synapses:
    """Return the synapses from `inputs` (index of the generator) into the copies; sample s feeds copy s."""
    first, parts = starts(network), []
    for projection, delay in zip(network.projections, pipeline.delays, strict=True):
        if projection.source == INPUT:
            by_line = projection.to_scipy().tocsc()  # keeps synapses of weight 0
            fan_out = np.diff(by_line.indptr)[inputs.lines]
            sources = np.repeat(np.arange(inputs.lines.size, dtype=np.int32), fan_out)
            # k-th synapse of a generator is the k-th of its line
            k = np.arange(sources.size) - np.repeat(np.cumsum(fan_out) - fan_out, fan_out)
            synapse = by_line.indptr[inputs.lines][sources] + k
            copies = inputs.samples[sources] * network.n_neurons
            targets = (copies + first[projection.target] + by_line.indices[synapse]).astype(np.int32)
            parts.append(_part(sources, targets, by_line.data[synapse] * inputs.values[sources], delay))
    return _join(parts, network.dtype)


def batches(network: Network, x: NDArray[Any], max_synapses: int) -> Iterator[slice]:
    """Yield slices of the samples of `x` (time, batch, n_lines) with at most `max_synapses` synapses, or one sample."""
    inner = sum(p.n_synapses for p in network.projections if p.source != INPUT)
    fan_out = np.zeros(network.input.n, np.int64)
    for p in network.projections:
        if p.source == INPUT:
            fan_out += np.bincount(p.indices, minlength=p.n_source)
    inputs = generators(x)
    cost = inner + np.bincount(inputs.samples, weights=fan_out[inputs.lines], minlength=x.shape[1])
    start = 0
    while start < x.shape[1]:
        fits = int(np.searchsorted(np.cumsum(cost[start:]), max_synapses, side="right"))
        stop = start + max(1, fits)
        yield slice(start, stop)
        start = stop


def synaptic_events(network: Graph[Any, Any], x: NDArray[Any], spikes: Mapping[str, NDArray[np.bool_]]) -> int:
    """Return how many synapses were crossed: the spikes (or non-zero inputs) of every source times its fan-out."""
    total = 0
    for p in network.projections:
        source = x if p.source == INPUT else spikes[p.source]
        active = source[: max(0, source.shape[0] - p.delay)]  # what is still under way at the end has crossed nothing
        total += int(np.count_nonzero(active, axis=(0, 1)) @ np.bincount(p.indices, minlength=p.n_source))
    return total


def _part(sources: NDArray[Any], targets: NDArray[Any], weights: NDArray[Any], delay: int) -> Synapses:
    return Synapses(sources.astype(np.int32), targets.astype(np.int32), weights, np.full(sources.size, delay, np.int32))


def _join(parts: list[Synapses], dtype: np.dtype[Any]) -> Synapses:
    empty = Synapses(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, dtype), np.empty(0, np.int32))
    columns = zip(*(vars(part).values() for part in (empty, *parts)), strict=True)
    return Synapses(*(np.concatenate(column) for column in columns))
