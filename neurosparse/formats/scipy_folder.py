"""``--to scipy``: one ``scipy.sparse`` matrix per projection, and the neurons as JSON."""

from __future__ import annotations

import io
import json
from pathlib import Path

import scipy.sparse as sp
from numpy.typing import ArrayLike

from neurosparse.core.container import write_atomically
from neurosparse.core.network import Network

__all__ = ["write_scipy_folder"]


def write_scipy_folder(network: Network, folder: Path, inputs: ArrayLike | None = None) -> list[Path]:
    """Write every projection of `network` as ``.npz`` (`scipy.sparse.load_npz`) and the rest as ``network.json``."""
    projections, files = [], []
    for i, p in enumerate(network.projections):
        file = f"{i}_{p.source}_to_{p.target}.npz"  # numbered: two populations may have several projections
        buffer = io.BytesIO()
        sp.save_npz(buffer, p.to_scipy())
        write_atomically(folder / file, buffer.getvalue())
        files.append(folder / file)
        projections.append(
            {"file": file, "source": p.source, "target": p.target, "delay": p.delay, "shape": list(p.shape)}
        )
    populations = [
        {
            "name": p.name,
            "n": p.n,
            "model": type(p.neuron).__name__,
            "reset": getattr(p.neuron, "reset", None),
            "parameters": {name: getattr(p.neuron, name).tolist() for name in p.neuron.parameters},
        }
        for p in network.populations
    ]
    content = {
        "input": {"n": network.input.n, "kind": network.input.kind},
        "dt": network.dt,
        "dtype": str(network.dtype),
        "grid": dict(network.grid) if network.grid is not None else None,
        "populations": populations,
        "projections": projections,
    }
    write_atomically(folder / "network.json", json.dumps(content, indent=1).encode())
    return [*files, folder / "network.json"]
