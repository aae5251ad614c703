"""``neurosparse simulate``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from neurosparse.cli.output import FAILED, JsonOption, RunArgument, emit


def simulate(
    run: RunArgument,
    backend: Annotated[
        list[str], typer.Option("--backend", metavar="NAME", help="Engine to compare with the reference; repeatable.")
    ],
    samples: Annotated[
        int | None, typer.Option("--samples", min=1, help="Only the first N test samples.", metavar="N")
    ] = None,
    voltages: Annotated[
        bool, typer.Option("--voltages", help="Compare the voltages of all populations, not only the spikes.")
    ] = False,
    integer: Annotated[
        bool, typer.Option("--integer", help="Run its integers, which `deploy` or `finetune` has chosen.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Run the trained network of RUN in another engine and compare every spike with the reference.

    Exit status 1 if a single spike, or a recorded voltage, differs. The result is kept for the report, but not that of
    integers.
    """
    from neurosparse.cli.engines import print_simulations, run_engines
    from neurosparse.cli.runs import any_network_of
    from neurosparse.training.inputs import load_inputs

    network = any_network_of(run, integer=integer)
    inputs, labels = load_inputs(run, "test", samples)
    rows = run_engines(network, inputs, labels, backend, voltages=voltages, keep=None if integer else run)
    if json_output:
        emit(
            {
                "run": run,
                "synapses": network.n_synapses,
                "density": network.density,
                "simulations": [asdict(row) for row in rows],
            }
        )
    else:
        print_simulations(network, rows, f"{run}: {labels.size} test samples, {len(inputs)} steps")
    if any(row.identical is False for row in rows):
        raise typer.Exit(FAILED)
