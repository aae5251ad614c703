"""Gradients that the layer before computes itself are those that would have been written down, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import Tensor

from neurosparse.errors import ValidationError
from neurosparse.kernels.lanes import Lanes, pack_spikes
from neurosparse.kernels.layers import Outgoing, Sparse, backward, forward, make_cells
from neurosparse.kernels.membrane import ATAN, SUBTRACT
from neurosparse.kernels.products import input_gradient
from neurosparse.kernels.topology import csc_from_csr, csr_from_sites
from neurosparse.nn import engine_owed
from neurosparse.nn.network import Output, SparseSNN, readout
from neurosparse.nn.sparse import SparseLinear


def stack(**options: Any) -> SparseSNN:
    rng = np.random.default_rng(0)
    return SparseSNN(
        SparseLinear(40, 37, 0.3, gain=3.0, generator=rng), snn.Leaky(beta=0.9),
        SparseLinear(37, 21, 0.3, gain=3.0, generator=rng), snn.Leaky(beta=0.8, reset_mechanism="zero"),
        SparseLinear(21, 10, 0.3, generator=rng), readout(0.9), engine="fused", **options,
    )  # fmt: skip


def voltages(out: Output) -> Tensor:
    return out.voltages.square().mean()


def spikes_of_all(out: Output) -> Tensor:
    return out.voltages.square().mean() + sum((s * s.detach().cumsum(0)).mean() for s, _ in out.layers)


def gradients(net: SparseSNN, loss: Callable[[Output], Tensor], **options: Any) -> list[Tensor]:
    x = (torch.rand(9, 19, 40, generator=torch.Generator().manual_seed(0)) < 0.3).float().requires_grad_()
    loss(net(x, **options)).backward()
    return [tensor.grad for tensor in (x, *net.parameters()) if tensor.grad is not None]


def settled(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note, for every gradient that was owed, whether it was computed row by row."""
    found: list[bool] = []
    settle = engine_owed.settle

    def seen(call: Any, g_spikes: Tensor | None) -> Any:
        owed = call.owed is not None
        result = settle(call, g_spikes)
        if owed:
            found.append(result[1] is not None)
        return result

    monkeypatch.setattr(engine_owed, "settle", seen)
    return found


@pytest.mark.parametrize("options", [{}, {"checkpoint_steps": 4}, {"tbptt_steps": 5}])
def test_a_network_has_the_same_gradients(options: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    found = settled(monkeypatch)
    owed = gradients(stack(**options), voltages)
    assert found
    assert all(found)
    monkeypatch.setattr(engine_owed, "_NEAR_BYTES", 0)
    found.clear()
    written = gradients(stack(**options), voltages)
    assert not found
    assert len(owed) == len(written) == 4
    for a, b in zip(owed, written, strict=True):
        assert b.any()
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_what_others_say_about_the_spikes_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settled(monkeypatch)
    owed = gradients(stack(), spikes_of_all, record=True)
    assert found == [False, False]
    monkeypatch.setattr(engine_owed, "_NEAR_BYTES", 0)
    for a, b in zip(owed, gradients(stack(), spikes_of_all, record=True), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-8)


def test_a_backward_pass_that_stopped_early_leaves_nothing_to_the_next() -> None:
    net = stack()
    last: Any = net.stack[4]
    x = (torch.rand(9, 19, 40, generator=torch.Generator().manual_seed(0)) < 0.3).float()
    out = net(x)
    (other,) = torch.autograd.grad(7 * voltages(out), [last.values], retain_graph=True)
    voltages(out).backward(retain_graph=True)
    first = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    assert torch.allclose(other, 7 * first[-1])
    fresh = stack()
    voltages(fresh(x)).backward()
    for a, p in zip(first, fresh.parameters(), strict=True):
        torch.testing.assert_close(a, p.grad, rtol=0, atol=0)
    voltages(out).backward()
    for a, p in zip(first, net.parameters(), strict=True):
        torch.testing.assert_close(2 * a, p.grad, rtol=1e-6, atol=0)


def layer() -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    n, n_source, n_next, lanes = 37, 20, 9, Lanes(6, 21)
    indptr, indices = csr_from_sites(np.sort(rng.choice(n * n_source, 150, replace=False)), n, n_source)
    words = pack_spikes((rng.random((6, 21, n_source)) < 0.4).astype(np.float32))
    linear = Sparse(indptr, indices, rng.standard_normal(150).astype(np.float32), words)  # type: ignore[arg-type]
    cells = make_cells(SUBTRACT, None, np.full(n, 0.9, np.float32), np.ones(n, np.float32))
    onward = csr_from_sites(np.sort(rng.choice(n_next * n, 60, replace=False)), n_next, n)
    weights = rng.standard_normal(60).astype(np.float32)
    g = lanes.rows(n_next, np.float32)
    g[...] = rng.standard_normal(g.shape)
    return linear, cells, lanes, csc_from_csr(*onward, n), weights, g


def test_the_kernel_computes_what_input_gradient_writes() -> None:
    linear, cells, lanes, (pointers, targets, slots), weights, g = layer()
    state = forward(linear, None, cells, lanes)
    options: Any = {"g_voltages": None, "linear": linear, "want_bias": True, "current": "rows"}
    rows = input_gradient(pointers, targets, slots, weights, g, lanes, steps_layout=False)
    written = backward(state, cells, lanes, ATAN, 2.0, g_spikes=rows, **options)
    outgoing = Outgoing(pointers, targets, weights[slots], g)
    computed = backward(state, cells, lanes, ATAN, 2.0, g_spikes=None, outgoing=outgoing, **options)
    for name in ("values", "bias", "current", "active"):
        np.testing.assert_array_equal(getattr(computed, name), getattr(written, name))
    assert not computed.active.all(), "neurons from which no synapse leaves are among them"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.ones(3, np.float32)}, "outgoing.weights: has shape"),
        ({"g": np.ones((9, 8), np.float32)}, "outgoing.g: has shape"),
        ({"g": np.ones((1, 192), np.float32)}, "outgoing.targets: run from"),
        ({"indptr": np.zeros(3, np.int32)}, "outgoing.indptr: has shape"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    linear, cells, lanes, (pointers, targets, slots), weights, g = layer()
    state = forward(linear, None, cells, lanes)
    parts = {"indptr": pointers, "targets": targets, "weights": weights[slots], "g": g, **change}
    with pytest.raises(ValidationError, match=message):
        backward(state, cells, lanes, ATAN, 2.0, g_spikes=None, g_voltages=None, outgoing=Outgoing(**parts))
    both: Any = {
        "g_spikes": np.zeros((37, 192), np.float32),
        "outgoing": Outgoing(pointers, targets, weights[slots], g),
    }
    with pytest.raises(ValidationError, match="both given"):
        backward(state, cells, lanes, ATAN, 2.0, g_voltages=None, **both)
