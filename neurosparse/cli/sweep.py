"""``neurosparse sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurosparse.cli.output import FAILED, JsonOption, emit, say, stdout


def sweep(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="A TOML file: what all runs have in common.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="The sweep's folder.")] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="FOLDER", help="Continue, or help with, the sweep in FOLDER.")
    ] = None,
    density: Annotated[
        list[str] | None, typer.Option("--density", help="One or several, separated by commas; may be repeated.")
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option("--method", help="Likewise; 'dense' is the fully connected baseline.")
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option("--vary", metavar="KEY=V1,V2", help="A further axis: training.learning_rate=0.01,0.02"),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs per point.", metavar="N")] = 3,
    search: Annotated[
        int,
        typer.Option(
            "--search", min=0, metavar="N", help="Instead of the grid: N runs in search of the best trade-offs."
        ),
    ] = 0,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes on this machine.", metavar="J")] = 1,
    json_output: JsonOption = False,
) -> None:
    """Train many runs: densities x methods x seeds, or a search for the best accuracy, synapses and operations.

    Killed and started again with --resume it loses nothing; several machines may work on one shared FOLDER.
    """
    if (resume is None) == (config is None) or (resume is None) != (out is not None):
        raise typer.BadParameter("either CONFIG and --out FOLDER for a new sweep, or --resume FOLDER to continue one")
    from neurosparse.cli.sweeping import plan_of, summarise
    from neurosparse.sweep import Sweep
    from neurosparse.sweep.work import run_sweep

    plan = plan_of(config, density, method, vary, seeds, search) if config is not None else None
    shared = Sweep(out or resume or Path(), plan)
    if resume is not None and (again := shared.retry_failed()):
        say(f"{again} failed runs are tried again")
    run_sweep(
        shared,
        jobs=jobs,
        on_change=lambda n: say(
            f"{n['complete']}/{n['total']} done, {n['running']} running, {n['waiting']} waiting, {n['failed']} failed"
        ),
    )
    summary = summarise(shared)
    if json_output:
        emit(summary.to_dict())
    else:
        for table in summary.tables():
            stdout().print(table)
        for file in summary.files:
            say(str(file))
    for name, reason in shared.failures().items():
        say(f"{name} failed: {reason}")
    if shared.failures():
        raise typer.Exit(FAILED)
