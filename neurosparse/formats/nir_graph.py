"""The graph of a NIR file, reduced to what connects neurons: subgraphs unfolded, chains of linear nodes multiplied out.

NIR's nodes with state are neurons; ``Affine``, ``Linear``, ``Scale``, ``Delay`` and ``Flatten`` only pass values on.
Any number of those between two neurons is one sparse matrix per delay, and what `Affine` nodes add is a bias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from neurosparse.errors import ArtifactError, UnsupportedError

__all__ = ["NEURONS", "Flat", "Link", "biases", "flatten", "links"]

NEURONS = ("LIF", "CubaLIF", "LI", "IF", "I")
_LINEAR = ("Affine", "Linear", "Scale", "Delay", "Flatten", "Identity", "Input", "Output")
_MAX_PATHS = 10_000
_INSTEAD = {
    "Conv1d": "convolutions are not read yet; write them as one Linear node",
    "Conv2d": "convolutions are not read yet; write them as one Linear node",
    "SumPool2d": "pooling is not read yet; write it as one Linear node",
    "AvgPool2d": "pooling is not read yet; write it as one Linear node",
    "CubaLI": "a read-out has no synaptic current here; a CubaLIF with a threshold, or an LI, would do",
    "Threshold": "a threshold without a neuron has no state to reset; an LIF with tau = dt spikes at once",
}


@dataclass
class Flat:
    """Nodes without subgraphs: `nodes` by their full name, `edges` between them, one `source`, the `sinks`."""

    nodes: dict[str, dict[str, Any]]
    edges: list[tuple[str, str]]
    source: str
    sinks: list[str]


@dataclass
class Link:
    """What one node with state (or the input) sends to another: a matrix (n_target, n_source) per delay in steps.

    ``matrices`` is None for a connection of every neuron to its counterpart; `nodes` are the linear nodes on the way.
    """

    source: str
    target: str
    matrices: dict[int, sp.csr_array | None]
    nodes: list[str] = field(default_factory=list)


def flatten(tree: dict[str, Any]) -> Flat:
    """Unfold the subgraphs of `tree`; their inputs and outputs become nodes that pass on.

    Raises `ArtifactError` for what is no graph, `UnsupportedError` for more than one input and for unknown nodes.
    """
    flat = Flat({}, [], "", [])
    ins, outs = _unfold(tree, "", flat)
    if len(ins) != 1:
        raise UnsupportedError(f"from_nir: the graph has {len(ins)} Input nodes, a network has one; join them")
    for name, node in flat.nodes.items():
        if node["type"] not in NEURONS + _LINEAR:
            reason = _INSTEAD.get(node["type"], f"known are {', '.join(NEURONS + _LINEAR)}")
            raise UnsupportedError(f"from_nir: node {name!r} is a {node['type']}: {reason}")
    flat.source, flat.sinks = ins[0], outs
    return flat


def _unfold(tree: dict[str, Any], prefix: str, flat: Flat) -> tuple[list[str], list[str]]:
    nodes, edges = tree.get("nodes"), tree.get("edges")
    if not isinstance(nodes, dict) or edges is None:
        raise ArtifactError(f"from_nir: {prefix or 'the graph'} has no nodes or no edges")
    ins, outs, ends = [], [], {}
    for name, node in nodes.items():
        full = f"{prefix}{name}"
        if not isinstance(node, dict) or not isinstance(node.get("type"), str):
            raise ArtifactError(f"from_nir: node {full!r} has no type")
        if node["type"] == "NIRGraph":
            ends[name] = _unfold(node, f"{full}.", flat)
            continue
        if full in flat.nodes:
            raise ArtifactError(f"from_nir: two nodes are called {full!r}")
        flat.nodes[full], ends[name] = node, ([full], [full])
        ins += [full] if node["type"] == "Input" else []
        outs += [full] if node["type"] == "Output" else []
    for edge in edges:
        a, b = (str(end) for end in edge)
        for end in (a, b):
            if end not in ends:
                raise ArtifactError(f"from_nir: an edge names {end!r}, which is no node of {prefix or 'the graph'}")
        if len(ends[a][1]) != 1 or len(ends[b][0]) != 1:
            raise UnsupportedError(f"from_nir: edge {a} -> {b}: a subgraph with several inputs or outputs is ambiguous")
        flat.edges.append((ends[a][1][0], ends[b][0][0]))
    return ins, outs


def links(flat: Flat, steps_of: Callable[[str, NDArray[Any]], NDArray[np.int64]]) -> Iterator[Link]:
    """Yield every connection between nodes with state, the input and the sinks.

    Parameters
    ----------
    flat : Flat
    steps_of : function
        Turns the seconds of a ``Delay`` node (given its name) into steps.
    """
    next_of: dict[str, list[str]] = {name: [] for name in flat.nodes}
    for a, b in flat.edges:
        next_of[a].append(b)
    n_paths = 0
    for start in flat.nodes:
        if start != flat.source and flat.nodes[start]["type"] not in NEURONS:
            continue
        waiting = [Link(start, node, {0: None}) for node in next_of[start]]
        while waiting:
            link = waiting.pop()
            n_paths += 1
            if n_paths > _MAX_PATHS:
                raise UnsupportedError(f"from_nir: more than {_MAX_PATHS} ways lead from node to node")
            node = flat.nodes[link.target]
            if node["type"] in NEURONS or link.target in flat.sinks:
                yield link
                continue
            if link.target in link.nodes:
                raise UnsupportedError(f"from_nir: a loop through {link.target!r} without any neuron in it")
            matrices = _apply(link.target, node, link.matrices, steps_of)
            through = [*link.nodes, link.target]
            waiting += [Link(start, after, matrices, through) for after in next_of[link.target]]


def biases(flat: Flat, target: str) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield what each ``Affine`` node adds to `target` at every step, as (name, vector)."""
    before: dict[str, list[str]] = {name: [] for name in flat.nodes}
    for a, b in flat.edges:
        before[b].append(a)
    ways: list[tuple[str, list[str]]] = [(node, []) for node in before[target]]
    while ways:
        name, after = ways.pop()
        node = flat.nodes[name]
        if node["type"] in NEURONS or name == flat.source or name in after:
            continue
        if node["type"] == "Affine" and np.any(node["bias"]):
            value = np.asarray(node["bias"], np.float64).reshape(-1)
            for later in reversed(after):
                value = _pass(later, flat.nodes[later], value)
            yield name, value
        ways += [(earlier, [*after, name]) for earlier in before[name]]


