"""The loop that every dense-to-sparse method shares; a method says what happens around each optimizer step.

Memory is O(n_target * n_source) per layer, several times over. For training that never holds a dense matrix see
`neurosparse.rewiring`.
"""

from __future__ import annotations

import fnmatch
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from neurosparse.core.rng import stream
from neurosparse.errors import UnsupportedError, ValidationError
from neurosparse.pruning.layer import DenseLayer
from neurosparse.pruning.optimizer_state import forget, forget_where, replace_parameter
from neurosparse.pruning.saved_state import load_state, state_of

__all__ = ["Pruner", "PruningMethod", "PruningStats", "RateAt"]

RateAt = Callable[[int, int], float]
"""Learning rate of optimizer step `step` of `n_steps`: ``rate(step, n_steps)``."""


class PruningMethod(ABC):
    """A method that holds a dense matrix: a frozen dataclass of its hyper-parameters. The object *is* the method."""

    holds_dense: ClassVar[bool] = True
    keeps_latent: ClassVar[bool] = False
    """Whether dormant weights keep a value of their own, in a second dense matrix."""
    ends_sparse: ClassVar[bool] = True
    """Whether ``finish()`` converts the layers to `SparseLinear`."""
    wants: ClassVar[tuple[str, ...]] = ()
    """Metrics without which the method does nothing, for instance ``validation_loss``; see `Pruner.observe`."""

    def attach(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        n_steps: int,
        steps_per_epoch: int | None = None,
        seed: int = 0,
        include: str = "*",
    ) -> Pruner:
        """Return the pruner of `model`'s `torch.nn.Linear` layers; call its ``step()`` after every optimizer step.

        Parameters
        ----------
        model : Module
        optimizer : torch.optim.Optimizer
            Made from the model's parameters. `finish` puts the sparse ones in their place.
        n_steps : int
            Length of the training in optimizer steps; fractions in the method's schedule are of it.
        steps_per_epoch : int, optional
            For methods that act once per epoch.
        seed : int
        include : str
            Shell pattern over module names, for instance ``"fc*"``.

        Raises
        ------
        ValidationError
            If nothing matches, or a layer's weight is not among the optimizer's parameters.
        """
        return Pruner(
            self, model, optimizer, n_steps=n_steps, steps_per_epoch=steps_per_epoch, seed=seed, include=include
        )

    def prepare(self, run: Pruner) -> None:  # noqa: B027, most methods need none
        """Prepare what the method keeps; called once, at attachment."""

    def before_step(self, run: Pruner) -> None:
        """Change the gradients before the optimizer sees them; by default only live synapses learn."""
        run.mask_gradients()

    @abstractmethod
    def after_step(self, run: Pruner) -> None:
        """Set masks and effective weights after optimizer step ``run.n_steps`` (1, 2, ...)."""

    def observe(self, run: Pruner, metrics: Mapping[str, float]) -> None:  # noqa: B027, most methods need none
        """Act on metrics, such as a validation loss."""

    def conclude(self, run: Pruner) -> None:  # noqa: B027, most methods need none
        """Bring masks and effective weights into their final form."""

    def learning_rate(self, run: Pruner, rate_at: RateAt, step: int) -> float:
        """Return the learning rate of optimizer step `step` (0, 1, ...), from the user's schedule `rate_at`."""
        return rate_at(step, run.total_steps)


@dataclass(frozen=True)
class PruningStats:
    """What a pruner has done so far, per layer; the names are those of `neurosparse.rewiring.base.Stats`."""

    step: int
    live: dict[str, int]
    density: dict[str, float]
    total_births: dict[str, int]
    total_deaths: dict[str, int]


