"""The file format under everything this library saves: safetensors with one JSON header.

The header travels as the single metadata entry ``neurosparse`` (keys sorted, so that the same content gives the same
bytes) and says what kind of thing the file holds and in which version of that kind. Reading checks the header before
any tensor is read; tensors are bounded by the size of the file, which safetensors verifies against their shapes.
Nothing is ever pickled.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as _serialise

from neurosparse.errors import ArtifactError

__all__ = ["Container", "read_container", "write_atomically", "write_container"]

_KEY = "neurosparse"
_DTYPES = {"F64", "F32", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"}


class Container:
    """A file that was read and checked: its `path`, its `header` without kind and version, and its tensors."""

    def __init__(self, path: Path, header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> None:
        self.path, self.header, self._tensors = path, header, tensors

    def names(self) -> list[str]:
        """Return the names of the tensors, sorted."""
        return sorted(self._tensors)

    def tensor(self, name: str) -> NDArray[Any]:
        """Return the tensor called `name`; `ArtifactError` if the file has none."""
        if name not in self._tensors:
            raise ArtifactError(f"{self.path}: tensor {name!r} is missing; it has {', '.join(self.names()) or 'none'}")
        return self._tensors[name]


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader, or a crash, sees the old file or the new one and nothing between."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp would make a private file; exclusive creation gives the permissions of any other new file
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself survive a power cut; a rename is an entry in the folder, not in the file."""
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_container(
    path: str | Path, *, kind: str, version: int, header: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]
) -> None:
    """Write `header` and `tensors` as a file of `kind` and `version`, atomically; same content, same bytes."""
    entries = {**header, "kind": kind, "version": version}
    text = json.dumps(entries, sort_keys=True, separators=(",", ":"), allow_nan=False)
    # not ascontiguousarray, which turns the shape () of a scalar (Adam's step) into (1,)
    arrays = {name: np.asarray(array, order="C") for name, array in sorted(tensors.items())}
    write_atomically(path, _serialise(arrays, metadata={_KEY: text}))


def read_container(path: str | Path, *, kind: str, version: int) -> Container:
    """Read a file of `kind`, written by this `version` or an older one. Raises `ArtifactError` for anything else."""
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file; expected a neurosparse {kind} file (.safetensors)")
    header: dict[str, Any] = {}

    def check(metadata: Mapping[str, str] | None) -> None:
        header.update(_check_header(path, metadata, kind, version))

    return Container(path, header, _read(path, check))


def _read(path: Path, check: Callable[[Mapping[str, str] | None], None]) -> dict[str, NDArray[Any]]:
    try:
        with safe_open(path, framework="numpy") as file:
            check(file.metadata())
            names = list(file.keys())
            for name in names:
                dtype = file.get_slice(name).get_dtype()
                if dtype not in _DTYPES:
                    raise ArtifactError(f"{path}: tensor {name!r} has type {dtype}, which no neurosparse file uses")
            return {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError, TypeError, MemoryError, OverflowError) as error:
        raise ArtifactError(f"{path}: damaged, truncated or not a safetensors file ({error})") from error


def _check_header(path: Path, metadata: Mapping[str, str] | None, kind: str, version: int) -> dict[str, Any]:
    if not metadata or _KEY not in metadata:
        raise ArtifactError(f"{path}: a safetensors file, but not one of neurosparse; expected a {kind} file")
    try:
        header = json.loads(metadata[_KEY], parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # ValueError: bad syntax, but also an integer of 5 000 digits
        raise ArtifactError(f"{path}: the header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise ArtifactError(f"{path}: the header must be a JSON object, got {type(header).__name__}")
    found, found_version = header.pop("kind", None), header.pop("version", None)
    if found != kind:
        raise ArtifactError(f"{path}: holds a {found!r}, expected a {kind!r}")
    if isinstance(found_version, bool) or not isinstance(found_version, int) or found_version < 1:
        raise ArtifactError(f"{path}: version must be an integer >= 1, got {found_version!r}")
    if found_version > version:
        raise ArtifactError(
            f"{path}: written in version {found_version} of the {kind} format, "
            f"this neurosparse reads up to {version}; update neurosparse"
        )
    return header


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
