"""The spikes of one sample in every engine that ran a network: kept in a run directory, for the report to overlay."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosparse.analysis.comparison import network_hash
from neurosparse.core.container import Container, read_container, write_container
from neurosparse.core.recording import Recording
from neurosparse.errors import ArtifactError

__all__ = ["RASTERS", "Rasters", "read_rasters", "write_rasters"]

RASTERS = "rasters.safetensors"
_KIND, _VERSION = "rasters", 1


@dataclass(frozen=True)
class Rasters:
    """One sample in several engines.

    Parameters
    ----------
    engines : mapping of engine to mapping of population to bool array, shape (time, n)
        The reference first; all have the same populations, of one shape.
    dt : float
        Seconds per step.
    label : int
        What the sample is.
    """

    engines: Mapping[str, Mapping[str, NDArray[np.bool_]]]
    dt: float
    label: int

    @property
    def spiking(self) -> list[str]:
        """The populations that spike at all, in any engine."""
        names = dict.fromkeys(name for spikes in self.engines.values() for name in spikes)
        return [name for name in names if any(spikes[name].any() for spikes in self.engines.values())]


def write_rasters(run: str | Path, recordings: Iterable[Recording], inputs: ArrayLike, label: int) -> None:
    """Keep the first sample of `recordings`, the reference's first, in the directory of a run.

    Engines that are there already stay, if they ran the same network on the same sample.

    Parameters
    ----------
    inputs : array, shape (time, batch, n_inputs)
        What they were made with.
    """
    run, first = Path(run), list(recordings)
    x = np.ascontiguousarray(np.asarray(inputs)[:, 0])
    made = {"network_sha256": network_hash(run), "sample_sha256": hashlib.sha256(x.tobytes()).hexdigest()}
    engines: dict[str, Any] = {}
    path = run / RASTERS
    if path.is_file():
        before = read_container(path, kind=_KIND, version=_VERSION)
        if all(before.header.get(key) == value for key, value in made.items()):
            engines.update(_engines(before))
    engines.update({r.backend: {name: spikes[:, 0] for name, spikes in r.spikes.items()} for r in first})
    names = list(next(iter(engines.values()), {}))
    header = {**made, "dt": first[0].dt if first else 1e-3, "label": int(label)}
    tensors = {f"{i}.{j}": spikes[name] for i, spikes in enumerate(engines.values()) for j, name in enumerate(names)}
    header["engines"], header["populations"] = list(engines), names
    write_container(path, kind=_KIND, version=_VERSION, header=header, tensors=tensors)


def read_rasters(run: str | Path) -> Rasters | None:
    """Return what `write_rasters` kept of the present network of `run`, None without; `ArtifactError` if damaged."""
    path = Path(run) / RASTERS
    if not path.is_file():
        return None
    file = read_container(path, kind=_KIND, version=_VERSION)
    if file.header.get("network_sha256") != network_hash(Path(run)):
        return None
    try:
        return Rasters(_engines(file), float(file.header["dt"]), int(file.header["label"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path}: lacks {error}; remove the file and simulate again") from error


def _engines(file: Container) -> dict[str, dict[str, NDArray[np.bool_]]]:
    engines, populations = file.header.get("engines"), file.header.get("populations")
    if not isinstance(engines, list) or not isinstance(populations, list):
        raise ArtifactError(f"{file.path}: names no engines and populations; remove the file and simulate again")
    found = {
        str(engine): {str(name): file.tensor(f"{i}.{j}") for j, name in enumerate(populations)}
        for i, engine in enumerate(engines)
    }
    shapes = [{name: spikes.shape for name, spikes in one.items()} for one in found.values()]
    wrong = [s for one in found.values() for s in one.values() if s.dtype != np.bool_ or s.ndim != 2]
    if wrong or any(shape != shapes[0] for shape in shapes):
        raise ArtifactError(
            f"{file.path}: must hold booleans (time, n) of one shape for every engine; remove it and simulate again"
        )
    return found
