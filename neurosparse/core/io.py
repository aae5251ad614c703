"""Networks and recordings as files (the container is in `neurosparse.core.container`).

A network file holds, for every population, one array per parameter, and for every projection ``indptr``, ``indices``
and ``weights``. The JSON header names them. Every check of `Network` and `Projection` runs on loading too, so a file
cannot smuggle in what the constructors refuse.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from neurosparse.core.container import Container, read_container, write_container
from neurosparse.core.network import Input, InputKind, Network, Population
from neurosparse.core.neurons import LI, NEURON_MODELS
from neurosparse.core.projection import Projection
from neurosparse.core.recording import Recording
from neurosparse.core.schema import Count, Duration, Header, Size, parse_header, refuse_others, typed_tensor
from neurosparse.errors import ArtifactError, UnknownNameError, ValidationError

__all__ = ["NETWORK_VERSION", "RECORDING_VERSION", "load_network", "load_recording", "save_network", "save_recording"]

NETWORK_VERSION = 1
RECORDING_VERSION = 2

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_RECORDED = ("voltages", "v_thresholds", "currents")
_PROJECTION_DTYPES: dict[str, tuple[np.dtype[Any], ...]] = {
    "indptr": (np.dtype(np.int64),),
    "indices": (np.dtype(np.int32),),
    "weights": _FLOATS,
}


class _PopulationHeader(Header):
    name: str
    n: Count
    model: Literal["LIF", "CubaLIF", "LI"]
    reset: Literal["subtract", "zero", "none"] | None = None


class _ProjectionHeader(Header):
    source: str
    target: str
    n_source: Count
    delay: Annotated[int, Field(ge=0)]


class _NetworkHeader(Header):
    input_n: Count
    input_kind: InputKind
    dt: Duration
    populations: list[_PopulationHeader]
    projections: list[_ProjectionHeader]
    grid: dict[str, int] | None = None


class _RecordingHeader(Header):
    backend: str
    dt: Duration
    shapes: dict[str, Annotated[list[Size], Field(min_length=3, max_length=3)]]


def save_network(network: Network, path: str | Path) -> None:
    """Write `network` to `path`; the same network gives the same bytes."""
    tensors: dict[str, NDArray[Any]] = {}
    for i, population in enumerate(network.populations):
        for name in population.neuron.parameters:
            tensors[f"populations.{i}.{name}"] = getattr(population.neuron, name)
    for i, projection in enumerate(network.projections):
        for name in _PROJECTION_DTYPES:
            tensors[f"projections.{i}.{name}"] = getattr(projection, name)
    header = {
        "input_n": network.input.n,
        "input_kind": network.input.kind,
        "dt": network.dt,
        "populations": [
            {
                "name": p.name,
                "n": p.n,
                "model": type(p.neuron).__name__,
                "reset": None if isinstance(p.neuron, LI) else p.neuron.reset,
            }
            for p in network.populations
        ],
        "projections": [
            {"source": p.source, "target": p.target, "n_source": p.n_source, "delay": p.delay}
            for p in network.projections
        ],
        "grid": None if network.grid is None else dict(network.grid),
    }
    _NetworkHeader.model_validate(header)  # nothing is written that could not be read
    write_container(path, kind="network", version=NETWORK_VERSION, header=header, tensors=tensors)


def load_network(path: str | Path) -> Network:
    """Read a network. Raises `ArtifactError` for a damaged or foreign file, `ValidationError` for wrong content."""
    container = read_container(path, kind="network", version=NETWORK_VERSION)
    header = parse_header(container, _NetworkHeader)
    expected = {
        *(f"populations.{i}.{n}" for i, p in enumerate(header.populations) for n in NEURON_MODELS[p.model].parameters),
        *(f"projections.{i}.{n}" for i in range(len(header.projections)) for n in _PROJECTION_DTYPES),
    }
    refuse_others(container, expected)
    try:
        populations = [_population(container, i, entry) for i, entry in enumerate(header.populations)]
        projections = [_projection(container, i, entry) for i, entry in enumerate(header.projections)]
        return Network(Input(header.input_n, header.input_kind), populations, projections, header.dt, header.grid)
    except (ValidationError, UnknownNameError) as error:
        raise ValidationError(f"{container.path}: {error}") from error


def _population(container: Container, i: int, entry: _PopulationHeader) -> Population:
    model = NEURON_MODELS[entry.model]
    arguments: dict[str, Any] = {}
    for name in model.parameters:
        array = typed_tensor(container, f"populations.{i}.{name}", _FLOATS)
        if array.shape != (entry.n,):  # before anything is broadcast: a header cannot ask for a large array
            raise ValidationError(f"population {entry.name!r}: {name} has shape {array.shape}, expected ({entry.n},)")
        arguments[name] = array
    if (entry.reset is None) != (model is LI):
        raise ValidationError(f"population {entry.name!r}: a {entry.model} cannot have reset {entry.reset!r}")
    if entry.reset is not None:
        arguments["reset"] = entry.reset
    return Population(entry.name, entry.n, model(**arguments))


def _projection(container: Container, i: int, entry: _ProjectionHeader) -> Projection:
    arrays = {
        name: typed_tensor(container, f"projections.{i}.{name}", types) for name, types in _PROJECTION_DTYPES.items()
    }
    return Projection(entry.source, entry.target, **arrays, n_source=entry.n_source, delay=entry.delay)


def save_recording(recording: Recording, path: str | Path) -> None:
    """Write `recording` to `path`: spikes as bits, voltages as they are, `info` not at all."""
    tensors: dict[str, NDArray[Any]] = {}
    for name, raster in recording.spikes.items():
        tensors[f"spikes.{name}"] = np.packbits(raster.reshape(-1), bitorder="little")
    for kind in _RECORDED:
        for name, array in getattr(recording, kind).items():
            tensors[f"{kind}.{name}"] = array
    header = {
        "backend": recording.backend,
        "dt": recording.dt,
        "shapes": {name: list(raster.shape) for name, raster in recording.spikes.items()},
    }
    _RecordingHeader.model_validate(header)
    # recordings of floats stay readable by the first release, which knows no integers
    version = RECORDING_VERSION if any(array.dtype == np.int32 for array in tensors.values()) else 1
    write_container(path, kind="recording", version=version, header=header, tensors=tensors)


def load_recording(path: str | Path) -> Recording:
    """Read a recording. Raises `ArtifactError` or `ValidationError`."""
    container = read_container(path, kind="recording", version=RECORDING_VERSION)
    header = parse_header(container, _RecordingHeader)
    spikes = {name: _raster(container, name, shape) for name, shape in header.shapes.items()}
    arrays: dict[str, dict[str, Any]] = {kind: {} for kind in _RECORDED}
    expected = {f"spikes.{name}" for name in spikes}
    for name in container.names():
        kind, _, population = name.partition(".")
        if kind in arrays:
            arrays[kind][population] = typed_tensor(container, name, (*_FLOATS, np.dtype(np.int32)))
            expected.add(name)
    refuse_others(container, expected)
    try:
        return Recording(spikes, **arrays, dt=header.dt, backend=header.backend)
    except ValidationError as error:
        raise ValidationError(f"{container.path}: {error}") from error


def _raster(container: Container, name: str, shape: list[int]) -> NDArray[np.bool_]:
    bits, size = container.tensor(f"spikes.{name}"), math.prod(shape)
    if bits.dtype != np.uint8 or bits.shape != ((size + 7) // 8,):
        raise ArtifactError(
            f"{container.path}: spikes of {name!r} are {bits.dtype} {bits.shape}, "
            f"shape {tuple(shape)} needs uint8 ({(size + 7) // 8},)"
        )
    if max(shape) >= 2**31:  # beside an axis of length 0, where no bit is missing
        raise ArtifactError(f"{container.path}: spikes of {name!r} cannot have shape {tuple(shape)}")
    return np.unpackbits(bits, count=size, bitorder="little").astype(bool).reshape(shape)
