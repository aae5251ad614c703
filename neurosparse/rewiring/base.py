"""The loop that every rewiring method shares; a method is a choice of parts.

After each optimizer step: drift of the live weights, then, if the schedule says so, deaths, a budget of births, sites
and signs for them, and the optimizer's state moved along. Everything is O(K): no mask, no dense gradient, no list of
dormant sites.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from neurosparse.core.rng import generator_state, restore_generator, stream
from neurosparse.errors import ValidationError
from neurosparse.kernels.synapses import moved
from neurosparse.kernels.topology import merge_sites
from neurosparse.nn.sparse import SparseLinear
from neurosparse.rewiring.birth import BirthSites, FreeSigns, Signs, UniformDormant
from neurosparse.rewiring.budget import Budget, KeepPerLayer
from neurosparse.rewiring.death import Death
from neurosparse.rewiring.drift import Drift
from neurosparse.rewiring.layer import SparseLayer, presynaptic_populations
from neurosparse.rewiring.optimizer_state import OptimizerState, StatePolicy
from neurosparse.rewiring.schedule import Never, Schedule

__all__ = ["Method", "Parts", "Rewirer", "Stats"]


@dataclass(frozen=True)
class Parts:
    """What a method is made of."""

    schedule: Schedule = field(default_factory=Never)
    death: Death | None = None
    budget: Budget = field(default_factory=KeepPerLayer)
    sites: BirthSites = field(default_factory=UniformDormant)
    signs: Signs = field(default_factory=FreeSigns)
    drift: tuple[Drift, ...] = ()
    optimizer_state: StatePolicy = "age_corrected"


class Method(ABC):
    """A rewiring method: a frozen dataclass of its hyper-parameters. The object *is* the method."""

    @abstractmethod
    def parts(self) -> Parts:
        """Return the parts this method is made of."""

    def attach(self, model: nn.Module, optimizer: torch.optim.Optimizer, *, seed: int = 0) -> Rewirer:
        """Return the rewirer of `model`'s `SparseLinear` layers; call its ``step()`` after every ``optimizer.step()``.

        Methods that fix signs change the signs of the present weights to theirs, here and once.
        """
        return Rewirer(self.parts(), model, optimizer, seed=seed)


@dataclass(frozen=True)
class Stats:
    """What a rewirer has done: in the last step, and in total, per layer."""

    step: int
    births: dict[str, int]
    deaths: dict[str, int]
    live: dict[str, int]
    total_births: dict[str, int]
    total_deaths: dict[str, int]


class Rewirer:
    """A method at work on a model: `step` after each optimizer step, `stats`, and the state that a checkpoint needs."""

    def __init__(self, parts: Parts, model: nn.Module, optimizer: torch.optim.Optimizer, *, seed: int = 0) -> None:
        self.parts, self.seed = parts, seed
        self.generator = stream(seed, "rewiring")
        self.state = OptimizerState(optimizer, parts.optimizer_state)
        sources = presynaptic_populations(model)
        sparse = [(name, module) for name, module in model.named_modules() if isinstance(module, SparseLinear)]
        self.layers = [self._view(i, name, m, sources.get(m, f"layer {i}")) for i, (name, m) in enumerate(sparse)]
        if not self.layers:
            raise ValidationError(f"attach: {type(model).__name__} has no SparseLinear layer to rewire")
        for layer in self.layers:
            self.state.group_of(layer)  # a missing parameter is an error now, not after the first epoch
            layer.clock = self.state.clock(layer, 0)
        self.n_steps = 0
        self._births, self._deaths = self._zeros(), self._zeros()
        self._total_births, self._total_deaths = self._zeros(), self._zeros()

    def _zeros(self) -> NDArray[np.int64]:
        return np.zeros(len(self.layers), np.int64)

    def _view(self, index: int, name: str, module: SparseLinear, source: str) -> SparseLayer:
        sites = module.sites
        born_at = np.zeros(sites.size, np.int64)
        layer = SparseLayer(name, index, source, module, module.density, sites, None, born_at)
        layer.topology_version = module.topology_version
        layer.signs = self.parts.signs.of(layer, sites, self.seed, self.generator)
        if layer.signs is not None:
            layer.values.copy_(layer.values.abs() * torch.from_numpy(layer.signs).to(layer.values))
        return layer

    @property
    def stats(self) -> Stats:
        """What the last step did, and all steps together."""
        names = [layer.name for layer in self.layers]

        def per_layer(counts: NDArray[np.int64]) -> dict[str, int]:
            return {name: int(count) for name, count in zip(names, counts, strict=True)}

        live = {layer.name: layer.n_live for layer in self.layers}
        return Stats(
            self.n_steps,
            per_layer(self._births),
            per_layer(self._deaths),
            live,
            per_layer(self._total_births),
            per_layer(self._total_deaths),
        )

    @torch.no_grad()
    def step(self, **metrics: float) -> None:
        """Do what the method does after an optimizer step.

        `metrics`, for instance ``validation_loss=0.3``, reach the schedule.
        """
        self.n_steps += 1
        self._births, self._deaths = self._zeros(), self._zeros()
        for layer in self.layers:
            self._follow(layer)
            self.state.correct_age(layer, self.n_steps)
            learning_rate = self.state.learning_rate(layer)
            for drift in self.parts.drift:
                drift.apply(layer, learning_rate, self.generator)
        event = self.parts.schedule.due(self.n_steps, metrics)
        if event is None or self.parts.death is None:
            return
        dead = self.parts.death.select(self.layers, event)
        deaths = [int(np.count_nonzero(mask)) for mask in dead]
        births = self.parts.budget.births(self.layers, deaths, self.generator) if any(deaths) else deaths
        for layer, mask, n_dead, n_born in zip(self.layers, dead, deaths, births, strict=True):
            if n_dead or n_born:
                self._rewire(layer, mask, n_born)
        self._births, self._deaths = np.array(births), np.array(deaths)
        self._total_births, self._total_deaths = self._total_births + self._births, self._total_deaths + self._deaths

    def _rewire(self, layer: SparseLayer, dead: NDArray[np.bool_], n_born: int) -> None:
        born = self.parts.sites.choose(layer, layer.sites[~dead], n_born, self.generator)
        signs = self.parts.signs.of(layer, born, self.seed, self.generator)
        sites, source = merge_sites(layer.sites, dead, born)
        freed = np.flatnonzero(dead)[:n_born]
        self.state.reorder(layer, source, np.concatenate([freed, np.full(n_born - freed.size, -1)]))
        if layer.signs is not None and signs is not None:
            layer.signs = moved(layer.signs, source)
            layer.signs[source < 0] = signs
        layer.born_at = moved(layer.born_at, source, layer.clock)
        layer.sites = sites
        layer.module.set_topology(sites, torch.from_numpy(moved(layer.values.cpu().numpy(), source)))
        layer.topology_version = layer.module.topology_version

    def _follow(self, layer: SparseLayer) -> None:
        """Refuse to go on if somebody else changed the synapses: the arrays here would be about others."""
        if layer.module.topology_version == layer.topology_version:
            return
        if not np.array_equal(layer.module.sites, layer.sites):
            raise ValidationError(
                f"{layer.name}: its synapses are not those the rewirer left it with; attach() again after changing a "
                "layer, or load the rewirer's state together with the model's"
            )
        layer.topology_version = layer.module.topology_version

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on bit for bit: arrays, and JSON-ready numbers under ``"meta"``."""
        arrays: dict[str, NDArray[Any]] = {}
        for layer in self.layers:
            arrays[f"{layer.index}.born_at"] = layer.born_at.copy()
            if layer.signs is not None:
                arrays[f"{layer.index}.signs"] = layer.signs.copy()
        meta = {
            "n_steps": self.n_steps,
            "seed": self.seed,
            "generator": generator_state(self.generator),
            "initial_density": [layer.initial_density for layer in self.layers],
            "total_births": self._total_births.tolist(),
            "total_deaths": self._total_deaths.tolist(),
        }
        return {"arrays": arrays, "meta": meta}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`; load the model and the optimizer from the same checkpoint before.

        Raises `ValidationError`, touching nothing, for a state of another method, seed or network.
        """
        try:
            meta, arrays = state["meta"], state["arrays"]
            self._check_state(meta, arrays)
            for layer, density in zip(self.layers, meta["initial_density"], strict=True):
                layer.initial_density = float(density)
                layer.sites, layer.topology_version = layer.module.sites, layer.module.topology_version
                layer.born_at = np.array(arrays[f"{layer.index}.born_at"], np.int64)
                if layer.signs is not None:
                    layer.signs = np.array(arrays[f"{layer.index}.signs"], np.int8)
                layer.clock = self.state.clock(layer, int(meta["n_steps"]))
            self.n_steps = int(meta["n_steps"])
            self.generator = restore_generator(meta["generator"])
            self._total_births = np.array(meta["total_births"], np.int64)
            self._total_deaths = np.array(meta["total_deaths"], np.int64)
        except KeyError as error:
            raise ValidationError(f"rewirer state: {error} is missing") from error

    def _check_state(self, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        n_layers = len(self.layers)
        if meta["seed"] != self.seed or any(
            len(meta[name]) != n_layers for name in ("initial_density", "total_births", "total_deaths")
        ):
            raise ValidationError(
                f"rewirer state: written with seed {meta['seed']} for {len(meta['initial_density'])} layers, "
                f"this one has seed {self.seed} and {n_layers} layers"
            )
        restore_generator(meta["generator"])
        expected = self.state_dict()["arrays"]
        if set(arrays) != set(expected):
            raise ValidationError(
                f"rewirer state: has {', '.join(sorted(arrays))}; this method keeps {', '.join(sorted(expected))}"
            )
        for name, array in arrays.items():
            layer = self.layers[int(name.partition(".")[0])]
            if array.shape != (layer.module.n_synapses,):
                raise ValidationError(
                    f"rewirer state: {name} has shape {array.shape}, "
                    f"{layer.name} has {layer.module.n_synapses} synapses"
                )
            if name.endswith("signs") and not np.isin(array, (-1, 1)).all():
                raise ValidationError(f"rewirer state: {name} must be +1 or -1")
