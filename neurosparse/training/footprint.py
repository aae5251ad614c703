"""How many bytes a training holds from one optimizer step to the next: counted on the objects, not estimated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neurosparse.core.rng import stream
from neurosparse.training.build import build_network, build_optimizer, build_rewirer
from neurosparse.training.config import RunConfig
from neurosparse.training.inputs import dataset_of, encoder_of, split_of
from neurosparse.training.losses import LOSSES
from neurosparse.training.trainer import to_tensor

__all__ = ["held_bytes", "training_bytes"]

_OURS = ("neurosparse", "torch.nn", "torch.optim", "snntorch")


def training_bytes(config: RunConfig) -> int:
    """Return the bytes of everything that the training of `config` holds when its second optimizer step is due.

    Weights, their indices and caches of them, gradients, the optimizer's state, and what the method keeps; neither
    data nor activations. No method here holds more later: those that change the number of synapses lower it.
    """
    dataset = dataset_of(config)
    part = split_of(dataset, "train", config.training.batch_size)
    model = build_network(config, dataset.n_features, dataset.n_classes)
    optimizer = build_optimizer(config.training, model)
    n_samples = min(len(dataset.train.labels), config.training.samples or len(dataset.train.labels))
    rewirer = build_rewirer(config, model, optimizer, -(-n_samples // config.training.batch_size))
    encoded = encoder_of(config).encode(
        part.flat, config.data.n_steps, generator=stream(config.seed, "encoding", "train", 1, 0)
    )
    inputs, labels = to_tensor(encoded), torch.from_numpy(part.labels)
    model.train()
    LOSSES[config.network.readout](model(inputs), labels).backward()
    optimizer.step()
    if rewirer is not None:
        rewirer.step()
    LOSSES[config.network.readout](model(inputs), labels).backward()  # renews what rewiring has made obsolete
    return held_bytes(model, optimizer, rewirer)


def held_bytes(*roots: Any) -> int:
    """Return the bytes of all arrays and tensors that can be reached from `roots`; shared memory counts once."""
    found: dict[int, int] = {}
    for address, n_bytes in _allocations(roots):
        found[address] = max(n_bytes, found.get(address, 0))
    return sum(found.values())


def _allocations(roots: Any) -> Iterator[tuple[int, int]]:
    """Yield (address, bytes) of the memory behind every array, following our objects, torch's and containers."""
    seen: dict[int, Any] = {}  # keeps what it has seen alive: an id is free again when its object is gone
    waiting = list(roots)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, Tensor):
            storage = thing.untyped_storage()
            yield storage.data_ptr(), storage.nbytes()
            if thing.is_leaf and thing.grad is not None:
                waiting.append(thing.grad)
        elif isinstance(thing, np.ndarray):
            while isinstance(thing.base, np.ndarray):
                thing = thing.base
            yield thing.ctypes.data, thing.nbytes
        elif isinstance(thing, Mapping):
            waiting += [*thing.keys(), *thing.values()]
        elif isinstance(thing, (list, tuple, set, frozenset)):
            waiting += thing
        elif type(thing).__module__.startswith(_OURS) and hasattr(thing, "__dict__"):
            waiting += vars(thing).values()
