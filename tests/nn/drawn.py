"""Networks drawn by hypothesis: every neuron model, reset, bias and recurrence that a `SparseSNN` can be."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray

import neurosparse as ns
from neurosparse.core.grid import cast, snap_to_grid


@st.composite
def networks(draw: st.DrawFn, on_grid: bool = True) -> ns.Network:
    """Stacks of 1 to 3 populations in float32 or float64, on the exact grid unless `on_grid` is False."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    sizes = draw(st.lists(st.integers(1, 7), min_size=2, max_size=4))
    populations, projections = [], []
    source = "input"
    for i, (n_source, n) in enumerate(pairwise(sizes)):
        name, last = f"p{i}", i == len(sizes) - 2
        density = draw(st.sampled_from([0.0, 0.4, 1.0]))
        populations.append(ns.Population(name, n, draw(neurons(n, rng, readout=last))))
        projections.append(ns.Projection.from_scipy(source, name, weights(rng, n, n_source, density, dtype)))
        if draw(st.booleans()) and not isinstance(populations[-1].neuron, ns.LI):
            projections.append(ns.Projection.from_scipy(name, name, weights(rng, n, n, density, dtype), delay=1))
        source = name
    kind = draw(st.sampled_from(["spikes", "graded"]))
    network = cast(
        ns.Network(ns.Input(sizes[0], kind), populations, projections, dt=draw(st.sampled_from([1e-3, 0.5]))), dtype
    )
    return snap_to_grid(network)[0] if on_grid else network


@st.composite
def neurons(draw: st.DrawFn, n: int, rng: np.random.Generator, readout: bool) -> Any:
    def parameter(low: float, high: float) -> Any:
        values = rng.uniform(low, high, n)
        return values if draw(st.booleans()) else float(values[0])

    common = {"beta": parameter(0, 1), "bias": parameter(-0.3, 0.3) if draw(st.booleans()) else 0.0}
    kind = draw(st.sampled_from(["LIF", "CubaLIF", *(["LI"] if readout else [])]))
    if kind == "LI":
        return ns.LI(**common)
    common |= {"v_threshold": parameter(0.2, 1.5), "reset": draw(st.sampled_from(["subtract", "zero", "none"]))}
    return ns.LIF(**common) if kind == "LIF" else ns.CubaLIF(alpha=parameter(0, 1), **common)


def weights(rng: np.random.Generator, n: int, n_source: int, density: float, dtype: Any) -> sp.csr_array:
    present = rng.random((n, n_source)) < density
    return sp.csr_array(np.where(present, rng.normal(0.2, 0.6, (n, n_source)), 0).astype(dtype))


def inputs_for(network: ns.Network, n_steps: int = 12, n_samples: int = 3, seed: int = 0) -> NDArray[Any]:
    """Spikes or payloads, as the network takes them."""
    rng = np.random.default_rng(seed)
    shape = (n_steps, n_samples, network.input.n)
    return rng.random(shape) < 0.5 if network.input.kind == "spikes" else rng.integers(0, 256, shape).astype(np.uint8)


def tensor_of(network: ns.Network, inputs: NDArray[Any]) -> torch.Tensor:
    """The same inputs as the values that a `SparseSNN` computes with."""
    return torch.from_numpy(network.input.values(inputs, network.dtype))


def assert_same_run(net: ns.SparseSNN, network: ns.Network, inputs: NDArray[Any]) -> None:
    """`net` and the reference give the same spikes and voltages in every population, bit for bit."""
    expected = ns.simulate(network, inputs, backend="reference", record="voltages")
    with torch.no_grad():
        output = net(tensor_of(network, inputs), record=True)
    for name, (spikes, voltages) in zip(net.names, output.layers, strict=True):
        assert voltages.numpy().dtype == network.dtype
        np.testing.assert_array_equal(spikes.numpy().astype(bool), expected.spikes[name], err_msg=name)
        np.testing.assert_array_equal(voltages.numpy(), expected.voltages[name], err_msg=name)
    assert torch.equal(output.spikes, output.layers[-1][0])
    assert torch.equal(output.voltages, output.layers[-1][1])


def assert_same_network(a: ns.Network, b: ns.Network) -> None:
    """The same populations, projections and parameters, bit for bit."""
    assert (a.input, a.dt, a.dtype) == (b.input, b.dt, b.dtype)
    assert [p.name for p in a.populations] == [p.name for p in b.populations]
    for p, q in zip(a.populations, b.populations, strict=True):
        assert type(p.neuron) is type(q.neuron)
        assert getattr(p.neuron, "reset", None) == getattr(q.neuron, "reset", None)
        for parameter in p.neuron.parameters:
            np.testing.assert_array_equal(getattr(p.neuron, parameter), getattr(q.neuron, parameter))
    for p, q in zip(a.projections, b.projections, strict=True):
        assert (p.source, p.target, p.delay, p.shape) == (q.source, q.target, q.delay, q.shape)
        for array in ("indptr", "indices", "weights"):
            np.testing.assert_array_equal(getattr(p, array), getattr(q, array))
