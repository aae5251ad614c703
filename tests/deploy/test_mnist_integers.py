"""A trained MNIST network in integers: Lava computes every spike and voltage of 100 test images, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from numpy.typing import NDArray

import neurosparse as ns
from neurosparse.backends.native_integers import simulate_integers
from neurosparse.data.datasets import load_dataset

N_STEPS = 10

pytestmark = [pytest.mark.mnist, pytest.mark.filterwarnings("ignore::DeprecationWarning:snntorch")]


def constant(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Return pixels as payloads, the same at every step: (time, batch, 784)."""
    return np.broadcast_to(images.reshape(1, len(images), -1), (N_STEPS, len(images), 784)).copy()


@pytest.fixture(scope="module")
def trained() -> tuple[ns.Network, NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]:
    """784-300-100-10 at 5 %, reset to zero as chips have it, after 60 batches; calibration and test images."""
    data = load_dataset("mnist")
    torch.manual_seed(0)
    layers: list[Any] = []
    for n_source, n_target, density in ((784, 300, 0.0385), (300, 100, 0.111), (100, 10, 0.919)):
        layers.append(ns.SparseLinear(n_source, n_target, density=density))
        layers.append(snn.Leaky(beta=0.9, reset_mechanism="zero") if n_target > 10 else ns.readout(beta=0.9))
    net = ns.SparseSNN(*layers)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    pixels, labels = data.train.flat[:7680], torch.from_numpy(data.train.labels[:7680])
    for first in range(0, 7680, 128):
        x = torch.from_numpy(constant(pixels[first : first + 128])).float() / 256
        loss = ns.losses.voltage_cross_entropy(net(x), labels[first : first + 128])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network = net.to_network(input="graded")
    return network, constant(pixels[:100]), constant(data.test.flat[:100]), data.test.labels[:100]


def test_8_bits_decide_as_the_floats_do(trained) -> None:
    network, calibration, images, labels = trained
    quantized = ns.quantize(network, "loihi2", calibration=calibration)
    readout = network.outputs[0]
    decisions = [simulate_integers(quantized, images, record=frozenset()).decisions(readout)]
    decisions.append(ns.simulate(network, images).decisions(readout))
    assert np.mean(decisions[1] == labels) > 0.8
    assert np.mean(decisions[0] == decisions[1]) >= 0.95


@pytest.mark.lava
def test_lava_computes_every_spike_and_voltage_of_100_test_images(trained) -> None:
    network, calibration, images, _ = trained
    quantized = ns.quantize(network, "loihi2", calibration=calibration)
    expected = ns.simulate(quantized, images, record="voltages")
    assert expected.n_spikes > 5000
    for actual in (
        ns.simulate(quantized, images, backend="lava", record="voltages"),
        simulate_integers(quantized, images, record=frozenset(("voltages",))),
    ):
        comparison = ns.parity(expected, actual)
        assert comparison.identical, str(comparison)
        assert comparison.voltage_mismatches == 0
