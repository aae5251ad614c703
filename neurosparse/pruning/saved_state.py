"""The state of a pruner as arrays and JSON-ready numbers, for a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neurosparse.core.rng import generator_state, restore_generator
from neurosparse.errors import ValidationError

if TYPE_CHECKING:
    from neurosparse.pruning.base import Pruner

__all__ = ["load_state", "state_of"]


def state_of(run: Pruner) -> dict[str, Any]:
    """Return the state of `run`; the effective weights are in the model's own state."""
    meta = {
        "method": type(run.method).__name__,
        "n_steps": run.n_steps,
        "total_steps": run.total_steps,
        "seed": run.seed,
        "generator": generator_state(run.generator),
        "births": [layer.births for layer in run.layers],
        "deaths": [layer.deaths for layer in run.layers],
        "own": dict(run.meta),
    }
    return {"arrays": {name: t.detach().cpu().numpy().copy() for name, t in _arrays(run).items()}, "meta": meta}


@torch.no_grad()
def load_state(run: Pruner, state: Mapping[str, Any]) -> None:
    """Put `state` into `run`, or raise `ValidationError` and touch nothing."""
    try:
        meta, arrays = state["meta"], state["arrays"]
        _check(run, meta, arrays)
        for name, tensor in _arrays(run).items():
            tensor.copy_(torch.from_numpy(arrays[name]))
        for layer, births, deaths in zip(run.layers, meta["births"], meta["deaths"], strict=True):
            layer.births, layer.deaths = int(births), int(deaths)
        run.n_steps, run.meta = int(meta["n_steps"]), dict(meta["own"])
        run.generator = restore_generator(meta["generator"])
    except KeyError as error:
        raise ValidationError(f"pruner state: {error} is missing") from error


def _arrays(run: Pruner) -> dict[str, Tensor]:
    """Return all tensors of the state by name: the live ones, for writing into them, too."""
    arrays = {f"extra.{name}": tensor for name, tensor in run.extra.items()}
    for layer in run.layers:
        arrays[f"{layer.index}.mask"] = layer.mask
        if run.method.keeps_latent:
            arrays[f"{layer.index}.latent"] = layer.latent
        arrays.update({f"{layer.index}.own.{name}": tensor for name, tensor in layer.arrays.items()})
    return arrays


def _check(run: Pruner, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    mine = {"method": type(run.method).__name__, "seed": run.seed, "total_steps": run.total_steps}
    for key, value in mine.items():
        if meta[key] != value:
            raise ValidationError(f"pruner state: written with {key} {meta[key]!r}, this run has {value!r}")
    expected = _arrays(run)
    if set(arrays) != set(expected) or not len(meta["births"]) == len(meta["deaths"]) == len(run.layers):
        raise ValidationError(
            f"pruner state: has {', '.join(sorted(arrays))}; this run keeps {', '.join(sorted(expected))}"
        )
    for name, array in arrays.items():
        if np.shape(array) != tuple(expected[name].shape):
            raise ValidationError(
                f"pruner state: {name} has shape {np.shape(array)}, this run's has {tuple(expected[name].shape)}"
            )
    restore_generator(meta["generator"])
