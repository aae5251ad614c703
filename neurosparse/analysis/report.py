"""One HTML page about a run: self-contained (figures inside, no network), readable on a phone and in grey.

`write_report` reads a run directory and shows what it finds there; what is missing (a run that is still training,
no simulations yet) is left out. Figures are also written to ``figures/`` as PNG.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurosparse.analysis import plots
from neurosparse.analysis import report_figures as add
from neurosparse.analysis.comparison import read_simulations
from neurosparse.analysis.deployments import read_deployments
from neurosparse.analysis.pages import render
from neurosparse.analysis.palette import png
from neurosparse.analysis.rasters import read_rasters
from neurosparse.analysis.summary import (
    Example,
    connections,
    costs,
    neurobench_rows,
    populations,
    same_projection,
    summary,
    turnover_rows,
)
from neurosparse.core.container import write_atomically
from neurosparse.core.network import Network
from neurosparse.errors import ArtifactError

__all__ = ["Example", "write_report"]


def write_report(
    run: str | Path,
    *,
    example: Example | None = None,
    image_shape: tuple[int, ...] | None = None,
    training_state: Mapping[str, int] | None = None,
    title: str = "",
) -> Path:
    """Write ``report.html`` and ``figures/`` into the directory of a run and return the page's path.

    Parameters
    ----------
    run : path
        Read are ``config.toml``, ``metrics.jsonl``, ``network.safetensors``, ``initial_network.safetensors``,
        ``simulations.json``, ``rasters.safetensors`` and ``deployment_*.json``, as far as they exist.
    example : Example, optional
        Adds the raster, the read-out and the activity.
    image_shape : (rows, columns), optional
        Shape of an input image; adds the map of synapses per pixel.
    training_state : mapping of str to int, optional
        Bytes that the training holds from step to step, by what they hold.

    Raises
    ------
    ArtifactError
        If `run` is no directory, has nothing to report, or one of its files is damaged.
    """
    run = Path(run)
    if not run.is_dir():
        raise ArtifactError(f"{run}: no such run directory; `neurosparse train CONFIG --out {run}` makes one")
    network, initial = (_network(run / name) for name in ("network.safetensors", "initial_network.safetensors"))
    metrics, simulations, deployments = _metrics(run), read_simulations(run), read_deployments(run)
    if network is None and not metrics:
        raise ArtifactError(f"{run}: nothing to report, it has neither network.safetensors nor metrics.jsonl")
    page = add.Page(run, network)
    add.add_engines(page, read_rasters(run))
    if metrics:
        add.add_training(page, metrics)
        add.add_rewiring(page, metrics)
    add.add_animation(page, initial)
    add.add_wiring(page, initial, image_shape)
    if example is not None:
        add.add_activity(page, example)
    add.add_chips(page, deployments)
    add.add_costs(page, metrics, simulations)
    _overview(page, initial, metrics, example)
    config = run / "config.toml"
    content = render(
        "report",
        title=title or run.resolve().name,
        summary=summary(network, metrics, simulations, example),
        simulations=simulations,
        neurobench=neurobench_rows(network, example),
        deployments=deployments,
        populations=populations(network, example),
        projections=connections(network, initial),
        turnover=turnover_rows(metrics),
        costs=costs(network, metrics, training_state or {}),
        figures=page.figures,
        config=config.read_text(encoding="utf-8") if config.is_file() else "",
    )
    write_atomically(run / "report.html", content.encode())
    return run / "report.html"


def _overview(page: add.Page, initial: Network | None, metrics: list[dict[str, Any]], example: Example | None) -> None:
    """Write ``figures/overview.png``, the run in one picture: for a README or a slide, not for the page."""
    if example is None or not metrics or page.network is None or not page.network.projections:
        return
    first = page.network.projections[0]
    axes = plots.overview(same_projection(first, initial, 0) or first, first, metrics, example.recording)
    write_atomically(page.run / "figures" / "overview.png", png(axes[0].figure))


def _network(path: Path) -> Network | None:
    return Network.load(path) if path.is_file() else None


def _metrics(run: Path) -> list[dict[str, Any]]:
    path = run / "metrics.jsonl"
    if not path.is_file():
        return []
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ArtifactError(f"{path}: line {number} is not JSON ({error})") from error
        if not isinstance(row, dict) or "epoch" not in row:
            raise ArtifactError(f"{path}: line {number} is no epoch's metrics")
        rows.append(row)
    return rows
