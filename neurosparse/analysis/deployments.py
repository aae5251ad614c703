"""What ``neurosparse deploy`` has left in a run directory, as the rows of a report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurosparse.errors import ArtifactError

__all__ = ["Deployed", "read_deployments"]


@dataclass(frozen=True)
class Deployed:
    """One chip: its `title`, and what deploying to it came to; None for what was not measured.

    Parameters
    ----------
    name, title : str
        As in the file of the chip.
    bits : int
        Per weight.
    fits : bool
    violations : tuple of str
        Every limit that is exceeded, with what would make it fit.
    float_accuracy, integer_accuracy : float, optional
    cores, lower_bound : int, optional
        Cores that the placement uses, and that any placement needs.
    populations : tuple of dict
        What the integers did to each population (`neurosparse.deploy.quantization_report`).
    """

    name: str
    title: str
    bits: int
    fits: bool
    violations: tuple[str, ...]
    float_accuracy: float | None
    integer_accuracy: float | None
    cores: int | None
    lower_bound: int | None
    populations: tuple[dict[str, Any], ...]


def read_deployments(run: Path) -> list[Deployed]:
    """Return the deployments in the directory of a run, by file name. Raises `ArtifactError` for a damaged file."""
    found = []
    for path in sorted(run.glob("deployment_*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            placement, quantization = content["placement"] or {}, content["quantization"] or {}
            found.append(
                Deployed(
                    name=str(content["chip"]["name"]),
                    title=str(content["chip"]["title"]),
                    bits=int(content["bits"]),
                    fits=bool(content["fits"]),
                    violations=tuple(str(violation["text"]) for violation in content["violations"]),
                    float_accuracy=content["accuracy"]["float"],
                    integer_accuracy=content["accuracy"]["integer"],
                    cores=placement.get("n_cores"),
                    lower_bound=placement.get("lower_bound"),
                    populations=tuple(_population(row) for row in quantization.get("populations", [])),
                )
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"{path}: is no deployment as `neurosparse deploy` writes it ({error!r})") from error
    return found


def _population(row: dict[str, Any]) -> dict[str, Any]:
    agreement = None
    if row["voltage_error"] is None and row["spikes_float"]:
        agreement = 1 - row["mismatches"] / (row["spikes_float"] + row["spikes_integer"])
    names = ("name", "n_weights", "lost_synapses", "clipped_weights", "weight_error", "decay_error", "saturated_states")
    return {**{name: row[name] for name in names}, "agreement": agreement}
