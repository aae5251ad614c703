"""What a rewirer needs to go on bit for bit: written into plain arrays and numbers, checked, and read again."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.core.rng import generator_state, restore_generator
from neurosparse.errors import ValidationError

if TYPE_CHECKING:
    from neurosparse.rewiring.base import Rewirer
    from neurosparse.rewiring.history import History

__all__ = ["of", "restore"]


def of(rewirer: Rewirer) -> dict[str, Any]:
    """Return the state of `rewirer`: ``"arrays"``, and JSON-ready numbers under ``"meta"``."""
    arrays: dict[str, NDArray[Any]] = {}
    for layer in rewirer.layers:
        arrays[f"{layer.index}.born_at"] = layer.born_at.copy()
        if layer.signs is not None:
            arrays[f"{layer.index}.signs"] = layer.signs.copy()
        arrays[f"{layer.index}.visited"] = layer.history.visited.state()
    meta = {
        "n_steps": rewirer.n_steps,
        "seed": rewirer.seed,
        "generator": generator_state(rewirer.generator),
        "initial_density": [layer.initial_density for layer in rewirer.layers],
        "total_births": rewirer.total_births.tolist(),
        "total_deaths": rewirer.total_deaths.tolist(),
        "histories": [layer.history.meta() for layer in rewirer.layers],
        "parts": {name: part.state_dict() for name, part in _parts_with_memory(rewirer)},
    }
    return {"arrays": arrays, "meta": meta}


def restore(rewirer: Rewirer, state: Mapping[str, Any]) -> None:
    """Put `state` into `rewirer`, or raise `ValidationError` and touch nothing."""
    try:
        meta, arrays = state["meta"], state["arrays"]
        _check(rewirer, meta, arrays)
        histories = _histories(rewirer, meta, arrays)
        for name, part in _parts_with_memory(rewirer):
            part.load_state_dict(meta["parts"][name])
        for layer, density in zip(rewirer.layers, meta["initial_density"], strict=True):
            layer.initial_density = float(density)
            layer.sites, layer.topology_version = layer.module.sites, layer.module.topology_version
            layer.born_at = np.array(arrays[f"{layer.index}.born_at"], np.int64)
            if layer.signs is not None:
                layer.signs = np.array(arrays[f"{layer.index}.signs"], np.int8)
            layer.clock = rewirer.state.clock(layer, int(meta["n_steps"]))
            layer.history = histories[layer.index]
        rewirer.n_steps = int(meta["n_steps"])
        rewirer.generator = restore_generator(meta["generator"])
        rewirer.total_births = np.array(meta["total_births"], np.int64)
        rewirer.total_deaths = np.array(meta["total_deaths"], np.int64)
    except KeyError as error:
        raise ValidationError(f"rewirer state: {error} is missing") from error


def _parts_with_memory(rewirer: Rewirer) -> list[tuple[str, Any]]:
    parts = [(field.name, getattr(rewirer.parts, field.name)) for field in fields(rewirer.parts)]
    return [(name, part) for name, part in parts if hasattr(part, "state_dict")]


def _check(rewirer: Rewirer, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    n_layers = len(rewirer.layers)
    if meta["seed"] != rewirer.seed or any(
        len(meta[name]) != n_layers for name in ("initial_density", "total_births", "total_deaths", "histories")
    ):
        raise ValidationError(
            f"rewirer state: written with seed {meta['seed']} for {len(meta['initial_density'])} layers, "
            f"this one has seed {rewirer.seed} and {n_layers} layers"
        )
    restore_generator(meta["generator"])
    _check_memory(rewirer, meta.get("parts", {}))
    expected = of(rewirer)["arrays"]
    if set(arrays) != set(expected):
        raise ValidationError(
            f"rewirer state: has {', '.join(sorted(arrays))}; this method keeps {', '.join(sorted(expected))}"
        )
    for name, array in arrays.items():
        layer = rewirer.layers[int(name.partition(".")[0])]
        if name.endswith("visited"):
            continue  # of another length; it is checked where it is read
        if array.shape != (layer.module.n_synapses,):
            raise ValidationError(
                f"rewirer state: {name} has shape {array.shape}, {layer.name} has {layer.module.n_synapses} synapses"
            )
        if name.endswith("signs") and not np.isin(array, (-1, 1)).all():
            raise ValidationError(f"rewirer state: {name} must be +1 or -1")


def _histories(rewirer: Rewirer, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[int, History]:
    return {
        layer.index: layer.history.restored(saved, arrays[f"{layer.index}.visited"])
        for layer, saved in zip(rewirer.layers, meta["histories"], strict=True)
    }


def _check_memory(rewirer: Rewirer, memory: Mapping[str, Any]) -> None:
    """Try the memory on copies of the parts, so that a wrong one changes nothing."""
    for name, part in _parts_with_memory(rewirer):
        try:
            copy.deepcopy(part).load_state_dict(memory[name])
        except (KeyError, TypeError, ValueError) as error:
            raise ValidationError(f"rewirer state: memory of the part {name!r}: {error}") from error
