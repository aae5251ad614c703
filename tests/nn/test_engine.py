"""The fused engine against snnTorch, step by step with autograd: outputs, voltages and every gradient."""

from __future__ import annotations

import logging
import re
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from snntorch import surrogate as snn_surrogate
from torch import Tensor, nn

from neurosparse.errors import UnsupportedError, ValidationError
from neurosparse.kernels.buffers import idle_bytes, release_idle
from neurosparse.kernels.choice import Plan
from neurosparse.nn import engine, engine_owed, sequence, stepwise
from neurosparse.nn.engine_matmul import kernel_matmul, takes
from neurosparse.nn.engine_source import PackedSpikes, tensor_of_rows
from neurosparse.nn.matmul import torch_matmul
from neurosparse.nn.network import Layer, Recurrent, SparseSNN, readout
from neurosparse.nn.sparse import SparseLinear
from neurosparse.nn.surrogates import Atan, Boxcar, FastSigmoid, Sigmoid, Triangular

RESETS = [(reset, delay) for reset in ("subtract", "zero", "none") for delay in (True, False)]


def gradients(layer: Layer, x: Tensor, fused: bool, seed: int = 0) -> dict[str, Tensor]:
    """Run a layer either way on a random loss of its spikes and voltages; return everything it computes."""
    modules = [m for m in (layer.connection, layer.neuron, layer.recurrent) if m is not None]
    x = x.detach().requires_grad_() if x.is_floating_point() and x.stride(0) else x
    for module in modules:
        module.zero_grad()
    if fused:
        packed, voltages = engine.run_layer(layer, x)
        assert voltages is not None
        spikes = packed.tensor()
    else:
        spikes, voltages = stepwise.run_layer(layer, x)
    random = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(spikes.shape, generator=random, dtype=spikes.dtype) for _ in range(2))
    ((spikes * a).sum() + (voltages * b).sum()).backward()
    found = {"spikes": spikes.detach(), "voltages": voltages.detach()}
    for i, module in enumerate(modules):
        for name, parameter in module.named_parameters():
            found[f"{i}.{name}"] = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
    if isinstance(x, Tensor) and x.grad is not None:
        found["input"] = x.grad
    return found


def assert_close(fused: dict[str, Tensor], steps: dict[str, Tensor], tolerance: float) -> None:
    assert fused.keys() == steps.keys()
    for name, expected in steps.items():
        assert fused[name].shape == expected.shape, name
        assert fused[name].dtype == expected.dtype, name
        scale = float(expected.abs().max()) if expected.numel() else 0.0
        error = float((fused[name] - expected).abs().max()) if expected.numel() else 0.0
        assert error <= tolerance * max(scale, 1e-3), f"{name}: error {error:.3g} on a scale of {scale:.3g}"


@st.composite
def problems(draw: st.DrawFn, dtype: torch.dtype = torch.float64) -> tuple[Layer, Tensor]:
    """A random layer with everything learnable, and a random input for it."""
    torch.manual_seed(draw(st.integers(0, 2**31)))
    n_source, n = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    n_steps, n_samples = draw(st.integers(1, 12)), draw(st.integers(1, 50))
    reset, delay = draw(st.sampled_from(RESETS))
    per_neuron = draw(st.booleans())

    def parameter(low: float, high: float) -> Tensor:
        value = low + (high - low) * torch.rand(n if per_neuron else 1, dtype=dtype)
        return value if per_neuron else value[0]

    surrogate: Any = draw(st.sampled_from([Atan(2.0), FastSigmoid(5.0), Sigmoid(4.0), Triangular(0.7), Boxcar(0.5)]))
    options: dict[str, Any] = {
        "beta": parameter(0.0, 1.0),
        "threshold": parameter(0.3, 1.5),
        "learn_beta": True,
        "learn_threshold": True,
        "reset_mechanism": reset,
        "reset_delay": delay,
        "spike_grad": surrogate,
    }
    neuron = snn.Leaky(**options)
    if draw(st.booleans()):
        neuron = snn.Synaptic(alpha=parameter(0.0, 1.0), learn_alpha=True, **options)
    connection = _connection(draw, n_source, n, dtype)
    recurrent = _connection(draw, n, n, dtype) if draw(st.booleans()) else None
    kind = draw(st.sampled_from(["spikes", "graded", "analog", "constant", "uint8"]))
    x = (torch.rand(n_steps, n_samples, n_source) < 0.3).to(dtype)
    if kind == "analog":
        x = torch.randn_like(x)
    elif kind == "graded":
        x = torch.randint(0, 256, x.shape).to(dtype) / 256
    elif kind == "constant":
        x = torch.randn_like(x[:1]).expand_as(x)
    elif kind == "uint8":
        x = x.to(torch.uint8)
    return Layer(connection, neuron.to(dtype), recurrent), x


