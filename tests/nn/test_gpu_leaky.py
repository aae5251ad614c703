"""The kernels for a GPU: equal to snnTorch's steps in Triton's interpreter, and on a GPU where there is one."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import snntorch as snn
import torch

import neurosparse as ns
from neurosparse.nn import gpu_leaky
from neurosparse.nn.surrogates import Atan

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="needs Triton: `pip install 'neurosparse[gpu]'`"
)


@needs_triton
def test_both_kernels_equal_snntorchs_steps_in_the_interpreter() -> None:
    root = str(Path(ns.__file__).parents[1])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    script = str(Path(__file__).with_name("interpreted_child.py"))
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=300, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    differences = json.loads(done.stdout)
    assert len(differences) == 4 * 3 * 5 + 3
    assert {name: d for name, d in differences.items() if not d < 1e-12} == {}


CURRENTS = torch.zeros(2, 3, 4)


@pytest.mark.parametrize(
    "neuron",
    [
        snn.Synaptic(alpha=0.8, beta=0.9),
        snn.Leaky(beta=0.9, reset_delay=False),
        snn.Leaky(beta=0.9, learn_beta=True),
        snn.Leaky(beta=0.9, learn_threshold=True),
        snn.Leaky(beta=0.9, graded_spikes_factor=2.0),
        snn.Leaky(beta=0.9, init_hidden=True),
        snn.Leaky(beta=0.9, spike_grad=snn.surrogate.straight_through_estimator()),
        snn.Leaky(beta=torch.rand(3)),
    ],
)
def test_a_neuron_that_the_kernels_do_not_express_is_refused(neuron: torch.nn.Module) -> None:
    assert not gpu_leaky.expressible(neuron, CURRENTS)


def test_what_they_express_is_taken_on_a_gpu_only() -> None:
    neuron = snn.Leaky(beta=0.9)
    assert gpu_leaky.expressible(neuron, CURRENTS)
    assert not gpu_leaky.eligible(neuron, CURRENTS)
    assert not gpu_leaky.expressible(neuron, CURRENTS[:0])
    assert not gpu_leaky.expressible(neuron, CURRENTS.half())


@needs_triton
@pytest.mark.gpu
def test_a_network_on_a_gpu_gives_the_spikes_and_gradients_of_the_cpu() -> None:
    rng = np.random.default_rng(0)
    layers = [ns.SparseLinear(n, m, density=0.3, dtype=torch.float64, generator=rng) for n, m in ((20, 30), (30, 4))]
    net = ns.SparseSNN(layers[0], snn.Leaky(beta=0.9, spike_grad=Atan(2.0)), layers[1], ns.readout(0.9))
    x = (torch.rand(6, 5, 20, generator=torch.Generator().manual_seed(0)) < 0.5).double()
    found = []
    for device in ("cpu", "cuda"):
        net.to(device).zero_grad()
        out = net(x.to(device))
        out.voltages.square().sum().backward()
        gradients = [layer.values.grad.cpu() for layer in layers if layer.values.grad is not None]
        found.append([out.voltages.detach().cpu(), *gradients])
    assert len(found[0]) == 3
    for on_cpu, on_gpu in zip(*found, strict=True):
        torch.testing.assert_close(on_gpu, on_cpu, rtol=1e-9, atol=1e-12)
