"""Where the kernels do not run (a GPU): torch's own sparse routines, the same numbers, the same O(K) memory.

The routines exist on the CPU, too, so everything but the device itself is tested without a GPU.
"""

from __future__ import annotations

import numpy as np
import pytest
import snntorch as snn
import torch
from allocation import nothing_larger
from torch import Tensor

import neurosparse as ns
from neurosparse.nn import engine_matmul

N_IN, N_OUT, N_SYNAPSES = 8000, 6000, 7000


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send every sparse product the way it goes on a GPU."""
    monkeypatch.setattr(engine_matmul, "takes", lambda x, values: False)


def stack(n_in: int, n_out: int, n_synapses: int, device: str = "cpu") -> ns.SparseSNN:
    rng = np.random.default_rng(0)
    net = ns.SparseSNN(
        ns.SparseLinear(n_in, n_out, n_synapses=n_synapses, bias=True, generator=rng),
        snn.Leaky(beta=0.9),
        ns.SparseLinear(n_out, 4, n_synapses=n_out // 2, generator=rng),
        ns.readout(0.9),
        engine="auto" if device != "cpu" else "snntorch",
    )
    return net.to(device)


def train(net: ns.SparseSNN, n_steps: int = 3) -> tuple[list[float], int]:
    """Adam and DEEP R for a few steps; returns the losses and the number of births."""
    values = next(net.parameters())
    n_in = net.layers()[0].connection.in_features
    x = (torch.rand(4, 3, n_in, generator=torch.Generator().manual_seed(0)) < 0.5).float().to(values.device)
    x.requires_grad_()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    rewirer = ns.DeepR(temperature=1e-9).attach(net, optimizer, seed=0)
    losses = []
    for _ in range(n_steps):
        optimizer.zero_grad()
        loss = net(x).voltages.square().mean()
        loss.backward()
        optimizer.step()
        rewirer.step()
        losses.append(loss.item())
    return losses, sum(rewirer.stats.total_births.values())


def test_training_and_rewiring_are_the_same_on_torchs_routines(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, births = train(stack(60, 50, 300).double())
    monkeypatch.setattr(engine_matmul, "takes", lambda x, values: False)
    torchs, torchs_births = train(stack(60, 50, 300).double())
    assert torchs == pytest.approx(ours, rel=1e-9)
    assert torchs_births == births > 10


@pytest.mark.usefixtures("without_kernels")
def test_torchs_routines_never_make_a_dense_matrix_either() -> None:
    train(stack(20, 10, 30))
    with nothing_larger(N_IN * N_OUT):
        losses, births = train(stack(N_IN, N_OUT, N_SYNAPSES))
    assert births > 100
    assert np.isfinite(losses).all()


@pytest.mark.usefixtures("without_kernels")
@pytest.mark.parametrize("shape", [(0, 6), (3, 0, 6)])
def test_an_empty_batch_has_an_empty_product_and_zero_gradients(shape: tuple[int, ...]) -> None:
    layer = ns.SparseLinear(6, 5, n_synapses=8)
    x = torch.zeros(shape, requires_grad=True)
    y = layer(x)
    assert y.shape == (*shape[:-1], 5)
    y.sum().backward()
    assert layer.values.grad is not None
    assert not layer.values.grad.any()


@pytest.mark.gpu
def test_a_sparse_layer_on_a_gpu_gives_the_product_and_gradients_of_the_cpu() -> None:
    layer = ns.SparseLinear(40, 30, density=0.2, dtype=torch.float64, generator=np.random.default_rng(0))
    x = torch.randn(7, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found: list[list[Tensor]] = []
    for device in ("cpu", "cuda"):
        there = layer.to(device)
        there.zero_grad()
        inputs = x.to(device).requires_grad_()
        y = there(inputs)
        assert y.device.type == device
        (y * torch.arange(y.numel(), device=device).view_as(y)).sum().backward()
        assert inputs.grad is not None
        assert there.values.grad is not None
        found.append([y.detach().cpu(), inputs.grad.cpu(), there.values.grad.cpu()])
    for on_cpu, on_gpu in zip(*found, strict=True):
        torch.testing.assert_close(on_gpu, on_cpu, rtol=1e-12, atol=1e-12)


@pytest.mark.gpu
def test_training_and_rewiring_on_a_gpu_follow_the_cpu() -> None:
    on_cpu, births = train(stack(60, 50, 300).double())
    on_gpu, births_there = train(stack(60, 50, 300, "cuda").double())
    assert on_gpu == pytest.approx(on_cpu, rel=1e-6)
    assert births_there == births


@pytest.mark.gpu
def test_a_gpu_holds_no_dense_matrix() -> None:
    n = 60_000
    train(stack(20, 10, 30, "cuda"))
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    train(stack(n, n, 100_000, "cuda"))
    assert torch.cuda.max_memory_allocated() - before < 4 * n * n / 50  # dense weights: 14.4 GB
