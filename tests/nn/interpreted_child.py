"""Run by test_gpu_leaky.py with TRITON_INTERPRET=1: the kernels for a GPU beside snnTorch's steps, on the CPU."""

from __future__ import annotations

import itertools
import json

import snntorch as snn
import torch
from torch import Tensor

from neurosparse.nn import gpu_leaky, surrogates

RESETS = ("subtract", "zero", "none")
SURROGATES = (
    surrogates.Atan(2.3),
    surrogates.FastSigmoid(10.1),
    surrogates.Sigmoid(5.3),
    surrogates.Triangular(0.7),
    surrogates.Boxcar(0.3),
)
SHAPES = ((7, 3, 5), (1, 2, 3), (4, 1, 1), (3, 20, 40))  # 800 lanes are more than one block


def stepwise(neuron: snn.Leaky, currents: Tensor) -> tuple[Tensor, Tensor]:
    v = torch.zeros_like(currents[0])
    spikes, voltages = [], []
    for current in currents:
        s, v = neuron(current, v)
        spikes.append(s)
        voltages.append(v)
    return torch.stack(spikes), torch.stack(voltages)


def difference(neuron: snn.Leaky, shape: tuple[int, int, int], *, constant: bool = False) -> float:
    """Return the largest relative difference of spikes, voltages and the gradient between both ways."""
    generator = torch.Generator().manual_seed(0)
    g_spikes, g_voltages, x = (torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(3))
    found = []
    for run in (gpu_leaky.run, stepwise):
        leaf = (x[:1] if constant else x + 0.3).clone().requires_grad_()
        currents = leaf.expand(shape)
        if not gpu_leaky.expressible(neuron, currents):
            raise SystemExit(f"refused: {neuron}")
        spikes, voltages = run(neuron, currents)
        ((spikes * g_spikes).sum() + (voltages * g_voltages).sum()).backward()
        found.append((spikes.detach(), voltages.detach(), leaf.grad))
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-9)) for a, b in zip(*found, strict=True))


def main() -> None:
    report = {}
    for shape, reset, surrogate in itertools.product(SHAPES, RESETS, SURROGATES):
        neuron = snn.Leaky(beta=0.9, reset_mechanism=reset, spike_grad=surrogate)
        report[f"{shape} {reset} {surrogate}"] = difference(neuron, shape)
    beta, threshold = torch.linspace(0.1, 1.0, 5).double(), torch.linspace(0.5, 1.5, 5).double()
    each = snn.Leaky(beta=beta, threshold=threshold, spike_grad=SURROGATES[0])
    report["per neuron"] = difference(each, (7, 3, 5))
    report["constant current"] = difference(each, (7, 3, 5), constant=True)
    integrator = snn.Leaky(beta=0.9, threshold=float("inf"), reset_mechanism="none", spike_grad=SURROGATES[0])
    report["integrator"] = difference(integrator, (7, 3, 5))
    print(json.dumps(report))


main()
