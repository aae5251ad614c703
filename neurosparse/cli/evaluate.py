"""``neurosparse evaluate``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from neurosparse.cli.output import JsonOption, RunArgument, emit, stdout


def evaluate(
    run: RunArgument,
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "test",
    samples: Annotated[
        int | None, typer.Option("--samples", min=1, help="Only the first N samples.", metavar="N")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Measure the trained network of RUN: accuracy in torch, activity and synaptic operations in the reference."""
    from neurosparse.cli.runs import measure, network_of
    from neurosparse.training.run import evaluate as accuracy_of

    network = network_of(run)
    result = {**accuracy_of(run, split, samples), **measure(run, network, split, samples)}  # type: ignore[arg-type]
    if json_output:
        emit({"run": run, **result})
        return
    from rich.table import Table

    table = Table(title=f"{run}: {network}", title_justify="left", title_style="bold", show_header=False)
    counted = result.pop("neurobench")
    for name, value in result.items():
        heading = f"{name} (least / mean / most)" if name in ("fan_in", "fan_out") else name
        table.add_row(heading.replace("_", " "), _shown(name, value))
    stdout().print(table)
    table = Table(title=f"NeuroBench ({counted['n_steps']} steps)", title_justify="left", title_style="bold")
    for heading in ("metric", "per sample", "per step"):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    per_step = counted.pop("per_step")
    for name, value in counted.items():
        if name not in ("n_steps", "n_samples"):
            table.add_row(name.replace("_", " "), _shown(name, value), _shown(name, per_step.get(name, "")))
    stdout().print(table)


def _shown(name: str, value: Any) -> str:
    if name in ("fan_in", "fan_out"):
        from neurosparse.analysis.metrics import Degrees

        return "\n".join(f"{key}: {Degrees(**found)}" for key, found in value.items())
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(name, item)}" for key, item in value.items())
    if name in ("accuracy", "density", "sites_visited"):
        return f"{value:.2%}"
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
