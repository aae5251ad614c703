"""The compiled integer neurons: what they refuse, and one run worked out by hand (the rest is in tests/backends)."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from neurosparse.errors import ValidationError
from neurosparse.kernels.integers import NEVER, RESETS, IntegerNeurons, IntegerSynapses, run_integers


def neurons(**changes: Any) -> IntegerNeurons:
    """Two neurons without current: one resets to zero above 64, one is a read-out that keeps half."""
    values = {
        "current_kept": np.zeros(2, np.int64),
        "voltage_kept": np.int64([4096, 2048]),
        "bias": np.int64([0, -1]),
        "threshold": np.array([64, NEVER]),
        "reset": np.int64([RESETS["zero"], RESETS["none"]]),
    }
    return IntegerNeurons(**(values | changes))


def synapses(**changes: Any) -> IntegerSynapses:
    """The input excites the first neuron by 1, that one the second by 10 one step later."""
    values = {
        "starts": np.int64([0, 1, 2, 2]),
        "targets": np.int32([0, 1]),
        "weights": np.int32([1, 10]),
        "delays": np.int32([0, 1]),
    }
    return IntegerSynapses(**(values | changes))


COLUMNS = np.int64([-1, 0])
INPUTS = np.uint8([1, 1, 0, 0]).reshape(4, 1, 1)


def test_two_neurons_by_hand() -> None:
    spikes, voltages, currents = run_integers(neurons(), synapses(), INPUTS, COLUMNS, np.int64([0, 1]))
    # v0: 64, 128 > 64 and zero, 0, 0
    assert spikes[:, 0].tolist() == [[False, False], [True, False], [False, False], [False, False]]
    # v1: -1, -1 (half of -1 is 0), 640 - 1, 319 - 1
    assert voltages[:, 0].tolist() == [[-1], [-1], [639], [318]]
    assert currents[:, 0].tolist() == [[64, 0], [64, 0], [0, 640], [0, 0]]


def test_samples_do_not_see_each_other() -> None:
    inputs = np.concatenate([INPUTS, 0 * INPUTS, INPUTS], axis=1)
    spikes = run_integers(neurons(), synapses(), inputs, COLUMNS, COLUMNS)[0]
    assert spikes.any(axis=(0, 2)).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"targets": np.int32([0, 2])}, r"run_integers.synapses: targets must lie in \[0, 2\) and delays"),
        ({"targets": np.int32([0, -1])}, r"targets must lie in \[0, 2\)"),
        ({"delays": np.int32([0, -1])}, r"delays must not be negative"),
        ({"starts": np.int64([0, 1, 2, 3])}, r"run_integers.starts: must grow from 0 to the number of synapses, 2"),
        ({"starts": np.int64([0, 3, 2, 2])}, r"run_integers.starts: must grow from 0"),
        ({"starts": np.int64([0, 2])}, r"run_integers.starts: has shape \(2,\), would have to be \(4,\)"),
        ({"weights": np.int64([1, 10])}, r"run_integers.weights: has dtype int64, would have to be int32"),
    ],
)
def test_synapses_that_lead_outside_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        run_integers(neurons(), synapses(**changed), INPUTS, COLUMNS, COLUMNS)


def test_arrays_of_another_type_or_size_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"run_integers.inputs: has dtype bool, would have to be uint8"):
        run_integers(neurons(), synapses(), INPUTS.astype(bool), COLUMNS, COLUMNS)
    with pytest.raises(ValidationError, match=r"run_integers.bias: has dtype int32, would have to be int64"):
        run_integers(neurons(bias=np.zeros(2, np.int32)), synapses(), INPUTS, COLUMNS, COLUMNS)
    with pytest.raises(ValidationError, match=r"run_integers.reset: has shape \(3,\), would have to be \(2,\)"):
        run_integers(dataclasses.replace(neurons(), reset=np.zeros(3, np.int64)), synapses(), INPUTS, COLUMNS, COLUMNS)
    with pytest.raises(ValidationError, match=r"run_integers.voltage_columns: has shape \(1,\)"):
        run_integers(neurons(), synapses(), INPUTS, COLUMNS[:1], COLUMNS)
