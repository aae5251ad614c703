"""The loop that every rewiring method shares; a method is a choice of parts.

After each optimizer step: drift of the live weights, then, if the schedule says so, deaths, a budget of births, sites,
weights and signs for them, and the optimizer's state moved along. Everything is O(K): no mask, no dense gradient, no
list of dormant sites.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from neurosparse.core.rng import stream
from neurosparse.errors import ValidationError
from neurosparse.kernels.turnover import Turnover, slots_of
from neurosparse.nn.gradient_probe import GradientProbe
from neurosparse.nn.sparse import SparseLinear
from neurosparse.rewiring import saved_state
from neurosparse.rewiring.before_step import GradientTerm, act_before_steps
from neurosparse.rewiring.birth import BirthSites, BirthValues, FreeSigns, Signs, UniformDormant, ZeroValues
from neurosparse.rewiring.budget import Budget, KeepPerLayer
from neurosparse.rewiring.death import Death
from neurosparse.rewiring.drift import Drift
from neurosparse.rewiring.history import LayerHistory
from neurosparse.rewiring.layer import SparseLayer, populations
from neurosparse.rewiring.optimizer_state import OptimizerState, StatePolicy
from neurosparse.rewiring.schedule import Event, Never, Plan, Schedule

__all__ = ["Method", "Parts", "Rewirer", "Stats"]


@dataclass(frozen=True)
class Parts:
    """What a method is made of.

    `gradient_terms` join the gradient before every optimizer step. `skip_update`: make no optimizer step where there is
    an event. `keep_regrown`: a synapse that dies and is chosen again in the same event keeps its weight and its state.
    A part with a memory has ``state_dict`` and ``load_state_dict``; every call of `Method.parts` makes a fresh one.
    """

    schedule: Schedule = field(default_factory=Never)
    death: Death | None = None
    budget: Budget = field(default_factory=KeepPerLayer)
    sites: BirthSites = field(default_factory=UniformDormant)
    values: BirthValues = field(default_factory=ZeroValues)
    signs: Signs = field(default_factory=FreeSigns)
    drift: tuple[Drift, ...] = ()
    gradient_terms: tuple[GradientTerm, ...] = ()
    optimizer_state: StatePolicy = "age_corrected"
    skip_update: bool = False
    keep_regrown: bool = False


class Method(ABC):
    """A rewiring method: a frozen dataclass of its hyper-parameters. The object *is* the method."""

    holds_dense: ClassVar[bool] = False
    """Those that do are in `neurosparse.pruning`."""

    @abstractmethod
    def parts(self) -> Parts:
        """Return the parts this method is made of."""

    def attach(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        seed: int = 0,
        n_steps: int | None = None,
        steps_per_epoch: int | None = None,
    ) -> Rewirer:
        """Return the rewirer of `model`'s `SparseLinear` layers; call its ``step()`` after every ``optimizer.step()``.

        Methods that fix signs change the signs of the present weights to theirs, here and once.

        Parameters
        ----------
        model, optimizer
            The optimizer was made from the model's parameters.
        seed : int
            Of all that is drawn.
        n_steps, steps_per_epoch : int, optional
            Optimizer steps of the whole training and of an epoch. Methods that anneal or act by epochs say so if they
            miss one.
        """
        return Rewirer(self.parts(), model, optimizer, seed=seed, plan=Plan(n_steps, steps_per_epoch))


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

    def __init__(
        self,
        parts: Parts,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        seed: int = 0,
        plan: Plan | None = None,
    ) -> None:
        self.parts, self.seed = replace(parts, schedule=parts.schedule.over(plan or Plan())), seed
        self.generator = stream(seed, "rewiring")
        self.state = OptimizerState(optimizer, parts.optimizer_state)
        known = populations(model)
        sparse = [(name, module) for name, module in model.named_modules() if isinstance(module, SparseLinear)]
        self.layers = []
        for i, (path, module) in enumerate(sparse):
            name, source = known.get(module, (path, f"layer {i}"))
            self.layers.append(self._view(i, name, source, module))
        if not self.layers:
            raise ValidationError(f"attach: {type(model).__name__} has no SparseLinear layer to rewire")
        for layer in self.layers:
            self.state.group_of(layer)  # a missing parameter is an error now, not after the first epoch
            layer.clock = self.state.clock(layer, 0)
        self.n_steps = 0
        self._births, self._deaths = self._zeros(), self._zeros()
        self.total_births, self.total_deaths = self._zeros(), self._zeros()
        for layer in self.layers:
            layer.module.gradient_probe = None  # of another rewirer, before this one
        if parts.skip_update or parts.gradient_terms:
            act_before_steps(self, optimizer)
        self._look_ahead()

    def _look_ahead(self) -> None:
        """Get ready for the next step, if this method's events need that: record the gradient its births ask for."""
        births_ask = bool(getattr(self.parts.sites, "needs_gradient", False))
        self._event_ahead = (births_ask or self.parts.skip_update) and self.parts.schedule.foresees(self.n_steps + 1)
        for layer in self.layers if births_ask else ():
            layer.module.gradient_probe = GradientProbe() if self._event_ahead else None

    @property
    def skips_update(self) -> bool:
        """Whether the coming optimizer step is to be left out."""
        return self.parts.skip_update and self._event_ahead

    def _zeros(self) -> NDArray[np.int64]:
        return np.zeros(len(self.layers), np.int64)

    def _view(self, index: int, name: str, source: str, module: SparseLinear) -> SparseLayer:
        sites = module.sites
        born_at = np.zeros(sites.size, np.int64)
        layer = SparseLayer(name, index, source, module, module.density, sites, None, born_at, seed=self.seed)
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
            per_layer(self.total_births),
            per_layer(self.total_deaths),
        )

    def history(self) -> dict[str, LayerHistory]:
        """Return what became of the synapses of every layer: lifetimes, ages, sites visited."""
        return {layer.name: layer.history.now(layer.clock - layer.born_at) for layer in self.layers}

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
            if self.parts.drift and not self.skips_update:
                learning_rate = self.state.learning_rate(layer)
                for drift in self.parts.drift:
                    drift.apply(layer, learning_rate, self.generator)
        event = self.parts.schedule.due(self.n_steps, metrics)
        if event is not None and self.parts.death is not None:
            self._act(self.parts.death, event)
        self._look_ahead()

    def _act(self, death: Death, event: Event) -> None:
        dead = [slots_of(mask) for mask in death.select(self.layers, event)]
        deaths = [slots.size for slots in dead]
        births = self.parts.budget.births(self.layers, deaths, event, self.generator) if any(deaths) else deaths
        for i, (layer, slots, n_born) in enumerate(zip(self.layers, dead, births, strict=True)):
            if slots.size or n_born:
                self._deaths[i], self._births[i] = self._rewire(layer, slots, n_born)
        self.total_births, self.total_deaths = self.total_births + self._births, self.total_deaths + self._deaths

    def _rewire(self, layer: SparseLayer, dead: NDArray[np.int64], n_born: int) -> tuple[int, int]:
        """Replace the synapses in the slots `dead` by `n_born` newborns; return how many really died and were born."""
        born = self.parts.sites.choose(layer, dead, n_born, self.generator)
        if self.parts.keep_regrown:
            regrown = np.intersect1d(layer.sites[dead], born, assume_unique=True)
            dead = dead[~np.isin(layer.sites[dead], regrown, assume_unique=True)]
            born = np.setdiff1d(born, regrown, assume_unique=True)
        signs = self.parts.signs.of(layer, born, self.seed, self.generator)
        weights = self.parts.values.of(layer, born, self.generator)
        if weights is not None and signs is not None:
            weights = np.abs(weights) * signs
        change = Turnover(layer.sites, dead, born)
        self.state.move(layer, change)
        values = change.moved(layer.array, weights)
        if layer.signs is not None and signs is not None:
            layer.signs = change.moved(layer.signs, signs)
        layer.history.record(layer.clock - layer.born_at[dead], born)
        layer.born_at = change.moved(layer.born_at, layer.clock)
        layer.sites = change.moved(layer.sites, born)
        layer.module.set_topology(layer.sites, torch.from_numpy(values))
        layer.topology_version = layer.module.topology_version
        return dead.size, born.size

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
        return saved_state.of(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`; load the model and the optimizer from the same checkpoint before.

        Raises `ValidationError`, touching nothing, for a state of another method, seed or network.
        """
        saved_state.restore(self, state)
        self._look_ahead()
