"""What the runs of a sweep have found: one `Result` each, kept as ``result.json`` in the run directory."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from neurosparse.core.container import write_atomically
from neurosparse.errors import ArtifactError

__all__ = ["Result", "read_results", "write_result"]

FILE = "result.json"
_LATER = {"training_operations", "training_bytes"}


@dataclass(frozen=True)
class Result:
    """A finished run.

    Parameters
    ----------
    run : str
        Its folder, relative to the sweep.
    method, density, seed
        Its place in the grid.
    test_accuracy, validation_accuracy : float
        Of the deployed network.
    synapses : int
    synaptic_operations : float
        Per sample, counted on test samples.
    seconds : float
        Of training.
    stored_bytes : int
        Of the deployed network.
    varied : dict
        The values on the further axes of the sweep.
    training_operations : float, optional
        Synaptic operations of all forward passes of the training; None in results of before they were counted.
    training_bytes : int, optional
        Weights, indices, gradients, the optimizer's and the method's state, where they are largest; likewise.
    """

    run: str
    method: str
    density: float
    seed: int
    test_accuracy: float
    validation_accuracy: float
    synapses: int
    synaptic_operations: float
    seconds: float
    stored_bytes: int
    varied: dict[str, Any] = field(default_factory=dict)
    training_operations: float | None = None
    training_bytes: int | None = None


def write_result(run: Path, result: Result) -> None:
    """Write ``result.json`` into the directory of a run, atomically."""
    write_atomically(run / FILE, json.dumps(asdict(result), indent=1, sort_keys=True).encode())


def read_results(sweep: str | Path) -> list[Result]:
    """Return the results of all finished runs of a sweep, ordered by run. Raises `ArtifactError` for a damaged one."""
    found = []
    for path in sorted(Path(sweep).glob(f"runs/*/{FILE}")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if not {f.name for f in fields(Result)} - _LATER <= set(content) <= {f.name for f in fields(Result)}:
                raise ValueError(f"has the fields {sorted(content)}")
            found.append(Result(**content))
        except (OSError, ValueError, TypeError) as error:
            raise ArtifactError(f"{path}: is no result of a run ({error})") from error
    return found
