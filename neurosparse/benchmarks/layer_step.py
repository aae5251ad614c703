"""The layer step: one sparse spiking layer, forward and backward, at several densities.

n -> n, LIF (beta 0.9, threshold 1, subtractive reset, arctangent surrogate), Bernoulli input spikes. A step is the
forward pass, the gradient of the weights and the gradient of the input. Contestants: dense layers with the spiking
neurons of snnTorch (step by step, what a user writes today), SpikingJelly (multi-step) and Norse, where a mask changes
nothing; the sparse linear layers of torch, SparseProp and SparseLab *without* any neuron, which counts in their favour;
and our fused layer twice: with float tensors in and out, as a user calls one layer, and between two other layers, where
spikes are bits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from neurosparse.benchmarks import workload
from neurosparse.benchmarks.contest import Contest, Contestant, Measured, in_passes
from neurosparse.benchmarks.lineup import Lineup

__all__ = ["CONTESTANTS", "DENSITIES", "INSIDE", "OURS", "SNNTORCH", "run"]

SNNTORCH, OURS, INSIDE = "snnTorch, dense", "neurosparse", "neurosparse, inside a network"
CONTESTANTS = (
    Contestant(SNNTORCH, "snntorch", "LayerStep"),
    Contestant("SpikingJelly, dense", "spikingjelly", "LayerStep"),
    Contestant("Norse, dense", "norse", "LayerStep"),
    Contestant("torch CSR, linear part", "torch_csr", "LayerStep"),
    Contestant("SparseProp, linear part", "sparseprop", "LayerStep"),
    Contestant("SparseLab, linear part", "sparselab", "LayerStep"),
    Contestant(OURS, "neurosparse", "LayerStep"),
    Contestant(INSIDE, "neurosparse", "InnerLayerStep"),
)
DENSITIES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.01)


def run(
    lineup: Lineup,
    *,
    densities: Sequence[float] = DENSITIES,
    n: int = 1024,
    rate: float = 0.05,
    n_steps: int = 52,
    batch: int = 64,
    n_passes: int = 3,
    n_rounds: int = 3,
    n_threads: int,
    seed: int = 0,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Measure the layer step at each density; return settings, versions and one row per density.

    A row holds the density, ``n_synapses`` and what `Measured.to_dict` returns, from `n_passes` visits of `n_rounds`
    rounds each.
    """
    shared: dict[str, Any] = {"n": n, "rate": rate, "n_steps": n_steps, "batch": batch, "seed": seed}
    synapses = {density: max(n, round(density * n * n)) for density in densities}
    with tempfile.TemporaryDirectory() as temporary, Contest(CONTESTANTS, lineup, n_threads=n_threads) as contest:

        def measure(density: float, in_pass: str) -> Measured:
            tell(f"layer step {n} -> {n}, density {density:g}{in_pass}")
            workload.layer_step(Path(temporary), **shared, n_synapses=synapses[density])
            return contest.measure(Path(temporary), n_rounds=n_rounds)

        found = in_passes(densities, n_passes, measure)
        versions = contest.versions()
    rows = [{"density": d, "n_synapses": synapses[d], **measured.to_dict()} for d, measured in found.items()]
    return {"settings": shared, "versions": versions, "rows": rows}
