"""What ``lava_worker.py`` reads: a description of the network for JSON, its arrays, and the input as it is sent."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.graph import Graph
from neurosparse.core.integers import PAYLOAD_BITS
from neurosparse.core.network import INPUT, Network, is_readout
from neurosparse.core.pipeline import Pipeline
from neurosparse.core.quantized import PARAMETERS, QuantizedNetwork

__all__ = ["float_spec", "integer_spec", "overflows"]

_Spec = tuple[dict[str, Any], dict[str, NDArray[Any]], NDArray[Any]]

_LARGEST_SUM = 2**18 - 1
"""Lava takes 2**24 from a current once. From a larger sum of weights the 24-bit register would wrap around twice."""


def float_spec(network: Network, plan: Pipeline, x: NDArray[Any]) -> _Spec:
    """Describe `network` for Lava's floating-point models."""
    graded = network.input.kind == "graded"
    # A payload is sent as the integer it is, and its weight carries the factor 2**-8: what a chip does, and exact.
    data = np.ldexp(x, PAYLOAD_BITS).astype(np.uint8) if graded else x
    data = data.astype(np.uint8) if network.input.kind == "spikes" else data
    arrays: dict[str, NDArray[Any]] = {}
    for i, p in enumerate(network.populations):
        neuron = p.neuron
        arrays[f"beta_{i}"], arrays[f"bias_{i}"] = neuron.beta, neuron.bias
        arrays[f"alpha_{i}"] = getattr(neuron, "alpha", np.zeros_like(neuron.beta))
        arrays[f"v_threshold_{i}"] = getattr(neuron, "v_threshold", np.full_like(neuron.beta, np.inf))
    for k, projection in enumerate(network.projections):
        scale = -PAYLOAD_BITS if graded and projection.source == INPUT else 0
        arrays |= _structure(k, projection, np.ldexp(projection.weights.astype(np.float64), scale))
    spec = _spec(network, plan, data)
    spec |= {"arithmetic": "floating_pt", "dtype": str(network.dtype)}
    spec["populations"] = [
        {"reset": getattr(p.neuron, "reset", "none"), "spikes": not is_readout(p)} for p in network.populations
    ]
    return spec, arrays, data


def integer_spec(network: QuantizedNetwork, plan: Pipeline, x: NDArray[Any]) -> _Spec:
    """Describe `network` for Lava's fixed-point models."""
    arrays: dict[str, NDArray[Any]] = {}
    for i, p in enumerate(network.populations):
        arrays |= {f"{name}_{i}": getattr(p, name) for name in PARAMETERS}
    spec = _spec(network, plan, x)
    spec |= {"arithmetic": "fixed_pt", "dtype": "int32"}
    spec["populations"] = [{"reset": p.reset, "spikes": not p.readout} for p in network.populations]
    for k, projection in enumerate(network.projections):
        arrays |= _structure(k, projection, projection.weights)
        spec["projections"][k] |= {name: getattr(projection, name) for name in ("exponent", "bits", "sign_mode")}
    return spec, arrays, x


def overflows(network: QuantizedNetwork, x: NDArray[np.uint8]) -> list[str]:
    """Return why Lava's fixed-point models might compute something else for `network` on `x`; empty if they cannot."""
    reasons = []
    for p in network.populations:
        largest = int(network.largest_sums(p.name).max())
        if network.input.kind == "graded" and largest > _LARGEST_SUM:
            largest = int(_largest_sums_of(network, p.name, x).max())
        if largest > _LARGEST_SUM:
            reasons.append(
                f"population {p.name!r}: its weights can add up to {largest} in a step, Lava's registers hold "
                f"{_LARGEST_SUM}; lower the exponents or the weights"
            )
    return reasons


def _largest_sums_of(network: QuantizedNetwork, name: str, x: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the largest ``abs(a)`` that any spikes of populations and the payloads `x` can cause, shape (n,)."""
    high, low = np.zeros(network[name].n, np.int64), np.zeros(network[name].n, np.int64)
    for projection in network.projections_into(name):
        if projection.source == INPUT:
            matrix = projection.to_scipy().astype(np.int64)
            sums = (matrix @ x.reshape(-1, x.shape[2]).T.astype(np.int64)) << projection.exponent
            most, least = sums.max(axis=1, initial=0), sums.min(axis=1, initial=0)
        else:
            least, most = projection.largest_sums()
        high, low = high + most, low + least
    return np.maximum(high, -low)


def _spec(network: Graph[Any, Any], plan: Pipeline, data: NDArray[Any]) -> dict[str, Any]:
    index = {INPUT: -1, **{p.name: i for i, p in enumerate(network.populations)}}
    return {
        "input": {
            "n": network.input.n,
            "dtype": str(data.dtype),
            "message_bits": 0 if network.input.kind == "spikes" else PAYLOAD_BITS,  # > 0: the values count
        },
        "projections": [
            {"source": index[p.source], "target": index[p.target], "delay": delay}
            for p, delay in zip(network.projections, plan.delays, strict=True)
        ],
    }


def _structure(k: int, projection: Any, weights: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {f"indptr_{k}": projection.indptr, f"indices_{k}": projection.indices, f"weights_{k}": weights}
