"""``neurosparse demo``: the whole chain on data that ships with a dependency."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from neurosparse.cli.output import FAILED, JsonOption, emit, say, stdout

CONFIG: dict[str, Any] = {
    "seed": 0,
    "data": {"name": "digits", "encoding": "constant", "n_steps": 10},
    "network": {"hidden": [256, 128], "density": 0.05},
    "method": {"name": "deep_r", "alpha": 0.01},
    "training": {"epochs": 40, "batch_size": 32, "learning_rate": 0.01, "snapshots": 10},
}
"""64-256-128-10 on 8x8 images: 2 521 of 50 432 possible synapses."""

BACKENDS = ("native", "snntorch", "brian2", "lava")


def demo(
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="RUN", help="The run directory to make; by default a new one in runs/."),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Train with DEEP R on handwritten digits, run the test set in every engine, write a report: two minutes.

    Engines that are not installed are left out, with the line that installs them. Exit status 1 if one differs from
    the reference.
    """
    from neurosparse.cli.engines import print_simulations, run_engines
    from neurosparse.cli.progress import train_with_progress
    from neurosparse.cli.runs import report_on
    from neurosparse.training.config import RunConfig
    from neurosparse.training.inputs import load_inputs

    run = out or _free(Path("runs"))
    say(f"training a sparse network that rewires itself (DEEP R) on scikit-learn's digits, into {run}")
    result = train_with_progress(RunConfig.load(CONFIG), run, json_output=json_output)
    inputs, labels = load_inputs(run, "test")
    rows = run_engines(result.network, inputs, labels, BACKENDS, skip_missing=True, keep=run)
    page = report_on(run, title="neurosparse demo: DEEP R on digits")
    if json_output:
        network = {"synapses": result.network.n_synapses, "density": result.network.density}
        emit({"run": run, **network, "simulations": [asdict(row) for row in rows], "report": page})
    else:
        print_simulations(result.network, rows, f"{result.network} on {labels.size} test images")
        stdout().print(f"report: {page}\nfigures: {run / 'figures'}", markup=False, soft_wrap=True)
    if any(row.identical is False for row in rows):
        raise typer.Exit(FAILED)


def _free(folder: Path) -> Path:
    """Return ``demo`` in `folder`, or the first of ``demo-2``, ``demo-3``, ... that does not exist."""
    names = (folder / ("demo" if i == 1 else f"demo-{i}") for i in range(1, 10_000))
    return next(path for path in names if not path.exists())
