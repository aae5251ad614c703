"""Networks and recordings as files (the container is in `neurosparse.core.container`).

A network file holds, for every population, one array per parameter, and for every projection ``indptr``, ``indices`` and ``weights``.
The JSON header names them. Every check of `Network` and `Projection` runs on loading too, so a file cannot smuggle in what the
constructors refuse.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from pydantic import ValidationError as SchemaError

from neurosparse.core.container import Container, read_container, write_container
from neurosparse.core.network import Input, InputKind, Network, Population
from neurosparse.core.neurons import LI, NEURON_MODELS
from neurosparse.core.projection import Projection
from neurosparse.core.recording import Recording
from neurosparse.errors import ArtifactError, ValidationError

__all__ = ["NETWORK_VERSION", "RECORDING_VERSION", "load_network", "load_recording", "save_network", "save_recording"]

NETWORK_VERSION = 1
RECORDING_VERSION = 1

_Count = Annotated[int, Field(ge=1, lt=2**31)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _PopulationHeader(_Model):
    name: str
    n: _Count
    model: Literal["LIF", "CubaLIF", "LI"]
    reset: Literal["subtract", "zero", "none"] | None = None


class _ProjectionHeader(_Model):
    source: str
    target: str
    n_source: _Count
    delay: Annotated[int, Field(ge=0)]


class _NetworkHeader(_Model):
    input_n: _Count
    input_kind: InputKind
    dt: Annotated[float, Field(gt=0)]
    populations: list[_PopulationHeader]
    projections: list[_ProjectionHeader]
    grid: dict[str, int] | None = None


class _RecordingHeader(_Model):
    backend: str
    dt: Annotated[float, Field(gt=0)]
    shapes: dict[str, tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]]


def save_network(network: Network, path: str | Path) -> None:
    """Write `network` to `path`; the same network gives the same bytes."""
    tensors: dict[str, Any] = {}
    for i, population in enumerate(network.populations):
        for name in population.neuron.parameters:
            tensors[f"populations.{i}.{name}"] = getattr(population.neuron, name)
    for i, projection in enumerate(network.projections):
        for name in ("indptr", "indices", "weights"):
            tensors[f"projections.{i}.{name}"] = getattr(projection, name)
    header = _NetworkHeader(
        input_n=network.input.n,
        input_kind=network.input.kind,
        dt=float(network.dt),
        populations=[
            _PopulationHeader(
                name=p.name, n=p.n, model=type(p.neuron).__name__, reset=None if isinstance(p.neuron, LI) else p.neuron.reset
            )
            for p in network.populations
        ],
        projections=[
            _ProjectionHeader(source=p.source, target=p.target, n_source=p.n_source, delay=p.delay) for p in network.projections
        ],
        grid=dict(network.grid) if network.grid is not None else None,
    )
    write_container(path, kind="network", version=NETWORK_VERSION, header=header.model_dump(), tensors=tensors)


def load_network(path: str | Path) -> Network:
    """Read a network. Raises `ArtifactError` for a damaged or foreign file, `ValidationError` for impossible content."""
    container = read_container(path, kind="network", version=NETWORK_VERSION)
    header = _parse(container, _NetworkHeader)
    try:
        populations = [_population(container, i, entry) for i, entry in enumerate(header.populations)]
        projections = [
            Projection(
                entry.source,
                entry.target,
                *(container.tensor(f"projections.{i}.{name}") for name in ("indptr", "indices", "weights")),
                entry.n_source,
                entry.delay,
            )
            for i, entry in enumerate(header.projections)
        ]
        return Network(Input(header.input_n, header.input_kind), populations, projections, header.dt, header.grid)
    except ValidationError as error:
        raise ValidationError(f"{container.path}: {error}") from error


def _population(container: Container, i: int, entry: _PopulationHeader) -> Population:
    model = NEURON_MODELS[entry.model]
    parameters = {name: container.tensor(f"populations.{i}.{name}") for name in model.parameters}
    for name, array in parameters.items():
        if array.shape != (entry.n,):  # before anything is broadcast: a header cannot ask for a large array
            raise ValidationError(f"population {entry.name!r}: {name} has shape {array.shape}, expected ({entry.n},)")
    if (entry.reset is None) != (model is LI):
        raise ValidationError(f"population {entry.name!r}: a {entry.model} cannot have reset {entry.reset!r}")
    reset = {} if entry.reset is None else {"reset": entry.reset}
    return Population(entry.name, entry.n, model(**parameters, **reset))


def save_recording(recording: Recording, path: str | Path) -> None:
    """Write `recording` to `path`: spikes as bits, voltages as they are."""
    tensors: dict[str, Any] = {}
    for name, raster in recording.spikes.items():
        tensors[f"spikes.{name}"] = np.packbits(raster.reshape(-1), bitorder="little")
    for kind in ("voltages", "v_thresholds"):
        for name, array in getattr(recording, kind).items():
            tensors[f"{kind}.{name}"] = array
    header = _RecordingHeader(
        backend=recording.backend,
        dt=float(recording.dt),
        shapes={name: raster.shape for name, raster in recording.spikes.items()},
    )
    write_container(path, kind="recording", version=RECORDING_VERSION, header=header.model_dump(), tensors=tensors)


def load_recording(path: str | Path) -> Recording:
    """Read a recording. Raises `ArtifactError` or `ValidationError`."""
    container = read_container(path, kind="recording", version=RECORDING_VERSION)
    header = _parse(container, _RecordingHeader)
    spikes = {}
    for name, shape in header.shapes.items():
        bits, size = container.tensor(f"spikes.{name}"), int(np.prod([int(n) for n in shape], dtype=object))
        if bits.dtype != np.uint8 or bits.ndim != 1 or bits.size != (size + 7) // 8:
            raise ArtifactError(f"{container.path}: spikes of {name!r} hold {bits.size} bytes, shape {shape} needs {(size + 7) // 8}")
        spikes[name] = np.unpackbits(bits, count=size, bitorder="little").astype(bool).reshape(shape)
    arrays: dict[str, dict[str, Any]] = {"voltages": {}, "v_thresholds": {}}
    for name in container.names():
        kind, _, population = name.partition(".")
        if kind in arrays:
            arrays[kind][population] = container.tensor(name)
    try:
        return Recording(spikes, **arrays, dt=header.dt, backend=header.backend)
    except ValidationError as error:
        raise ValidationError(f"{container.path}: {error}") from error


def _parse(container: Container, model: type[Any]) -> Any:
    try:
        return model.model_validate(container.header, strict=False)
    except SchemaError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ArtifactError(f"{container.path}: header field {where}: {first['msg']}, got {str(first['input'])[:80]!r}") from error
