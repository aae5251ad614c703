"""Reading a ``.nir`` file (HDF5) that may be damaged, enormous or hostile, into plain dictionaries.

`nir.read` takes every dataset as it comes: a file of a few kilobytes can claim a petabyte of zeros, follow a link to
another file or run in circles, and a flipped bit can send the HDF5 library into an endless loop. So the file is
unpacked by a process of its own (``nir_unpack.py``), which looks before it reads and has a time limit.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from neurosparse.errors import ArtifactError, MissingDependencyError

__all__ = ["MAX_BYTES", "read_tree"]

MAX_BYTES = 2**31
"""Bytes that all arrays of a file may have together once they are unpacked."""

_UNPACK = Path(__file__).with_name("nir_unpack.py")


def read_tree(path: str | Path, *, max_bytes: int = MAX_BYTES, time_limit_s: float = 60.0) -> dict[str, Any]:
    """Return the root node of a NIR file as nested dictionaries of arrays and texts.

    Parameters
    ----------
    path : path
    max_bytes : int
        Largest total size of its arrays.
    time_limit_s : float
        Seconds after which reading is given up.

    Raises
    ------
    ArtifactError
        For what is no NIR file, is damaged, or contains anything but plain arrays of numbers and texts.
    MissingDependencyError
        Without ``h5py``, which comes with the package ``nir``.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file; expected a NIR graph (.nir)")
    if importlib.util.find_spec("h5py") is None:
        raise MissingDependencyError("NIR files need h5py: pip install 'neurosparse[nir]'")
    with tempfile.TemporaryDirectory(prefix="neurosparse-nir-") as name:
        folder = Path(name)
        command = [sys.executable, "-I", str(_UNPACK), str(path.resolve()), name, str(max_bytes)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=time_limit_s, check=False)
        except subprocess.TimeoutExpired as error:
            raise ArtifactError(f"{path}: damaged: HDF5 was not done after {time_limit_s:g} s") from error
        if (folder / "refused.txt").is_file():
            raise ArtifactError(f"{path}: {(folder / 'refused.txt').read_text(encoding='utf-8')}")
        if done.returncode or not (folder / "tree.json").is_file():
            last = done.stderr.decode(errors="replace").strip()[-200:]
            raise ArtifactError(f"{path}: damaged: HDF5 ended with status {done.returncode} {last}".rstrip())
        with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
            node = _decoded(json.loads((folder / "tree.json").read_text(encoding="utf-8")), arrays)
    if not isinstance(node, dict) or node.get("type") != "NIRGraph":
        raise ArtifactError(f"{path}: holds no NIR graph; its root must be a node of type NIRGraph")
    return node


def _decoded(entry: dict[str, Any], arrays: Any) -> Any:
    if "group" in entry:
        return {name: _decoded(item, arrays) for name, item in entry["group"].items()}
    if "text" in entry:
        return entry["text"]
    if "texts" in entry:
        return np.array(entry["texts"], dtype=object).reshape(entry["shape"])
    return arrays[f"arr_{entry['array']}"]