def _connection(draw: st.DrawFn, n_source: int, n: int, dtype: torch.dtype) -> SparseLinear | nn.Linear:
    bias = draw(st.booleans())
    if draw(st.integers(0, 3)) == 0:
        return nn.Linear(n_source, n, bias=bias).to(dtype)
    count = draw(st.integers(n, n * n_source))
    layer = SparseLinear(n_source, n, n_synapses=count, bias=bias, dtype=dtype, gain=1.5)
    if layer.bias is not None:
        nn.init.normal_(layer.bias, std=0.3)
    return layer


@settings(max_examples=300)
@given(problems())
def test_outputs_voltages_and_all_gradients_equal_snntorchs_in_double_precision(problem: tuple[Layer, Tensor]) -> None:
    layer, x = problem
    assert_close(gradients(layer, x, fused=True), gradients(layer, x, fused=False), 1e-10)


@settings(max_examples=40)
@given(problems(), st.sampled_from(["kernels", "dense"]), st.booleans())
def test_every_method_for_the_linear_part_gives_the_same(
    problem: tuple[Layer, Tensor], method: str, events: bool
) -> None:
    layer, x = problem
    steps = gradients(layer, x, fused=False)
    with pytest.MonkeyPatch.context() as patch:
        spikes = _is_spikes(x)
        patch.setattr(engine, "_plan", lambda *a: Plan(method == "dense", events and spikes, not events and spikes))
        assert_close(gradients(layer, x, fused=True), steps, 1e-10)


def _is_spikes(x: Tensor) -> bool:
    return bool(((x == 0) | (x == 1)).all())


@pytest.mark.parametrize("surrogate", [snn_surrogate.atan(), snn_surrogate.fast_sigmoid(25), snn_surrogate.sigmoid(4)])
@pytest.mark.parametrize(("reset", "delay"), RESETS)
def test_single_precision_agrees_with_snntorchs_own_surrogates(surrogate: Any, reset: str, delay: bool) -> None:
    torch.manual_seed(1)
    neuron = snn.Leaky(
        beta=torch.rand(60), spike_grad=surrogate, reset_mechanism=reset, reset_delay=delay, learn_beta=True,
        learn_threshold=True,
    )  # fmt: skip
    layer = Layer(SparseLinear(80, 60, 0.2, bias=True, gain=2.0), neuron)
    x = (torch.rand(20, 24, 80) < 0.2).float()
    fused, steps = gradients(layer, x, fused=True), gradients(layer, x, fused=False)
    margin = (steps["voltages"] - 1).abs()
    assert margin.min() > 1e-5, "the example must stay off the threshold, or rounding decides"
    assert torch.equal(fused["spikes"], steps["spikes"])
    assert_close(fused, steps, 1e-4)


@settings(max_examples=40)
@given(problems(torch.float32), st.integers(0, 2**31))
def test_on_the_exact_grid_spikes_and_voltages_have_the_same_bits(problem: tuple[Layer, Tensor], seed: int) -> None:
    layer, x = problem
    if x.is_floating_point() and not _is_spikes(x):
        x = torch.randint(0, 256, x.shape).float() / 256
    for connection in (layer.connection, layer.recurrent):
        if connection is not None:
            for p in connection.parameters():
                p.data = torch.round(p.data * 2**10) / 2**10
    fused, steps = gradients(layer, x, fused=True), gradients(layer, x, fused=False)
    assert torch.equal(fused["spikes"], steps["spikes"])
    assert torch.equal(fused["voltages"], steps["voltages"])


def stack(kind: str) -> SparseSNN:
    torch.manual_seed(3)
    return SparseSNN(
        SparseLinear(50, 40, 0.2, gain=3.0, dtype=torch.float64), snn.Leaky(beta=0.9, spike_grad=Atan(2.0)).double(),
        SparseLinear(40, 30, 0.3, bias=True, gain=3.0, dtype=torch.float64),
        Recurrent(
            snn.Synaptic(alpha=0.5, beta=0.8, spike_grad=Atan(2.0), reset_mechanism="zero", reset_delay=False).double(),
            SparseLinear(30, 30, 0.2, dtype=torch.float64),
        ),
        nn.Linear(30, 10).double(), readout(0.9).double(), engine=kind,
    )  # fmt: skip


