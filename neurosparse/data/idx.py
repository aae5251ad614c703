"""Reads the IDX files of the original MNIST distribution, plain or gzipped, without trusting them.

The format (LeCun, Cortes and Burges, *The MNIST database of handwritten digits*): two zero bytes, a type code, the
number of dimensions, each dimension as big-endian uint32, then the data in row-major order. Only type 0x08 (unsigned
byte) is read.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurosparse.errors import ArtifactError

__all__ = ["read_idx"]

_UNSIGNED_BYTE = 0x08
_LARGEST_NDIM = 4
# Deflate cannot expand more than 1032:1 (zlib, "Technical Details"), so a short file that promises more is lying.
_DEFLATE_LIMIT = 1032
_CHUNK = 1 << 20


def read_idx(path: Path, shape: tuple[int | None, ...]) -> NDArray[np.uint8]:
    """Return the array in `path`.

    Parameters
    ----------
    path : a plain file, or a gzipped one if its name ends in ``.gz``
    shape : what the header must say; None where any size is right

    Returns
    -------
    uint8, writable, of that shape

    Raises
    ------
    ArtifactError : not an IDX file of unsigned bytes, another shape than expected, fewer or more bytes than the
        header says, damaged gzip data, or an unreadable file

    The header is judged against `shape` and the file's size before anything large is allocated, and no more than the
    promised bytes (and one) are ever decompressed.
    """
    try:
        n_bytes_on_disk = path.stat().st_size
        with path.open("rb") as raw:
            if path.suffix != ".gz":
                return _read(path, raw.read, shape, n_available=n_bytes_on_disk)
            with gzip.GzipFile(fileobj=raw, mode="rb") as file:
                return _read(path, file.read, shape, n_available=n_bytes_on_disk * _DEFLATE_LIMIT)
    except (OSError, EOFError, zlib.error) as error:
        raise ArtifactError(f"{path}: cannot be read ({error})") from error


def _read(
    path: Path, read: Callable[[int], bytes], shape: tuple[int | None, ...], n_available: int
) -> NDArray[np.uint8]:
    found = _header(path, read)
    if len(found) != len(shape) or any(
        want is not None and want != got for want, got in zip(shape, found, strict=True)
    ):
        wanted = "x".join("n" if n is None else str(n) for n in shape)
        raise ArtifactError(f"{path}: expected an array of {wanted}, the header says {'x'.join(map(str, found))}")
    n_bytes = math.prod(found)
    if n_bytes > n_available:
        raise ArtifactError(
            f"{path}: the header promises {n_bytes} bytes, a file of this size holds at most {n_available}"
        )
    data = bytearray()
    # By chunks: what is allocated follows what is really there.
    while len(data) <= n_bytes and (chunk := read(min(_CHUNK, n_bytes + 1 - len(data)))):
        data += chunk
    if len(data) != n_bytes:
        given = f"only {len(data)} follow" if len(data) < n_bytes else "more follow"
        raise ArtifactError(f"{path}: the header promises {n_bytes} bytes, {given}; the file is damaged")
    return np.frombuffer(data, dtype=np.uint8).reshape(found)


def _header(path: Path, read: Callable[[int], bytes]) -> tuple[int, ...]:
    magic = read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise ArtifactError(
            f"{path}: not an IDX file; it starts with {magic!r}, not with two zero bytes, a type and a rank"
        )
    code, ndim = magic[2], magic[3]
    if code != _UNSIGNED_BYTE:
        raise ArtifactError(f"{path}: IDX type 0x{code:02x}; only 0x{_UNSIGNED_BYTE:02x} (unsigned byte) is read")
    if not 1 <= ndim <= _LARGEST_NDIM:
        raise ArtifactError(f"{path}: {ndim} dimensions in the header; 1..{_LARGEST_NDIM} can be right")
    sizes = read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise ArtifactError(f"{path}: ends inside its header")
    return struct.unpack(f">{ndim}I", sizes)
