"""`quantize`: the integers of a chip for a trained network, population by population, by an explicit objective."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.core import integers as z
from neurosparse.core.conversion import Choice, assemble, choice_like, choose, convert
from neurosparse.core.network import Network, Population, Projection
from neurosparse.core.neurons import LIF, CubaLIF
from neurosparse.core.quantized import QuantizedNetwork
from neurosparse.core.recording import Recording
from neurosparse.deploy.behaviour import behaviour_violations
from neurosparse.deploy.calibration import disagreement, payloads_of, run_float
from neurosparse.deploy.chip import ChipSpec
from neurosparse.deploy.quantization_report import QuantizationReport, report_on
from neurosparse.errors import UnknownNameError, UnsupportedError, ValidationError

__all__ = ["quantize"]

SignChoice = Literal["mixed", "auto"]


def quantize(
    network: Network,
    chip: str | Path | ChipSpec | None = None,
    *,
    bits: int | Mapping[str, int] = z.WEIGHT_BITS,
    calibration: ArrayLike | None = None,
    like: QuantizedNetwork | None = None,
    sign_mode: SignChoice = "mixed",
    accumulator_bits: int | None = None,
) -> QuantizedNetwork:
    """Return `network` in the integers of Loihi, with ``.report`` telling what that did to it.

    Every population gets one unit, shared by all projections into it, its threshold and its bias
    (`neurosparse.core.quantization`). All exponents are tried, each with several shares of the largest weight that
    still fit. The best one has, in this order: the fewest spikes that differ from the float network's on `calibration`
    (as a share of the spikes of both; of a read-out: the smallest error of its voltages), each population being fed
    with the float network's spikes; the smallest error of the weights; the finest states. Units with which a sum could
    exceed the accumulator, a current 24 bits, or a threshold or bias its mantissa are never taken, whatever spikes may
    come. A large network and calibration take a minute.

    Parameters
    ----------
    network : Network
        Need not be on an exact grid. Biases of `CubaLIF` neurons, which pass the filter of the current, come from one
        added neuron, ``always-on``, that spikes at every step: a chip adds biases to the voltage.
    chip : str, path or ChipSpec, optional
        What it is for: ``"loihi1"``, ``"loihi2"`` or your own file. Refused is what that chip cannot do.
    bits : int or mapping of population name to int
        Bits per weight into that population, 2 to 8 (1 to 8 where all weights have one sign and `sign_mode` is "auto").
    calibration : array, shape (time, batch, n_inputs), optional
        Inputs such as those of training; never the test set. Without, the error of the weights alone decides.
    like : QuantizedNetwork, optional
        Take units, exponents, bits and signs from there, as after training in integers, and choose nothing.
    sign_mode : {"mixed", "auto"}
        ``"auto"`` gives projections whose weights have one sign the bit that the sign would take.
    accumulator_bits : int, optional
        Width, with sign, of the register that adds up a step's sum; by default 16, and 18 for populations that take
        graded input (`neurosparse.core.integers`). Of payloads, which can add up to 255 times a weight per line, 1.25
        times the largest sum of the `calibration` is taken for the largest possible.

    Returns
    -------
    QuantizedNetwork
        Synapses whose weight became 0 are gone.

    Raises
    ------
    UnsupportedError
        For what integers or the chip cannot express, with the alternative.

    Examples
    --------
    >>> from neurosparse import LIF, Input, Population, Projection
    >>> weights = Projection.from_dense("input", "out", np.float32([[1.0, -0.5]]))
    >>> network = Network(Input(2), [Population("out", 1, LIF(beta=0.9, reset="zero"))], [weights])
    >>> quantized = quantize(network, "loihi2", bits=4)
    >>> quantized.projections[0].weights.tolist(), quantized["out"].dv.tolist()
    ([192, -96], [410])
    """
    if not isinstance(network, Network):
        raise ValidationError(f"quantize.network: must be a Network, got {type(network).__name__}")
    if sign_mode not in get_args(SignChoice):
        raise UnknownNameError("quantize.sign_mode", str(sign_mode), get_args(SignChoice))
    if accumulator_bits is not None and not 9 <= accumulator_bits <= z.GRADED_ACCUMULATOR_BITS:
        raise ValidationError(
            f"quantize.accumulator_bits: must lie in [9, {z.GRADED_ACCUMULATOR_BITS}], got {accumulator_bits!r}"
        )
    spec = chip if isinstance(chip, ChipSpec) or chip is None else ChipSpec.load(chip)
    _refuse(network, spec)
    network = _with_always_on(network)
    widths = _bits(network, bits)
    x = None if calibration is None else network.input.values(calibration, network.dtype)
    truth = None if x is None else run_float(network, x)
    # a chip's decay of the voltage has 12 bits; only Lava takes 4096, which clears it
    largest_dv = z.MAX_VOLTAGE_DECAY if spec is None else z.MAX_VOLTAGE_DECAY - 1

    payloads = None if x is None else payloads_of(network, x)
    choices: dict[str, Choice] = {}
    for population in network.populations:
        if like is not None:
            choices[population.name] = choice_like(population, network, like)
        else:
            choices[population.name] = choose(
                network,
                population,
                bits=widths[population.name],
                sign_mode=sign_mode,
                accumulator_bits=accumulator_bits,
                largest_dv=largest_dv,
                **_measurements(population, payloads, truth),
            )
    converted = [convert(network, p, choices[p.name], largest_dv) for p in network.populations]
    quantized = assemble(network, converted, choices, spec.name if spec is not None else None)
    report: QuantizationReport = report_on(network, quantized, converted, x, truth)
    return dataclasses.replace(quantized, report=report)


def _measurements(population: Population, payloads: NDArray[Any] | None, truth: Recording | None) -> dict[str, Any]:
    """Return what a calibration tells `choose` about `population`; nothing without one."""
    if payloads is None or truth is None:
        return {}
    return {
        "payloads": payloads,
        "largest_voltage": float(np.abs(truth.voltages[population.name]).max(initial=0.0)),
        "objective": functools.partial(disagreement, payloads=payloads, truth=truth),
    }


def _refuse(network: Network, chip: ChipSpec | None) -> None:
    if network.input.kind == "analog":
        raise UnsupportedError(
            "quantize.network: integers cannot take analog input; train with Input(kind='graded') (payloads of 8 bits) "
            "or encode as spikes"
        )
    if chip is not None:
        violations = behaviour_violations(network, chip)
        if violations:
            reasons = "; ".join(str(violation) for violation in violations)
            raise UnsupportedError(f"quantize.chip: {chip.title} cannot run this network: {reasons}")


def _bits(network: Network, bits: int | Mapping[str, int]) -> dict[str, int]:
    names = [p.name for p in network.populations]
    given = dict(bits) if isinstance(bits, Mapping) else dict.fromkeys(names, bits)
    for name, value in given.items():
        if name not in names:
            raise UnknownNameError("quantize.bits", str(name), names)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value <= z.WEIGHT_BITS:
            raise ValidationError(f"quantize.bits: must be an integer in [1, {z.WEIGHT_BITS}], got {value!r}")
    return {name: int(given.get(name, z.WEIGHT_BITS)) for name in names}


def _with_always_on(network: Network) -> Network:
    """Return `network` with the biases of `CubaLIF` populations as synapses of a neuron that spikes at every step."""
    biased = [p for p in network.populations if isinstance(p.neuron, CubaLIF) and p.neuron.bias.any()]
    if not biased:
        return network
    name = "always-on"
    while name in [p.name for p in network.populations]:
        name += "-"
    source = Population(name, 1, LIF(beta=0.0, v_threshold=0.5, bias=1.0, reset="zero"))
    populations = [
        dataclasses.replace(p, neuron=dataclasses.replace(p.neuron, bias=np.zeros_like(p.neuron.bias)))
        if p in biased
        else p
        for p in network.populations
    ]
    projections = list(network.projections)
    for p in biased:
        bias: NDArray[Any] = p.neuron.bias.astype(network.dtype)
        projections.append(Projection.from_dense(name, p.name, bias[:, np.newaxis]))
    return Network(network.input, [*populations, source], projections, network.dt)