def _pass(name: str, node: dict[str, Any], value: NDArray[np.float64]) -> NDArray[np.float64]:
    if node["type"] in ("Affine", "Linear"):
        return np.asarray(_matrix(name, node) @ value)
    if node["type"] == "Scale":
        return value * _vector(name, node, "scale", value.size)
    if node["type"] == "Delay" and np.any(node["delay"]):
        raise UnsupportedError(f"from_nir: a bias passes the Delay {name!r}, so it would begin late; put it behind it")
    return value


def _apply(
    name: str,
    node: dict[str, Any],
    matrices: dict[int, sp.csr_array | None],
    steps_of: Callable[[str, NDArray[Any]], NDArray[np.int64]],
) -> dict[int, sp.csr_array | None]:
    if node["type"] in ("Affine", "Linear"):
        weight = _matrix(name, node)
        for matrix in matrices.values():
            if matrix is not None and matrix.shape[0] != weight.shape[1]:
                raise ArtifactError(f"from_nir: {name!r} takes {weight.shape[1]} values, it gets {matrix.shape[0]}")
        return {d: weight if matrix is None else sp.csr_array(weight @ matrix) for d, matrix in matrices.items()}
    if node["type"] == "Scale":
        return {
            d: sp.csr_array(
                sp.diags_array(_vector(name, node, "scale", _rows(matrix))) @ _or_eye(name, node["scale"], matrix)
            )
            for d, matrix in matrices.items()
        }
    if node["type"] == "Delay":
        return _delayed(name, steps_of(name, np.asarray(node["delay"], np.float64).reshape(-1)), matrices)
    return matrices


def _delayed(
    name: str, steps: NDArray[np.int64], matrices: dict[int, sp.csr_array | None]
) -> dict[int, sp.csr_array | None]:
    if (steps == steps[0]).all():
        return {d + int(steps[0]): matrix for d, matrix in matrices.items()}
    found: dict[int, sp.csr_array | None] = {}
    for d, matrix in matrices.items():
        whole = _or_eye(name, steps, matrix)
        if whole.shape[0] != steps.size:
            raise ArtifactError(f"from_nir: {name!r} delays {steps.size} values, it gets {whole.shape[0]}")
        for step in np.unique(steps).tolist():
            kept = whole[np.flatnonzero(steps == step)].tocoo()
            rows = np.flatnonzero(steps == step)[kept.row]
            part = sp.csr_array((kept.data, (rows, kept.col)), shape=whole.shape)
            other = found.get(d + step)
            found[d + step] = part if other is None else sp.csr_array(other + part)
    return found


def _or_eye(name: str, values: Any, matrix: sp.csr_array | None) -> sp.csr_array:
    if matrix is not None:
        return matrix
    n = np.size(values)
    return sp.csr_array(sp.eye_array(n))


def _rows(matrix: sp.csr_array | None) -> int | None:
    return None if matrix is None else int(matrix.shape[0])


def _vector(name: str, node: dict[str, Any], key: str, n: int | None) -> NDArray[np.float64]:
    values = np.asarray(node[key], np.float64).reshape(-1)
    if n is not None and values.size not in (1, n):
        raise ArtifactError(f"from_nir: {name!r} has {values.size} values, it gets {n}")
    return values if n is None or values.size == n else np.full(n, values[0])


def _matrix(name: str, node: dict[str, Any]) -> sp.csr_array:
    """Return the weights of a linear node; zeros are no synapses, NIR cannot say otherwise."""
    weight = np.asarray(node["weight"])
    if weight.ndim != 2 or weight.dtype.kind not in "fiu" or 0 in weight.shape:
        raise UnsupportedError(
            f"from_nir: {name!r} has weights {weight.dtype} {weight.shape}; a matrix (n_target, n_source) is read"
        )
    if not np.isfinite(weight).all():
        raise ArtifactError(f"from_nir: {name!r} has weights that are not finite")
    return sp.csr_array(weight)
