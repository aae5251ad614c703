"""Quantised networks as files: the same container, the same checks and the same refusals as for networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from neurosparse.core.container import Container, read_container, write_container
from neurosparse.core.inputs import Input
from neurosparse.core.quantized import PARAMETERS, QuantizedNetwork, QuantizedPopulation, QuantizedProjection
from neurosparse.core.schema import Count, Duration, Header, Size, parse_header, refuse_others, typed_tensor
from neurosparse.errors import UnknownNameError, UnsupportedError, ValidationError

__all__ = ["INTEGERS_FILE", "QUANTIZED_FILE", "QUANTIZED_VERSION", "load_quantized", "save_quantized"]

QUANTIZED_VERSION = 1
QUANTIZED_FILE = "quantized.safetensors"
"""In a run directory: the integers that run on the chip."""
INTEGERS_FILE = "integers.safetensors"
"""In the directory of a run fine-tuned in integers: the units, exponents and bits that stay."""

_KIND = "quantized-network"
_PROJECTION_DTYPES: dict[str, tuple[np.dtype[Any], ...]] = {
    "indptr": (np.dtype(np.int64),),
    "indices": (np.dtype(np.int32),),
    "weights": (np.dtype(np.int16),),
}


class _PopulationHeader(Header):
    name: str
    n: Count
    reset: Literal["zero", "subtract", "none"]
    readout: bool
    scale: Annotated[float, Field(gt=0)]


class _ProjectionHeader(Header):
    source: str
    target: str
    n_source: Count
    exponent: Size
    bits: Size
    sign_mode: Literal["mixed", "excitatory", "inhibitory"]
    delay: Size


class _QuantizedHeader(Header):
    input_n: Count
    input_kind: Literal["spikes", "graded"]
    dt: Duration
    chip: str | None = None
    populations: list[_PopulationHeader]
    projections: list[_ProjectionHeader]


def save_quantized(network: QuantizedNetwork, path: str | Path) -> None:
    """Write `network` to `path`; the same network gives the same bytes."""
    tensors: dict[str, NDArray[Any]] = {}
    for i, population in enumerate(network.populations):
        tensors |= {f"populations.{i}.{name}": getattr(population, name) for name in PARAMETERS}
    for i, projection in enumerate(network.projections):
        tensors |= {f"projections.{i}.{name}": getattr(projection, name) for name in _PROJECTION_DTYPES}
    header = {
        "input_n": network.input.n,
        "input_kind": network.input.kind,
        "dt": network.dt,
        "chip": network.chip,
        "populations": [
            {"name": p.name, "n": p.n, "reset": p.reset, "readout": p.readout, "scale": network.scales[p.name]}
            for p in network.populations
        ],
        "projections": [
            {name: getattr(p, name) for name in _ProjectionHeader.model_fields} for p in network.projections
        ],
    }
    _QuantizedHeader.model_validate(header)  # nothing is written that could not be read
    write_container(path, kind=_KIND, version=QUANTIZED_VERSION, header=header, tensors=tensors)


def load_quantized(path: str | Path) -> QuantizedNetwork:
    """Read a quantised network. Raises `ArtifactError` for a damaged or foreign file, `ValidationError` for content."""
    container = read_container(path, kind=_KIND, version=QUANTIZED_VERSION)
    header = parse_header(container, _QuantizedHeader)
    expected = {
        *(f"populations.{i}.{name}" for i in range(len(header.populations)) for name in PARAMETERS),
        *(f"projections.{i}.{name}" for i in range(len(header.projections)) for name in _PROJECTION_DTYPES),
    }
    refuse_others(container, expected)
    try:
        return QuantizedNetwork(
            Input(header.input_n, header.input_kind),
            [_population(container, i, entry) for i, entry in enumerate(header.populations)],
            [_projection(container, i, entry) for i, entry in enumerate(header.projections)],
            header.dt,
            {entry.name: entry.scale for entry in header.populations},
            header.chip,
        )
    except (ValidationError, UnknownNameError, UnsupportedError) as error:
        raise ValidationError(f"{container.path}: {error}") from error


def _population(container: Container, i: int, entry: _PopulationHeader) -> QuantizedPopulation:
    arrays = {name: typed_tensor(container, f"populations.{i}.{name}", (np.dtype(np.int32),)) for name in PARAMETERS}
    for name, array in arrays.items():
        if array.shape != (entry.n,):  # before anything is broadcast: a header cannot ask for a large array
            raise ValidationError(f"population {entry.name!r}: {name} has shape {array.shape}, expected ({entry.n},)")
    return QuantizedPopulation(entry.name, entry.n, **arrays, reset=entry.reset, readout=entry.readout)


def _projection(container: Container, i: int, entry: _ProjectionHeader) -> QuantizedProjection:
    arguments: dict[str, Any] = entry.model_dump()
    for name, dtypes in _PROJECTION_DTYPES.items():
        arguments[name] = typed_tensor(container, f"projections.{i}.{name}", dtypes)
    return QuantizedProjection(**arguments)
