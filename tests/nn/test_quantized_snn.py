"""Training in integers: the forward pass is the integer twin's, bit for bit, and the gradient is the real network's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import neurosparse as ns
from neurosparse.errors import UnsupportedError, ValidationError


def _net(
    seed: int,
    *,
    reset: str = "zero",
    synaptic: bool = False,
    recurrent: bool = False,
    bias: bool = False,
    kind: str = "spikes",
) -> ns.SparseSNN:
    generator = np.random.default_rng(seed)
    options: dict[str, Any] = {"beta": 0.87, "threshold": 0.9, "reset_mechanism": reset, "reset_delay": reset != "zero"}
    neuron: nn.Module = snn.Synaptic(alpha=0.6, **options) if synaptic else snn.Leaky(**options)
    if recurrent:
        neuron = ns.Recurrent(neuron, ns.SparseLinear(14, 14, 0.3, generator=generator))
    first = ns.SparseLinear(9, 14, 0.5, gain=3.0, bias=bias, generator=generator)
    if bias:
        nn.init.normal_(first.bias, std=0.2, generator=torch.Generator().manual_seed(seed))
    last = ns.SparseLinear(14, 4, 0.6, gain=2.0, generator=generator)
    return ns.SparseSNN(first, neuron, last, ns.readout(0.93), input=kind)


def same_integers(one: ns.QuantizedNetwork, two: ns.QuantizedNetwork) -> bool:
    return all(
        np.array_equal(a.weights, b.weights) and np.array_equal(a.indices, b.indices)
        for a, b in zip(one.projections, two.projections, strict=True)
    ) and all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in zip(one.populations, two.populations, strict=True)
        for name in ("du", "dv", "v_threshold", "bias", "bias_exponent")
    )


def _inputs(seed: int, kind: str, n_steps: int = 25, n_samples: int = 3) -> tuple[np.ndarray, torch.Tensor]:
    rng = np.random.default_rng(seed)
    if kind == "spikes":
        x = (rng.random((n_steps, n_samples, 9)) < 0.3).astype(np.uint8)
        return x, torch.from_numpy(x).float()
    x = rng.integers(0, 256, (n_steps, n_samples, 9), dtype=np.uint8)
    return x, torch.from_numpy(x).float() / 256


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 99),
    bits=st.sampled_from([8, 6, 4, 2]),
    reset=st.sampled_from(["zero", "subtract", "none"]),
    synaptic=st.booleans(),
    recurrent=st.booleans(),
    kind=st.sampled_from(["spikes", "graded"]),
    chip=st.sampled_from([None, "loihi2"]),
)
def test_what_is_trained_is_what_the_integer_twin_runs(
    seed: int, bits: int, reset: str, synaptic: bool, recurrent: bool, kind: str, chip: str | None
) -> None:
    net = _net(
        seed, reset=reset, synaptic=synaptic, recurrent=recurrent, bias=not synaptic and seed % 2 == 0, kind=kind
    )
    spikes, x = _inputs(seed, kind)
    try:
        like = ns.quantize(net.to_network(), chip, bits=bits, calibration=spikes)
    except UnsupportedError:
        return  # loihi2 without microcode for this reset, or sums that do not fit
    model = ns.QuantizedSNN(net, like)
    with torch.no_grad():  # as after some training: other weights, the same units
        for layer in model.layers():
            layer.connection.values.mul_(torch.empty_like(layer.connection.values).uniform_(0.5, 1.2))
    out = model(x, record=True)
    deployed = ns.quantize(model.to_network(), chip, like=like)
    assert same_integers(model.to_quantized(), deployed)
    recording = ns.simulate(deployed, spikes, record="voltages")
    for name, (found, voltages) in zip(model.names or (), out.layers, strict=True):
        assert np.array_equal(found.detach().numpy().astype(bool), recording.spikes[name])
        registers = voltages.detach().numpy() / like.scales[name]
        assert np.array_equal(np.rint(registers), recording.voltages[name])
        assert np.allclose(registers, np.rint(registers), atol=1e-6)


def test_gradients_are_those_of_the_real_network_where_integers_are_fine() -> None:
    net = _net(3, reset="none")
    net.stack[1].threshold.fill_(1e3)  # nothing spikes in the first layer: everything is linear
    weights = torch.full_like(net.stack[2].values, 0.5)
    net.stack[2].values.data = weights
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (6, 5, 9))).float()
    like = ns.quantize(net.to_network(), calibration=x.numpy().astype(np.uint8))
    model = ns.QuantizedSNN(net, like)
    for which in (net, model):
        out = which(x, record=True)
        out.layers[0][1].sum().backward()
    expected, found = net.stack[0].values.grad, model.stack[0].values.grad
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=0)  # decays differ by up to 1/8192


def test_a_clipped_weight_is_not_pushed_further_out() -> None:
    net = _net(1)
    like = ns.quantize(net.to_network(), calibration=_inputs(1, "spikes")[0])
    model = ns.QuantizedSNN(net, like)
    values = model.stack[0].values
    with torch.no_grad():
        values[0] = 1e6
    model(_inputs(1, "spikes")[1], record=True).layers[0][1].sum().backward()
    assert values.grad[0] == 0
    assert values.grad[1:].abs().sum() > 0


def test_decays_learn_through_their_rounding() -> None:
    generator = np.random.default_rng(0)
    neuron = snn.Leaky(0.8, learn_beta=True, reset_mechanism="zero", reset_delay=False)
    first, last = (ns.SparseLinear(*shape, 0.8, gain=3.0, generator=generator) for shape in ((9, 6), (6, 3)))
    net = ns.SparseSNN(first, neuron, last, ns.readout(0.9))
    spikes, x = _inputs(2, "spikes")
    model = ns.QuantizedSNN(net, ns.quantize(net.to_network(), calibration=spikes))
    model(x).voltages.square().sum().backward()
    assert model.stack[1].beta.grad.abs() > 0


def test_it_trains_together_with_rewiring_and_keeps_its_budget() -> None:
    net = _net(5)
    spikes, x = _inputs(5, "spikes", n_samples=16)
    labels = torch.arange(16) % 4
    model = ns.QuantizedSNN(net, ns.quantize(net.to_network(), bits=4, calibration=spikes))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    rewirer = ns.DeepR(alpha=1e-2).attach(model, optimizer, seed=0)
    synapses = [layer.connection.n_synapses for layer in model.layers()]
    losses = []
    for _ in range(40):
        loss = ns.losses.voltage_cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rewirer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    assert [layer.connection.n_synapses for layer in model.layers()] == synapses
    assert sum(rewirer.stats.total_births.values()) > 0


def test_another_networks_integers_are_refused() -> None:
    spikes, _ = _inputs(0, "spikes")
    like = ns.quantize(_net(0).to_network(), calibration=spikes)
    with pytest.raises(ValidationError, match=r"QuantizedSNN.like: its population 'hidden1'"):
        ns.QuantizedSNN(_net(0, recurrent=True), like)
    net = _net(0, synaptic=True, bias=True)
    net.stack[0].bias.data.zero_()
    like = ns.quantize(net.to_network(), calibration=spikes)
    with pytest.raises(UnsupportedError, match="train without bias"):
        ns.QuantizedSNN(net, like)
