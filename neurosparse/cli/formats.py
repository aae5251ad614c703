"""The formats a network can be exported to. None loses anything: what a format cannot hold is refused, not dropped."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

from neurosparse.core.container import write_atomically
from neurosparse.core.network import Network
from neurosparse.errors import ArtifactError, UnknownNameError, UnsupportedError, ValidationError

__all__ = ["FORMATS", "export_network"]

_LATER = {
    "brian2": "`neurosparse simulate RUN --backend brian2` runs it there",
    "lava": "`neurosparse simulate RUN --backend lava` runs it there",
    "nir": "a file of --to scipy holds everything that NIR needs",
}


def export_network(network: Network, to: str, out: Path) -> list[Path]:
    """Write `network` in the format `to`; return the files.

    Raises `UnknownNameError` for an unknown format, `UnsupportedError` for a future one, `ValidationError`
    where `out` would overwrite something.
    """
    if to in _LATER:
        known = " and ".join(FORMATS)
        raise UnsupportedError(f"export --to {to}: cannot be written yet, only {known} can; {_LATER[to]}")
    if to not in FORMATS:
        raise UnknownNameError("export --to", to, FORMATS)
    if out.is_file() or (out.is_dir() and (to == "network" or any(out.iterdir()))):
        raise ValidationError(f"export --out: {out} exists; nothing is overwritten, choose another path")
    try:
        return FORMATS[to](network, out)
    except OSError as error:
        raise ArtifactError(f"export --out: {out} cannot be written ({error.strerror or error})") from error


def _to_network(network: Network, out: Path) -> list[Path]:
    network.save(out)
    return [out]


def _to_scipy(network: Network, out: Path) -> list[Path]:
    import scipy.sparse as sp

    projections, files = [], []
    for i, p in enumerate(network.projections):
        file = f"{i}_{p.source}_to_{p.target}.npz"  # numbered: two populations may have several projections
        buffer = io.BytesIO()
        sp.save_npz(buffer, p.to_scipy())
        write_atomically(out / file, buffer.getvalue())
        files.append(out / file)
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
    write_atomically(out / "network.json", json.dumps(content, indent=1).encode())
    return [*files, out / "network.json"]


FORMATS: dict[str, Callable[[Network, Path], list[Path]]] = {"scipy": _to_scipy, "network": _to_network}
"""Format name -> function that writes it. A format = one function + one entry."""
