"""Training in a chip's integers: the forward pass is Loihi's arithmetic bit for bit, gradients go straight through.

Every rounding is one function that returns the integer and hands its gradient to the real number it was rounded from
(straight-through estimator: Hinton 2012; Bengio, Leonard and Courville 2013, arXiv:1308.3432). Integers are held in
float64, where all of them, the 36-bit products of the decays included, are exact.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import snntorch as snn
import torch
from torch import Tensor, nn

from neurosparse.core import integers as z
from neurosparse.core.conversion import assemble, choice_like, convert
from neurosparse.core.network import INPUT, Network
from neurosparse.core.quantization import (
    GRADED_FACTOR,
    bias_parts,
    current_decay,
    threshold_mantissa,
    voltage_decay,
)
from neurosparse.errors import UnsupportedError, ValidationError
from neurosparse.nn.expressible import array_of, is_readout, reset_of
from neurosparse.nn.matmul import sparse_matmul
from neurosparse.nn.network import Layer, Output, SparseSNN
from neurosparse.nn.sparse import SparseLinear
from neurosparse.nn.stepwise import is_constant, weights_of

if TYPE_CHECKING:
    from neurosparse.core.quantized import QuantizedNetwork, QuantizedProjection

__all__ = ["QuantizedSNN"]


class QuantizedSNN(SparseSNN):
    """A `SparseSNN` that computes in the integers of a `QuantizedNetwork`, and can be trained.

    Its parameters are the real ones, so optimizers and rewirers work on it as on any `SparseSNN`. Units, exponents,
    bits and signs are those of `like` and stay; weights, decays, thresholds and biases are rounded in every forward
    pass. ``quantize(model.to_network(exact=False), like=like)`` then is the network that was trained, and
    `simulate` has its spikes and voltages.

    Parameters
    ----------
    model : SparseSNN
        The network to start from; copied.
    like : QuantizedNetwork
        What ``quantize(model.to_network(), bits=..., calibration=...)`` has made of it.

    Raises
    ------
    UnsupportedError
        For biases of `snntorch.Synaptic` neurons, which a chip needs an extra neuron for.
    ValidationError
        If `like` is not this network.
    """

    def __init__(self, model: SparseSNN, like: QuantizedNetwork) -> None:
        twin = copy.deepcopy(model)
        super().__init__(*twin.stack, input=model.input_kind, engine="snntorch", dt=model.dt, names=model.names)
        _check(self, like)
        self.like = like
        self._graded = model.input_kind == "graded"

    def forward(self, x: Tensor, *, record: bool = False) -> Output:
        """Run the sequence `x` (time, batch, n_inputs) of spikes, or of payloads / 256, from rest.

        Voltages are in the units of the real network: an integer register times ``like.scales[name]``.
        """
        layers = self.layers()
        if x.dim() != 3 or x.shape[2] != layers[0].connection.in_features:
            raise ValidationError(
                f"QuantizedSNN: input has shape {tuple(x.shape)}, "
                f"expected (time, batch, {layers[0].connection.in_features})"
            )
        lines = x[:1] if is_constant(x) else x
        payloads = lines.double() / GRADED_FACTOR if self._graded else lines.double()
        spikes = payloads.expand(x.shape[0], -1, -1) if is_constant(x) else payloads
        rates, records = [], []
        for name, layer in zip(self.names or (), layers, strict=True):
            spikes, voltages = self._run(name, layer, spikes, graded=self._graded and layer is layers[0])
            rates.append(spikes.detach().mean(dim=(0, 1)).float())
            if record:
                records.append((spikes.float(), voltages))
        return Output(spikes.float(), voltages, tuple(rates), tuple(records))

    def on_grid(self) -> SparseSNN:
        """Return a copy that computes as the deployed network does, which is what this one does."""
        return copy.deepcopy(self)

    def to_network(self, *, exact: bool = False, **options: Any) -> Network:
        """Return the real network behind the integers; off the exact grid, which would move integers, unless asked."""
        return super().to_network(exact=exact, **options)

    def to_quantized(self) -> QuantizedNetwork:
        """Return this network as it computes, torch-free, in integers."""
        network = self.to_network()
        choices = {p.name: choice_like(p, network, self.like) for p in network.populations}
        converted = [convert(network, p, choices[p.name], self._largest_dv) for p in network.populations]
        return assemble(network, converted, choices, self.like.chip)

    @property
    def _largest_dv(self) -> int:
        return z.MAX_VOLTAGE_DECAY - 1 if self.like.chip else z.MAX_VOLTAGE_DECAY

    def _run(self, name: str, layer: Layer, x: Tensor, *, graded: bool) -> tuple[Tensor, Tensor]:
        """Return spikes (float64) and voltages of one layer on the integers `x` (time, batch, n_source)."""
        neuron: Any = layer.neuron
        projections = self.like.projections_into(name)
        forward = next(p for p in projections if p.source != name)
        scale = self.like.scales[name]
        unit = scale * 2**z.ALIGNMENT_BITS
        weights = _weights(weights_of(layer.connection), forward, unit, GRADED_FACTOR if graded else 1.0)
        recurrent = None
        if layer.recurrent is not None:
            back = next(p for p in projections if p.source == name)
            recurrent = _weights(weights_of(layer.recurrent), back, unit, 1.0)
        keep_v = _voltage_factor(neuron.beta, self._largest_dv)
        keep_u = _current_factor(neuron.alpha) if isinstance(neuron, snn.Synaptic) else None
        bias = _bias(layer, unit)
        readout, reset = is_readout(neuron), reset_of(neuron)
        threshold = None if readout else _threshold(neuron.threshold, unit)

        # the layer before has run already: one product instead of one per step
        lines = x[0] if is_constant(x) else x.flatten(0, 1)
        sums = _product(layer.connection, lines, weights)
        sums = sums.expand(x.shape[0], -1, -1) if is_constant(x) else sums.unflatten(0, x.shape[:2])
        shape = (x.shape[1], layer.n)
        u = v = spike = x.new_zeros(shape)
        spikes, voltages = [], []
        for t in range(x.shape[0]):
            a = sums[t]
            if layer.recurrent is not None and recurrent is not None:
                a = a + _product(layer.recurrent, spike, recurrent)
            current = a * 2**z.ALIGNMENT_BITS
            u = _wrap(current if keep_u is None else _decay(u, keep_u) + current)
            v = _decay(v, keep_v) + u + bias
            if threshold is None:
                v = _clip(v)
            else:
                if reset == "subtract":
                    v = v - spike.detach() * threshold
                v = _clip(v)
                spike = neuron.spike_grad((v - threshold) * scale).double()
                if reset == "zero":
                    v = torch.where(spike.detach() > 0, torch.zeros_like(v), v)
            spikes.append(spike)
            voltages.append(v)
        if not spikes:
            return x.new_zeros(0, *shape), x.new_zeros(0, *shape)
        return torch.stack(spikes), torch.stack(voltages) * scale


class _StraightThrough(torch.autograd.Function):
    """The value of the first argument with the gradient of the second, the real number it was rounded from."""

    @staticmethod
    def forward(ctx: Any, exact: Tensor, real: Tensor) -> Tensor:
        return exact.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, gradient


def _rounded(exact: Tensor, real: Tensor) -> Tensor:
    result: Tensor = _StraightThrough.apply(exact.detach(), real)
    return result


def _weights(values: Tensor, projection: QuantizedProjection, unit: float, factor: float) -> Tensor:
    """Return ``mantissa << exponent`` of `values`; a clipped weight has no gradient that would take it further out."""
    step = z.weight_step(projection.bits, projection.sign_mode)
    low, high = z.weight_range(projection.bits, projection.sign_mode)
    exponent = 2.0**projection.exponent
    real = values.double() * factor
    steps = torch.round(real / (unit * exponent * step)).clamp(low // step, high // step)
    return _rounded(steps * (step * exponent), (real / unit).clamp(low * exponent, high * exponent))


def _product(connection: nn.Module, x: Tensor, weights: Tensor) -> Tensor:
    if isinstance(connection, SparseLinear):
        return sparse_matmul(x, weights, connection)
    return nn.functional.linear(x, weights)


def _decay(state: Tensor, factor: Tensor) -> Tensor:
    """Return ``state * factor / 4096`` rounded toward zero (`neurosparse.core.integers.decay`)."""
    real = state * factor / z.DECAY_UNITY
    return _rounded(torch.trunc(real.detach()), real)


def _wrap(u: Tensor) -> Tensor:
    half = z.STATE_SPAN // 2
    return _rounded(half - torch.remainder(half - u.detach(), z.STATE_SPAN), u)


def _clip(v: Tensor) -> Tensor:
    return v.clamp(-z.MAX_VOLTAGE, z.MAX_VOLTAGE)


def _voltage_factor(beta: Tensor, largest: int) -> Tensor:
    kept = beta.double().clamp(0, 1)
    dv = voltage_decay(array_of(kept), largest)
    return _rounded(torch.as_tensor(z.DECAY_UNITY - np.asarray(dv, np.float64)), kept * z.DECAY_UNITY)


def _current_factor(alpha: Tensor) -> Tensor:
    kept = alpha.double().clamp(0, 1)
    du = current_decay(array_of(kept))
    return _rounded(torch.as_tensor(z.DECAY_UNITY - 1 - np.asarray(du, np.float64)), kept * z.DECAY_UNITY)


def _threshold(threshold: Tensor, unit: float) -> Tensor:
    real = threshold.double()
    mantissa = threshold_mantissa(array_of(real), unit)
    return _rounded(torch.as_tensor(np.asarray(mantissa, np.float64)), real / unit) * 2**z.ALIGNMENT_BITS


def _bias(layer: Layer, unit: float) -> Tensor | float:
    biases = [c.bias for c in (layer.connection, layer.recurrent) if c is not None and c.bias is not None]
    if not biases:
        return 0.0
    real = torch.stack([bias.double() for bias in biases]).sum(0)
    # summed as `to_network` sums them, in their own type
    summed = np.asarray(sum((array_of(bias) for bias in biases), np.zeros(layer.n, np.float32)))
    mantissa, exponent = bias_parts(summed, unit)
    exact = torch.from_numpy(np.ldexp(mantissa.astype(np.float64), exponent))
    return _rounded(exact, real * 2**z.ALIGNMENT_BITS / unit)


def _check(model: SparseSNN, like: QuantizedNetwork) -> None:
    if tuple(p.name for p in like.populations) != model.names:
        raise ValidationError(
            f"QuantizedSNN.like: has the populations {', '.join(p.name for p in like.populations)}, "
            f"the model has {', '.join(model.names or ())}; biases of Synaptic neurons, which add one, cannot be "
            "trained in integers"
        )
    source = INPUT
    for name, layer in zip(model.names or (), model.layers(), strict=True):
        expected = [(source, 0)] + ([(name, 1)] if layer.recurrent is not None else [])
        found = [(p.source, p.delay) for p in like.projections_into(name)]
        if found != expected or like[name].n != layer.n:
            raise ValidationError(f"QuantizedSNN.like: its population {name!r} is not that of the model")
        if isinstance(layer.neuron, snn.Synaptic) and layer.connection.bias is not None:
            raise UnsupportedError(
                f"QuantizedSNN: {name!r} has biases that pass the filter of a synaptic current; a chip needs an extra "
                "neuron for them, train without bias"
            )
        source = name
