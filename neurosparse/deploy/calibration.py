"""What calibration measures: a population in integers, fed with given spikes, against the float network's own.

Every population is judged on its own, with the spikes that the float network sends it, recurrent ones included: a
difference then belongs to this population's integers and not to what went before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core import integers as z
from neurosparse.core.conversion import Converted
from neurosparse.core.network import INPUT, Network
from neurosparse.core.quantized import QuantizedPopulation, QuantizedProjection
from neurosparse.core.recording import Recording
from neurosparse.core.stepping import step_through

__all__ = ["Replay", "disagreement", "payloads_of", "run_float", "run_population"]


@dataclass(frozen=True)
class Replay:
    """A population that was fed with given spikes.

    Parameters
    ----------
    spikes : bool array, shape (time, batch, n)
    voltages : int32 array, shape (time, batch, n)
        Of a read-out; empty for others.
    saturated : int
        States (step, sample, neuron) in which the current wrapped around or the voltage hit a limit of its register.
    """

    spikes: NDArray[np.bool_]
    voltages: NDArray[np.int32]
    saturated: int


def run_float(network: Network, x: NDArray[Any]) -> Recording:
    """Return spikes and voltages of `network` on `x` (time, batch, n_lines), the judge's arithmetic."""
    sizes = {p.name: (*x.shape[:2], p.n) for p in network.populations}
    recording = Recording(
        {name: np.zeros(size, bool) for name, size in sizes.items()},
        {name: np.zeros(size, network.dtype) for name, size in sizes.items()},
        dt=network.dt,
    )
    step_through(network, x, recording)
    return recording


def run_population(
    population: QuantizedPopulation,
    projections: Sequence[QuantizedProjection],
    payloads: NDArray[Any],
    spikes: Mapping[str, NDArray[np.bool_]],
    truth: NDArray[np.bool_] | None = None,
    enough: float = np.inf,
) -> Replay:
    """Run one population on the `payloads` of the input and the `spikes` of all populations, each (time, batch, n).

    Ends early when more than `enough` of its own spikes differ from `truth`.
    """
    n_steps, n_samples = payloads.shape[:2]
    shape = (n_steps, n_samples, population.n)
    fired, voltages = np.zeros(shape, bool), np.zeros(shape if population.readout else (0, 0, 0), np.int32)
    sources = [payloads if p.source == INPUT else spikes[p.source] for p in projections]
    matrices = [p.to_scipy().astype(np.int64) for p in projections]
    state, saturated, missed = population.initial_state(shape[1:]), 0, 0
    for t in range(n_steps):
        total = np.zeros(shape[1:], np.int64)
        for projection, matrix, source in zip(projections, matrices, sources, strict=True):
            if t >= projection.delay:
                total += (matrix @ source[t - projection.delay].T.astype(np.int64)).T << projection.exponent
        u = population.unwrapped_current(state, total)
        fired[t] = population.step(state, total)
        saturated += int(np.count_nonzero((state["u"] != u) | (np.abs(state["v"]) == z.MAX_VOLTAGE)))
        if population.readout:
            voltages[t] = state["v"]
        if truth is not None:
            missed += int(np.count_nonzero(fired[t] != truth[t]))
            if missed > enough:
                break
    return Replay(fired, voltages, saturated)


def payloads_of(network: Network, x: NDArray[Any]) -> NDArray[np.int64]:
    """Return the values `x` of an input as the integers that multiply the weights: spikes, or payloads up to 255."""
    return (np.ldexp(x, z.PAYLOAD_BITS) if network.input.kind == "graded" else x).astype(np.int64)


def disagreement(
    converted: Converted, unit: float, enough: float, *, payloads: NDArray[Any], truth: Recording
) -> float:
    """Return how far a population in integers is from the float network's `truth`, fed with the spikes of that.

    Sites where only one of them spikes, as a share of all spikes of both: counted absolutely, silence would be a good
    answer to spikes that are hard to hit. Of a read-out the root mean square error of its voltages. Beyond `enough`,
    any larger number.
    """
    name = converted.population.name
    if converted.population.readout:
        replay = run_population(converted.population, converted.projections, payloads, truth.spikes)
        exact = truth.voltages[name].astype(np.float64)
        errors = replay.voltages * (unit / 2**z.ALIGNMENT_BITS) - exact
        return float(np.sqrt(np.mean(errors**2))) if exact.size else 0.0
    expected = truth.spikes[name]
    spikes = int(np.count_nonzero(expected))
    # m differing sites are at least the share m / (2 spikes + m), where all of them are spikes too many
    most = 2 * spikes * enough / (1.0 - enough) if enough < 1 else np.inf
    replay = run_population(converted.population, converted.projections, payloads, truth.spikes, expected, most)
    both = spikes + int(np.count_nonzero(replay.spikes))
    return int(np.count_nonzero(replay.spikes != expected)) / both if both else 0.0
