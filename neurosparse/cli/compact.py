"""``neurosparse compact``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurosparse.cli.output import FAILED, JsonOption, NetworkArgument, emit, say, stdout


def compact(
    run: NetworkArgument,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the compacted network there (.safetensors).")
    ] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", min=1, help="Samples of the check; 200 by default.", metavar="N")
    ] = None,
    integer: Annotated[
        bool, typer.Option("--integer", help="Its integers, which `deploy` or `finetune` has chosen.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Leave out the neurons and synapses of RUN that provably cannot matter, and check that no spike has changed.

    Neurons that never fire, whatever the input, and neurons that nothing read out depends on; no retraining. Both
    networks are run, on test samples or, for a network's own file, on random inputs. Exit status 1 if a spike differs,
    and then nothing is written. What is read out stays whole, and so do the input lines.
    """
    from neurosparse.cli.compacting import compacted_and_checked
    from neurosparse.cli.runs import any_network_of

    found = compacted_and_checked(run, any_network_of(run, integer=integer), samples)
    if out is not None and found.identical:
        found.after.save(out)
    if json_output:
        emit({"run": run, **found.to_dict(), "out": out if found.identical else None})
    else:
        from rich.table import Table

        table = Table(title=f"{run}: {found.before}", title_justify="left", title_style="bold")
        for heading in ("", "before", "after", "never fire", "no effect"):
            table.add_column(heading, justify="right" if heading else "left")
        left = {p.name: p.n for p in found.after.populations}
        for p in found.before.populations:
            gone = found.report.silent[p.name], found.report.unobservable[p.name]
            table.add_row(f"neurons of {p.name}", str(p.n), str(left.get(p.name, 0)), *map(str, gone))
        table.add_row("synapses", *map(str, found.report.n_synapses))
        table.add_row("bytes", *map(str, found.n_bytes))
        stdout().print(table)
        stdout().print(str(found.report), markup=False)
        verdict = "every spike is the same" if found.identical else f"spikes differ: {found.different}"
        stdout().print(f"checked on {found.samples} {found.tried}, {found.steps} steps: {verdict}", markup=False)
    if not found.identical:
        raise typer.Exit(FAILED)
    if out is not None:
        say(f"wrote {out}")
