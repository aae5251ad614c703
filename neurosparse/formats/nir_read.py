"""A network from the graph that `neurosparse.formats.nir_write` has written: the same network, bit for bit."""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError as SchemaError

from neurosparse.core.network import Input, InputKind, Network, Population, Projection
from neurosparse.core.neurons import LI, LIF, NEURON_MODELS, CubaLIF, Neuron
from neurosparse.core.schema import Count, Duration, Header
from neurosparse.errors import ArtifactError, NeurosparseError, ValidationError
from neurosparse.formats.nir_write import METADATA, NIR_VERSION, euler_tau

__all__ = ["is_ours", "own_network"]

# tau as another program may have written it back: one float32 rounding, doubled
_SAME_TAU = 2.4e-7


class _Link(Header):
    node: str
    source: str
    target: str


class _Graph(Header):
    version: int
    dt: Duration
    dtype: Literal["float32", "float64"]
    input_n: Count
    input_kind: InputKind
    populations: list[str]
    projections: list[_Link]
    biases: dict[str, str]
    grid: dict[str, int] | None = None


def is_ours(tree: dict[str, Any]) -> bool:
    """Return whether the graph says that we have written it."""
    return METADATA in (tree.get("metadata") or {})


def own_network(tree: dict[str, Any], label: str) -> Network:
    """Return the network of a graph of ours.

    Raises
    ------
    ArtifactError
        Where the metadata are damaged, or contradict the nodes (another program has changed those).
    ValidationError
        For what no network can be.
    """
    try:
        text = tree["metadata"][METADATA]
        header = _Graph.model_validate(json.loads(text))
        if header.version > NIR_VERSION:
            raise ArtifactError(f"{label}: metadata of version {header.version}; this neurosparse reads {NIR_VERSION}")
        return _network(tree["nodes"], header)
    except SchemaError as error:
        first = error.errors()[0]
        raise ArtifactError(f"{label}: metadata, {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except _Changed as error:
        raise ArtifactError(
            f"{label}: {error}; another program has changed this graph. Read it without our metadata: "
            "trust_metadata=False, --ignore-metadata"
        ) from error
    except NeurosparseError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ArtifactError(f"{label}: its metadata are not what neurosparse writes ({error!r})") from error


class _Changed(Exception):
    """The nodes say something else than the metadata."""


def _network(nodes: dict[str, Any], header: _Graph) -> Network:
    dtype = np.dtype(header.dtype)
    projections = [_projection(link, nodes[link.node], dtype) for link in header.projections]
    biases = {name: _typed(nodes[node]["bias"], dtype, f"bias of {name}") for name, node in header.biases.items()}
    populations = []
    for name in header.populations:
        neuron = _neuron(name, nodes[name], biases.get(name), dtype, header.dt)
        populations.append(Population(name, neuron.beta.size, neuron))
    return Network(Input(header.input_n, header.input_kind), populations, projections, header.dt, header.grid)


def _projection(link: _Link, node: dict[str, Any], dtype: np.dtype[Any]) -> Projection:
    own, weight = node["metadata"][METADATA], _typed(node["weight"], dtype, link.node)
    indptr, indices = np.asarray(own["indptr"]), np.asarray(own["indices"])
    if indptr.dtype.kind != "i" or indices.dtype.kind != "i" or weight.ndim != 2:
        raise ValueError(f"{link.node} has no index")
    delay = int(own["delay_steps"])
    # the constructor checks an index before it is used on the matrix
    empty = np.zeros(indices.size, dtype)
    checked = Projection(link.source, link.target, indptr, indices, empty, weight.shape[1], delay)
    if checked.shape != weight.shape:
        raise _Changed(f"{link.node} has weights {weight.shape} and an index {checked.shape}")
    values = weight[checked.rows, checked.indices]
    if np.count_nonzero(weight) != np.count_nonzero(values):
        raise _Changed(f"{link.node} has weights where its index has no synapse")
    return Projection(link.source, link.target, indptr, indices, values, weight.shape[1], delay)


def _neuron(name: str, node: dict[str, Any], bias: NDArray[Any] | None, dtype: np.dtype[Any], dt: float) -> Neuron:
    own, kind = node["metadata"][METADATA], str(node["type"])
    if kind not in NEURON_MODELS:
        raise _Changed(f"{name} is a node of type {kind}")
    beta = _decay(name, node["tau_mem" if kind == "CubaLIF" else "tau"], own["beta"], dtype, dt)
    bias = np.zeros(beta.size, dtype) if bias is None else bias
    if kind == "LI":
        return LI(beta, bias)
    threshold, reset = _typed(node["v_threshold"], dtype, f"v_threshold of {name}"), str(own["reset"])
    if kind == "LIF":
        return LIF(beta, threshold, reset, bias)  # type: ignore[arg-type]  # LIF checks it
    alpha = _decay(name, node["tau_syn"], own["alpha"], dtype, dt)
    return CubaLIF(alpha, beta, threshold, reset, bias)  # type: ignore[arg-type]


def _decay(name: str, tau: Any, decay: Any, dtype: np.dtype[Any], dt: float) -> NDArray[Any]:
    """Return the exact `decay` if it is still the one that the time constant `tau` was written for."""
    values = _typed(decay, dtype, f"decay of {name}")
    tau = np.asarray(tau, np.float64)
    if tau.shape != values.shape or values.ndim != 1:
        raise _Changed(f"{name} has time constants {tau.shape} for decays {values.shape}")
    if ((values < 0) | (values > 1)).any():
        raise ValidationError(
            f"population {name!r}: a decay per step lies in [0, 1], got {values.min()}..{values.max()}"
        )
    if not np.allclose(tau, euler_tau(values, dt), rtol=_SAME_TAU, atol=0):
        raise _Changed(f"the time constants of {name} are not those of its decays")
    return values


def _typed(value: Any, dtype: np.dtype[Any], what: str) -> NDArray[Any]:
    array = np.asarray(value)
    if array.dtype != dtype:
        raise _Changed(f"{what} has type {array.dtype}, expected {dtype}")
    return array