@pytest.mark.parametrize("batch", [16, 21])
@pytest.mark.parametrize("record", [False, True])
def test_a_network_trains_the_same_with_bits_between_its_layers(batch: int, record: bool) -> None:
    x = torch.rand(1, batch, 50, dtype=torch.float64).expand(8, batch, 50)
    results = []
    for kind in ("snntorch", "fused"):
        net = stack(kind)
        out = net(x, record=record)
        loss = out.voltages.square().mean()
        if record:
            loss = loss + sum(s.mean() + v.tanh().mean() for s, v in out.layers)
        loss.backward()
        results.append([loss.detach(), out.spikes.detach(), *out.rates, *(p.grad for p in net.parameters())])
        assert out.rates[0].max() > 0, "a silent network would agree with anything"
    for fused, steps in zip(results[1], results[0], strict=True):
        assert torch.allclose(fused, steps, rtol=1e-10, atol=1e-12)


def test_gradients_travel_between_large_layers_in_rows_without_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_owed, "_NEAR_BYTES", 0)
    layer = Layer(SparseLinear(20, 20, 0.5), snn.Leaky(beta=0.9))
    x = (torch.rand(6, 21, 20) < 0.3).float()
    first, _ = engine.run_layer(layer, x, want_voltages=False)
    second, _ = engine.run_layer(layer, first, want_voltages=False)
    (gradient,) = torch.autograd.grad(second.tensor().sum(), first.anchor)
    lanes = first.lanes
    assert gradient.stride() == (lanes.padded, 1, lanes.n_lanes)


@pytest.mark.parametrize(("steps", "batch"), [(0, 3), (3, 0), (0, 0), (1, 1)])
def test_empty_sequences_and_batches_give_empty_results_and_zero_gradients(steps: int, batch: int) -> None:
    net = stack("fused")
    out = net(torch.ones(steps, batch, 50, dtype=torch.float64))
    assert out.spikes.shape == out.voltages.shape == (steps, batch, 10)
    out.voltages.sum().backward()
    for parameter in net.parameters():
        assert parameter.grad is None or parameter.grad.shape == parameter.shape
        if steps * batch == 0 and parameter.grad is not None:
            assert not parameter.grad.any()


def test_a_neuron_without_synapses_rests_and_a_layer_without_any_is_silent() -> None:
    layer = SparseLinear(6, 4, n_synapses=4)
    layer.set_topology(np.array([7], dtype=np.int64), torch.tensor([5.0]))  # one synapse, 1 -> 1
    x = torch.ones(3, 2, 6)
    spikes, voltages = engine.run_layer(Layer(layer, snn.Leaky(beta=0.5)), x)
    assert voltages is not None
    assert spikes.tensor().sum(dim=(0, 1)).tolist() == [0, 6, 0, 0]
    assert not voltages[:, :, [0, 2, 3]].any()
    layer.set_topology(np.zeros(0, np.int64), torch.zeros(0))
    spikes, voltages = engine.run_layer(Layer(layer, snn.Leaky(beta=0.5)), x.requires_grad_())
    spikes.tensor().sum().backward()
    assert x.grad is not None
    assert not x.grad.any()


def test_nan_inputs_reach_what_they_are_wired_to_and_nothing_else() -> None:
    layer = Layer(SparseLinear(6, 5, 0.5, generator=np.random.default_rng(0)), snn.Leaky(beta=0.5))
    x = torch.rand(4, 3, 6)
    x[1, 2, 0] = float("nan")
    spikes, voltages = engine.run_layer(layer, x)
    expected_spikes, expected = stepwise.run_layer(layer, x)
    assert voltages is not None
    assert torch.equal(voltages.isnan(), expected.isnan())
    assert expected.isnan().any()
    assert torch.equal(spikes.tensor(), expected_spikes)


def test_padding_samples_that_fire_are_seen_by_nobody() -> None:
    layer = SparseLinear(3, 2, 1.0, bias=True)
    assert layer.bias is not None
    layer.bias.data.fill_(5.0)  # every lane fires, padding included
    packed, _ = engine.run_layer(Layer(layer, snn.Leaky(beta=0.5)), torch.zeros(4, 3, 3))
    assert engine.spike_rates(packed).tolist() == [1.0, 1.0]


