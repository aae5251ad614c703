"""Run by test_memory.py in a process of its own: the life of a 60 000 x 60 000 layer under ``ulimit -v 6000000``."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Literal

LIMIT = 6_000_000 * 1024  # bytes; the unit of ulimit -v is KiB
resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))

import numpy as np  # noqa: E402
import snntorch as snn  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

import neurosparse as ns  # noqa: E402


def life(n: int, n_synapses: int, engine: Literal["snntorch", "auto"], folder: Path) -> tuple[int, int]:
    def network() -> ns.SparseSNN:
        layer = ns.SparseLinear(n, n, n_synapses=n_synapses, generator=np.random.default_rng(0))
        return ns.SparseSNN(layer, snn.Leaky(beta=0.9), engine=engine)

    net = network()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    rewirer = ns.DeepR().attach(net, optimizer, seed=0)
    x = (torch.rand(2, 2, n, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    x.requires_grad_()  # as behind another layer: the transposed product runs too
    for _ in range(3):
        optimizer.zero_grad()
        net(x).voltages.square().sum().backward()
        optimizer.step()
        rewirer.step()
    save_file(net.state_dict(), folder / "state.safetensors")
    again = network()
    again.load_state_dict(load_file(folder / "state.safetensors"))
    again.to_network().save(folder / "network.safetensors")
    loaded = ns.Network.load(folder / "network.safetensors")
    return loaded.n_synapses, sum(rewirer.stats.total_births.values())


def naive(n: int, n_synapses: int) -> None:
    layer = ns.SparseLinear(n, n, n_synapses=n_synapses, generator=np.random.default_rng(0))
    values = torch.nn.Parameter(layer.values.detach().clone())
    y = torch.sparse_csr_tensor(layer.indptr, layer.indices, values, (n, n)) @ torch.rand(n, 2)
    print("forward passed", flush=True)
    y.sum().backward()


def rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "naive":
        naive(60_000, 100_000)
        return
    for engine in ("snntorch", "auto"):
        life(50, 200, engine, folder)  # imports and compilers have their memory before the measurement starts
    before = rss_mb()
    for engine in ("snntorch", "auto"):
        n_synapses, births = life(60_000, 100_000, engine, folder)
    report = {"n_synapses": n_synapses, "births": births, "rss_before_mb": before, "peak_rss_mb": rss_mb()}
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmPeak"):
            report["address_space_mb"] = int(line.split()[1]) / 1024
    print(json.dumps(report))


main()