class Pruner:
    """A pruning method at work on a model: `step` after each optimizer step, `finish` at the end.

    Attributes
    ----------
    layers : list of DenseLayer
    n_steps : int
        Optimizer steps made; of `total_steps`.
    meta : dict
        What the method remembers beside arrays, JSON-ready.
    extra : dict of str to Tensor
        Arrays of the method that belong to no pruned layer.
    """

    def __init__(
        self,
        method: PruningMethod,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        n_steps: int,
        steps_per_epoch: int | None = None,
        seed: int = 0,
        include: str = "*",
    ) -> None:
        for name, count in (("n_steps", n_steps), ("steps_per_epoch", steps_per_epoch or 1)):
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise ValidationError(f"attach.{name}: must be a number of optimizer steps >= 1, got {count!r}")
        self.method, self.model, self.optimizer, self.seed = method, model, optimizer, seed
        self.total_steps, self.steps_per_epoch = n_steps, steps_per_epoch
        self.n_steps, self.finished = 0, False
        self.generator = stream(seed, "pruning")
        self.meta: dict[str, Any] = {}
        self.extra: dict[str, Tensor] = {}
        self.layers = [
            DenseLayer.of(name, i, module, latent=method.keeps_latent)
            for i, (name, module) in enumerate(self._found(include))
        ]
        with torch.no_grad():
            method.prepare(self)
        self._show_effective()
        self._hook = optimizer.register_step_pre_hook(self._before_step)

    def _found(self, include: str) -> list[tuple[str, nn.Linear]]:
        linear = {name: m for name, m in self.model.named_modules() if isinstance(m, nn.Linear)}
        found = {name: m for name, m in linear.items() if fnmatch.fnmatchcase(name, include)}
        if not found:
            raise ValidationError(
                f"attach.include: {include!r} matches no nn.Linear; the model has {', '.join(linear) or 'none'}"
            )
        known = {id(parameter) for group in self.optimizer.param_groups for parameter in group["params"]}
        for name, module in found.items():
            if not name:
                raise ValidationError(
                    "attach.model: is itself an nn.Linear, which cannot be replaced in place; wrap it in a module"
                )
            if id(module.weight) not in known:
                raise ValidationError(
                    f"{name}.weight: not among the optimizer's parameters; make the optimizer from "
                    "model.parameters() before attach()"
                )
        return list(found.items())

    @property
    def stats(self) -> PruningStats:
        """How many synapses live, and how many came and went."""
        live = {layer.name: layer.n_live for layer in self.layers}
        return PruningStats(
            self.n_steps,
            live,
            {layer.name: live[layer.name] / layer.n_sites for layer in self.layers},
            {layer.name: layer.births for layer in self.layers},
            {layer.name: layer.deaths for layer in self.layers},
        )

    @property
    def progress(self) -> float:
        """Fraction of the training that is done, in [0, 1]."""
        return min(1.0, self.n_steps / self.total_steps)

    def group_of(self, layer: DenseLayer) -> Mapping[str, Any]:
        """Return the optimizer's parameter group that holds the layer's weight."""
        groups = self.optimizer.param_groups
        return next(g for g in groups if any(p is layer.module.weight for p in g["params"]))

    def learning_rate(self, rate_at: RateAt, step: int) -> float:
        """Return the learning rate of optimizer step `step` (0, 1, ...).

        `rate_at(step, n_steps)` is the user's schedule; methods of several trainings run it anew in each, and some
        lower it in their last phase.
        """
        return self.method.learning_rate(self, rate_at, step)

    @torch.no_grad()
    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if args[1:] or kwargs.get("closure") is not None:
            raise UnsupportedError(
                "pruning: an optimizer that evaluates a closure would see the latent weights; call optimizer.step() "
                "without one"
            )
        for layer in self.layers:
            layer.show(layer.latent)
        self.method.before_step(self)

    def _show_effective(self) -> None:
        for layer in self.layers:
            layer.show(layer.effective)

    def step(self, **metrics: float) -> None:
        """Do what the method does after an optimizer step; `metrics`, if any, go to `observe`."""
        self._check_running()
        self.n_steps += 1
        with torch.no_grad():
            self.method.after_step(self)
        self._show_effective()
        if metrics:
            self.observe(**metrics)

    def observe(self, **metrics: float) -> None:
        """Tell the method about metrics measured with the network as it is, for instance ``validation_loss=0.3``."""
        self._check_running()
        with torch.no_grad():
            self.method.observe(self, metrics)
        self._show_effective()

    def _check_running(self) -> None:
        if self.finished:
            raise ValidationError(
                "Pruner: finish() was called, the layers are sparse now; attach() again to prune more"
            )

    def mask_gradients(self) -> None:
        """Let only live synapses learn."""
        for layer in self.layers:
            if layer.gradient is not None:
                layer.gradient.mul_(layer.mask)

    def forget_optimizer(self) -> None:
        """Clear the whole state of the optimizer, as if it were new."""
        forget(self.optimizer)

    def forget_dormant(self, layer: DenseLayer) -> None:
        """Clear the optimizer's state of the layer's dormant synapses."""
        forget_where(self.optimizer, layer.module.weight, ~layer.mask)

    @torch.no_grad()
    def conclude(self) -> None:
        """Bring the network into its final form, still with dense layers; `finish` does so, too."""
        self._check_running()
        self.method.conclude(self)
        self._show_effective()

    @torch.no_grad()
    def finish(self) -> nn.Module:
        """End the pruning: make each layer a `SparseLinear` with exactly its live synapses, and return the model.

        The optimizer goes on with the sparse parameters and their share of its state, so training may continue, also
        under a rewirer. A second call does nothing.
        """
        if self.finished:
            return self.model
        self.conclude()
        self._hook.remove()
        self.finished = True
        if self.method.ends_sparse:
            for layer in self.layers:
                parent, _, leaf = layer.name.rpartition(".")
                sparse = layer.to_sparse()
                sites = torch.nonzero(layer.mask.reshape(-1)).squeeze(1)
                replace_parameter(self.optimizer, layer.module.weight, sparse.values, sites)
                setattr(self.model.get_submodule(parent), leaf, sparse)
        return self.model

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on bit for bit: arrays, and JSON-ready numbers under ``"meta"``."""
        return state_of(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`; load the model and the optimizer from the same checkpoint before.

        Raises `ValidationError`, touching nothing, for a state of another method, seed or network.
        """
        load_state(self, state)
