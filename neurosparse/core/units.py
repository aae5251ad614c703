"""The units to try for a population: from the finest that no register can overflow to the coarsest weights allow.

All projections into a population share one unit, for their sums meet in one register and one threshold is compared with
them. A smaller unit makes weights, thresholds and states finer; it needs larger exponents, and the sums must stay
within the 16-bit accumulator, the current within 24 bits, threshold and bias within their mantissas.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core import integers as z
from neurosparse.core.integers import SignMode
from neurosparse.core.network import INPUT, Network, Population
from neurosparse.core.neurons import LI
from neurosparse.core.projection import Projection
from neurosparse.core.quantization import GRADED_FACTOR, current_decay, current_factor, smallest_exponent

__all__ = ["CLIPS", "HEADROOM", "Part", "candidates", "parts_into", "smallest_unit", "worst_sum"]

CLIPS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Shares of the largest weight that still fit: a few clipped weights may be worth a finer resolution of all others."""

HEADROOM = 1.25
"""How much larger than in a calibration the sum of a graded input may become."""


@dataclass(frozen=True)
class Part:
    """A projection as it enters the sum: `weights` in units of the voltage per spike or per unit of payload."""

    projection: Projection
    weights: NDArray[np.float64]
    bits: int
    sign_mode: SignMode
    graded: bool

    @property
    def finest(self) -> float:
        """The unit with which the largest weight just fits at exponent 0; 0 if there is none."""
        top = z.weight_range(self.bits, self.sign_mode)
        largest = float(np.abs(self.weights).max(initial=0.0))
        return largest / (-top[0] if self.sign_mode == "inhibitory" else top[1])

    def exponent(self, unit: float) -> int:
        """Return the smallest exponent that holds the largest weight."""
        largest = float(np.abs(self.weights).max(initial=0.0))
        return smallest_exponent(largest, unit, bits=self.bits, sign_mode=self.sign_mode)

    def clipped(self, clip: float) -> Part:
        """Return this part with weights limited to the share `clip` of the largest."""
        limit = clip * float(np.abs(self.weights).max(initial=0.0))
        return replace(self, weights=np.clip(self.weights, -limit, limit))

    def largest_sums(self, measured: float | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the most negative and the most positive sum per target; for payloads not much beyond `measured`."""
        factor = z.MAX_PAYLOAD if self.graded else 1
        sums: list[Any] = [
            factor * np.bincount(self.projection.rows, weights=part, minlength=self.projection.shape[0])
            for part in (np.minimum(self.weights, 0), np.maximum(self.weights, 0))
        ]
        if measured is not None:
            room = HEADROOM * measured
            sums = [np.maximum(sums[0], -room), np.minimum(sums[1], room)]
        return sums[0], sums[1]


def parts_into(network: Network, name: str, bits: int, sign_mode: str) -> list[Part]:
    """Return the projections into `name` with the signs they get: ``"auto"`` looks at the weights."""
    parts = []
    for projection in network.projections_into(name):
        graded = projection.source == INPUT and network.input.kind == "graded"
        weights = projection.weights.astype(np.float64) * (GRADED_FACTOR if graded else 1.0)
        mode: SignMode = "mixed"
        if sign_mode == "auto" and weights.size:
            mode = "excitatory" if weights.min() >= 0 else "inhibitory" if weights.max() <= 0 else "mixed"
        parts.append(Part(projection, weights, bits, mode, graded))
    return parts


def worst_sum(population: Population, parts: list[Part], measured: dict[int, float]) -> NDArray[np.float64]:
    """Return the largest absolute sum of each neuron that spikes can cause, shape (n,)."""
    low, high = np.zeros(population.n), np.zeros(population.n)
    for i, part in enumerate(parts):
        sums = part.largest_sums(measured.get(i))
        low, high = low + sums[0], high + sums[1]
    return np.maximum(-low, high)


def smallest_unit(
    population: Population, parts: list[Part], measured: dict[int, float], accumulator_bits: int
) -> float:
    """Return the smallest unit with which nothing can overflow: sum, current, threshold and bias.

    `measured` has, for graded projections by position, the largest current of a calibration, in units of the voltage.
    """
    neuron, worst = population.neuron, worst_sum(population, parts, measured)
    kept = current_factor(current_decay(getattr(neuron, "alpha", np.zeros(population.n))))
    bounds = [
        worst.max(initial=0.0) / (2 ** (accumulator_bits - 1) - 1),
        # the current's fixed point, as a 24-bit register counts it
        (worst / (1.0 - kept)).max(initial=0.0) * 2**z.ALIGNMENT_BITS / z.MAX_VOLTAGE,
        np.abs(neuron.bias).max() * 2**z.ALIGNMENT_BITS / (z.BIAS_RANGE[1] << z.MAX_BIAS_EXPONENT),
    ]
    if not isinstance(neuron, LI):
        bounds.append(neuron.v_threshold.max() / z.MAX_V_THRESHOLD)
    return float(max(bounds))


def candidates(population: Population, parts: list[Part], smallest: float, comfortable: float) -> Iterator[float]:
    """Yield units, each once, finest first, none below `smallest`.

    Parameters
    ----------
    population : Population
    parts : list of Part
    smallest : float
        From `smallest_unit`.
    comfortable : float
        A unit with which voltages do not saturate either; finer ones are not tried where coarser ones, with the full
        range of the weights, are left.
    """
    base = max((part.finest for part in parts), default=0.0)
    if base == 0.0:  # no weight at all: threshold or bias decide, with room to spare
        neuron = population.neuron
        largest = np.abs(neuron.bias).max() if isinstance(neuron, LI) else neuron.v_threshold.max()
        yield _whole_threshold(population, max(smallest, float(largest) / z.BIAS_RANGE[1] or 1.0))
        return
    floor, last = max(smallest, min(comfortable, base)), 0.0
    for exponent in range(z.MAX_WEIGHT_EXPONENT, -1, -1):
        unit = _whole_threshold(population, max(floor, base / 2**exponent))
        if unit != last:
            yield unit
        last = unit


def _whole_threshold(population: Population, unit: float) -> float:
    """Return a unit of at least `unit` of which the threshold is a whole multiple, where all neurons share one."""
    neuron = population.neuron
    if isinstance(neuron, LI):
        return unit
    threshold = np.unique(neuron.v_threshold.astype(np.float64))
    multiple = np.floor(threshold[0] / unit * (1 + 1e-12))
    return float(threshold[0] / multiple) if threshold.size == 1 and multiple >= 1 else unit
