"""Taking safetensors files apart and putting together what no writer of ours would write."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "U64": "<u8",
    "U8": "|u1",
    "BOOL": "|b1",
}


def parse(content: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Split a file into its table of tensors, its neurosparse header and its data."""
    (length,) = struct.unpack("<Q", content[:8])
    table = json.loads(content[8 : 8 + length])
    header = json.loads(table["__metadata__"]["neurosparse"])
    return table, header, content[8 + length :]


def assemble(table: dict[str, Any], header: dict[str, Any], data: bytes) -> bytes:
    """The inverse of `parse`, for whatever the parts have become."""
    table = {**table, "__metadata__": {"neurosparse": json.dumps(header)}}
    text = json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + data


def unpack(table: dict[str, Any], data: bytes) -> dict[str, np.ndarray]:
    """The tensors of a parsed file."""
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], TYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in table.items()
        if name != "__metadata__"
    }


def pack(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    """A file of these tensors, of any type, under this header."""
    names = {dtype: name for name, dtype in TYPES.items()}
    table, data = {}, b""
    for name, array in arrays.items():
        raw = array.tobytes()
        offsets = [len(data), len(data) + len(raw)]
        table[name] = {"dtype": names[array.dtype.str], "shape": list(array.shape), "data_offsets": offsets}
        data += raw
    return assemble(table, header, data)


def forge(
    path: Path,
    change: Callable[[dict[str, Any]], object] | None = None,
    tensors: dict[str, np.ndarray | None] | None = None,
) -> Path:
    """Change the header and the tensors (None: remove) of the good file at `path`, and return `path`."""
    table, header, data = parse(path.read_bytes())
    arrays = {**unpack(table, data), **(tensors or {})}
    if change is not None:
        change(header)
    path.write_bytes(pack(header, {name: array for name, array in arrays.items() if array is not None}))
    return path


def put(*place: Any) -> Callable[[dict[str, Any]], None]:
    """Return a function that sets the last of `place` at the rest of it: ``put("populations", 0, "n", 3)``."""
    *keys, last, value = place

    def change(header: Any) -> None:
        for key in keys:
            header = header[key]
        header[last] = value

    return change
