"""The gradient of synapses that are not there, against the dense layer that has them all."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from allocation import nothing_larger
from torch import Tensor, nn

from neurosparse import Recurrent, SparseLinear, SparseSNN, readout
from neurosparse.nn import gradient_probe
from neurosparse.nn.engine_matmul import kernel_matmul
from neurosparse.nn.gradient_probe import GradientProbe


def probed(n_in: int, n_out: int, n_synapses: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> SparseLinear:
    rng = np.random.default_rng(seed)
    layer = SparseLinear(n_in, n_out, n_synapses=n_synapses, generator=rng, gain=1.5, dtype=dtype)
    layer.gradient_probe = GradientProbe()
    return layer


def whole(layer: SparseLinear) -> Tensor:
    """All blocks of the probe, put together; every entry must come exactly once."""
    dense = torch.full((layer.out_features, layer.in_features), float("nan"), dtype=layer.values.dtype)
    for row, column, block in layer.gradient_probe.blocks(layer):
        part = dense[row : row + block.shape[0], column : column + block.shape[1]]
        assert torch.isnan(part).all()
        part.copy_(torch.from_numpy(block))
    assert not torch.isnan(dense).any()
    return dense


def dense_twin(connection: SparseLinear) -> nn.Linear:
    """The layer with a weight of 0 where there is no synapse: the gradient there is what is asked for."""
    twin = nn.Linear(connection.in_features, connection.out_features, bias=False, dtype=connection.values.dtype)
    twin.weight.data = connection.to_dense()
    return twin


def test_by_hand() -> None:
    # y = W x; delta = dL/dy = (1, -2); dL/dW = delta x^T
    layer = probed(3, 2, 2)
    y = layer(torch.tensor([[1.0, 0.0, 5.0]], dtype=torch.float64))
    y.backward(torch.tensor([[1.0, -2.0]], dtype=torch.float64))
    assert whole(layer).tolist() == [[1, 0, 5], [-2, 0, -10]]


def test_every_call_of_a_step_by_step_loop_counts() -> None:
    layer = probed(7, 5, 9)
    twin = dense_twin(layer)
    x = torch.randn(6, 4, 7, dtype=torch.float64)
    for module in (layer, twin):
        v = torch.zeros(4, 5, dtype=torch.float64)
        for step in x:
            v = torch.tanh(0.9 * v + module(step))
        v.square().sum().backward()
    assert layer.gradient_probe.n_calls == 6
    torch.testing.assert_close(whole(layer), twin.weight.grad)


@pytest.mark.parametrize("spikes", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_on_the_kernels_of_the_unfused_product(spikes: bool, dtype: torch.dtype) -> None:
    layer = probed(40, 23, 120, dtype=dtype)
    x = torch.rand(37, 40, dtype=dtype)
    x = (x < 0.2).to(dtype) if spikes else x
    weights = torch.randn(37, 23, dtype=dtype)
    (kernel_matmul(x, layer.values, layer) * weights).sum().backward()
    torch.testing.assert_close(whole(layer), weights.t() @ x)
    torch.testing.assert_close(whole(layer)[layer.to_dense() != 0], layer.values.grad)


def leaky(**options: Any) -> snn.Leaky:
    return snn.Leaky(beta=0.8, threshold=0.7, spike_grad=snn.surrogate.atan(), **options)


def synaptic() -> snn.Synaptic:
    return snn.Synaptic(alpha=0.6, beta=0.8, threshold=0.7, spike_grad=snn.surrogate.atan())


def network(neuron: Any, density: float, engine: str) -> SparseSNN:
    rng = np.random.default_rng(3)
    options = {"gain": 2.0, "generator": rng, "dtype": torch.float64}
    hidden = Recurrent(neuron(), SparseLinear(19, 19, density=density, **options))
    first, last = SparseLinear(30, 19, density=density, **options), SparseLinear(19, 4, density=density, **options)
    return SparseSNN(first, hidden, last, readout(0.9), engine=engine)


def with_dense_connections(net: SparseSNN) -> tuple[SparseSNN, list[tuple[SparseLinear, nn.Linear]]]:
    pairs, modules = [], []
    for layer in net.layers():
        connections = [layer.connection] if layer.recurrent is None else [layer.connection, layer.recurrent]
        twins = [dense_twin(connection) for connection in connections]
        pairs += zip(connections, twins, strict=True)
        modules += [twins[0], layer.neuron if len(twins) == 1 else Recurrent(layer.neuron, twins[1])]
    return SparseSNN(*modules, engine="snntorch"), pairs


@pytest.mark.parametrize("engine", ["fused", "snntorch"])
@pytest.mark.parametrize("neuron", [leaky, synaptic])
@pytest.mark.parametrize("density", [0.2, 0.9])
@pytest.mark.parametrize("kind", ["spikes", "analog", "constant"])
def test_of_whole_sequences_in_every_layer_and_its_recurrence(
    engine: str, neuron: Any, density: float, kind: str
) -> None:
    torch.manual_seed(0)
    net = network(neuron, density, engine)
    twin, pairs = with_dense_connections(net)
    x = torch.rand(11, 6, 30, dtype=torch.float64)
    if kind == "spikes":
        x = (x < 0.3).double()
    elif kind == "constant":
        x = x[:1].expand(11, -1, -1)
    weights = torch.randn(11, 6, 4, dtype=torch.float64)
    for connection, _ in pairs:
        connection.gradient_probe = GradientProbe()
    for model in (net, twin):
        (model(x).voltages * weights).sum().backward()
    for connection, dense in pairs:
        if density < 0.5:
            assert dense.weight.grad.count_nonzero() > connection.n_synapses, "the dormant ones have a gradient"
        # snnTorch's surrogate computes in float32
        torch.testing.assert_close(whole(connection), dense.weight.grad, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(whole(connection)[connection.to_dense() != 0], connection.values.grad)


def test_without_recurrence_the_fused_layers_give_their_gradients_too() -> None:
    torch.manual_seed(1)
    first, last = probed(30, 19, 60), probed(19, 4, 30, seed=1)
    net = SparseSNN(first, leaky(), last, leaky(), engine="fused")
    twin, pairs = with_dense_connections(net)
    x = (torch.rand(11, 6, 30) < 0.3).double()
    for model in (net, twin):
        model(x).voltages.square().sum().backward()
    for connection, dense in pairs:
        torch.testing.assert_close(whole(connection), dense.weight.grad, rtol=1e-5, atol=1e-5)


def test_the_blocks_add_up_whatever_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = probed(9, 7, 20)
    kernel_matmul((torch.rand(33, 9) < 0.5).double(), layer.values, layer).sum().backward()
    expected = whole(layer)
    monkeypatch.setattr(gradient_probe, "_WIDTH", 4)
    monkeypatch.setattr(gradient_probe, "_BLOCK", 12)
    blocks = list(layer.gradient_probe.blocks(layer))
    assert {block.shape for _, _, block in blocks} == {(3, 4), (1, 4), (3, 1), (1, 1)}
    assert torch.equal(whole(layer), expected)


def test_gradients_accumulated_over_batches_add_up() -> None:
    layer = probed(6, 4, 8)
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    for part in x:
        layer(part).square().sum().backward()
    assert layer.gradient_probe.n_calls == 2
    live = whole(layer)[layer.to_dense() != 0]
    torch.testing.assert_close(live, layer.values.grad)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_what_was_recorded_before_zero_grad_does_not_count(set_to_none: bool) -> None:
    layer = probed(6, 4, 8)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(2):
        x = torch.randn(5, 6, dtype=torch.float64)
        optimizer.zero_grad(set_to_none=set_to_none)
        layer(x).square().sum().backward()
    assert layer.gradient_probe.n_calls == 1
    torch.testing.assert_close(whole(layer)[layer.to_dense() != 0], layer.values.grad)


def test_an_attack_that_differentiates_by_the_input_does_not_count() -> None:
    layer = probed(6, 4, 8)
    x = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    for _ in range(3):
        torch.autograd.grad(layer(x).square().sum(), x)
    layer(x).square().sum().backward()
    torch.testing.assert_close(whole(layer)[layer.to_dense() != 0], layer.values.grad)


def test_nothing_is_kept_when_nobody_asks() -> None:
    layer = SparseLinear(6, 4, density=0.5)
    assert layer.gradient_probe is None
    layer(torch.randn(5, 6)).sum().backward()
    assert layer.gradient_probe is None


def test_a_copy_of_the_layer_has_no_probe() -> None:
    layer = probed(6, 4, 8)
    layer(torch.randn(5, 6, dtype=torch.float64, requires_grad=True)).sum().backward()
    assert copy.deepcopy(layer).gradient_probe is None
    assert layer.gradient_probe.n_calls == 1
    assert "gradient_probe" not in str(layer.state_dict().keys())


def test_the_dense_gradient_is_never_there_as_a_whole() -> None:
    def differentiate(n_in: int, n_out: int, n_synapses: int) -> float:
        hidden = probed(n_in, n_out, n_synapses, dtype=torch.float32)
        net = SparseSNN(hidden, leaky(), engine="fused")
        net((torch.rand(5, 2, n_in) < 0.3).float()).voltages.sum().backward()
        return sum(float(np.abs(block).sum()) for _, _, block in hidden.gradient_probe.blocks(hidden))

    differentiate(6000, 4000, 5000)
    with nothing_larger(6000 * 4000):
        assert differentiate(6000, 4000, 5000) > 0
