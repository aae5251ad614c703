"""``--to nir``: a network as a graph of the Neuromorphic Intermediate Representation (Pedersen et al. 2024).

Every population is an ``LIF``, ``CubaLIF`` or ``LI`` node, every projection a ``Linear`` node (``Affine`` where it
carries the bias), behind a ``Delay`` node where it has a delay. A decay per step is written as the time constant of an
Euler step, ``tau = dt / (1 - beta)``, with ``r`` and ``w_in`` such that the current enters without a factor: what
snnTorch writes and what a reader with the same `dt` turns back into ``v = beta * v + I``.

NIR has no time step, no sparse tensors and one reset, in the same step and to a fixed value. What is lost in that (the
reset, exact decays, which zeros are synapses, ...) goes into the metadata of the nodes, from which
`neurosparse.from_nir` makes the same network, bit for bit; `foreign_notes` says what another program makes of it.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.core.container import write_atomically
from neurosparse.core.network import INPUT, Network, Population, Projection
from neurosparse.core.neurons import LIF, CubaLIF
from neurosparse.errors import MissingDependencyError, UnsupportedError
from neurosparse.formats.loops import loops

__all__ = ["METADATA", "NIR_VERSION", "euler_tau", "foreign_notes", "import_nir", "to_nir", "write_nir"]

METADATA = "neurosparse"
"""Key of our part of a node's metadata."""

NIR_VERSION = 1
"""Version of that part."""

_MAX_DENSE_BYTES = 2**31
# 1 - dt / tau is 1 in float64, and tau a number: a decay of 1 has no finite time constant
_NEVER = 2.0**60


def write_nir(network: Network, path: Path, inputs: ArrayLike | None = None) -> list[Path]:
    """Write `network` as a ``.nir`` file (HDF5); see `to_nir`. NIR holds no input data: `inputs` are not written."""
    nir = import_nir()
    buffer = io.BytesIO()
    nir.write(buffer, to_nir(network))
    write_atomically(path, buffer.getvalue())
    return [path]


def to_nir(network: Network) -> Any:
    """Return `network` as a `nir.NIRGraph`.

    Raises
    ------
    UnsupportedError
        If the dense matrices that NIR wants would take more than 2 GiB.
    MissingDependencyError
        Without the package ``nir``.
    """
    nir = import_nir()
    n_bytes = sum(p.shape[0] * p.shape[1] * network.dtype.itemsize for p in network.projections)
    if n_bytes > _MAX_DENSE_BYTES:
        raise UnsupportedError(
            f"export --to nir: NIR stores dense matrices, {n_bytes / 2**30:.1f} GiB for this network's "
            f"{network.n_synapses} synapses, and 2 GiB is the limit; --to scipy and --to network stay sparse"
        )
    nodes: dict[str, Any] = {INPUT: nir.Input({"input": np.array([network.input.n])})}
    for p in network.populations:
        nodes[p.name] = _neurons(nir, p, network.dt)
    edges: list[tuple[str, str]] = []
    closing = _closing(network)
    carriers, names = _bias_carriers(network, closing), []
    for k, projection in enumerate(network.projections):
        name = _free(f"{projection.source}_to_{projection.target}", nodes)
        bias = network[projection.target].neuron.bias if carriers.get(projection.target) == k else None
        nodes[name] = _linear(nir, projection, bias)
        source, delay = projection.source, projection.delay - closing[k]
        if delay:
            wait = _free(f"{name}_delay", nodes)
            nodes[wait] = nir.Delay(np.full(projection.n_source, delay * network.dt))
            edges.append((source, wait))
            source = wait
        edges += [(source, name), (name, projection.target)]
        names.append(name)
    biases = {name: names[k] for name, k in carriers.items() if k >= 0}
    biases |= _feed_the_rest(nir, network, biases, nodes, edges)
    for name in network.outputs or (network.order[-1],):
        sink = _free("output" if len(network.outputs) < 2 else f"output_{name}", nodes)
        nodes[sink] = nir.Output({"output": np.array([network[name].n])})
        edges.append((name, sink))
    return nir.NIRGraph(nodes, edges, metadata={METADATA: json.dumps(_header(network, names, biases))})


def euler_tau(decay: NDArray[Any], dt: float) -> NDArray[np.float64]:
    """Return ``dt / (1 - decay)`` in float64, finite where `decay` is 1."""
    rest = 1.0 - decay.astype(np.float64)
    return dt * np.divide(1.0, rest, out=np.full(rest.shape, _NEVER), where=rest > 0)


def foreign_notes(network: Network) -> list[str]:
    """Return what a program that does not read our metadata will take for something else, in the user's words."""
    resets = {p.neuron.reset for p in network.populations if isinstance(p.neuron, LIF | CubaLIF)} - {"zero"}
    notes = [
        f"other programs read a reset to 0 instead of {reset!r}: NIR has a reset value only" for reset in sorted(resets)
    ]
    notes.append(f"other programs must be told dt = {network.dt:g} s: NIR has no time step")
    if network.input.kind == "graded":
        notes.append("other programs must feed payload / 256: NIR does not say what enters an Input")
    return notes


