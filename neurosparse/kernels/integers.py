"""Integrate-and-fire neurons in Loihi's fixed-point arithmetic, driven by spikes: a whole network, all steps, one pass.

The arithmetic is that of `neurosparse.core.integers`, in int64. Neurons are numbered in the order of evaluation: a
spike without delay reaches only neurons that come later in the same step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from neurosparse.core.integers import ALIGNMENT_BITS, DECAY_BITS, MAX_VOLTAGE, STATE_SPAN
from neurosparse.errors import ValidationError
from neurosparse.kernels.checks import check_array
from neurosparse.kernels.jit import jit, run

__all__ = ["NEVER", "RESETS", "IntegerNeurons", "IntegerSynapses", "run_integers"]

NEVER = np.int64(2**62)
"""A threshold that no voltage exceeds: of read-outs."""

_RESET_NONE, _RESET_ZERO, _RESET_SUBTRACT = 0, 1, 2
RESETS = {"none": _RESET_NONE, "zero": _RESET_ZERO, "subtract": _RESET_SUBTRACT}


@dataclass(frozen=True)
class IntegerNeurons:
    """Parameters of n neurons, each an int64 array of shape (n,).

    Parameters
    ----------
    current_kept, voltage_kept
        Parts of 4096 that the state keeps per step.
    bias
        Added to the voltage, its exponent applied.
    threshold
        In units of the voltage, or `NEVER`.
    reset
        Values of `RESETS`.
    """

    current_kept: NDArray[np.int64]
    voltage_kept: NDArray[np.int64]
    bias: NDArray[np.int64]
    threshold: NDArray[np.int64]
    reset: NDArray[np.int64]


@dataclass(frozen=True)
class IntegerSynapses:
    """Synapses by source: those of source j are ``starts[j]`` up to ``starts[j + 1]``; input lines, then neurons.

    Parameters
    ----------
    starts : (n_lines + n + 1,) int64
    targets : (K,) int32
        Neurons.
    weights : (K,) int32
        With their exponents applied.
    delays : (K,) int32
        In steps.
    """

    starts: NDArray[np.int64]
    targets: NDArray[np.int32]
    weights: NDArray[np.int32]
    delays: NDArray[np.int32]


def run_integers(
    neurons: IntegerNeurons,
    synapses: IntegerSynapses,
    inputs: NDArray[np.uint8],
    voltage_columns: NDArray[np.int64],
    current_columns: NDArray[np.int64],
) -> tuple[NDArray[np.bool_], NDArray[np.int32], NDArray[np.int32]]:
    """Run all samples of `inputs` from rest.

    Parameters
    ----------
    neurons : IntegerNeurons
    synapses : IntegerSynapses
    inputs : (n_steps, n_samples, n_lines) uint8
        What multiplies the weights: 0 and 1, or payloads.
    voltage_columns, current_columns : (n,) int64
        Column in which the state of a neuron is recorded, or -1.

    Returns
    -------
    spikes : (n_steps, n_samples, n) bool
    voltages, currents : (n_steps, n_samples, columns) int32

    Raises
    ------
    ValidationError
        For arrays of another type or shape, and for synapses that lead outside.
    """
    owner, n = "run_integers", neurons.bias.size
    check_array(owner, "inputs", inputs, np.uint8, (None, None, None))
    for name, array in (
        *vars(neurons).items(),
        ("voltage_columns", voltage_columns),
        ("current_columns", current_columns),
    ):
        check_array(owner, name, array, np.int64, (n,))
    n_steps, n_samples, n_lines = inputs.shape
    n_synapses = synapses.targets.size
    check_array(owner, "starts", synapses.starts, np.int64, (n_lines + n + 1,))
    for name in ("targets", "weights", "delays"):
        check_array(owner, name, getattr(synapses, name), np.int32, (n_synapses,))
    starts, targets, delays = synapses.starts, synapses.targets, synapses.delays
    if starts[0] != 0 or starts[-1] != n_synapses or np.any(np.diff(starts) < 0):
        raise ValidationError(f"{owner}.starts: must grow from 0 to the number of synapses, {n_synapses}")
    if n_synapses and (targets.min() < 0 or targets.max() >= n or delays.min() < 0):
        raise ValidationError(f"{owner}.synapses: targets must lie in [0, {n}) and delays must not be negative")
    spikes = np.zeros((n_steps, n_samples, n), np.bool_)
    columns = [int(wanted.max(initial=-1)) + 1 for wanted in (voltage_columns, current_columns)]
    voltages, currents = (np.zeros((n_steps, n_samples, size), np.int32) for size in columns)
    # what arrives after the last step needs no place to wait in
    n_slots = int(min(delays.max(initial=0), max(n_steps - 1, 0))) + 1
    run(
        _run_integers,
        n_steps * n_samples * (n + n_lines),
        neurons.current_kept,
        neurons.voltage_kept,
        neurons.bias,
        neurons.threshold,
        neurons.reset,
        starts,
        targets,
        synapses.weights,
        delays,
        inputs,
        voltage_columns,
        current_columns,
        n_slots,
        spikes,
        voltages,
        currents,
    )
    return spikes, voltages, currents


@jit
def _decay(state, kept):
    product = state * kept
    return product >> DECAY_BITS if product >= 0 else -(-product >> DECAY_BITS)


@jit
def _send(source, factor, slot, n_slots, starts, targets, weights, delays, sums):
    for k in range(starts[source], starts[source + 1]):
        if delays[k] < n_slots:
            due = slot + delays[k]
            if due >= n_slots:
                due -= n_slots
            sums[due, targets[k]] += np.int64(weights[k]) * factor


@jit(parallel=True)
def _run_integers(
    current_kept,
    voltage_kept,
    bias,
    threshold,
    reset,
    starts,
    targets,
    weights,
    delays,
    inputs,
    voltage_columns,
    current_columns,
    n_slots,
    spikes,
    voltages,
    currents,
):
    n_steps, n_samples, n_lines = inputs.shape
    n = bias.size
    half = STATE_SPAN // 2
    for b in prange(n_samples):
        u, v = np.zeros(n, np.int64), np.zeros(n, np.int64)
        spiked = np.zeros(n, np.bool_)
        sums = np.zeros((n_slots, n), np.int64)
        for t in range(n_steps):
            slot = t % n_slots
            for j in range(n_lines):
                if inputs[t, b, j]:
                    _send(j, np.int64(inputs[t, b, j]), slot, n_slots, starts, targets, weights, delays, sums)
            for i in range(n):
                current = _decay(u[i], current_kept[i]) + (sums[slot, i] << ALIGNMENT_BITS)
                sums[slot, i] = 0
                # modulo 2**24, with +2**23 instead of -2**23
                current = half - ((half - current) & (STATE_SPAN - 1))
                voltage = _decay(v[i], voltage_kept[i]) + current + bias[i]
                if reset[i] == _RESET_SUBTRACT and spiked[i]:
                    voltage -= threshold[i]
                voltage = min(max(voltage, -MAX_VOLTAGE), MAX_VOLTAGE)
                fires = voltage > threshold[i]
                if fires:
                    spikes[t, b, i] = True
                    _send(n_lines + i, np.int64(1), slot, n_slots, starts, targets, weights, delays, sums)
                    if reset[i] == _RESET_ZERO:
                        voltage = 0
                u[i], v[i], spiked[i] = current, voltage, fires
                if voltage_columns[i] >= 0:
                    voltages[t, b, voltage_columns[i]] = voltage
                if current_columns[i] >= 0:
                    currents[t, b, current_columns[i]] = current
