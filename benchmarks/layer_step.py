"""The layer step, side by side: one sparse spiking layer, forward and backward, ours and the installed peers.

One layer n -> n, LIF (beta 0.9, threshold 1, subtractive reset, arctangent surrogate), T steps, batch B, Bernoulli
input spikes. A step is the forward pass, the gradient of the weights and the gradient of the input. All contestants
run in one process, in turn (A B C A B C ...); in its turn each takes a few steps one after the other, as in a
training loop, and the first, which finds the caches full of the others' data, is not counted. Only ratios are
claimed, each the median over rounds of times taken in the same round: the machine may be shared.

    python benchmarks/layer_step.py --density 0.1 0.05 0.01 --repeats 11
    python benchmarks/layer_step.py --json layer_step.json

Contestants: snnTorch step by step on a dense layer (what a user writes today; a mask changes nothing there), torch's
CSR product with sampled gradient (the linear part alone, which counts in its favour), SpikingJelly's multi-step LIF and
Norse where they can be imported, and neurosparse twice: from and to float tensors (time, batch, n) as a user calls one
layer, and between two fused layers, where spikes are bits and nothing is transposed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import snntorch as snn
import torch
from torch import nn

import neurosparse as ns
from neurosparse.nn import engine
from neurosparse.nn.engine_source import PackedSpikes, packed_source
from neurosparse.nn.matmul import torch_matmul
from neurosparse.nn.network import Layer

Step = Callable[[], None]


class Workload:
    """Input spikes, incoming gradient and connectivity, the same for every contestant."""

    def __init__(self, n: int, density: float, rate: float, n_steps: int, batch: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.n, self.density = n, density
        self.x = (torch.rand(n_steps, batch, n) < rate).float()
        self.g = torch.randn(n_steps, batch, n)
        # A gain that makes the layer fire at about the rate of its input.
        self.sparse = ns.SparseLinear(n, n, density, gain=0.5 / rate**0.5, generator=np.random.default_rng(seed))

    def dense(self) -> nn.Linear:
        """Return the same weights as a dense layer."""
        linear = nn.Linear(self.n, self.n, bias=False)
        with torch.no_grad():
            linear.weight.copy_(self.sparse.to_dense())
        return linear


def snntorch_step(work: Workload) -> Step:
    """Dense layer and `snn.Leaky`, one time step after the other."""
    linear, neuron = work.dense(), snn.Leaky(beta=0.9)
    x = work.x.clone().requires_grad_()

    def step() -> None:
        x.grad = linear.weight.grad = None
        v = torch.zeros(x.shape[1], work.n)
        spikes = []
        for t in range(x.shape[0]):
            s, v = neuron(linear(x[t]), v)
            spikes.append(s)
        torch.stack(spikes).backward(work.g)

    return step


def torch_csr_linear(work: Workload) -> Step:
    """torch's CSR product and sampled gradient, linear part only, all time steps in one product."""
    x = work.x.flatten(0, 1).requires_grad_()
    values = work.sparse.values.detach().clone().requires_grad_()
    g = work.g.flatten(0, 1)

    def step() -> None:
        x.grad = values.grad = None
        torch_matmul(x, values, work.sparse).backward(g)

    return step


def spikingjelly_step(work: Workload) -> Step:
    """Dense layer and SpikingJelly's multi-step LIF (its fastest CPU form)."""
    from spikingjelly.activation_based import functional, neuron, surrogate  # type: ignore[import-not-found]

    linear = work.dense()
    cells = neuron.LIFNode(
        tau=10.0, decay_input=False, v_threshold=1.0, v_reset=None, surrogate_function=surrogate.ATan(), step_mode="m"
    )
    x = work.x.clone().requires_grad_()

    def step() -> None:
        x.grad = linear.weight.grad = None
        functional.reset_net(cells)
        cells(linear(x)).backward(work.g)

    return step


def norse_step(work: Workload) -> Step:
    """Dense layer and Norse's lifted LIF cell."""
    import norse.torch as norse  # type: ignore[import-not-found]

    linear, cells = work.dense(), norse.LIFBox()
    x = work.x.clone().requires_grad_()

    def step() -> None:
        x.grad = linear.weight.grad = None
        state, spikes = None, []
        for t in range(x.shape[0]):
            s, state = cells(linear(x[t]), state)
            spikes.append(s)
        torch.stack(spikes).backward(work.g)

    return step


