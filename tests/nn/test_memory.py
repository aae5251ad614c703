"""Never a dense matrix: not in forward, backward, rewiring, saving, loading or export."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import snntorch as snn
import torch
from allocation import LargeAllocation, nothing_larger
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import neurosparse as ns

N_IN, N_OUT, N_SYNAPSES = 8000, 6000, 7000
N_SITES = N_IN * N_OUT


class Naive(nn.Module):
    """What everybody writes first: its backward makes the dense gradient."""

    def __init__(self, layer: ns.SparseLinear) -> None:
        super().__init__()
        self.values = nn.Parameter(layer.values.detach().clone())
        self.indptr, self.indices, self.shape = layer.indptr, layer.indices, (layer.out_features, layer.in_features)

    def forward(self, x: Tensor) -> Tensor:
        matrix = torch.sparse_csr_tensor(self.indptr, self.indices, self.values, self.shape, check_invariants=False)
        return (matrix @ x.t()).t()


def network(n_in: int, n_out: int, n_synapses: int, engine: str) -> ns.SparseSNN:
    rng = np.random.default_rng(0)
    recurrent = ns.SparseLinear(n_out, n_out, n_synapses=n_synapses, generator=rng)
    return ns.SparseSNN(
        ns.SparseLinear(n_in, n_out, n_synapses=n_synapses, bias=True, generator=rng),
        ns.Recurrent(snn.Leaky(beta=0.9), recurrent),
        ns.SparseLinear(n_out, 2, n_synapses=n_out // 2, generator=rng),
        ns.readout(0.9),
        engine=engine,
    )


def live(n_in: int, n_out: int, n_synapses: int, engine: str, method: object, folder: Path) -> int:
    """Everything a network goes through, from its making to its file; returns the number of births."""
    net = network(n_in, n_out, n_synapses, engine)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    rewirer = method.attach(net, optimizer, seed=0)
    x = (torch.rand(3, 2, n_in, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    for _ in range(3):
        optimizer.zero_grad()
        net(x).voltages.square().sum().backward()
        optimizer.step()
        rewirer.step()
    save_file(net.state_dict(), folder / "state.safetensors")
    again = network(n_in, n_out, n_synapses, engine)
    again.load_state_dict(load_file(folder / "state.safetensors"))
    again.on_grid()
    again.to_network().save(folder / "network.safetensors")
    ns.SparseSNN.from_network(ns.Network.load(folder / "network.safetensors"))(x)
    return sum(rewirer.stats.total_births.values())


@pytest.mark.parametrize("method", [ns.DeepR(temperature=1e-9, signs="dale"), ns.GlobalDeepR(signs="redrawn")])
@pytest.mark.parametrize("engine", ["snntorch", "auto"])
def test_no_tensor_and_no_array_has_the_size_of_the_dense_matrix(tmp_path: Path, method: object, engine: str) -> None:
    live(N_IN, N_OUT, N_SYNAPSES, engine, method, tmp_path)
    with nothing_larger(N_SITES):
        births = live(N_IN, N_OUT, N_SYNAPSES, engine, method, tmp_path)
    assert births > 100, "rewiring has been tried too"


def test_the_guard_sees_the_naive_layer() -> None:
    layer = ns.SparseLinear(N_IN, N_OUT, n_synapses=N_SYNAPSES)
    x = torch.rand(2, N_IN)
    naive = Naive(layer)
    torch.testing.assert_close(naive(x), layer(x))
    with pytest.raises(LargeAllocation, match="made a tensor of 48000000 elements"), nothing_larger(N_SITES):
        naive(x).sum().backward()


def test_the_guard_sees_a_mask_in_numpy() -> None:
    def one_bit_per_site() -> None:
        with nothing_larger(N_SITES):
            torch.zeros(1)
            np.zeros(N_SITES // 8, np.uint8)

    with pytest.raises(LargeAllocation, match="Python and numpy held"):
        one_bit_per_site()


def test_to_dense_is_the_one_call_that_is_allowed_to() -> None:
    layer = ns.SparseLinear(N_IN, N_OUT, n_synapses=N_SYNAPSES)
    with pytest.raises(LargeAllocation), nothing_larger(N_SITES):
        layer.to_dense()


def child(what: str, folder: Path) -> subprocess.CompletedProcess[str]:
    # Every thread that torch starts reserves address space for its stack and its allocator; one is enough here.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    root = str(Path(ns.__file__).parents[1])
    environment["PYTHONPATH"] = os.pathsep.join([root, environment.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    script = str(Path(__file__).with_name("limited_child.py"))
    return subprocess.run(
        [sys.executable, script, what, str(folder)],
        capture_output=True, text=True, timeout=300, env=environment, check=False,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited by setrlimit on Linux only")
def test_60000_by_60000_lives_under_a_limit_of_6_gb(tmp_path: Path) -> None:
    done = child("ours", tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["n_synapses"] == 100_000
    assert report["births"] > 1000
    # The dense matrix is 14.4 GB, one bit per site 450 MB: the whole life of the layer takes less than that.
    assert report["peak_rss_mb"] - report["rss_before_mb"] < 300, report


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited by setrlimit on Linux only")
def test_the_naive_layer_of_that_size_fails_there(tmp_path: Path) -> None:
    done = child("naive", tmp_path)
    assert done.returncode != 0
    assert "alloc" in done.stderr.lower() or "MemoryError" in done.stderr, done.stderr
    assert "forward passed" in done.stdout, "it fails in backward, where nothing warns of it"
