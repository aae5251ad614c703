"""What a chip cannot do, whatever its size: neuron models, resets, inputs, decays, delays, bits per weight."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.graph import Graph
from neurosparse.core.pipeline import pipeline
from neurosparse.core.quantized import QuantizedNetwork, QuantizedPopulation
from neurosparse.deploy.chip import ChipSpec
from neurosparse.deploy.violation import Violation

__all__ = ["behaviour_violations", "model_of"]


def model_of(population: Any) -> str:
    """Return the name of a population's neuron model, of float and of quantised ones."""
    if isinstance(population, QuantizedPopulation):
        return "LI" if population.readout else "CubaLIF" if population.has_current else "LIF"
    return type(population.neuron).__name__


def behaviour_violations(network: Graph[Any, Any], chip: ChipSpec, bits: int | None = None) -> list[Violation]:
    """Return what `network` does and `chip` does not."""
    can, found = chip.behaviour, []
    if network.input.kind not in can.inputs.value:
        remedy = (
            "encode as spikes (rate, latency or delta encoding) and train so"
            if network.input.kind != "analog"
            else "use graded input or encode as spikes"
        )
        found.append(Violation("network", "input", network.input.kind, " or ".join(can.inputs.value), remedy))
    for population in network.populations:
        owner, model = f"population {population.name!r}", model_of(population)
        if model not in can.models.value:
            remedy = "a network for this chip is trained with that neuron from the beginning"
            if model == "LI":
                remedy = "read out spikes instead of voltages (readout = 'rate')"
            found.append(Violation(owner, "model", model, " or ".join(can.models.value), remedy))
        reset = (
            population.reset
            if isinstance(population, QuantizedPopulation)
            else getattr(population.neuron, "reset", None)
        )
        if model != "LI" and reset not in can.resets.value:
            resets = " or ".join(can.resets.value)
            remedy = f"train with reset = {can.resets.value[0]!r}"
            found.append(Violation(owner, "reset", str(reset), resets, remedy))
        found += _decay(owner, population, chip)
    found += _bits_and_delays(network, chip, bits)
    return found


def _decay(owner: str, population: Any, chip: ChipSpec) -> list[Violation]:
    rule = chip.behaviour.decay
    if rule is None or rule.value == "any":
        return []
    for name, kept in _kept(population).items():
        lost = 1.0 - kept
        if rule.value == "none":
            wrong, available = lost != 0, "1 (no leak: integrate-and-fire)"
            remedy = "train with beta = 1; a leak exists there only as a negative bias"
        else:
            exponent = np.round(-np.log2(np.where(lost > 0, lost, 1.0)))
            wrong = (lost > 0) & ~np.isclose(lost, 2.0**-exponent, rtol=1e-3)
            available = "1 - 2**-k (bit-shift decay)"
            remedy = "train with such a value: 0.5, 0.75, 0.875, 0.9375, ..."
        if wrong.any():
            given = f"{float(kept[np.flatnonzero(wrong)[0]]):.4g}"
            return [Violation(owner, name, given, available, remedy)]
    return []


def _kept(population: Any) -> dict[str, NDArray[np.float64]]:
    """Return the share of each state that is kept per step, by the name of its decay."""
    if isinstance(population, QuantizedPopulation):
        kept = {"dv": 1.0 - population.dv / 4096}
        return {**kept, "du": 1.0 - (population.du + 1) / 4096} if population.has_current else kept
    neuron = population.neuron
    names = [name for name in ("beta", "alpha") if hasattr(neuron, name)]
    return {name: np.broadcast_to(getattr(neuron, name), population.n).astype(np.float64) for name in names}


def _bits_and_delays(network: Graph[Any, Any], chip: ChipSpec, bits: int | None) -> list[Violation]:
    most = chip.synapses.weight_bits.value[-1] if chip.synapses is not None else None
    most = chip.behaviour.weight_bits.value if chip.behaviour.weight_bits is not None else most
    found = []
    for projection, engine_delay in zip(network.projections, pipeline(network).delays, strict=True):
        owner = f"projection {projection.source}->{projection.target}"
        given = projection.bits if isinstance(network, QuantizedNetwork) else bits
        if most is not None and given is not None and given > most:
            found.append(Violation(owner, "weight_bits", given, most, f"quantise to {most} bits or fewer"))
        longest = chip.synapses.max_delay.value if chip.synapses is not None else None
        if longest is not None and engine_delay - 1 > longest:
            remedy = "shorten the delay, or split it over a population that relays the spikes"
            found.append(Violation(owner, "delay", engine_delay - 1, longest, remedy))
    return found