def neurosparse_step(work: Workload) -> Step:
    """Our fused layer as a user calls it: float tensors (time, batch, n) in and out, contiguous gradients."""
    layer = Layer(work.sparse, snn.Leaky(beta=0.9))
    x = work.x.clone().requires_grad_()

    def step() -> None:
        x.grad = work.sparse.values.grad = None
        spikes, _ = engine.run_layer(layer, x, want_voltages=False)
        spikes.tensor().backward(work.g)

    return step


def neurosparse_inside(work: Workload) -> Step:
    """Our fused layer between two others: bits in, bits out, gradients in rows."""
    layer = Layer(work.sparse, snn.Leaky(beta=0.9))
    source = packed_source(work.x, torch.float32)
    anchor = source.anchor.detach().requires_grad_()
    packed = PackedSpikes(anchor, source.rows, source.lanes)
    lanes = source.lanes
    rows = lanes.rows(work.n, np.float32)
    rows[...] = 0
    lanes.as_time_batch_neuron(rows)[...] = work.g.numpy()
    strides = (lanes.padded, 1, lanes.n_lanes)
    g = torch.from_numpy(rows).as_strided(tuple(work.g.shape), strides)

    def step() -> None:
        work.sparse.values.grad = None
        spikes, _ = engine.run_layer(layer, packed, want_voltages=False)
        torch.autograd.grad(spikes.anchor, (anchor, work.sparse.values), g)

    return step


CONTESTANTS: dict[str, tuple[Callable[[Workload], Step], str | None]] = {
    "snnTorch, dense": (snntorch_step, None),
    "torch CSR, linear part": (torch_csr_linear, None),
    "SpikingJelly, dense": (spikingjelly_step, "spikingjelly"),
    "Norse, dense": (norse_step, "norse"),
    "neurosparse": (neurosparse_step, None),
    "neurosparse, inside a network": (neurosparse_inside, None),
}


def measure(work: Workload, repeats: int, burst: int) -> dict[str, list[float]]:
    """Return milliseconds a step of every contestant, one a round: the mean of a burst without its first step."""
    steps = {
        name: make(work)
        for name, (make, module) in CONTESTANTS.items()
        if module is None or importlib.util.find_spec(module) is not None
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():  # compiles, fills caches and memory pools
        step()
        step()
    for _ in range(repeats):
        for name, step in steps.items():
            if burst > 1:
                step()
            counted = max(1, burst - 1)
            begin = time.perf_counter()
            for _ in range(counted):
                step()
            times[name].append(1e3 * (time.perf_counter() - begin) / counted)
    return times


def report(density: float, times: dict[str, list[float]]) -> dict[str, object]:
    """Print one density's table and return it as data."""
    medians = {name: statistics.median(t) for name, t in times.items()}
    peers = {name: m for name, m in medians.items() if not name.startswith("neurosparse")}
    best = min(peers, key=lambda name: peers[name])
    print(f"\ndensity {density:g}")
    print(f"  {'':32}{'median ms':>10}{'min ms':>9}{'vs snnTorch':>13}{'vs best peer':>14}")
    for name, median in medians.items():
        print(
            f"  {name:32}{median:10.1f}{min(times[name]):9.1f}"
            f"{paired(times['snnTorch, dense'], times[name]):12.1f}x{paired(times[best], times[name]):13.1f}x"
        )
    return {"density": density, "median_ms": medians, "times_ms": times, "best_peer": best}


def paired(base: list[float], other: list[float]) -> float:
    """Return the median over rounds of how many times longer `base` took than `other` in the same round."""
    return statistics.median(a / b for a, b in zip(base, other, strict=True))


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1024)
    parser.add_argument("--density", type=float, nargs="+", default=[0.1, 0.05, 0.01])
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--steps", type=int, default=52)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--burst", type=int, default=4, help="steps in a row in a turn; 1 counts cold steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    options = parser.parse_args()
    import numba

    torch.set_num_threads(options.threads)
    numba.set_num_threads(min(options.threads, numba.config.NUMBA_NUM_THREADS))
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {options.threads} threads; torch {torch.__version__}, numba {numba.__version__}")
    print(f"n {options.n}, T {options.steps}, batch {options.batch}, rate {options.rate:g}, {options.repeats} rounds")
    results = []
    for density in options.density:
        work = Workload(options.n, density, options.rate, options.steps, options.batch, options.seed)
        results.append(report(density, measure(work, options.repeats, options.burst)))
    if options.json:
        settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()}
        options.json.write_text(json.dumps({"settings": settings, "python": sys.version, "results": results}, indent=1))


if __name__ == "__main__":
    main()
