"""Between snnTorch modules and the torch-free `Network`: without loss, or refused with a reason."""

from __future__ import annotations

import copy
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
from neurosparse.core.neurons import LI, LIF, CubaLIF, Neuron
from neurosparse.core.projection import Projection
from neurosparse.errors import UnknownNameError, UnsupportedError, ValidationError
from neurosparse.nn.sparse import SparseLinear

if TYPE_CHECKING:
    from neurosparse.nn.network import SparseSNN

__all__ = ["load_weights", "modules_of", "rewrite_recurrent", "to_network", "why_not_expressible"]

logger = logging.getLogger(__name__)

_STATE_FUNCTIONS = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}


def why_not_expressible(neuron: nn.Module, n: int) -> str | None:
    """Return why `neuron` in front of `n` cells is none of our models, with the way out, or None if it is one."""
    kind = type(neuron).__name__
    if type(neuron) not in (snn.Leaky, snn.Synaptic):
        return (
            f"{kind} is not supported; use snntorch.Leaky or snntorch.Synaptic (recurrence: neurosparse.Recurrent), or readout() "
            "for a leaky integrator"
        )
    if neuron.init_hidden or neuron.output:
        return f"{kind}(init_hidden=True) keeps its state in the module; SparseSNN keeps it itself: leave init_hidden and output out"
    if neuron.inhibition:
        return f"{kind}(inhibition=True) lets one neuron of the layer fire at a time, which no target engine does"
    if neuron.state_quant:
        return f"{kind}(state_quant=...): quantise at deployment instead (neurosparse.quantize)"
    if neuron.graded_spikes_factor.requires_grad or not bool((neuron.graded_spikes_factor == 1).all()):
        return f"{kind}(graded_spikes_factor=...): spikes here are 0 or 1; put the factor into the next connection's weights"
    for name in ("beta", "threshold", "alpha"):
        value = getattr(neuron, name, None)
        if isinstance(value, Tensor) and value.numel() not in (1, n):
            return f"{kind}.{name} has {value.numel()} values, the layer has {n} neurons"
    reset = _reset_of(neuron)
    if reset != neuron.reset_mechanism:
        return (
            f"{kind}.reset_mechanism was changed to {neuron.reset_mechanism!r} after construction, which snnTorch 1.0 half ignores; "
            "construct the neuron with it"
        )
    if reset == "subtract" and not neuron.reset_delay:
        return (
            f"{kind}(reset_mechanism='subtract', reset_delay=False) needs twice the threshold to fire again after a strong input "
            "(snnTorch 1.0), which no other engine does; use reset_delay=True or reset_mechanism='zero'"
        )
    if reset == "zero" and neuron.reset_delay and isinstance(neuron, snn.Synaptic):
        return (
            "Synaptic(reset_mechanism='zero', reset_delay=True) discards the input of the step after a spike; use reset_delay=False, "
            "which is what Loihi, Lava and Brian2 do"
        )
    if _is_readout(neuron) and isinstance(neuron, snn.Synaptic):
        return "Synaptic without threshold: a read-out is a leaky integrator; use readout(beta)"
    return None


def rewrite_recurrent(module: nn.Module) -> nn.Module:
    """Return `snntorch.RLeaky` or `RSynaptic` as a `Recurrent` with the same spikes; voltages differ in the last bit.

    Raises `UnsupportedError` where the spikes would differ.
    """
    from neurosparse.nn.network import Recurrent

    kind = type(module).__name__
    reset = _reset_of(module)
    if reset == "zero" and module.reset_delay:
        raise UnsupportedError(
            f"{kind}(reset_mechanism='zero', reset_delay=True) discards the input of the step after a spike; use "
            f"neurosparse.Recurrent(snntorch.{kind[1:]}(..., reset_mechanism='zero', reset_delay=False), connection)"
        )
    if isinstance(module, snn.RSynaptic) and not module.reset_delay:
        raise UnsupportedError("RSynaptic(reset_delay=False) never resets (snnTorch 1.0); use neurosparse.Recurrent(snntorch.Synaptic(...), ...)")
    if not module.all_to_all or not isinstance(module.recurrent, nn.Linear):
        raise UnsupportedError(
            f"{kind}: only all-to-all linear recurrence is rewritten; use neurosparse.Recurrent with the connection you want"
        )
    options: dict[str, Any] = dict(
        beta=module.beta.detach().clone(),
        threshold=module.threshold.detach().clone(),
        spike_grad=module.spike_grad,
        learn_beta=isinstance(module.beta, nn.Parameter),
        learn_threshold=isinstance(module.threshold, nn.Parameter),
        reset_mechanism=reset,
        reset_delay=module.reset_delay,
        inhibition=module.inhibition,
        state_quant=module.state_quant,
    )
    if isinstance(module, snn.RSynaptic):
        neuron: nn.Module = snn.Synaptic(
            alpha=module.alpha.detach().clone(), learn_alpha=isinstance(module.alpha, nn.Parameter), **options
        )
    else:
        neuron = snn.Leaky(**options)
    logger.info(
        "%s is rewritten as Recurrent(%s, ...): the same equation with the complete current summed first; voltages may differ from %s in the last bit",
        kind, type(neuron).__name__, kind,
    )  # fmt: skip
    return Recurrent(neuron, module.recurrent)


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
        bias = sum((_array(b) for b in biases), np.zeros(layer.n, np.float32))
        populations.append(Population(label, layer.n, _neuron_of(layer.neuron, bias)))
        projections.append(Projection.from_scipy(source, label, _weights_of(layer.connection)))
        if layer.recurrent is not None:
            projections.append(Projection.from_scipy(label, label, _weights_of(layer.recurrent), delay=1))
        source = label
    network = Network(Input(layers[0].connection.in_features, input_kind), populations, projections, model.dt)
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
    from neurosparse.nn.network import Recurrent, readout

    real = torch.float64 if network.dtype == np.float64 else torch.float32
    modules: list[nn.Module] = []
    source = INPUT
    for name in _stack_order(network):
        forward, recurrent = _stack_projections(network, source, name)
        neuron = network[name].neuron
        connection = _layer_of(forward, neuron.bias)
        options: dict[str, Any] = dict(spike_grad=spike_grad)
        if isinstance(neuron, LI):
            module: nn.Module = readout(torch.from_numpy(neuron.beta.copy()))
        else:
            options.update(
                beta=torch.from_numpy(neuron.beta.copy()),
                threshold=torch.from_numpy(neuron.v_threshold.copy()),
                reset_mechanism=neuron.reset,
                reset_delay=neuron.reset != "zero",
            )
            if isinstance(neuron, CubaLIF):
                module = snn.Synaptic(alpha=torch.from_numpy(neuron.alpha.copy()), **options)
            else:
                module = snn.Leaky(**options)
        if recurrent is not None:
            module = Recurrent(module, _layer_of(recurrent, None))
        modules += [connection.to(real), module.to(real)]
        source = name
    return modules