def test_the_graph_has_one_node_a_layer_however_long_the_sequence() -> None:
    def nodes(steps: int) -> int:
        net = SparseSNN(
            SparseLinear(8, 6, 0.5), snn.Leaky(beta=0.9), SparseLinear(6, 4, 0.5), readout(), engine="fused"
        )
        seen, stack = set(), [net(torch.ones(steps, 2, 8)).voltages.grad_fn]
        while stack:
            node = stack.pop()
            if node is not None and node not in seen:
                seen.add(node)
                stack += [n for n, _ in node.next_functions]
        return len(seen)

    assert nodes(50) == nodes(2) < 12


@pytest.mark.parametrize("where", ["feedforward", "recurrent", "alone"])
def test_rewiring_between_forward_and_backward_is_an_error(where: str) -> None:
    layer, recurrent = SparseLinear(8, 8, 0.4), SparseLinear(8, 8, 0.4)
    x = torch.ones(5, 4, 8)
    if where == "alone":
        loss = kernel_matmul(x.reshape(20, 8), layer.values, layer).sum()
    else:
        loss = engine.run_layer(Layer(layer, snn.Leaky(beta=0.9), recurrent), x)[1].sum()  # type: ignore[union-attr]
    changed = recurrent if where == "recurrent" else layer
    changed.set_topology(np.arange(20, dtype=np.int64), torch.ones(20))
    with pytest.raises(ValidationError, match="synapses changed between forward and backward"):
        loss.backward()


def test_the_kernels_take_products_that_are_worth_it() -> None:
    values = torch.zeros(50_000)
    assert takes(torch.zeros(32, 9), values)
    assert not takes(torch.zeros(2, 9), values)
    assert not takes(torch.zeros(32, 9).double(), values)
    assert not takes(torch.zeros(32, 9, device="meta"), values.to("meta"))


