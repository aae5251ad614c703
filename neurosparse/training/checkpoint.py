"""Everything needed to go on bit for bit, in one file written atomically.

Streams that are functions of (seed, epoch, batch) need no state; the rewirer's generator has some, which is here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

import neurosparse
from neurosparse.core.container import read_container, write_atomically, write_container
from neurosparse.errors import ArtifactError
from neurosparse.rewiring.base import Rewirer

if TYPE_CHECKING:
    from neurosparse.pruning.base import Pruner

__all__ = [
    "CHECKPOINT_VERSION",
    "Progress",
    "load_checkpoint",
    "load_weights",
    "save_checkpoint",
    "state_bytes",
    "write_manifest",
]

CHECKPOINT_VERSION = 1


@dataclass
class Progress:
    """How far a run has come: finished epochs and optimizer steps."""

    epoch: int = 0
    step: int = 0


def save_checkpoint(
    path: Path,
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    rewirer: Rewirer | Pruner | None,
    progress: Progress,
    config: str,
) -> None:
    """Write the whole state of a run; `config` is its resolved TOML, by which a resume recognises its own run."""
    tensors = {f"model.{name}": _numpy(value) for name, value in model.state_dict().items()}
    for i, parameter in enumerate(_parameters(optimizer)):
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{i}.{key}"] = _numpy(value)
    header: dict[str, Any] = {"epoch": progress.epoch, "step": progress.step, "config": config, "rewirer": None}
    if rewirer is not None:
        state = rewirer.state_dict()
        tensors.update({f"rewirer.{name}": array for name, array in state["arrays"].items()})
        header["rewirer"] = state["meta"]
    write_container(path, kind="checkpoint", version=CHECKPOINT_VERSION, header=header, tensors=tensors)


def load_checkpoint(
    path: Path,
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    rewirer: Rewirer | Pruner | None,
    config: str,
) -> Progress:
    """Put the state in `path` into freshly built objects; return how far it goes. Raises `ArtifactError`."""
    container = read_container(path, kind="checkpoint", version=CHECKPOINT_VERSION)
    header = container.header
    if header.get("config") != config:
        raise ArtifactError(
            f"{path}: was written by a run with another configuration; resume with that run's own config.toml"
        )
    if (header.get("rewirer") is None) != (rewirer is None):
        raise ArtifactError(
            f"{path}: has {'no ' if header.get('rewirer') is None else ''}rewiring state, this run expects otherwise"
        )
    groups: dict[str, dict[str, np.ndarray[Any, Any]]] = {"model": {}, "optimizer": {}, "rewirer": {}}
    for name in container.names():
        group, _, rest = name.partition(".")
        if group not in groups:
            raise ArtifactError(f"{path}: unexpected tensor {name!r}")
        groups[group][rest] = container.tensor(name)
    try:
        model.load_state_dict({name: torch.from_numpy(array) for name, array in groups["model"].items()})
        parameters = _parameters(optimizer)
        for name, array in groups["optimizer"].items():
            index, _, key = name.partition(".")
            optimizer.state[parameters[int(index)]][key] = torch.from_numpy(array)
        if rewirer is not None:
            rewirer.load_state_dict({"arrays": groups["rewirer"], "meta": header["rewirer"]})
        return Progress(int(header["epoch"]), int(header["step"]))
    except (RuntimeError, KeyError, IndexError, ValueError, TypeError) as error:
        raise ArtifactError(f"{path}: does not fit this run ({error})") from error


def load_weights(path: Path, model: nn.Module) -> None:
    """Put only the model of a checkpoint into `model`."""
    container = read_container(path, kind="checkpoint", version=CHECKPOINT_VERSION)
    names = [name for name in container.names() if name.startswith("model.")]
    try:
        model.load_state_dict({name.removeprefix("model."): torch.from_numpy(container.tensor(name)) for name in names})
    except (RuntimeError, ValueError) as error:
        raise ArtifactError(f"{path}: does not fit this network ({error})") from error


def state_bytes(path: Path) -> dict[str, int]:
    """Return how many bytes of a checkpoint are the network's, the optimizer's and the rewiring's."""
    container = read_container(path, kind="checkpoint", version=CHECKPOINT_VERSION)
    sizes = {"network": 0, "optimizer": 0, "rewiring": 0}
    named = {"model": "network", "optimizer": "optimizer", "rewirer": "rewiring"}
    for name in container.names():
        sizes[named[name.partition(".")[0]]] += container.tensor(name).nbytes
    return sizes


def write_manifest(run: Path, progress: Progress) -> None:
    """Write ``manifest.json``: what is in the run directory, by whom, with checksums."""
    files = sorted(path for path in run.glob("*") if path.suffix in (".safetensors", ".toml"))
    manifest = {
        "neurosparse": neurosparse.__version__,
        "torch": torch.__version__,
        "epoch": progress.epoch,
        "step": progress.step,
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }
    write_atomically(run / "manifest.json", (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode())


def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _numpy(tensor: Tensor) -> Any:
    return tensor.detach().cpu().numpy()