def import_nir() -> Any:
    """Return the package ``nir``, or raise `MissingDependencyError`."""
    try:
        import nir
    except ImportError as error:
        raise MissingDependencyError(f"NIR needs the package nir ({error}): pip install 'neurosparse[nir]'") from error
    return nir


def _neurons(nir: Any, p: Population, dt: float) -> Any:
    neuron = p.neuron
    zeros, tau = np.zeros(p.n), euler_tau(neuron.beta, dt)
    exact = {"beta": neuron.beta}
    if not isinstance(neuron, LIF | CubaLIF):
        return nir.LI(tau=tau, r=tau / dt, v_leak=zeros, metadata={METADATA: exact})
    common = {"r": tau / dt, "v_leak": zeros, "v_reset": zeros.copy(), "v_threshold": neuron.v_threshold.copy()}
    metadata: dict[str, Any] = {**exact, "reset": neuron.reset}
    if isinstance(neuron, LIF):
        return nir.LIF(tau=tau, **common, metadata={METADATA: metadata})
    tau_syn = euler_tau(neuron.alpha, dt)
    metadata["alpha"] = neuron.alpha
    return nir.CubaLIF(tau_mem=tau, tau_syn=tau_syn, w_in=tau_syn / dt, **common, metadata={METADATA: metadata})


def _linear(nir: Any, projection: Projection, bias: NDArray[Any] | None) -> Any:
    weight = np.zeros(projection.shape, projection.weights.dtype)
    weight[projection.rows, projection.indices] = projection.weights
    metadata = {METADATA: {"indptr": projection.indptr, "indices": projection.indices, "delay_steps": projection.delay}}
    if bias is None:
        return nir.Linear(weight, metadata=metadata)
    return nir.Affine(weight, bias.copy(), metadata=metadata)


def _closing(network: Network) -> list[bool]:
    """Return, per projection, whether a reader gives it a step of delay by itself, because it closes a loop."""
    edges = [(p.source, p.target) for p in network.projections]
    loop = loops([INPUT, *network.order], edges)
    place = {name: i for i, name in enumerate([INPUT, *network.order])}
    return [loop[a] == loop[b] and place[a] >= place[b] for a, b in edges]


def _bias_carriers(network: Network, closing: list[bool]) -> dict[str, int]:
    """Return, for each population with a bias, the projection that carries it, one that closes no loop; -1: none."""
    carriers = {}
    for p in network.populations:
        if _has_bias(p):
            forward = [
                k for k, projection in enumerate(network.projections) if projection.target == p.name and not closing[k]
            ]
            carriers[p.name] = forward[0] if forward else -1
    return carriers


def _feed_the_rest(
    nir: Any, network: Network, biases: dict[str, str], nodes: dict[str, Any], edges: list[tuple[str, str]]
) -> dict[str, str]:
    """Connect what nothing reaches by zero weights from the input: biases without a carrier, lonely populations.

    Returns the nodes that carry the biases of these populations.
    """
    fed, feeders = {target for _, target in edges}, {}
    with_bias = {p.name for p in network.populations if _has_bias(p)}
    lonely = [p.name for p in network.populations if p.name not in fed or p.name in with_bias - biases.keys()]
    if not lonely and not any(source == INPUT for source, _ in edges):
        lonely = [network.order[0]]  # a graph begins at its input
    for name in lonely:
        node = feeders[name] = _free(f"input_to_{name}", nodes)
        bias = network[name].neuron.bias if name not in biases else np.zeros(network[name].n, network.dtype)
        nodes[node] = nir.Affine(np.zeros((network[name].n, network.input.n), network.dtype), bias.copy())
        edges += [(INPUT, node), (node, name)]
    return {name: node for name, node in feeders.items() if name not in biases}


def _has_bias(p: Population) -> bool:
    return bool(p.neuron.bias.any() or np.signbit(p.neuron.bias).any())


def _free(name: str, nodes: dict[str, Any]) -> str:
    while name in nodes:
        name += "_"
    return name


def _header(network: Network, names: list[str], biases: dict[str, str]) -> dict[str, Any]:
    return {
        "version": NIR_VERSION,
        "dt": network.dt,
        "dtype": str(network.dtype),
        "input_n": network.input.n,
        "input_kind": network.input.kind,
        "populations": [p.name for p in network.populations],
        "projections": [
            {"node": name, "source": p.source, "target": p.target}
            for name, p in zip(names, network.projections, strict=True)
        ],
        "biases": biases,
        "grid": None if network.grid is None else dict(network.grid),
    }
