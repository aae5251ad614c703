"""Run a stack of layers over a sequence: at once, or in parts with a cut or a checkpoint between them.

At once, every layer keeps its activity of all time steps for the backward pass. Two ways to keep less:

``tbptt_steps``       truncated backpropagation through time (Williams and Peng 1990): after every so many steps the
                      state goes on, its gradient does not, as if a user of snnTorch detached the states there.
``checkpoint_steps``  the gradient is exact; only the states at the cuts are kept, and the backward pass runs each part
                      again (Chen et al. 2016), so memory grows with the part and not with the sequence.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neurosparse.errors import UnsupportedError, ValidationError
from neurosparse.nn import engine, stepwise
from neurosparse.nn.engine_neuron import Neurons
from neurosparse.nn.engine_source import PackedSpikes
from neurosparse.nn.sparse import SparseLinear

if TYPE_CHECKING:
    from neurosparse.nn.network import Layer, Output

__all__ = ["Cuts", "run"]

logger = logging.getLogger(__name__)
_reported: set[str] = set()

States = list[Any]  # one per layer: a tuple of tensors or Nones, or None for rest


@dataclass(frozen=True)
class Cuts:
    """Steps after which gradients are cut, and steps whose activity is kept at a time; None for never and for all."""

    tbptt_steps: int | None = None
    checkpoint_steps: int | None = None

    def __post_init__(self) -> None:
        for name in ("tbptt_steps", "checkpoint_steps"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValidationError(f"SparseSNN.{name}: must be a number of time steps >= 1 or None, got {value!r}")

    def parts(self, n_steps: int) -> list[tuple[int, int]]:
        """Return begin and end of the parts of a sequence of `n_steps`."""
        begins = {0}
        for every in (self.tbptt_steps, self.checkpoint_steps):
            begins.update(range(0, n_steps, every) if every else ())
        ends = [*sorted(begins)[1:], n_steps]
        return list(zip(sorted(begins), ends, strict=True))


def run(layers: list[Layer], x: Tensor, *, engine: str, record: bool, cuts: Cuts) -> Output:
    """Run `layers` on `x` (time, batch, n_inputs), from rest.

    With ``engine="auto"`` a layer that cannot run fused runs snnTorch's modules step by step, said once per reason at
    info level; with ``engine="fused"`` it raises `UnsupportedError`; with ``engine="snntorch"`` all run step by step.
    """
    from neurosparse.nn.network import Output

    parts = cuts.parts(x.shape[0])
    if cuts.checkpoint_steps and any(getattr(c, "gradient_probe", None) for c in _connections(layers)):
        raise UnsupportedError(
            "SparseSNN.checkpoint_steps: a rewiring method that asks for the gradient of dormant synapses needs the "
            "whole sequence at once; leave checkpoint_steps out"
        )
    states: States = [None] * len(layers)
    traces: list[list[tuple[Tensor, Tensor]]] = []
    rates = []
    for begin, end in parts:
        part = _Part(layers, engine, record, want_states=end < x.shape[0])
        if begin and cuts.tbptt_steps and begin % cuts.tbptt_steps == 0:
            states = [tuple(None if t is None else t.detach() for t in state) for state in states]
        here = x if len(parts) == 1 else x[begin:end]
        call = part.recomputed if cuts.checkpoint_steps and torch.is_grad_enabled() else part.run
        trace, states = call(here, states)
        traces.append(trace)
        rates.append([rate * ((end - begin) / max(1, x.shape[0])) for rate in part.rates] if begin or end < x.shape[0]
                     else part.rates)  # fmt: skip
    records = traces[0] if len(parts) == 1 else [_joined(pieces) for pieces in zip(*traces, strict=True)]
    mean_rates = tuple(cast(Tensor, sum(of_layer)) for of_layer in zip(*rates, strict=True))
    return Output(*records[-1], mean_rates, tuple(records) if record else ())


def _joined(pieces: tuple[tuple[Tensor, Tensor], ...]) -> tuple[Tensor, Tensor]:
    spikes, voltages = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    return spikes, voltages


@dataclass
class _Part:
    """A stack of layers, run on one part of a sequence."""

    layers: list[Layer]
    engine: str
    record: bool
    want_states: bool
    rates: tuple[Tensor, ...] = ()

    def run(self, x: Tensor, states: States) -> tuple[list[tuple[Tensor, Tensor]], States]:
        """Return spikes and voltages (of the last layer, or with `record` of all) and the states after this part."""
        spikes: Tensor | PackedSpikes = x
        voltages: Tensor | None
        rates, records, after = [], [], []
        for i, (layer, state) in enumerate(zip(self.layers, states, strict=True)):
            wanted = self.record or i == len(self.layers) - 1
            neurons = self._fused(i)
            if neurons is not None:
                spikes, voltages, state = engine.continue_layer(
                    layer, spikes, state, neurons, want_voltages=wanted, want_state=self.want_states
                )
                rates.append(engine.spike_rates(spikes))
            else:
                spikes, voltages, state = stepwise.continue_layer(
                    layer, _tensor(spikes), state, want_state=self.want_states
                )
                rates.append(spikes.detach().mean(dim=(0, 1)))
            after.append(state)
            if wanted and voltages is not None:
                records.append((_tensor(spikes), voltages))
        self.rates = tuple(rates)
        return records, after

    def _fused(self, i: int) -> Neurons | None:
        """Return the neurons of layer `i` for the fused engine; None if it runs step by step."""
        if self.engine == "snntorch":
            return None
        layer = self.layers[i]
        found = engine.eligible(layer.connection, layer.neuron, layer.recurrent)
        if isinstance(found, Neurons):
            return found
        if self.engine == "fused":
            raise UnsupportedError(
                f"SparseSNN.engine: layer {i} cannot run fused: {found}; engine='auto' runs it step by step"
            )
        if found not in _reported:
            _reported.add(found)
            logger.info("layer %d runs step by step in snnTorch: %s", i, found)
        return None

    def recomputed(self, x: Tensor, states: States) -> tuple[list[tuple[Tensor, Tensor]], States]:
        """As `run`, keeping nothing but `x` and `states` for a backward pass that runs the part again."""
        parameters = _parameters(self.layers)
        flat = [t for state in states for t in state or ()]
        shape = [None if state is None else len(state) for state in states]
        layout: list[int] = []
        outputs = _Recomputed.apply(self, shape, layout, x, *flat, *parameters)
        n = layout[0]
        records = list(zip(outputs[:n:2], outputs[1:n:2], strict=True))
        return records, _nested(outputs[n:], layout[1:])


def _tensor(spikes: Tensor | PackedSpikes) -> Tensor:
    return spikes.tensor() if isinstance(spikes, PackedSpikes) else spikes


def _nested(flat: Any, sizes: Any) -> States:
    items = iter(flat)
    return [None if size is None else tuple(next(items) for _ in range(size)) for size in sizes]


def _parameters(layers: list[Layer]) -> list[Tensor]:
    """Return the parameters of `layers`, each once."""
    modules = [m for layer in layers for m in (layer.connection, layer.neuron, layer.recurrent) if m is not None]
    return list({id(p): p for module in modules for p in module.parameters() if p.requires_grad}.values())


def _topology(layers: list[Layer]) -> list[int]:
    return [c.topology_version for c in _connections(layers) if isinstance(c, SparseLinear)]


def _connections(layers: list[Layer]) -> list[Any]:
    return [c for layer in layers for c in (layer.connection, layer.recurrent) if c is not None]


class _Recomputed(torch.autograd.Function):
    """``(part, sizes, layout, x, *states, *parameters) -> (spikes, voltages, ..., *states after)``.

    `sizes` says how many tensors the state of each layer has; `layout` is told the number of spikes and voltages
    returned, and then those sizes after the part.
    """

    @staticmethod
    def forward(ctx: Any, part: _Part, sizes: list[Any], layout: list[Any], x: Tensor, *tensors: Tensor | None) -> Any:
        ctx.set_materialize_grads(False)
        n_states = sum(size or 0 for size in sizes)
        records, after = part.run(x.detach(), _nested(tensors[:n_states], sizes))
        ctx.part, ctx.sizes, ctx.n_states, ctx.topology = part, sizes, n_states, _topology(part.layers)
        ctx.save_for_backward(x, *tensors)  # parameters too: one that is changed before the backward pass is an error
        layout += [2 * len(records), *(len(state) for state in after)]
        return (*(t for record in records for t in record), *(t for state in after for t in state))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        if ctx.topology != _topology(ctx.part.layers):
            raise ValidationError(
                "SparseLinear: its synapses changed between forward and backward; rewire after loss.backward(), and "
                "run the forward pass again for another backward"
            )
        x, *tensors = ctx.saved_tensors
        parameters = tensors[ctx.n_states :]
        inputs = [
            None if t is None else t.detach().requires_grad_(needed)
            for t, needed in zip((x, *tensors[: ctx.n_states]), ctx.needs_input_grad[3:], strict=False)
        ]
        with torch.enable_grad():
            records, after = ctx.part.run(inputs[0], _nested(inputs[1:], ctx.sizes))
        outputs = (*(t for record in records for t in record), *(t for state in after for t in state))
        known = [(o, g) for o, g in zip(outputs, gradients, strict=True) if g is not None and o is not None]
        wanted = [t for t in (*inputs, *parameters) if t is not None and t.requires_grad]
        found: dict[int, Tensor | None] = {}
        known = [(o, g) for o, g in known if o.requires_grad]
        if known and wanted:
            results = torch.autograd.grad([o for o, _ in known], wanted, [g for _, g in known], allow_unused=True)
            found = dict(zip(map(id, wanted), results, strict=True))
        return None, None, None, *(found.get(id(t)) for t in (*inputs, *parameters))
