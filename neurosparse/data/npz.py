"""Reads integer arrays from an ``.npz`` file of unknown origin, with no pickle, no evaluation and no surprise.

An ``.npz`` is a zip file of ``.npy`` files (NumPy Enhancement Proposal 1): a magic string, a version, the length of a
header, the header as a Python dictionary in text, the data.
"""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import ArtifactError

__all__ = ["Expected", "read_npz"]

_MAGIC = b"\x93NUMPY"
_LARGEST_HEADER = 4096
_CHUNK = 1 << 20
# numpy.save always writes the keys in this order. Text that is matched, and not evaluated, can do no harm.
_HEADER = re.compile(
    r"\{'descr': '(?P<dtype>[^']{1,16})', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>\d{1,18}L?(?:, \d{1,18}L?)*),?\), ?\}\s*"
)
_INTEGER = re.compile(r"[<>|=][ui][1248]")


class Expected(NamedTuple):
    """What an array must be: its shape, and how many bytes an element may have (1: uint8; 8: any integer type)."""

    shape: tuple[int, ...]
    itemsize: int


def read_npz(path: Path, expected: Mapping[str, Expected]) -> dict[str, NDArray[np.integer[Any]]]:
    """Return the arrays named in `expected`; others in the file are not looked at.

    ``numpy.load`` would allocate whatever a header asks for and inflate whatever a zip entry holds. Here the header
    and the declared size of each entry must fit before anything is allocated, and no more than that size is inflated.

    Returns
    -------
    name -> writable array of the expected shape, of the integer type the file has, in native byte order

    Raises
    ------
    ArtifactError : not a zip file, a missing array, another shape, a type that is not an integer or too wide, damaged
        or encrypted data, a compression that numpy.savez does not use
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: _read(f"{path}: {name}", archive, name, what) for name, what in expected.items()}
    # zipfile answers encryption and unknown versions with RuntimeError, damage with any of the others.
    except (OSError, EOFError, RuntimeError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{path}: cannot be read as .npz ({error})") from error


def _read(owner: str, archive: zipfile.ZipFile, name: str, expected: Expected) -> NDArray[np.integer[Any]]:
    try:
        entry = archive.getinfo(f"{name}.npy")
    except KeyError:
        present = ", ".join(sorted(archive.namelist())[:8]) or "nothing"
        raise ArtifactError(f"{owner}: no such array in the file; it holds {present}") from None
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # bzip2 and LZMA entries are inflated without a limit by zipfile.
        raise ArtifactError(f"{owner}: compressed by method {entry.compress_type}; stored or deflated would be right")
    with archive.open(entry) as file:
        dtype, is_fortran, n_before = _header(owner, file, expected)
        n_bytes = math.prod(expected.shape) * dtype.itemsize
        if entry.file_size != n_before + n_bytes:
            raise ArtifactError(f"{owner}: needs {n_bytes} bytes of data, the entry has {entry.file_size - n_before}")
        data = np.empty(n_bytes, dtype=np.uint8)
        n_read = 0
        # zipfile compares the checksum when the last byte is read.
        while n_read < n_bytes and (chunk := file.read(min(_CHUNK, n_bytes - n_read))):
            data[n_read : n_read + len(chunk)] = np.frombuffer(chunk, dtype=np.uint8)
            n_read += len(chunk)
    if n_read != n_bytes:
        raise ArtifactError(f"{owner}: needs {n_bytes} bytes of data, only {n_read} could be read; the file is damaged")
    array = data.view(dtype).reshape(expected.shape, order="F" if is_fortran else "C")
    return array.astype(dtype.newbyteorder("="), order="C", copy=False)


def _header(owner: str, file: IO[bytes], expected: Expected) -> tuple[np.dtype[Any], bool, int]:
    """Return type, memory order and the number of bytes before the data."""
    start = file.read(8)
    if len(start) < 8 or start[:6] != _MAGIC or start[6] not in (1, 2):
        raise ArtifactError(f"{owner}: not an .npy array of version 1 or 2; it starts with {start!r}")
    size_bytes = file.read(2 if start[6] == 1 else 4)
    size = int.from_bytes(size_bytes, "little")
    if size > _LARGEST_HEADER:
        raise ArtifactError(f"{owner}: an .npy header of {size} bytes; at most {_LARGEST_HEADER} can be right")
    header = _HEADER.fullmatch(file.read(size).decode("latin-1"))
    if header is None:
        raise ArtifactError(f"{owner}: the .npy header is not that of a plain array")
    if not _INTEGER.fullmatch(header["dtype"]) or np.dtype(header["dtype"]).itemsize > expected.itemsize:
        right = "uint8" if expected.itemsize == 1 else f"an integer of at most {expected.itemsize} bytes"
        raise ArtifactError(f"{owner}: has type {header['dtype']!r}; {right} would be right")
    shape = tuple(int(n.rstrip("L")) for n in header["shape"].split(", "))
    if shape != expected.shape:
        raise ArtifactError(f"{owner}: has shape {shape}, expected {expected.shape}")
    return np.dtype(header["dtype"]), header["fortran"] == "True", len(start) + len(size_bytes) + size