def load_weights(model: SparseSNN, network: Network) -> None:
    """Overwrite the weights and biases of `model` by those of `network`, which came from it; decays and thresholds stay."""
    source = INPUT
    for layer, population in zip(model.layers(), network.populations, strict=True):
        forward, recurrent = _stack_projections(network, source, population.name)
        pairs = [(layer.connection, forward)]
        if layer.recurrent is not None and recurrent is not None:
            pairs.append((layer.recurrent, recurrent))
        for i, (connection, projection) in enumerate(pairs):
            if isinstance(connection, SparseLinear):
                connection.values.data.copy_(torch.from_numpy(projection.weights.copy()))
            else:
                connection.weight.data.copy_(torch.from_numpy(projection.to_scipy().toarray()))
            if connection.bias is not None:
                # the network has one bias per neuron, the sum of both connections'
                connection.bias.data.copy_(torch.from_numpy(population.neuron.bias.copy()) if i == 0 else torch.zeros(layer.n))
        if layer.connection.bias is None and population.neuron.bias.any() and layer.recurrent is not None:
            layer.recurrent.bias.data.copy_(torch.from_numpy(population.neuron.bias.copy()))
        source = population.name


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
        raise UnsupportedError(f"SparseSNN.from_network: {name!r} needs one projection from {source!r} and at most one from itself")
    if forward[0].delay != 0 or any(p.delay != 1 for p in recurrent):
        raise UnsupportedError(
            f"SparseSNN.from_network: snnTorch has no delays; projections into {name!r} need delay 0 (feed-forward) or 1 (recurrent)"
        )
    return forward[0], recurrent[0] if recurrent else None


def _layer_of(projection: Projection, bias: NDArray[Any] | None) -> SparseLinear:
    has_bias = bias is not None and bias.any()
    return SparseLinear.from_scipy(projection.to_scipy(), bias=torch.from_numpy(np.array(bias)) if has_bias else None)


def _weights_of(connection: SparseLinear | nn.Linear) -> Any:
    if isinstance(connection, SparseLinear):
        return connection.to_scipy()
    return sp.csr_array(_array(connection.weight))


def _neuron_of(neuron: nn.Module, bias: NDArray[Any]) -> Neuron:
    beta = _array(neuron.beta.clamp(0, 1))
    if _is_readout(neuron):
        return LI(beta=beta, bias=bias)
    threshold, reset = _array(neuron.threshold), _reset_of(neuron)
    if isinstance(neuron, snn.Synaptic):
        return CubaLIF(alpha=_array(neuron.alpha.clamp(0, 1)), beta=beta, v_threshold=threshold, reset=reset, bias=bias)
    return LIF(beta=beta, v_threshold=threshold, reset=reset, bias=bias)


def _is_readout(neuron: nn.Module) -> bool:
    return bool(torch.isinf(neuron.threshold).all()) and _reset_of(neuron) == "none"


def _reset_of(neuron: nn.Module) -> Any:
    """The reset the module really does: the one it was constructed with."""
    return _STATE_FUNCTIONS.get(neuron.state_function.__name__, neuron.reset_mechanism)


def _array(tensor: Tensor) -> NDArray[Any]:
    array = tensor.detach().cpu().numpy()
    return array.reshape(()) if array.size == 1 and array.ndim == 1 else copy.copy(array)