@settings(max_examples=40)
@given(problems())
def test_a_sparse_layer_alone_gives_torchs_sparse_product_and_gradients(problem: tuple[Layer, Tensor]) -> None:
    layer, x = problem
    connection = layer.connection
    if not isinstance(connection, SparseLinear):
        connection = SparseLinear(connection.in_features, connection.out_features, 1.0, dtype=torch.float64)
    flat = x.double().reshape(-1, connection.in_features).detach()
    results = []
    for multiply in (kernel_matmul, torch_matmul):
        flat = flat.detach().requires_grad_()
        connection.zero_grad()
        y = multiply(flat, connection.values, connection)
        (y * torch.arange(y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
        assert flat.grad is not None
        assert connection.values.grad is not None
        results.append([y.detach(), flat.grad, connection.values.grad])
    for ours, torchs in zip(*results, strict=True):
        assert torch.allclose(ours, torchs, rtol=1e-10, atol=1e-10)


def test_the_backward_pass_frees_the_activity_while_the_output_lives_on() -> None:
    hidden = 64
    layers = [SparseLinear(8, hidden, 0.5), snn.Leaky(beta=0.9), SparseLinear(hidden, 2, 0.5), snn.Leaky(beta=0.9)]
    net = SparseSNN(*layers, engine="fused")
    release_idle()
    out = net(torch.rand(10, 128, 8).round(), record=False)
    loss = out.voltages.square().sum()
    loss.backward(retain_graph=True)
    retained = idle_bytes()
    loss.backward()
    assert idle_bytes() - retained == 4 * hidden * 10 * 128, "the voltages of the hidden layer"
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_changing_weights_or_voltages_in_place_before_backward_is_an_error() -> None:
    layer = SparseLinear(10, 8, 0.4)
    for change in ("weights", "voltages"):
        _, voltages = engine.run_layer(Layer(layer, snn.Leaky(beta=0.9)), torch.ones(5, 4, 10))
        assert voltages is not None
        loss = voltages.sum()
        with torch.no_grad():
            (layer.values if change == "weights" else voltages).mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


class Unknown(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x > 0).to(x.dtype)


def hooked(module: nn.Module) -> nn.Module:
    module.register_forward_hook(lambda *a: None)
    return module


def changed_reset() -> snn.Leaky:
    neuron = snn.Leaky(beta=0.5)
    neuron.reset_mechanism = "zero"
    return neuron


@pytest.mark.parametrize(
    ("neuron", "reason"),
    [
        (
            snn.Leaky(beta=0.5, spike_grad=snn_surrogate.triangular()),
            "surrogate 'triangular.<locals>.inner' is not one",
        ),
        (snn.Leaky(beta=0.5, spike_grad=snn_surrogate.SFS()), "surrogate 'SFS.<locals>.inner' is not one"),
        (snn.Leaky(beta=0.5, spike_grad=lambda x: (x > 0).float()), "surrogate '<lambda>' is not one"),
        (snn.Leaky(beta=0.5, graded_spikes_factor=2.0), "scales its spikes"),
        (snn.Leaky(beta=0.5, state_quant=lambda x: x), "init_hidden, output, inhibition or state_quant"),
        (snn.Leaky(beta=0.5, init_hidden=True), "init_hidden, output, inhibition or state_quant"),
        (snn.Leaky(beta=torch.rand(3)), r"beta has shape \(3,\), neither one value nor one per neuron"),
        (snn.Leaky(beta=torch.rand(4).double()), "beta is torch.float64, which would turn"),
        (snn.Leaky(beta=0.5, threshold=float("inf")), "threshold is infinite, and it has a reset"),
        (snn.Leaky(beta=0.5, threshold=-1.0, reset_mechanism="zero", reset_delay=False), "threshold is not positive"),
        (snn.RLeaky(beta=0.5, all_to_all=False), "the neuron is a RLeaky"),
        (hooked(snn.Leaky(beta=0.5)), "the neuron has hooks"),
        (changed_reset(), "reset was changed after construction"),
    ],
)
def test_what_the_engine_does_not_take_is_named(neuron: nn.Module, reason: str) -> None:
    found = engine.eligible(SparseLinear(4, 4, 0.5), neuron)
    assert isinstance(found, str)
    assert re.search(reason, found), found


def test_connections_the_engine_does_not_take_are_named() -> None:
    neuron = snn.Leaky(beta=0.5)
    assert engine.eligible(SparseLinear(4, 4, 0.5, dtype=torch.float16), neuron) == (
        "its weights are torch.float16, the kernels compute in float32 or float64"
    )
    assert "hooks" in str(engine.eligible(hooked(nn.Linear(4, 4)), neuron))  # type: ignore[arg-type]
    reason = engine.eligible(nn.Linear(4, 4), neuron, hooked(nn.Linear(4, 4)))
    assert "recurrence" in str(reason)
    mixed = engine.eligible(nn.Linear(4, 4), neuron, nn.Linear(4, 4).double())
    assert mixed == "the recurrent connection has another type than the one into the layer"


def test_auto_falls_back_and_says_so_once_while_fused_refuses(caplog: pytest.LogCaptureFixture) -> None:
    def net(kind: Any) -> SparseSNN:
        torch.manual_seed(0)
        odd = snn.Leaky(beta=0.5, spike_grad=snn_surrogate.straight_through_estimator())
        layers = [SparseLinear(6, 5, 0.5), snn.Leaky(beta=0.5), SparseLinear(5, 4, 0.5), odd]
        return SparseSNN(*layers, SparseLinear(4, 3, 0.5), readout(), engine=kind)

    x = torch.rand(4, 2, 6)
    sequence._reported.clear()
    with caplog.at_level(logging.INFO, logger="neurosparse.nn.sequence"):
        mixed = net("auto")
        out = mixed(x)
        mixed(x)
    assert [r.getMessage() for r in caplog.records] == [
        "layer 1 runs step by step in snnTorch: its surrogate 'straight_through_estimator.<locals>.inner' is not one "
        "the kernels know"
    ]
    assert torch.allclose(out.voltages, net("snntorch")(x).voltages, atol=1e-6)
    with pytest.raises(
        UnsupportedError, match=r"SparseSNN\.engine: layer 1 cannot run fused: its surrogate .*engine='auto'"
    ):
        net("fused")(x)


def test_packed_spikes_expand_to_a_view_of_rows() -> None:
    rows = torch.arange(32.0).reshape(1, 32).numpy()
    packed, _ = engine.run_layer(Layer(nn.Linear(2, 3), snn.Leaky(beta=0.5)), torch.ones(2, 5, 2))
    assert isinstance(packed, PackedSpikes)
    seen = tensor_of_rows(rows, packed.lanes)
    assert seen[:, :, 0].tolist() == [[0, 1, 2, 3, 4], [16, 17, 18, 19, 20]]
