"""``neurosparse report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurosparse.cli.output import JsonOption, emit, stdout


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN|SWEEP...", help="Folders made by `neurosparse train` or `sweep`.")
    ],
    json_output: JsonOption = False,
) -> None:
    """Write report.html, one self-contained page, and its figures into every folder named."""
    from neurosparse.cli.runs import report_on

    for run in runs:
        path = report_on(run)
        figures = sorted(file for file in (run / "figures").iterdir() if file.suffix in (".png", ".gif"))
        if json_output:
            emit({"run": run, "report": path, "figures": figures})
        else:
            stdout().print(f"{path} ({path.stat().st_size / 1e6:.1f} MB, {len(figures)} figures)", markup=False)
