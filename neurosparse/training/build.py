"""From a configuration to a network, an optimizer and a learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import snntorch as snn
import torch
from torch import nn

from neurosparse.core.rng import stream
from neurosparse.nn.network import Recurrent, SparseSNN, readout
from neurosparse.nn.sparse import SparseLinear
from neurosparse.rewiring.distribution import distribute
from neurosparse.training.config import NetworkConfig, RunConfig, TrainingConfig
from neurosparse.training.inputs import input_kind_of

if TYPE_CHECKING:
    from neurosparse.pruning.base import Pruner
    from neurosparse.rewiring.base import Rewirer

__all__ = ["build_network", "build_optimizer", "build_rewirer", "learning_rate_at", "surrogate_of"]


def build_network(config: RunConfig, n_inputs: int, n_classes: int) -> SparseSNN:
    """Return the untrained network of a run; its numbers come from the stream "weights" of the seed."""
    settings = config.network
    sizes = [n_inputs, *settings.hidden, n_classes]
    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
    counts = distribute(shapes, settings.density, settings.distribution)
    gains = settings.gain if isinstance(settings.gain, list) else [settings.gain] * len(shapes)
    generator = stream(config.seed, "weights")
    modules: list[nn.Module] = []
    for i, ((n_target, n_source), count) in enumerate(zip(shapes, counts, strict=True)):
        if settings.connections == "dense":
            modules.append(_dense(n_source, n_target, settings.bias, gains[i], generator))
        else:
            modules.append(
                SparseLinear(
                    n_source, n_target, n_synapses=count, bias=settings.bias, gain=gains[i], generator=generator
                )
            )
        last = i == len(shapes) - 1
        neuron = readout(settings.readout_beta) if last and settings.readout == "voltage" else _neuron(settings)
        if settings.recurrent_density is not None and not last:
            recurrent = SparseLinear(n_target, n_target, settings.recurrent_density, gain=0.5, generator=generator)
            neuron = Recurrent(neuron, recurrent)
        modules.append(neuron)
    return SparseSNN(
        *modules,
        input=input_kind_of(config),
        engine=config.training.engine,
        dt=settings.dt,
        tbptt_steps=config.training.tbptt_steps,
        checkpoint_steps=config.training.checkpoint_steps,
    )


def _neuron(settings: NetworkConfig) -> nn.Module:
    options: dict[str, Any] = {
        "beta": settings.beta,
        "threshold": settings.v_threshold,
        "reset_mechanism": settings.reset,
        "reset_delay": settings.reset != "zero",
        "spike_grad": surrogate_of(settings),
    }
    return snn.Synaptic(alpha=settings.alpha, **options) if settings.neuron == "synaptic" else snn.Leaky(**options)


def surrogate_of(settings: NetworkConfig) -> Any:
    """Return the surrogate gradient that the configuration names."""
    slope = {} if settings.surrogate_slope is None else _slope(settings)
    return getattr(snn.surrogate, settings.surrogate)(**slope)


def _slope(settings: NetworkConfig) -> dict[str, float]:
    return {"alpha" if settings.surrogate == "atan" else "slope": float(settings.surrogate_slope or 0)}


def _dense(n_source: int, n_target: int, bias: bool, gain: float, generator: Any) -> nn.Linear:
    """A dense connection that starts as a sparse one does, so that comparisons compare sparsity."""
    layer = nn.Linear(n_source, n_target, bias=bias)
    weights = generator.standard_normal((n_target, n_source)) * gain / math.sqrt(n_source)
    layer.weight.data = torch.from_numpy(weights).to(layer.weight.dtype)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def build_optimizer(settings: TrainingConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of a run."""
    options: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=settings.momentum, **options)
    return (torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam)(model.parameters(), **options)


def build_rewirer(
    config: RunConfig, model: nn.Module, optimizer: torch.optim.Optimizer, steps_per_epoch: int
) -> Rewirer | Pruner | None:
    """Return what decides which synapses live during a run, or None for a dense network that stays one."""
    settings = config.network
    if config.pruning is None and settings.connections == "dense" and settings.recurrent_density is None:
        return None
    method: Any = config.method.build() if config.pruning is None else config.pruning.build()
    plan = {"n_steps": config.training.epochs * steps_per_epoch, "steps_per_epoch": steps_per_epoch}
    rewirer: Rewirer | Pruner = method.attach(model, optimizer, seed=config.seed, **plan)
    return rewirer


def learning_rate_at(settings: TrainingConfig, step: int, n_steps: int) -> float:
    """Return the learning rate of optimizer step `step` (0, 1, ...) of `n_steps`.

    A function of the step alone, so that a resumed run needs no state for it.
    """
    if settings.schedule == "constant":
        return settings.learning_rate
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * step / n_steps))
