"""A network simulated in compiled code, event by event where that is less work, and bit for bit the reference.

Time is cut into words of 16 steps, two of which are a span. The spikes of a neuron in 16 steps are one uint16, and a
population that no loop passes through gets its input for a span at once. Where few sources spike, a silent one costs
nothing, and one that spiked once or 16 times costs one masked vector addition a synapse; where many do, each target
adds up its synapses in registers, whatever their sources did (simulation_current.py). A segment of its neurons then
runs through the span, four times 16 at a time (simulation_neurons.py), while its currents are in the cache. Populations
of a loop need each other's spikes step by step: there each spike is
an event that adds its weights to the currents of one step. All arithmetic is the reference's, one IEEE operation at a
time: nothing is contracted or reassociated, sums run over ascending sources, and every projection's sum is made before
it is added, unless the network is on a grid, where order cannot matter.

In large populations a block of 16 neurons at rest (one that got no input for a span, did not spike and did not change)
is left out until it gets input again. That is exact: without input and spikes the update is monotone in the voltage, so
a state that came back to itself never left. Decay is not postponed further, as event-driven simulators do it: the exact
way is to replay every rounding, and neuron by neuron that costs more than 16 at a time at every step.
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosparse.kernels.checks import check_array, check_size
from neurosparse.kernels.simd_blocks import pack_block, transpose_block
from neurosparse.kernels.simulation_current import add_projection, add_segment, add_step
from neurosparse.kernels.simulation_jit import simulation_jit
from neurosparse.kernels.simulation_neurons import (
    clear,
    keep_spikes,
    keep_voltages,
    run_span,
    run_step,
    turn_bits,
    turn_currents,
)
from neurosparse.kernels.simulation_plan import LANES, ROW, SPAN, Layout, Pop, Proj, Tables
from neurosparse.kernels.simulation_synapses import SEGMENT
from neurosparse.kernels.simulation_work import Work, borrow_work, return_work
from neurosparse.kernels.vectors import load, store

__all__ = ["Result", "run_checked", "run_tables"]


class Result(NamedTuple):
    """What `run_tables` returns.

    Parameters
    ----------
    spikes : mapping of population name to bool array (time, batch, n)
    voltages : mapping of population name to float array (time, batch, n)
    additions : int
        Additions of a weight, to the current of one step or to those of 16.
    """

    spikes: dict[str, NDArray[np.bool_]]
    voltages: dict[str, NDArray[Any]]
    additions: int


def run_tables(tables: Tables, x: NDArray[Any], *, threads: int = 1) -> Result:
    """Run a network from rest on `x`, shape (time, batch, n_lines): booleans for spikes, else floats.

    Samples are shared among `threads` threads; what is computed does not depend on how many.
    """
    kind = np.bool_ if tables.kind == "spikes" else tables.dtype
    check_array("run_tables", "x", x, kind, (None, None, tables.n_lines))
    check_size("run_tables", "threads", threads, minimum=1)
    return run_checked(tables, x, threads)


def run_checked(tables: Tables, x: NDArray[Any], threads: int) -> Result:
    """Do what `run_tables` does, with what is known to be right: C-contiguous, of this type and shape, threads >= 1."""
    spiking = tables.kind == "spikes"
    n_steps, n_samples, _ = x.shape
    n_spiking, n_recorded = tables.rows
    raster = np.empty(n_steps * n_samples * n_spiking, np.bool_)
    traces = np.empty(n_steps * n_samples * n_recorded, tables.dtype)
    arrays = (x.view(np.uint8), tables.no_input, raster, traces) if spiking else (tables.no_input, x, raster, traces)
    n_parts = min(threads, n_samples)
    if n_steps == 0 or n_parts == 0:
        additions = 0
    elif n_parts == 1:
        additions = _run_part(tables, n_steps, arrays, 0, n_samples)
    else:
        ends = [n_samples * k // n_parts for k in range(n_parts + 1)]
        part = functools.partial(_run_part, tables, n_steps, arrays)
        with ThreadPoolExecutor(n_parts) as pool:
            additions = sum(pool.map(part, ends[:-1], ends[1:]))
    return Result(
        {name: _view(raster, first, n_steps, n_samples, n) for name, first, n in tables.spiking},
        {name: _view(traces, first, n_steps, n_samples, n) for name, first, n in tables.recorded},
        additions,
    )


def _run_part(tables: Tables, n_steps: int, arrays: tuple[NDArray[Any], ...], first: int, last: int) -> int:
    work = borrow_work(tables, n_steps)
    x, values, raster, traces = arrays
    additions = int(_run(tables.arrays, x, values, first, last, raster, traces, work))
    return_work(tables, n_steps, work)
    return additions


def _view(flat: NDArray[Any], first: int, n_steps: int, n_samples: int, n: int) -> NDArray[Any]:
    count = n_steps * n_samples
    return flat[first * count : (first + n) * count].reshape(n_steps, n_samples, n)


@simulation_jit
def _run(layout_arrays, x, values, first_sample, last_sample, raster, traces, work_arrays):
    """Run the samples [first_sample, last_sample) one after the other; return how many additions were made."""
    layout, work = Layout(*layout_arrays), Work(*work_arrays)
    valued = values.shape[2] > 0
    n_steps, n_samples, n_lines = values.shape if valued else x.shape
    n_words = (n_steps + LANES - 1) // LANES
    lines_padded = (n_lines + LANES - 1) // LANES * LANES
    additions = 0
    for sample in range(first_sample, last_sample):
        if valued:
            _pack(values, sample, work.words, lines_padded)
            _turn_values(values, sample, work.rows, work.tile)
        else:
            _pack(x, sample, work.words, lines_padded)
        for array in (work.v, work.c):
            clear(array, 0, array.size)
        for array in (work.pending, work.touched):
            clear(array, 0, array.size)
        for block in range(work.resting.size):
            work.resting[block] = layout.resting[block]
        for component in range(layout.components.shape[0]):
            first, last = layout.components[component, 0], layout.components[component, 1]
            loop = layout.components[component, 2]
            for span in range((n_words + SPAN - 1) // SPAN):
                count = min(SPAN, n_words - span * SPAN)
                for i in range(first, last):
                    additions += _run_open(
                        i, loop, span, count, n_words, lines_padded, n_steps, n_samples, sample, traces, layout,
                        work,
                    )  # fmt: skip
                if loop:
                    additions += _run_loop(
                        first, last, span, count, n_words, lines_padded, n_steps, n_samples, sample, traces,
                        layout, work,
                    )  # fmt: skip
        for i in range(layout.populations.shape[0]):
            pop = _population(layout.populations, i)
            out_at = (pop.out_first * n_steps * n_samples) + sample * pop.n
            keep_spikes(pop, pop.first * n_words, n_steps, raster, out_at, n_samples * pop.n, work.bits)
    return additions


@simulation_jit
def _run_open(i, loop, span, count, n_words, lines_padded, n_steps, n_samples, sample, traces, layout, work):
    """Add all currents of a span that come from outside a loop; run the population unless it is in one."""
    pop = _population(layout.populations, i)
    quiet_at = pop.first // LANES if pop.quiet and not loop else -1
    additions = 0
    for k in range(pop.first_projection, pop.last_projection):
        p = _projection(layout.projections, k)
        if not p.inner:
            into = (pop.slot_at + p.slot * pop.n_padded) * ROW
            additions += add_projection(p, k, into, quiet_at, n_words, span, count, n_steps, not loop, layout, work)
    if loop:
        return additions
    start = span * ROW
    span_steps = min(ROW, n_steps - start)
    word_at = (lines_padded + pop.first) * ((n_words + SPAN - 1) // SPAN) + span * pop.n_padded
    bits_at = (pop.first * n_words) + span * SPAN * pop.n_padded
    for first in range(0, pop.n_padded, SEGMENT):
        last = min(first + SEGMENT, pop.n_padded)
        for k in range(pop.first_projection, pop.last_projection):
            if work.deferred[k]:
                p = _projection(layout.projections, k)
                into = (pop.slot_at + p.slot * pop.n_padded) * ROW
                add_segment(p, first, last, into, n_words, span, count, layout, work)
        run_span(pop, first // LANES, last // LANES, word_at, bits_at, count, span_steps, layout, work)
    if pop.trace_first >= 0:
        out_at = (pop.trace_first * n_steps + start * pop.n) * n_samples + sample * pop.n
        keep_voltages(work.trace, pop.n_padded, span_steps, pop.n, traces, out_at, n_samples * pop.n)
    return additions


@simulation_jit
def _run_loop(first, last, span, count, n_words, lines_padded, n_steps, n_samples, sample, traces, layout, work):
    """Run the populations of a loop through a span, step by step; the currents from outside are in `slots`."""
    populations, projections = layout.populations, layout.projections
    columns, targets, weights, currents = layout.columns, layout.targets, layout.column_weights, work.currents
    start = span * ROW
    span_steps = min(ROW, n_steps - start)
    additions = 0
    for i in range(first, last):
        turn_currents(_population(populations, i), count, work.slots, currents)
    for t in range(span_steps):
        for i in range(first, last):
            pop = _population(populations, i)
            into = pop.slot_at * ROW + t * pop.n_padded
            for k in range(pop.first_projection, pop.last_projection):
                p = _projection(projections, k)
                if p.inner and start + t >= p.delay:
                    bits_at = (p.source_first * n_words) + (start + t - p.delay) * (p.source_padded // LANES)
                    slot = into + p.slot * pop.n_padded * ROW
                    additions += add_step(p, work.bits, bits_at, columns, targets, weights, currents, slot)
            bits_at = (pop.first * n_words) + (start + t) * (pop.n_padded // LANES)
            word_at = (lines_padded + pop.first) * ((n_words + SPAN - 1) // SPAN) + span * pop.n_padded
            run_step(pop, into, word_at, bits_at, layout, work)
            if pop.trace_first >= 0:
                out_at = (pop.trace_first * n_steps + (start + t) * pop.n) * n_samples + sample * pop.n
                for n in range(pop.n):
                    traces[out_at + n] = work.v[pop.first + n]
    for i in range(first, last):
        pop = _population(populations, i)
        word_at = (lines_padded + pop.first) * ((n_words + SPAN - 1) // SPAN) + span * pop.n_padded
        bits_at = (pop.first * n_words) + span * SPAN * pop.n_padded
        turn_bits(pop, word_at, bits_at, count, span_steps, work.bits, work.words)
    return additions


@simulation_jit
def _population(table, i):
    return Pop(
        table[i, 0], table[i, 1], table[i, 2], table[i, 3], table[i, 4], table[i, 5], table[i, 6], table[i, 7],
        table[i, 8], table[i, 9], table[i, 10], table[i, 11],
    )  # fmt: skip


@simulation_jit
def _projection(table, k):
    return Proj(
        table[k, 0], table[k, 1], table[k, 2], table[k, 3], table[k, 4], table[k, 5], table[k, 6], table[k, 7],
        table[k, 8], table[k, 9], table[k, 10], table[k, 11], table[k, 12], table[k, 13], table[k, 14], table[k, 15],
        table[k, 16], table[k, 17],
    )  # fmt: skip


@simulation_jit
def _pack(x, sample, words, stride):
    """Make the words of the input: a bit for every value that is not 0."""
    n_steps, n_samples, n = x.shape
    n_words = (n_steps + LANES - 1) // LANES
    clear(words, 0, (n_words + 1) // SPAN * SPAN * stride)
    for w in range(n_words):
        first = (w * LANES * n_samples + sample) * n
        at = w // SPAN * SPAN * stride + w % SPAN
        steps = min(LANES, n_steps - w * LANES)
        whole = n // LANES * LANES
        for j in range(0, whole, LANES):
            pack_block(words, at + j * SPAN, SPAN, x, first + j, n_samples * n, steps)
        for j in range(whole, n):
            word = np.uint16(0)
            for t in range(steps):
                if x[w * LANES + t, sample, j] != 0:
                    word |= np.uint16(np.uint16(1) << np.uint16(t))
            words[at + j * SPAN] = word


@simulation_jit
def _turn_values(x, sample, rows, tile):
    """Turn the input values into a row of steps per line, zeros before the start and after the end."""
    n_steps, n_samples, n = x.shape
    n_words = (n_steps + LANES - 1) // LANES
    row_length = rows.size // n if n else 0
    start, whole = row_length - n_words * LANES, n // LANES * LANES
    for j in range(n):
        clear(rows, j * row_length, j * row_length + start)
    for w in range(n_words):
        steps, at = min(LANES, n_steps - w * LANES), start + w * LANES
        clear(tile, steps * LANES, LANES * LANES)
        for j in range(0, whole, LANES):
            for t in range(steps):
                store(tile, t * LANES, load(x, ((w * LANES + t) * n_samples + sample) * n + j))
            transpose_block(rows, j * row_length + at, row_length, tile, 0, LANES)
        for j in range(whole, n):
            clear(rows, j * row_length + at, j * row_length + at + LANES)
            for t in range(steps):
                rows[j * row_length + at + t] = x[w * LANES + t, sample, j]
