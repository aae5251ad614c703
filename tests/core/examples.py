"""A small network that has one of everything, for the tests of the core."""

from __future__ import annotations

import numpy as np

from neurosparse.core.network import Input, Network, Population
from neurosparse.core.neurons import LI, LIF, CubaLIF
from neurosparse.core.projection import Projection


def one_of_everything(dtype: type = np.float32, grid: bool = True) -> Network:
    """Three populations, a recurrent projection, a delay, an empty projection, a synapse of weight 0; all dyadic."""
    hidden = LIF(beta=[0.5, 0.75, 0.875], v_threshold=[1.0, 2.0, 0.5], reset="zero", bias=[0.0, 0.25, -0.125])
    populations = [
        Population("hidden", 3, hidden),
        Population("second.layer", 2, CubaLIF(alpha=0.5, beta=0.25, v_threshold=1.5)),
        Population("out", 2, LI(beta=0.9375, bias=[0.5, 0.0])),
    ]
    projections = [
        Projection("input", "hidden", [0, 2, 2, 3], [0, 3, 1], np.array([0.5, -1.25, 2.0], dtype), 4),
        Projection("hidden", "second.layer", [0, 1, 3], [2, 0, 1], np.array([1.5, 0.0, -0.75], dtype), 3),
        Projection("second.layer", "second.layer", [0, 1, 2], [1, 0], np.array([-0.5, 0.25], dtype), 2, delay=1),
        Projection("hidden", "out", [0, 0, 0], np.zeros(0, np.int32), np.zeros(0, dtype), 3, delay=3),
        Projection("second.layer", "out", [0, 1, 2], [0, 1], np.array([1.0, -1.0], dtype), 2),
    ]
    exponents = {"hidden": 12, "second.layer": 14, "out": 13} if grid else None
    return Network(Input(4, "graded"), populations, projections, dt=5e-4, grid=exponents)


def assert_same_network(a: Network, b: Network) -> None:
    """Every field equal, every array equal in type and bits."""
    assert (a.input, a.dt, a.grid, a.order, a.dtype) == (b.input, b.dt, b.grid, b.order, b.dtype)
    assert len(a.populations) == len(b.populations)
    assert len(a.projections) == len(b.projections)
    for p, q in zip(a.populations, b.populations, strict=True):
        assert (p.name, p.n, type(p.neuron)) == (q.name, q.n, type(q.neuron))
        assert getattr(p.neuron, "reset", None) == getattr(q.neuron, "reset", None)
        for name in p.neuron.parameters:
            _assert_same_bits(getattr(p.neuron, name), getattr(q.neuron, name))
    for p, q in zip(a.projections, b.projections, strict=True):
        assert (p.source, p.target, p.n_source, p.delay) == (q.source, q.target, q.n_source, q.delay)
        for name in ("indptr", "indices", "weights"):
            _assert_same_bits(getattr(p, name), getattr(q, name))


def _assert_same_bits(a: np.ndarray, b: np.ndarray) -> None:
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    assert a.tobytes() == b.tobytes()
