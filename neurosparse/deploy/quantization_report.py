"""What quantisation did: weights, decays, states and spikes of every population, as data and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core import integers as z
from neurosparse.core.conversion import Converted
from neurosparse.core.network import Network, Population
from neurosparse.core.neurons import LI
from neurosparse.core.quantization import current_factor, voltage_factor
from neurosparse.core.quantized import QuantizedNetwork, QuantizedPopulation
from neurosparse.core.recording import Recording
from neurosparse.core.stepping import step_through
from neurosparse.deploy.calibration import payloads_of, run_population

__all__ = ["PopulationReport", "QuantizationReport", "report_on"]


@dataclass(frozen=True)
class PopulationReport:
    """One population and the projections into it.

    Parameters
    ----------
    name : str
    unit : float
        What an integer sum of 1 stands for in the float network.
    exponents : dict of source to int
    v_threshold : tuple of two int, or None for a read-out
        Smallest and largest mantissa.
    n_weights : int
        Synapses of the float network.
    clipped_weights : int
        Weights that were out of range.
    lost_synapses : int
        Synapses whose weight became 0, and which are gone.
    weight_error : float
        Root mean square error of the weights relative to their root mean square.
    threshold_error : float
        Largest relative error of a threshold; 0 for a read-out.
    decay_error : float
        Largest error of a time constant (of voltage or current), in percent of it.
    accumulator_bits : int
        Bits, with sign, that the largest possible sum takes; of payloads, the largest possible ones.
    saturated_states : int or None
        Steps x samples x neurons of the calibration in which a current wrapped around or a voltage hit its limit.
    spikes_float, spikes_integer, mismatches : int or None
        On the calibration, the whole network in integers: spikes of both, and sites where only one has a spike.
    voltage_error : float or None
        Of a read-out: root mean square error of its voltages relative to their root mean square.
    """

    name: str
    unit: float
    exponents: dict[str, int]
    v_threshold: tuple[int, int] | None
    n_weights: int
    clipped_weights: int
    lost_synapses: int
    weight_error: float
    threshold_error: float
    decay_error: float
    accumulator_bits: int
    saturated_states: int | None = None
    spikes_float: int | None = None
    spikes_integer: int | None = None
    mismatches: int | None = None
    voltage_error: float | None = None

    @property
    def agreement(self) -> float | None:
        """Share of spikes that both have: 2 x common / all, 1 where neither spikes; None without calibration."""
        if self.mismatches is None or self.spikes_float is None or self.spikes_integer is None:
            return None
        spikes = self.spikes_float + self.spikes_integer
        return 1.0 - self.mismatches / spikes if spikes else 1.0


@dataclass(frozen=True)
class QuantizationReport:
    """What `quantize` did to each population, printable, and plain data by `to_dict`.

    Parameters
    ----------
    populations : tuple of PopulationReport
    n_samples, n_steps : int
        Size of the calibration; 0 without.
    decisions : float or None
        Share of the calibration's samples that both networks decide alike, by the first output.
    """

    populations: tuple[PopulationReport, ...]
    n_samples: int = 0
    n_steps: int = 0
    decisions: float | None = None

    @property
    def lost_synapses(self) -> int:
        """Synapses of all populations whose weight became 0."""
        return sum(p.lost_synapses for p in self.populations)

    def __getitem__(self, name: str) -> PopulationReport:
        """Return the report on the population called `name`."""
        return {p.name: p for p in self.populations}[name]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self) | {"lost_synapses": self.lost_synapses}

    def __str__(self) -> str:
        head = ("population", "exponents", "threshold", "clipped", "lost", "weight error", "decay error", "saturated")
        lines = [[*head, "spikes agree"]]
        for p in self.populations:
            agreement = "" if p.agreement is None else f"{p.agreement:.2%}"
            if p.voltage_error is not None:
                agreement = f"voltages to {p.voltage_error:.2%}"
            low, high = p.v_threshold or (0, 0)
            lines.append(
                [
                    p.name,
                    " ".join(f"{source}:{exponent}" for source, exponent in p.exponents.items()),
                    "" if p.v_threshold is None else str(low) if low == high else f"{low}..{high}",
                    str(p.clipped_weights),
                    f"{p.lost_synapses} of {p.n_weights}",
                    f"{p.weight_error:.2%}",
                    f"{p.decay_error:.3g} % of tau",
                    "" if p.saturated_states is None else str(p.saturated_states),
                    agreement,
                ]
            )
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        rows = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        if self.decisions is not None:
            rows.append(f"{self.decisions:.2%} of {self.n_samples} samples are decided alike")
        return "\n".join(rows)


def report_on(
    network: Network,
    quantized: QuantizedNetwork,
    converted: Sequence[Converted],
    x: NDArray[Any] | None,
    truth: Recording | None,
) -> QuantizationReport:
    """Return the report; with a calibration `x` and what the float network did on it, `truth`, also its behaviour."""
    reports = [_static(network[result.population.name], quantized, result) for result in converted]
    if x is None or truth is None:
        return QuantizationReport(tuple(reports))
    payloads = payloads_of(network, x)
    recording = Recording(
        {p.name: np.zeros(truth.spikes[p.name].shape, bool) for p in quantized.populations},
        {p.name: np.zeros(truth.spikes[p.name].shape, np.int32) for p in quantized.populations},
    )
    step_through(quantized, payloads, recording)
    reports = [
        _measured(report, result, quantized, payloads, recording, truth)
        for report, result in zip(reports, converted, strict=True)
    ]
    return QuantizationReport(tuple(reports), x.shape[1], x.shape[0], _decisions(quantized, recording, truth))


def _static(population: Population, quantized: QuantizedNetwork, result: Converted) -> PopulationReport:
    name, integers = population.name, result.population
    largest = int(quantized.largest_sums(name).max(initial=0))
    thresholds = (int(integers.v_threshold.min()), int(integers.v_threshold.max()))
    return PopulationReport(
        name=name,
        unit=quantized.scales[name] * 2**z.ALIGNMENT_BITS,
        exponents={_label(p.source, p.delay): p.exponent for p in result.projections},
        v_threshold=None if integers.readout else thresholds,
        n_weights=result.lost + sum(p.n_synapses for p in result.projections),
        clipped_weights=result.clipped,
        lost_synapses=result.lost,
        weight_error=result.weight_error,
        threshold_error=_threshold_error(population, integers, quantized.scales[name]),
        decay_error=_decay_error(population, integers),
        accumulator_bits=1 + largest.bit_length(),
    )


def _label(source: str, delay: int) -> str:
    return source if delay == 0 else f"{source}(-{delay})"


def _threshold_error(population: Population, integers: QuantizedPopulation, scale: float) -> float:
    neuron = population.neuron
    if isinstance(neuron, LI):
        return 0.0
    wanted = neuron.v_threshold.astype(np.float64)
    return float(np.abs((integers.v_threshold * (2**z.ALIGNMENT_BITS * scale)) / wanted - 1.0).max())


def _decay_error(population: Population, integers: QuantizedPopulation) -> float:
    """Return the largest error of a time constant ``-1 / ln(decay)`` in percent; decays of 0 and 1 have none or all."""
    neuron, worst = population.neuron, 0.0
    pairs = [(neuron.beta, voltage_factor(integers.dv))]
    if hasattr(neuron, "alpha"):
        pairs.append((neuron.alpha, current_factor(integers.du)))
    for wanted, got in pairs:
        with np.errstate(divide="ignore", invalid="ignore"):
            before, after = (-1.0 / np.log(np.asarray(decay, np.float64)) for decay in (wanted, got))
            error = np.abs(after / before - 1.0)
        error[before == after] = 0.0  # also where both are 0 or infinite
        worst = max(worst, float(np.nan_to_num(error, nan=1.0, posinf=1.0).max()))
    return 100 * worst


def _measured(
    report: PopulationReport,
    result: Converted,
    quantized: QuantizedNetwork,
    payloads: NDArray[Any],
    recording: Recording,
    truth: Recording,
) -> PopulationReport:
    name = report.name
    replay = run_population(result.population, result.projections, payloads, recording.spikes)
    values = asdict(report) | {"saturated_states": replay.saturated}
    if result.population.readout:
        exact = truth.voltages[name].astype(np.float64)
        norm = np.sqrt(np.mean(exact**2)) if exact.size else 0.0
        error = np.sqrt(np.mean((recording.voltages[name] * quantized.scales[name] - exact) ** 2)) if norm else 0.0
        values["voltage_error"] = float(error / norm) if norm else 0.0
    else:
        values["spikes_float"] = int(np.count_nonzero(truth.spikes[name]))
        values["spikes_integer"] = int(np.count_nonzero(recording.spikes[name]))
        values["mismatches"] = int(np.count_nonzero(truth.spikes[name] != recording.spikes[name]))
    return PopulationReport(**values)


def _decisions(quantized: QuantizedNetwork, recording: Recording, truth: Recording) -> float | None:
    output = next(iter(quantized.outputs), None)
    if output is None or not truth.n_samples or not truth.n_steps:
        return None
    kind = "voltages" if quantized[output].readout else "spikes"
    sums = [getattr(r, kind)[output].sum(axis=0, dtype=np.float64).argmax(axis=1) for r in (recording, truth)]
    return float(np.mean(sums[0] == sums[1]))
