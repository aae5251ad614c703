"""Unpack a ``.nir`` file (HDF5) into JSON and ``.npz``: ``python -I nir_unpack.py FILE FOLDER MAX_BYTES``.

A script of its own that imports nothing of neurosparse, because a damaged file can make the HDF5 library itself run in
circles or crash: `neurosparse.formats.nir_file` gives this process a time limit. It leaves ``tree.json`` and
``arrays.npz`` in FOLDER, or ``refused.txt`` with the reason. Every object is looked at before any is read: links are
not followed, sizes are added up, types and filters are known ones.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Refused", "read", "unpack"]

_MAX_OBJECTS, _MAX_DEPTH = 100_000, 32
# deflate, shuffle, fletcher32, szip, lzf: HDF5 loads any other filter as a plugin, which is somebody's machine code
_FILTERS = {1, 2, 3, 4, 32000}


class Refused(Exception):
    """Why a file is not read."""


def unpack(path: Path, folder: Path, max_bytes: int) -> None:
    """Write the root node of the file at `path` to `folder`, or the reason why not."""
    try:
        arrays: list[Any] = []
        tree = _encoded(read(path, max_bytes), arrays)
        np.savez(folder / "arrays.npz", *arrays)
        (folder / "tree.json").write_text(json.dumps(tree), encoding="utf-8")
    except Refused as error:
        (folder / "refused.txt").write_text(str(error), encoding="utf-8")
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError, OverflowError) as error:
        (folder / "refused.txt").write_text(f"damaged, truncated or not a NIR file ({error})", encoding="utf-8")


def read(path: Path, max_bytes: int) -> Any:
    """Return the root node as nested dictionaries of arrays, numbers and texts. Raises `Refused`."""
    import h5py

    with h5py.File(path, "r") as file:
        return _Reader(h5py, max_bytes).tree(file)


class _Reader:
    """Walks a file twice: once to look, once to read what was seen."""

    def __init__(self, h5py: Any, max_bytes: int) -> None:
        self._h5py, self._max_bytes = h5py, max_bytes
        self._seen: set[Any] = set()
        self._bytes = 0

    def tree(self, file: Any) -> Any:
        self._look(file, "node", 0)
        return self._read(file["node"])

    def _look(self, group: Any, name: str, depth: int) -> None:
        where = f"{group.name.rstrip('/')}/{name}"
        link = group.get(name, getlink=True)
        if not isinstance(link, self._h5py.HardLink):
            raise Refused(f"{where} is {type(link).__name__}, which is not followed")
        item = group[name]
        key = (item.id.__class__, self._h5py.h5o.get_info(item.id).addr)
        if key in self._seen:
            raise Refused(f"{where} is another name of an object that was there before")
        self._seen.add(key)
        if len(self._seen) > _MAX_OBJECTS or depth > _MAX_DEPTH:
            raise Refused(f"more than {_MAX_OBJECTS} objects, or deeper than {_MAX_DEPTH}")
        if isinstance(item, self._h5py.Group):
            for child in item:
                self._look(item, child, depth + 1)
        elif isinstance(item, self._h5py.Dataset):
            self._check(item, where)
        else:
            raise Refused(f"{where} is {type(item).__name__}, which no NIR file has")

    def _check(self, data: Any, where: str) -> None:
        text = self._h5py.check_string_dtype(data.dtype) is not None
        if not text and data.dtype.kind not in "fiub":
            raise Refused(f"{where} has type {data.dtype}; only numbers and texts are read")
        if data.shape is None:
            raise Refused(f"{where} is empty")
        creation = data.id.get_create_plist()
        if data.is_virtual or data.external:
            raise Refused(f"{where} lies in another file, which is not followed")
        for i in range(creation.get_nfilters()):
            code = creation.get_filter(i)[0]
            if code not in _FILTERS:
                raise Refused(f"{where} is packed by filter {code}; repack it with gzip")
        self._bytes += int(np.prod([int(n) for n in data.shape], dtype=object)) * data.dtype.itemsize
        if self._bytes > self._max_bytes:
            raise Refused(f"{where} brings its arrays to {self._bytes} bytes, the limit is {self._max_bytes}")

    def _read(self, item: Any) -> Any:
        if isinstance(item, self._h5py.Group):
            return {name: self._read(child) for name, child in item.items()}
        value = item[()]
        if self._h5py.check_string_dtype(item.dtype) is None:
            return value
        if isinstance(value, np.ndarray):
            return [_text(v) for v in value.reshape(-1)], list(value.shape)
        return _text(value)


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _encoded(value: Any, arrays: list[Any]) -> Any:
    """Return `value` as JSON says it; arrays and numbers go to `arrays`, and their place there stays."""
    if isinstance(value, dict):
        return {"group": {name: _encoded(item, arrays) for name, item in value.items()}}
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, tuple):
        return {"texts": value[0], "shape": value[1]}
    arrays.append(np.asarray(value))
    return {"array": len(arrays) - 1}


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
