"""What running one network in several engines showed: a row per engine, and the file ``simulations.json`` of a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from pydantic import ValidationError as SchemaError

from neurosparse.analysis.metrics import accuracy
from neurosparse.analysis.parity import parity
from neurosparse.core.container import write_atomically
from neurosparse.core.network import Network
from neurosparse.core.quantized import QuantizedNetwork
from neurosparse.core.recording import Recording
from neurosparse.errors import ArtifactError

__all__ = [
    "SIMULATIONS",
    "Simulation",
    "compare",
    "network_hash",
    "output_of",
    "read_simulations",
    "write_simulations",
]

SIMULATIONS = "simulations.json"


@dataclass(frozen=True)
class Simulation:
    """One engine's run of a network.

    Parameters
    ----------
    backend : str
    samples, n_steps : int
        Size of the input.
    accuracy : float or None
        Share of samples read as their label.
    spikes : int or None
        Spikes of all populations, input lines not counted.
    seconds : float or None
        Wall time of the whole call, the engine's start-up and compilation included.
    identical : bool or None
        Whether every spike, and every voltage recorded, is that of the reference; None for the reference itself.
    parity : mapping or None
        `Parity.to_dict` of the comparison.
    verdict : str
        The comparison in words.
    missing : str or None
        Why this engine did not run, and the line that makes it run; the fields above are then None.
    """

    backend: str
    samples: int = 0
    n_steps: int = 0
    accuracy: float | None = None
    spikes: int | None = None
    seconds: float | None = None
    identical: bool | None = None
    parity: Mapping[str, Any] | None = None
    verdict: str = ""
    missing: str | None = None

    @property
    def voltages_compared(self) -> bool:
        """Whether the comparison covers voltages, and not only spikes."""
        return self.parity is not None and self.parity.get("voltage_mismatches") is not None


def output_of(network: Network | QuantizedNetwork) -> str:
    """Return the population that is read out: the last of those that project to no other."""
    return (network.outputs or (network.populations[-1].name,))[-1]


def compare(
    network: Network | QuantizedNetwork,
    recording: Recording,
    reference: Recording | None,
    labels: NDArray[np.int64],
    seconds: float,
) -> Simulation:
    """Return the row of an engine's `recording`, compared with that of the `reference` (None: it is the reference)."""
    judged = parity(reference, recording) if reference is not None else None
    return Simulation(
        backend=recording.backend,
        samples=recording.n_samples,
        n_steps=recording.n_steps,
        accuracy=accuracy(recording.decisions(output_of(network)), labels),
        spikes=recording.n_spikes,
        seconds=seconds,
        identical=judged.identical if judged is not None else None,
        parity=judged.to_dict() if judged is not None else None,
        verdict=str(judged) if judged is not None else "what the others are compared with",
    )


def write_simulations(run: str | Path, simulations: Iterable[Simulation]) -> None:
    """Add `simulations` to the file of `run`; rows of the same engine or another network go."""
    rows = {row.backend: row for row in [*read_simulations(run), *simulations]}
    content = {"network_sha256": network_hash(Path(run)), "simulations": [asdict(row) for row in rows.values()]}
    write_atomically(Path(run) / SIMULATIONS, json.dumps(content, indent=1).encode())


def read_simulations(run: str | Path) -> list[Simulation]:
    """Return the simulations of the present network of `run`, if any; `ArtifactError` if their file is damaged.

    Those of a network that has been trained further since are not of this one, and left out.
    """
    path = Path(run) / SIMULATIONS
    if not path.is_file():
        return []
    try:
        content = TypeAdapter(_File).validate_json(path.read_bytes())
    except SchemaError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ArtifactError(f"{path}: {where}: {first['msg']}; remove the file and simulate again") from error
    return content.simulations if content.network_sha256 == network_hash(Path(run)) else []


@dataclass(frozen=True)
class _File:
    network_sha256: str
    simulations: list[Simulation]


def network_hash(run: Path) -> str:
    """Return by what results recognise the network of a run that they are of: its file's SHA-256; empty without one."""
    network = run / "network.safetensors"
    return hashlib.sha256(network.read_bytes()).hexdigest() if network.is_file() else ""
