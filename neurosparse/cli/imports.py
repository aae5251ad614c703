"""``neurosparse import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neurosparse.cli.output import JsonOption, emit, say, stdout


def import_nir(
    file: Annotated[Path, typer.Argument(metavar="FILE.nir", help="A NIR graph, by neurosparse or another program.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.safetensors", help="The network's file.")],
    dt: Annotated[
        float | None, typer.Option("--dt", metavar="SECONDS", help="Duration of a step; NIR does not say it.")
    ] = None,
    reset: Annotated[
        str | None, typer.Option("--reset", help="zero, subtract or none; by default to v_reset, as NIR says.")
    ] = None,
    discretization: Annotated[
        str, typer.Option("--discretization", help="euler: 1 - dt/tau per step; exact: exp(-dt/tau).")
    ] = "euler",
    if_gain: Annotated[
        str | None, typer.Option("--if-gain", help="What an IF node multiplies its input by: r or r*dt.")
    ] = None,
    input_kind: Annotated[
        str | None, typer.Option("--input-kind", help="What enters the network: spikes, graded or analog.")
    ] = None,
    ignore_metadata: Annotated[
        bool, typer.Option("--ignore-metadata", help="Read a file of neurosparse as another program would.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Read a network from a NIR graph, and say everything that NIR does not and that was assumed.

    What it writes goes wherever a network does, for example: neurosparse export FILE.safetensors --to brian2.
    """
    from neurosparse.errors import ValidationError
    from neurosparse.formats.nir import from_nir

    if out.exists():
        raise ValidationError(f"import --out: {out} exists; nothing is overwritten, choose another path")
    options: dict[str, Any] = {"dt": dt, "reset": reset, "if_gain": if_gain, "input_kind": input_kind}
    found = from_nir(file, discretization=discretization, trust_metadata=not ignore_metadata, **options)  # type: ignore[arg-type]
    network = found.network
    network.save(out)
    if json_output:
        populations = {p.name: {"n": p.n, "neuron": repr(p.neuron)} for p in network.populations}
        result = {"file": file, "out": out, "synapses": network.n_synapses, "density": network.density}
        emit({**result, "dt": network.dt, "populations": populations, "assumptions": found.assumptions})
        return
    stdout().print(f"{out}: {network}", markup=False, soft_wrap=True)
    for p in network.populations:
        stdout().print(f"  {p.name}: {p.n} x {p.neuron}", markup=False, soft_wrap=True)
    for text in found.assumptions:
        say(f"assumed: {text}")
