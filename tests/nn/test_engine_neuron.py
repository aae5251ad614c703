"""What the engine keeps of a neuron is what the neuron is now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from snntorch import surrogate

from neurosparse.nn.engine_neuron import Neurons, learnable, neurons_of


def of(neuron: Any, n: int = 3, dtype: torch.dtype = torch.float32) -> Neurons:
    found = neurons_of(neuron, n, dtype)
    assert isinstance(found, Neurons), found
    return found


def test_nothing_is_prepared_twice_while_nothing_changes() -> None:
    neuron = snn.Leaky(beta=0.9)
    assert of(neuron) is of(neuron)
    assert of(neuron, n=4).cells.beta.size == 4
    assert of(neuron, dtype=torch.float64).cells.beta.dtype == np.float64


def test_decays_are_clamped_and_spread_over_the_neurons() -> None:
    cells = of(snn.Synaptic(alpha=1.5, beta=torch.tensor([0.1, -0.2, 0.3]), threshold=0.7)).cells
    assert cells.filtered
    np.testing.assert_array_equal(cells.alpha, np.ones(3, np.float32))
    np.testing.assert_array_equal(cells.beta, np.array([0.1, 0.0, 0.3], np.float32))
    np.testing.assert_array_equal(cells.threshold, np.full(3, 0.7, np.float32))


def _by_numpy(neuron: snn.Leaky) -> None:
    neuron.beta.numpy()[...] = 0.5


def _by_data(neuron: snn.Leaky) -> None:
    neuron.beta.data.fill_(0.5)


def _by_new_buffer(neuron: snn.Leaky) -> None:
    neuron.beta = torch.tensor(0.5)


def _by_state(neuron: snn.Leaky) -> None:
    neuron.load_state_dict({**neuron.state_dict(), "beta": torch.tensor(0.5)})


@pytest.mark.parametrize("change", [_by_numpy, _by_data, _by_new_buffer, _by_state])
def test_a_parameter_is_seen_to_change_however_it_is_written_to(change: Callable[[snn.Leaky], None]) -> None:
    neuron = snn.Leaky(beta=0.9)
    before = of(neuron)
    change(neuron)
    np.testing.assert_array_equal(of(neuron).cells.beta, np.full(3, 0.5, np.float32))
    np.testing.assert_array_equal(before.cells.beta, np.full(3, 0.9, np.float32))  # what a graph still refers to


def test_one_of_many_values_is_seen_to_change() -> None:
    neuron = snn.Leaky(beta=torch.full((3,), 0.9), threshold=torch.ones(3))
    of(neuron)
    neuron.threshold[1] = 2.0
    assert of(neuron).cells.threshold.tolist() == [1.0, 2.0, 1.0]


def test_flags_surrogates_and_hooks_are_seen_to_change() -> None:
    neuron = snn.Leaky(beta=0.9, spike_grad=surrogate.atan())
    before = of(neuron).surrogate
    neuron.spike_grad = surrogate.fast_sigmoid(slope=5.0)
    assert of(neuron).surrogate != before
    neuron.inhibition = True
    assert "inhibition" in str(neurons_of(neuron, 3, torch.float32))
    neuron.inhibition = False
    of(neuron)
    handle = neuron.register_forward_hook(lambda *_: None)
    assert "hooks" in str(neurons_of(neuron, 3, torch.float32))
    handle.remove()
    of(neuron)


def test_only_what_learns_is_shown_to_autograd() -> None:
    assert learnable(snn.Leaky(beta=0.9), 3, torch.float32) == (None, None, None)
    alpha, beta, threshold = learnable(snn.Leaky(beta=0.9, learn_beta=True), 3, torch.float32)
    assert alpha is None
    assert threshold is None
    assert beta is not None
    assert beta.shape == (3,)
    assert beta.requires_grad
