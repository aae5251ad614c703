"""One population in integers: conversion with a given choice of unit and exponents, and the search for the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core import integers as z
from neurosparse.core.integers import SignMode
from neurosparse.core.network import INPUT, Network, Population
from neurosparse.core.neurons import LI
from neurosparse.core.projection import Projection
from neurosparse.core.quantization import (
    GRADED_FACTOR,
    bias_parts,
    current_decay,
    current_factor,
    round_weights,
    threshold_mantissa,
    voltage_decay,
)
from neurosparse.core.quantized import QuantizedNetwork, QuantizedPopulation, QuantizedProjection
from neurosparse.core.units import CLIPS, HEADROOM, Part, candidates, parts_into, smallest_unit, worst_sum
from neurosparse.errors import UnsupportedError, ValidationError

__all__ = ["Choice", "Converted", "Objective", "assemble", "choice_like", "choose", "convert"]

_TIGHTER = 1.01  # rounding may lift a sum that just fits above the limit; the unit then grows in steps of 1 %
_MAX_STEPS = 400


@dataclass(frozen=True)
class Choice:
    """What decides the integers of a population: its unit, and exponent, bits and signs of each projection into it."""

    unit: float
    exponents: tuple[int, ...]
    bits: tuple[int, ...]
    sign_modes: tuple[SignMode, ...]


def choice_like(population: Population, network: Network, like: QuantizedNetwork) -> Choice:
    """Return the choice that made `population` in `like`. Raises `ValidationError` if that is another network."""
    found = like[population.name]
    if found.n != population.n or found.readout != isinstance(population.neuron, LI):
        raise ValidationError(f"quantize.like: its population {population.name!r} is not that of the network")
    ours, theirs = network.projections_into(population.name), like.projections_into(population.name)
    if [(p.source, p.delay) for p in ours] != [(p.source, p.delay) for p in theirs]:
        raise ValidationError(f"quantize.like: its projections into {population.name!r} are not those of the network")
    return Choice(
        like.scales[population.name] * 2**z.ALIGNMENT_BITS,
        tuple(p.exponent for p in theirs),
        tuple(p.bits for p in theirs),
        tuple(p.sign_mode for p in theirs),
    )


@dataclass(frozen=True)
class Converted:
    """A population in integers, the projections into it, and what rounding did to their weights.

    Parameters
    ----------
    population, projections
    clipped : int
        Weights out of range.
    lost : int
        Synapses whose weight became 0, and which are gone.
    squared_error, squared_norm : float
        Sums over all weights, of the error and of the weight itself, in units of the voltage.
    """

    population: QuantizedPopulation
    projections: tuple[QuantizedProjection, ...]
    clipped: int
    lost: int
    squared_error: float
    squared_norm: float

    @property
    def weight_error(self) -> float:
        """Root mean square error of the weights relative to their root mean square; 0 without weights."""
        return float(np.sqrt(self.squared_error / self.squared_norm)) if self.squared_norm else 0.0


def convert(network: Network, population: Population, choice: Choice, largest_dv: int) -> Converted:
    """Return `population` and the projections into it in the integers of `choice`."""
    projections, clipped, lost, error, norm = [], 0, 0, 0.0, 0.0
    for i, projection in enumerate(network.projections_into(population.name)):
        graded = projection.source == INPUT and network.input.kind == "graded"
        weights = projection.weights.astype(np.float64) * (GRADED_FACTOR if graded else 1.0)
        exponent, bits, mode = choice.exponents[i], choice.bits[i], choice.sign_modes[i]
        mantissas, out = round_weights(weights, choice.unit, exponent, bits=bits, sign_mode=mode)
        clipped += int(np.count_nonzero(out))
        lost += int(np.count_nonzero(mantissas == 0))
        error += float(((mantissas * (choice.unit * 2.0**exponent) - weights) ** 2).sum())
        norm += float((weights**2).sum())
        projections.append(_without_zeros(projection, mantissas, exponent, bits, mode))
    return Converted(_population(population, choice.unit, largest_dv), tuple(projections), clipped, lost, error, norm)


def _without_zeros(
    projection: Projection, mantissas: NDArray[np.int16], exponent: int, bits: int, sign_mode: SignMode
) -> QuantizedProjection:
    live = mantissas != 0
    before = np.append(0, np.cumsum(live))
    return QuantizedProjection(
        source=projection.source,
        target=projection.target,
        indptr=before[projection.indptr],
        indices=projection.indices[live],
        weights=mantissas[live],
        n_source=projection.n_source,
        exponent=exponent,
        bits=bits,
        sign_mode=sign_mode,
        delay=projection.delay,
    )


def _population(population: Population, unit: float, largest_dv: int) -> QuantizedPopulation:
    neuron = population.neuron
    bias, exponent = bias_parts(neuron.bias, unit)
    readout = isinstance(neuron, LI)
    return QuantizedPopulation(
        population.name,
        population.n,
        du=current_decay(getattr(neuron, "alpha", np.zeros(population.n))),
        dv=voltage_decay(neuron.beta, largest_dv),
        v_threshold=z.MAX_V_THRESHOLD if isinstance(neuron, LI) else threshold_mantissa(neuron.v_threshold, unit),
        bias=bias,
        bias_exponent=exponent,
        reset="none" if isinstance(neuron, LI) else neuron.reset,
        readout=readout,
    )


Objective = Callable[[Converted, float, float], float]
"""How far a conversion with a unit is from what is wanted, 0 is best; beyond the last argument, any larger number."""


def choose(
    network: Network,
    population: Population,
    *,
    bits: int,
    sign_mode: str = "mixed",
    accumulator_bits: int | None = None,
    largest_dv: int = z.MAX_VOLTAGE_DECAY,
    payloads: NDArray[Any] | None = None,
    largest_voltage: float | None = None,
    objective: Objective | None = None,
) -> Choice:
    """Return the choice with the least of, in this order: `objective`, error of the weights, unit.

    Parameters
    ----------
    network : Network
    population : Population
        One of its populations.
    bits, sign_mode, accumulator_bits
        As in `neurosparse.quantize`.
    largest_dv : int
        4095 on a chip, 4096 in Lava.
    payloads : int array, shape (time, batch, n_lines), optional
        Inputs that show how large the sums of a graded input become.
    largest_voltage : float, optional
        Largest absolute voltage that was seen in floats. By default what all inputs at once would build up.
    objective : callable, optional
        Called for every candidate.

    Raises
    ------
    UnsupportedError
        If no weights of `bits` bits keep the sums within the accumulator.
    """
    parts = parts_into(network, population.name, bits, sign_mode)
    for part in parts:
        if part.bits == 1 and part.sign_mode == "mixed":
            raise UnsupportedError(
                f"quantize.bits: 1 bit cannot hold the two signs of {part.projection.source}->{part.projection.target};"
                " 2 bits can, or sign_mode='auto' where all weights have one sign"
            )
    if accumulator_bits is None:
        graded = any(part.graded for part in parts)
        accumulator_bits = z.GRADED_ACCUMULATOR_BITS if graded else z.ACCUMULATOR_BITS
    measured = _measured(parts, payloads)
    comfortable = _comfortable_unit(population, parts, measured, largest_voltage)
    limit = 2 ** (accumulator_bits - 1) - 1
    best: tuple[tuple[float, float, float], Choice] | None = None
    for clip in CLIPS:
        clipped = [part.clipped(clip) for part in parts]
        smallest = smallest_unit(population, clipped, measured, accumulator_bits)
        for first in candidates(population, clipped, smallest, comfortable):
            fitted = _fit(network, population, clipped, measured, first, limit, largest_dv)
            if fitted is not None:
                choice, converted = fitted
                enough = np.inf if best is None else best[0][0]
                missed = 0.0 if objective is None else objective(converted, choice.unit, enough)
                score = (missed, converted.weight_error, choice.unit)
                if best is None or score < best[0]:
                    best = score, choice
    if best is None:
        raise UnsupportedError(
            f"quantize.accumulator_bits: no weights of {bits} bits into {population.name!r} keep its sums within "
            f"{accumulator_bits} bits; give a calibration, prune its inputs or allow a wider accumulator"
        )
    return best[1]


def assemble(
    network: Network, converted: Sequence[Converted], choices: Mapping[str, Choice], chip: str | None = None
) -> QuantizedNetwork:
    """Return the quantised network of the `converted` populations, in the order of `network`."""
    parts = {result.population.name: iter(result.projections) for result in converted}
    return QuantizedNetwork(
        network.input,
        [result.population for result in converted],
        [next(parts[p.target]) for p in network.projections],
        network.dt,
        {name: choice.unit / 2**z.ALIGNMENT_BITS for name, choice in choices.items()},
        chip,
    )


def _fit(
    network: Network,
    population: Population,
    parts: Sequence[Part],
    measured: dict[int, float],
    unit: float,
    limit: int,
    largest_dv: int,
) -> tuple[Choice, Converted] | None:
    """Return the choice with `unit`, or the next larger one whose rounded weights keep sums and currents in range."""
    modes: tuple[SignMode, ...] = tuple(part.sign_mode for part in parts)
    bits = tuple(part.bits for part in parts)
    for _ in range(_MAX_STEPS):
        choice = Choice(unit, tuple(part.exponent(unit) for part in parts), bits, modes)
        converted = convert(network, population, choice, largest_dv)
        if _fits(converted, parts, measured, unit, limit):
            return choice, converted
        unit *= _TIGHTER
    return None


def _measured(parts: Sequence[Part], payloads: NDArray[Any] | None) -> dict[int, float]:
    """Return the largest current that the payloads of a calibration cause, for the graded projections."""
    found = {}
    for i, part in enumerate(parts):
        if part.graded and payloads is not None and payloads.size:
            matrix = part.projection.to_scipy().astype(np.float64)
            matrix.data = part.weights.copy()
            sums = matrix @ payloads.reshape(-1, payloads.shape[2]).T.astype(np.float64)
            found[i] = float(np.abs(sums).max(initial=0.0))
    return found


def _fits(converted: Converted, parts: Sequence[Part], measured: dict[int, float], unit: float, limit: int) -> bool:
    """Return whether no sum of these integers exceeds `limit`, and no current that such sums build up 24 bits.

    Of measured payloads, the largest sum is the measured one and some headroom.
    """
    low, high = np.zeros(converted.population.n), np.zeros(converted.population.n)
    for i, (projection, part) in enumerate(zip(converted.projections, parts, strict=True)):
        factor = z.MAX_PAYLOAD if part.graded else 1
        sums = [factor * sums.astype(np.float64) for sums in projection.largest_sums()]
        if i in measured:
            room = HEADROOM * measured[i] / unit
            sums = [np.maximum(sums[0], -room), np.minimum(sums[1], room)]
        low, high = low + sums[0], high + sums[1]
    largest = np.maximum(-low, high)
    currents = largest * 2**z.ALIGNMENT_BITS / (1.0 - current_factor(converted.population.du))
    return bool((largest <= limit).all() and (currents <= z.MAX_VOLTAGE).all())


def _comfortable_unit(
    population: Population, parts: list[Part], measured: dict[int, float], largest_voltage: float | None
) -> float:
    """Return a unit with which the voltage stays within 24 bits: of a measured one twice as much, or of all inputs."""
    if largest_voltage is not None:
        largest = 2 * largest_voltage
    else:
        neuron = population.neuron
        kept = [getattr(neuron, name, np.zeros(population.n)).astype(np.float64) for name in ("alpha", "beta")]
        gain = 1.0 / np.maximum((1.0 - kept[0]) * (1.0 - kept[1]), 1.0 / z.DECAY_UNITY)
        largest = float((worst_sum(population, parts, measured) * gain).max(initial=0.0))
    return largest * 2**z.ALIGNMENT_BITS / z.MAX_VOLTAGE
