"""Which snnTorch neurons mean one of our models, what they mean, and why the others do not."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import snntorch as snn
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neurosparse.core.neurons import LI, LIF, CubaLIF, Neuron
from neurosparse.errors import UnsupportedError

__all__ = ["array_of", "is_readout", "neuron_of", "reset_of", "rewrite_recurrent", "why_not_expressible"]

logger = logging.getLogger(__name__)

_STATE_FUNCTIONS = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}


def why_not_expressible(neuron: nn.Module, n: int) -> str | None:
    """Return why `neuron` in front of `n` cells is none of our models, with the way out, or None if it is one."""
    if type(neuron) not in (snn.Leaky, snn.Synaptic):
        return (
            f"{type(neuron).__name__} is not supported; use snntorch.Leaky or snntorch.Synaptic "
            "(recurrence: neurosparse.Recurrent), or readout() for a leaky integrator"
        )
    return _option_refused(neuron) or _parameter_refused(neuron, n) or _reset_refused(neuron)


def _option_refused(neuron: Any) -> str | None:
    kind = type(neuron).__name__
    if neuron.init_hidden or neuron.output:
        return (
            f"{kind}(init_hidden=True) keeps its state in the module; SparseSNN keeps it itself: leave init_hidden and "
            "output out"
        )
    if neuron.inhibition:
        return f"{kind}(inhibition=True) lets one neuron of the layer fire at a time, which no target engine does"
    if neuron.state_quant:
        return f"{kind}(state_quant=...): quantise at deployment instead (neurosparse.quantize)"
    factor = neuron.graded_spikes_factor
    if factor.requires_grad or not bool((factor == 1).all()):
        return f"{kind}(graded_spikes_factor=...): spikes are 0 or 1; put the factor into the next connection's weights"
    return None


def _parameter_refused(neuron: Any, n: int) -> str | None:
    kind = type(neuron).__name__
    for name in ("beta", "threshold", "alpha"):
        value = getattr(neuron, name, None)
        if isinstance(value, Tensor) and (value.numel() not in (1, n) or value.dim() > 1):
            return (
                f"{kind}.{name} has shape {tuple(value.shape)}; the layer has {n} neurons, it takes one value "
                f"or one per neuron, shape ({n},)"
            )
    threshold = neuron.threshold.detach()
    if not bool((threshold > 0).all()):
        return f"{kind}.threshold: must be > 0, got {float(threshold.min())}"
    if bool(torch.isinf(threshold).any()) and not is_readout(neuron):
        return (
            f"{kind}.threshold is infinite, and snnTorch's reset then computes 0 * inf = NaN; "
            "a neuron that never fires is readout(beta)"
        )
    return None


def _reset_refused(neuron: Any) -> str | None:
    kind, reset = type(neuron).__name__, reset_of(neuron)
    if reset != neuron.reset_mechanism or int(neuron.reset_mechanism_val) != neuron.reset_dict[reset]:
        return (
            f"{kind}.reset_mechanism was changed to {_named_reset(neuron)!r} after construction, "
            "which snnTorch 1.0 half ignores; construct the neuron with it"
        )
    if reset == "subtract" and not neuron.reset_delay:
        return (
            f"{kind}(reset_mechanism='subtract', reset_delay=False) needs twice the threshold to fire again after "
            "a strong input (snnTorch 1.0), which no other engine does; use reset_delay=True or reset_mechanism='zero'"
        )
    if reset == "zero" and neuron.reset_delay and isinstance(neuron, snn.Synaptic):
        return (
            "Synaptic(reset_mechanism='zero', reset_delay=True) discards the input of the step after a spike; use "
            "reset_delay=False, which is what Loihi, Lava and Brian2 do"
        )
    if is_readout(neuron) and isinstance(neuron, snn.Synaptic):
        return "Synaptic without threshold: a read-out is a leaky integrator; use readout(beta)"
    return None


def rewrite_recurrent(module: nn.Module) -> nn.Module:
    """Return `snntorch.RLeaky` or `RSynaptic` as a `Recurrent` with the same spikes; voltages differ in the last bit.

    Raises `UnsupportedError` where the spikes would differ. Options that no neuron here may have are handed on to the
    neuron inside, so that `why_not_expressible` refuses them.
    """
    from neurosparse.nn.network import Recurrent

    old: Any = module
    kind, reset = type(old).__name__, reset_of(old)
    if reset == "zero" and old.reset_delay:
        raise UnsupportedError(
            f"{kind}(reset_mechanism='zero', reset_delay=True) discards the input of the step after a spike; use "
            f"neurosparse.Recurrent(snntorch.{kind[1:]}(..., reset_mechanism='zero', reset_delay=False), connection)"
        )
    if isinstance(old, snn.RSynaptic) and not old.reset_delay and reset != "none":
        raise UnsupportedError(
            "RSynaptic(reset_delay=False) never resets (snnTorch 1.0); use "
            "neurosparse.Recurrent(snntorch.Synaptic(...), connection)"
        )
    if not old.all_to_all or not isinstance(old.recurrent, nn.Linear):
        raise UnsupportedError(
            f"{kind}: only all-to-all linear recurrence is rewritten; "
            "use neurosparse.Recurrent with the connection you want"
        )
    options: dict[str, Any] = {
        "beta": old.beta.detach().clone(),
        "threshold": old.threshold.detach().clone(),
        "spike_grad": old.spike_grad,
        "init_hidden": old.init_hidden,
        "output": old.output,
        "inhibition": old.inhibition,
        "state_quant": old.state_quant,
        "learn_beta": isinstance(old.beta, nn.Parameter),
        "learn_threshold": isinstance(old.threshold, nn.Parameter),
        "reset_mechanism": reset,
        "reset_delay": old.reset_delay,
    }
    if isinstance(old, snn.RSynaptic):
        options |= {"alpha": old.alpha.detach().clone(), "learn_alpha": isinstance(old.alpha, nn.Parameter)}
        neuron: nn.Module = snn.Synaptic(**options)
    else:
        neuron = snn.Leaky(**options)
    logger.info(
        "%s is rewritten as Recurrent(%s, ...): the same equation with the complete current summed first; voltages may "
        "differ from %s in the last bit",
        kind,
        type(neuron).__name__,
        kind,
    )
    return Recurrent(neuron, old.recurrent)


def neuron_of(neuron: Any, bias: NDArray[Any]) -> Neuron:
    """Return what an expressible snnTorch `neuron` means, with `bias` (n,) as its constant current."""
    beta = array_of(neuron.beta.clamp(0, 1))
    if is_readout(neuron):
        return LI(beta=beta, bias=bias)
    threshold, reset = array_of(neuron.threshold), reset_of(neuron)
    if isinstance(neuron, snn.Synaptic):
        return CubaLIF(
            alpha=array_of(neuron.alpha.clamp(0, 1)), beta=beta, v_threshold=threshold, reset=reset, bias=bias
        )
    return LIF(beta=beta, v_threshold=threshold, reset=reset, bias=bias)


def is_readout(neuron: Any) -> bool:
    """Return whether `neuron` is a leaky integrator, as `neurosparse.readout` makes it."""
    return bool(torch.isinf(neuron.threshold).all()) and reset_of(neuron) == "none"


def reset_of(neuron: Any) -> Any:
    """Return the reset that `neuron` really does: the one it was constructed with."""
    return _STATE_FUNCTIONS.get(neuron.state_function.__name__, neuron.reset_mechanism)


def _named_reset(neuron: Any) -> str:
    """The reset that its attributes name, where they disagree with what it does."""
    by_value = next(name for name, value in neuron.reset_dict.items() if value == int(neuron.reset_mechanism_val))
    return by_value if by_value != reset_of(neuron) else str(neuron.reset_mechanism)


def array_of(tensor: Tensor) -> NDArray[Any]:
    """Return a copy of `tensor` as an array; one value alone as a scalar, which stands for any number of neurons."""
    array = tensor.detach().cpu().numpy()
    return np.array(array.reshape(()) if array.shape == (1,) else array)
