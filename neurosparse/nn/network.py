"""`SparseSNN`: snnTorch modules in, as a user would write them; a torch-free `Network` out, and back."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import snntorch as snn
import torch
from torch import Tensor, nn

from neurosparse.core.grid import GridReport
from neurosparse.core.network import Input, InputKind, Network, Population
from neurosparse.core.neurons import LI
from neurosparse.errors import UnknownNameError, UnsupportedError, ValidationError
from neurosparse.nn.sparse import SparseLinear, why_not_an_input

__all__ = ["Layer", "Output", "Recurrent", "SparseSNN", "readout"]

logger = logging.getLogger(__name__)

Connection = SparseLinear | nn.Linear
Engine = Literal["auto", "fused", "snntorch"]


class Recurrent(nn.Module):
    """A neuron whose own spikes come back one step later through `connection`, as part of its current.

    This is what `snntorch.RLeaky` is for, with two differences that exactness needs: the complete current is summed
    first (RLeaky rounds ``(beta * v + input) + recurrent``), and the connection is explicit, so it can be sparse and
    has no hidden bias.

    Parameters
    ----------
    neuron : snntorch.Leaky or snntorch.Synaptic
    connection : SparseLinear or torch.nn.Linear, n -> n
    """

    def __init__(self, neuron: nn.Module, connection: Connection) -> None:
        super().__init__()
        if not isinstance(connection, (SparseLinear, nn.Linear)):
            raise ValidationError(
                f"Recurrent.connection: must be SparseLinear or nn.Linear, got {type(connection).__name__}"
            )
        if connection.in_features != connection.out_features:
            raise ValidationError(
                "Recurrent.connection: must map n neurons to themselves, "
                f"got {connection.in_features} -> {connection.out_features}"
            )
        self.neuron, self.connection = neuron, connection


def readout(beta: float | Tensor = 0.9, *, learn_beta: bool = False) -> snn.Leaky:
    """Return a leaky integrator as an snnTorch module: no threshold, no reset, its voltage is the output.

    A `Network` calls it `LI`.

    Parameters
    ----------
    beta : float or tensor (n,)
        Decay of the voltage per step, in [0, 1].
    learn_beta : bool
        Whether training changes it.
    """
    return snn.Leaky(beta=beta, threshold=float("inf"), reset_mechanism="none", learn_beta=learn_beta)


@dataclass(frozen=True)
class Layer:
    """One population of a `SparseSNN`: the connection into it, its neuron, and its recurrent connection, if any."""

    connection: Connection
    neuron: nn.Module
    recurrent: Connection | None = None

    @property
    def n(self) -> int:
        """Number of neurons."""
        return self.connection.out_features


@dataclass(frozen=True)
class Output:
    """What `SparseSNN.forward` returns.

    Attributes
    ----------
    spikes, voltages : Tensor, shape (time, batch, n_out)
        Of the last layer. `snntorch.Leaky` with ``reset_mechanism="zero"`` and snnTorch's default ``reset_delay=True``
        shows at a spike the voltage before its reset, a `Network` the one after it; the spikes are the same.
    rates : tuple of Tensor, shape (n,)
        Spikes per step of every layer's neurons, mean over time and batch, without gradient.
    layers : tuple of (spikes, voltages)
        Of every layer, only with ``record=True``.
    """

    spikes: Tensor
    voltages: Tensor
    rates: tuple[Tensor, ...]
    layers: tuple[tuple[Tensor, Tensor], ...] = field(default=(), repr=False)


class SparseSNN(nn.Module):
    """A feed-forward stack of connections and snnTorch neurons, each population with recurrence if wanted.

    Parameters
    ----------
    *modules
        Alternately a connection (`SparseLinear`, `torch.nn.Linear`) and a neuron (`snntorch.Leaky`,
        `snntorch.Synaptic`, `Recurrent`, `readout`; `snntorch.RLeaky` and `RSynaptic` are rewritten as `Recurrent`).
    input : {"spikes", "graded", "analog"}
        What the network is fed with once it is deployed; see `neurosparse.Input`.
    engine : {"auto", "fused", "snntorch"}
        ``snntorch`` runs snnTorch's modules step by step; ``fused`` one kernel per layer over the whole sequence;
        ``auto`` the fused one wherever a layer allows it.
    dt : float
        Duration of a step in seconds; carried into the `Network`, no influence on training.
    names : iterable of str, optional
        Names of the populations; by default ``hidden1``, ``hidden2``, ..., ``output``.
    tbptt_steps : int, optional
        Cut the gradient through time after every so many steps, as if the states were detached there (truncated BPTT).
    checkpoint_steps : int, optional
        Keep the activity of so many steps at a time and compute the rest again in the backward pass: the same gradient,
        for about a third more time, in memory that does not grow with the sequence.

    Examples
    --------
    >>> hidden, output = SparseLinear(64, 32, density=0.1), SparseLinear(32, 10, density=0.5)
    >>> net = SparseSNN(hidden, snn.Leaky(beta=0.9), output, readout())
    >>> net(torch.zeros(5, 2, 64)).voltages.shape
    torch.Size([5, 2, 10])
    >>> net.to_network()
    Network(64->32->10, 365 synapses, density 0.154)
    """

    def __init__(
        self,
        *modules: nn.Module,
        input: InputKind = "spikes",
        engine: Engine = "auto",
        dt: float = 1e-3,
        names: Iterable[str] | None = None,
        tbptt_steps: int | None = None,
        checkpoint_steps: int | None = None,
    ) -> None:
        super().__init__()
        if engine not in ("auto", "fused", "snntorch"):
            raise UnknownNameError("SparseSNN.engine", str(engine), ["auto", "fused", "snntorch"])
        if input not in ("spikes", "graded", "analog"):
            raise UnknownNameError("SparseSNN.input", str(input), ["spikes", "graded", "analog"])
        self.input_kind: InputKind = input
        self.engine, self.dt = engine, dt
        self.tbptt_steps, self.checkpoint_steps = tbptt_steps, checkpoint_steps
        self.stack = nn.ModuleList(_canonical(module) for module in modules)
        self.names = tuple(names) if names is not None else None
        self._check()

    def _check(self) -> None:
        """Refuse here, not at `to_network` after hours of training, what the network cannot become."""
        from neurosparse.nn.sequence import Cuts

        Cuts(self.tbptt_steps, self.checkpoint_steps)
        if not self.stack or len(self.stack) % 2:
            raise ValidationError(f"SparseSNN: needs pairs of a connection and a neuron, got {len(self.stack)} modules")
        size = None
        for i, layer in enumerate(self.layers()):
            if not isinstance(layer.connection, (SparseLinear, nn.Linear)):
                raise ValidationError(
                    f"SparseSNN: module {2 * i} must be a SparseLinear or nn.Linear, "
                    f"got {type(layer.connection).__name__}"
                )
            if size is not None and layer.connection.in_features != size:
                raise ValidationError(
                    f"SparseSNN: module {2 * i} takes {layer.connection.in_features} inputs, "
                    f"the layer before has {size} neurons"
                )
            _check_neuron(f"SparseSNN: module {2 * i + 1}", layer)
            size = layer.n
        if self.names is None:
            self.names = (*(f"hidden{i + 1}" for i in range(len(self.stack) // 2 - 1)), "output")
        elif len(self.names) != len(self.stack) // 2:
            raise ValidationError(f"SparseSNN.names: {len(self.names)} names for {len(self.stack) // 2} populations")
        # a Network judges its own names and time step
        Network(Input(1), tuple(Population(name, 1, LI()) for name in self.names), (), self.dt)

    def layers(self) -> list[Layer]:
        """Return the populations in order."""
        modules: list[Any] = list(self.stack)
        found = []
        for connection, neuron in zip(modules[::2], modules[1::2], strict=True):
            if isinstance(neuron, Recurrent):
                found.append(Layer(connection, neuron.neuron, neuron.connection))
            else:
                found.append(Layer(connection, neuron))
        return found

    def forward(self, x: Tensor, *, record: bool = False) -> Output:
        """Run the sequence `x` (time, batch, n_inputs), from rest.

        A constant input given as ``x.expand(time, batch, n)`` (stride 0 over time) costs its first product once.
        """
        from neurosparse.nn import sequence, stepwise

        layers = self.layers()
        refused = why_not_an_input(x, stepwise.weights_of(layers[0].connection))
        if refused:
            raise ValidationError(f"SparseSNN: input {refused}")
        if x.dim() != 3 or x.shape[2] != layers[0].connection.in_features:
            raise ValidationError(
                f"SparseSNN: input has shape {tuple(x.shape)}, "
                f"expected (time, batch, {layers[0].connection.in_features})"
            )
        cuts = sequence.Cuts(self.tbptt_steps, self.checkpoint_steps)
        return sequence.run(layers, x, engine=self.engine, record=record, cuts=cuts)

    def to_network(
        self,
        *,
        exact: bool = True,
        dtype: Literal["auto", "float32", "float64"] = "auto",
        input: InputKind | None = None,
    ) -> Network:
        """Return this network as torch-free data; see `to_network_with_report` for what the exact grid changed."""
        return self.to_network_with_report(exact=exact, dtype=dtype, input=input)[0]

    def to_network_with_report(
        self,
        *,
        exact: bool = True,
        dtype: Literal["auto", "float32", "float64"] = "auto",
        input: InputKind | None = None,
    ) -> tuple[Network, GridReport | None]:
        """Return this network as torch-free data, and the report of the exact grid (None with ``exact=False``).

        Parameters
        ----------
        exact : bool
            Round weights and biases to the grid on which every engine gives the same bits (`neurosparse.core.grid`);
            False keeps them as they are, and engines may then differ.
        dtype : {"auto", "float32", "float64"}
            Precision of the deployed arithmetic. ``auto``: float32, or float64 where the row sums leave float32 no
            exact grid.
        input : {"spikes", "graded", "analog"}, optional
            Overrides the kind given at construction.
        """
        from neurosparse.nn.convert import to_network

        return to_network(self, exact=exact, dtype=dtype, input_kind=input or self.input_kind)

    @classmethod
    def from_network(cls, network: Network, *, engine: Engine = "auto", spike_grad: Any = None) -> SparseSNN:
        """Return the trainable form of `network`, a stack: each population fed by the one before and by itself."""
        from neurosparse.nn.convert import modules_of

        return cls(
            *modules_of(network, spike_grad),
            input=network.input.kind,
            engine=engine,
            dt=network.dt,
            names=network.order,
        )

    def on_grid(self) -> SparseSNN:
        """Return a copy whose weights and biases lie on the exact grid: what is deployed, to be evaluated as such."""
        network = self.to_network()
        twin = copy.deepcopy(self).to(torch.float64 if network.dtype == "float64" else torch.float32)
        from neurosparse.nn.convert import load_weights

        load_weights(twin, network)
        return twin


def _check_neuron(where: str, layer: Layer) -> None:
    from neurosparse.nn.convert import why_not_expressible

    reason = why_not_expressible(layer.neuron, layer.n)
    if reason:
        raise UnsupportedError(f"{where}: {reason}")
    if layer.recurrent is not None and layer.recurrent.in_features != layer.n:
        raise ValidationError(
            f"{where}: its recurrence has size {layer.recurrent.in_features}, the layer has {layer.n} neurons"
        )
    real = next(layer.connection.parameters()).dtype
    for name in ("alpha", "beta", "threshold"):
        value = getattr(layer.neuron, name, None)
        if isinstance(value, Tensor) and value.dim() and value.dtype != real:
            raise ValidationError(
                f"{where}: {name} is {value.dtype}, the weights are {real}, and their product would be neither; "
                f"convert one of them, for instance {name}.to({real})"
            )


def _canonical(module: nn.Module) -> nn.Module:
    if isinstance(module, (snn.RLeaky, snn.RSynaptic)):
        from neurosparse.nn.convert import rewrite_recurrent

        return rewrite_recurrent(module)
    return module
