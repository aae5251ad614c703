"""Inputs that are odd or wrong, through `SparseSNN` and `SparseLinear`: the right result or an error that says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import Tensor

import neurosparse as ns
from neurosparse.errors import ValidationError
from neurosparse.nn import engine_matmul

T, B, N_IN, N = 5, 3, 8, 6


def network(engine: str = "auto", kind: str = "leaky", recurrent: bool = False) -> ns.SparseSNN:
    rng = np.random.default_rng(0)
    neuron: torch.nn.Module = snn.Synaptic(alpha=0.8, beta=0.9) if kind == "synaptic" else snn.Leaky(beta=0.9)
    if recurrent:
        neuron = ns.Recurrent(neuron, ns.SparseLinear(N, N, 0.5, generator=rng))
    first = ns.SparseLinear(N_IN, N, 0.5, gain=2, generator=rng)
    # every hidden neuron reaches the read-out
    return ns.SparseSNN(first, neuron, ns.SparseLinear(N, 2, 1.0, generator=rng), ns.readout(0.9), engine=engine)  # type: ignore[arg-type]


def spikes() -> Tensor:
    return (torch.rand(T, B, N_IN, generator=torch.Generator().manual_seed(0)) < 0.5).float()


def results(net: ns.SparseSNN, x: Tensor) -> list[Tensor]:
    output = net(x)
    output.voltages.sum().backward()
    return [output.spikes, output.voltages, *(p.grad for p in net.parameters() if p.grad is not None)]


UNUSUAL: dict[str, Callable[[Tensor], Tensor]] = {
    "not contiguous": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "every other of more": lambda x: x.repeat_interleave(2, dim=2)[:, :, ::2],
    "float64": Tensor.double,
    "float16": Tensor.half,
    "bfloat16": Tensor.bfloat16,
    "int64": Tensor.long,
    "int8": lambda x: x.to(torch.int8),
    "uint8": lambda x: x.to(torch.uint8),
    "bool": Tensor.bool,
}


@pytest.mark.parametrize("kind", ["leaky", "synaptic"])
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("how", UNUSUAL)
def test_layout_and_type_of_spikes_make_no_difference(kind: str, recurrent: bool, how: str) -> None:
    plain = results(network("auto", kind, recurrent), spikes())
    for found, expected in zip(results(network("auto", kind, recurrent), UNUSUAL[how](spikes())), plain, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize(
    "values", [lambda x: -x, lambda x: 2 * x, lambda x: (200 * x).to(torch.uint8)], ids=["negative", "two", "graded"]
)
def test_values_that_are_no_spikes_count_as_currents(values: Callable[[Tensor], Tensor], recurrent: bool) -> None:
    found, expected = (results(network(e, recurrent=recurrent), values(spikes())) for e in ("auto", "snntorch"))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("strange", [float("nan"), float("inf")])
@pytest.mark.parametrize("engine", ["auto", "snntorch"])
def test_a_strange_value_reaches_the_sample_and_the_neurons_it_is_wired_to(engine: str, strange: float) -> None:
    x = spikes()
    x[1, 1, 2] = strange
    net = network(engine)
    layer = net.layers()[0].connection
    assert isinstance(layer, ns.SparseLinear)
    wired = layer.to_dense()[:, 2] != 0
    _, (voltages,) = zip(*net(x, record=True).layers[:1], strict=True)
    reached = ~torch.isfinite(voltages)
    assert reached[1, 1].tolist() == wired.tolist()
    assert not reached[0].any()
    assert not reached[:, [0, 2]].any()
    assert not reached[:, :, ~wired].any()


@pytest.mark.parametrize("engine", ["auto", "snntorch"])
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("shape", [(0, B), (T, 0), (0, 0)])
def test_no_time_and_no_samples_give_empty_results(engine: str, recurrent: bool, shape: tuple[int, int]) -> None:
    net = network(engine, recurrent=recurrent)
    output = net(torch.zeros(*shape, N_IN))
    assert output.spikes.shape == output.voltages.shape == (*shape, 2)
    output.voltages.sum().backward()
    for p in net.parameters():
        assert p.grad is None or not p.grad.any()


WRONG: list[tuple[Any, str]] = [
    (np.zeros((T, B, N_IN), np.float32), r"input is a ndarray, would have to be a torch\.Tensor"),
    ([[[1.0]]], r"input is a list, would have to be a torch\.Tensor"),
    (torch.zeros(T, B, N_IN).to_sparse(), r"input has layout torch\.sparse_coo, would have to be dense: x\.to_dense"),
    (torch.zeros(T, B, N_IN, dtype=torch.complex64), r"input is torch\.complex64, would have to be real"),
    (torch.zeros(T, B, N_IN, device="meta"), r"input is on meta, the weights are on cpu; .* x\.to\('cpu'\)"),
    (torch.zeros(T, B, N_IN - 1), r"input has shape \(5, 3, 7\), expected \(.*8\)"),
]


@pytest.mark.parametrize(("x", "message"), WRONG)
@pytest.mark.parametrize("engine", ["auto", "snntorch"])
def test_what_is_no_input_of_a_network_is_refused_by_name(x: Any, message: str, engine: str) -> None:
    with pytest.raises(ValidationError, match=f"SparseSNN: {message}"):
        network(engine)(x)


@pytest.mark.parametrize(("x", "message"), WRONG)
def test_what_is_no_input_of_a_layer_is_refused_by_name(x: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=f"SparseLinear: {message}"):
        ns.SparseLinear(N_IN, N, 0.5)(x)


@pytest.mark.parametrize("worth", [0, 10**9], ids=["kernels", "torch"])
def test_a_layer_alone_takes_strides_and_empty_batches_and_keeps_nan_where_it_is_wired(
    worth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_matmul, "_WORTH", worth)
    layer = ns.SparseLinear(N_IN, N, 0.5, generator=np.random.default_rng(0))
    x = spikes()
    assert torch.equal(layer(UNUSUAL["not contiguous"](x)), layer(x))
    assert torch.equal(layer(UNUSUAL["every other of more"](x)), layer(x))
    assert layer(x[:, :0]).shape == (T, 0, N)
    x[1, 1, 2] = float("nan")
    wired = layer.to_dense()[:, 2] != 0
    nan = torch.isnan(layer(x))
    assert nan[1, 1].tolist() == wired.tolist()
    assert int(nan.sum()) == int(wired.sum())
