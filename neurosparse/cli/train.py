"""``neurosparse train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurosparse.cli.output import JsonOption, emit, say


def train(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="A TOML file; omitted keys have defaults that work.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="RUN", help="The run directory to make; new or empty.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Continue this run, bit for bit.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Train a network as CONFIG says and write everything about it into RUN.

    One line per epoch goes to stderr; with --json, the metrics of each epoch are a JSON line on stdout.
    """
    if (resume is None) == (config is None) or (resume is None) != (out is not None):
        raise typer.BadParameter("either CONFIG and --out RUN for a new run, or --resume RUN alone to continue one")
    from neurosparse.cli.progress import train_with_progress
    from neurosparse.training.config import RunConfig

    settings = RunConfig.load(config) if config is not None else None
    result = train_with_progress(settings, out or resume or Path(), json_output=json_output)
    if json_output:
        emit({"run": result.path, "synapses": result.network.n_synapses, "density": result.network.density})
    else:
        say(f"{result.path}: {result.network}")
        say(f"next: neurosparse simulate {result.path} --backend brian2; neurosparse report {result.path}")
