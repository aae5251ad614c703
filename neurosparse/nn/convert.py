"""Between snnTorch modules and the torch-free `Network`: without loss, or refused with a reason."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse as sp
import snntorch as snn
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neurosparse.core.grid import GridReport, cast, snap_to_grid
from neurosparse.core.network import INPUT, Input, InputKind, Network, Population
from neurosparse.core.neurons import LI, CubaLIF, Neuron
from neurosparse.core.projection import Projection
from neurosparse.errors import UnknownNameError, UnsupportedError, ValidationError
from neurosparse.nn.expressible import array_of, neuron_of, rewrite_recurrent, why_not_expressible
from neurosparse.nn.sparse import SparseLinear

if TYPE_CHECKING:
    from neurosparse.nn.network import SparseSNN

__all__ = ["load_weights", "modules_of", "rewrite_recurrent", "to_network", "why_not_expressible"]

logger = logging.getLogger(__name__)


def to_network(
    model: SparseSNN,
    *,
    exact: bool,
    dtype: Literal["auto", "float32", "float64"],
    input_kind: InputKind,
) -> tuple[Network, GridReport | None]:
    """See `SparseSNN.to_network_with_report`."""
    if dtype not in ("auto", "float32", "float64"):
        raise UnknownNameError("to_network.dtype", str(dtype), ["auto", "float32", "float64"])
    layers = model.layers()
    populations, projections = [], []
    source = INPUT
    for label, layer in zip(model.names or (), layers, strict=True):
        biases = [c.bias for c in (layer.connection, layer.recurrent) if c is not None and c.bias is not None]
        # a neuron has one bias: that of its connection and that of its recurrence add up
        bias = sum((array_of(b) for b in biases), np.zeros(layer.n, np.float32))
        populations.append(Population(label, layer.n, neuron_of(layer.neuron, bias)))
        projections.append(Projection.from_scipy(source, label, _weights_of(layer.connection)))
        if layer.recurrent is not None:
            projections.append(Projection.from_scipy(label, label, _weights_of(layer.recurrent), delay=1))
        source = label
    inputs = Input(layers[0].connection.in_features, input_kind)
    network = Network(inputs, tuple(populations), tuple(projections), model.dt)
    if dtype != "auto":
        network = cast(network, dtype)
    if not exact:
        return network, None
    try:
        return snap_to_grid(network)
    except ValidationError:
        if dtype != "auto" or input_kind == "analog":
            raise
        logger.info("float32 leaves no exact grid for these weights; the network is deployed in float64")
        return snap_to_grid(cast(network, np.float64))


def modules_of(network: Network, spike_grad: Any = None) -> list[nn.Module]:
    """Return the connections and neurons of a stack-shaped `network`, for ``SparseSNN(*modules)``."""
    from neurosparse.nn.network import Recurrent

    real = torch.float64 if network.dtype == np.float64 else torch.float32
    modules: list[nn.Module] = []
    source = INPUT
    for name in _stack_order(network):
        forward, recurrent = _stack_projections(network, source, name)
        neuron = network[name].neuron
        connection = _layer_of(forward, neuron.bias)
        module = _module_of(neuron, spike_grad)
        if recurrent is not None:
            module = Recurrent(module, _layer_of(recurrent, None))
        modules += [connection.to(real), module.to(real)]
        source = name
    return modules


def load_weights(model: SparseSNN, network: Network) -> None:
    """Overwrite the weights and biases of `model` by those of `network`, which came from it; the neurons stay."""
    source = INPUT
    for layer, population in zip(model.layers(), network.populations, strict=True):
        forward, recurrent = _stack_projections(network, source, population.name)
        pairs = [(layer.connection, forward)]
        if layer.recurrent is not None and recurrent is not None:
            pairs.append((layer.recurrent, recurrent))
        for connection, projection in pairs:
            if isinstance(connection, SparseLinear):
                connection.values.data.copy_(_tensor(projection.weights))
            else:
                connection.weight.data.copy_(_tensor(projection.to_scipy().toarray()))
        # the first connection that has a bias takes the whole of it, the sum of both
        bias = _tensor(population.neuron.bias)
        for connection, _ in pairs:
            if connection.bias is not None:
                connection.bias.data.copy_(bias)
                bias = torch.zeros_like(bias)
        source = population.name


def _module_of(neuron: Neuron, spike_grad: Any) -> nn.Module:
    from neurosparse.nn.network import readout

    if isinstance(neuron, LI):
        return readout(_tensor(neuron.beta))
    options: dict[str, Any] = {
        "beta": _tensor(neuron.beta),
        "threshold": _tensor(neuron.v_threshold),
        "spike_grad": spike_grad,
        "reset_mechanism": neuron.reset,
        "reset_delay": neuron.reset != "zero",
    }
    if isinstance(neuron, CubaLIF):
        return snn.Synaptic(alpha=_tensor(neuron.alpha), **options)
    return snn.Leaky(**options)


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.array(array))  # a copy: the arrays of a Network are read-only


def _stack_order(network: Network) -> list[str]:
    order, source = [], INPUT
    for _ in network.populations:
        targets = {p.target for p in network.projections if p.source == source and p.target != source}
        if len(targets) != 1:
            break
        source = targets.pop()
        order.append(source)
    if sorted(order) != sorted(p.name for p in network.populations):
        raise UnsupportedError(
            "SparseSNN.from_network: the network must be a stack, each population fed by the one before and by itself; "
            "simulate() runs any network"
        )
    return order


def _stack_projections(network: Network, source: str, name: str) -> tuple[Projection, Projection | None]:
    forward = [p for p in network.projections_into(name) if p.source == source]
    recurrent = [p for p in network.projections_into(name) if p.source == name]
    others = [p for p in network.projections_into(name) if p.source not in (source, name)]
    if len(forward) != 1 or len(recurrent) > 1 or others:
        raise UnsupportedError(
            f"SparseSNN.from_network: {name!r} needs one projection from {source!r} and at most one from itself"
        )
    if forward[0].delay != 0 or any(p.delay != 1 for p in recurrent):
        raise UnsupportedError(
            f"SparseSNN.from_network: snnTorch has no delays; projections into {name!r} need delay 0 (feed-forward) or "
            "1 (recurrent)"
        )
    return forward[0], recurrent[0] if recurrent else None


def _layer_of(projection: Projection, bias: NDArray[Any] | None) -> SparseLinear:
    return SparseLinear.from_scipy(projection.to_scipy(), bias=None if bias is None or not bias.any() else bias.copy())


def _weights_of(connection: SparseLinear | nn.Linear) -> Any:
    if isinstance(connection, SparseLinear):
        return connection.to_scipy()
    return sp.csr_array(array_of(connection.weight))
