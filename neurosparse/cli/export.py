"""``neurosparse export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurosparse.cli.output import JsonOption, NetworkArgument, emit, say, stdout


def export(
    run: NetworkArgument,
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="brian2, lava, nir, scipy or network.")],
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="A folder, or a file for nir and network.")],
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples", min=1, metavar="N", help="Put the first N test samples of RUN into it (brian2, lava)."
        ),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Write the trained network of RUN for another program.

    brian2: a folder with one readable script and its data, which need brian2 and numpy and print the same spikes.
    lava: a folder that runs the integers of a quantised network in a bare Lava environment, and on Loihi 2.
    nir: a graph in the Neuromorphic Intermediate Representation (`neurosparse import` reads it back, bit for bit).
    scipy: a folder with one .npz per projection (scipy.sparse.load_npz) and network.json with the neurons.
    network: one .safetensors file (neurosparse.Network.load).
    """
    from neurosparse.cli.runs import any_network_of
    from neurosparse.errors import ValidationError
    from neurosparse.formats.export import export as write

    network, inputs = any_network_of(run, integer=to == "lava"), None
    if samples is not None:
        if to not in ("brian2", "lava"):
            raise ValidationError(f"export --samples: {to} holds no input; brian2 and lava do")
        if not run.is_dir():
            raise ValidationError(f"export --samples: {run} is no run directory, so it names no data set")
        from neurosparse.training.inputs import load_inputs

        inputs, _ = load_inputs(run, "test", samples)
    files = write(network, out, to=to, inputs=inputs)
    notes = _notes(network) if to == "nir" else []
    if json_output:
        emit({"run": run, "format": to, "files": files, "notes": notes})
    else:
        for file in files:
            stdout().print(str(file), markup=False, soft_wrap=True)
        for note in notes:
            say(note)


def _notes(network: object) -> list[str]:
    from neurosparse.core.network import Network
    from neurosparse.formats.nir_write import foreign_notes

    return foreign_notes(network) if isinstance(network, Network) else []
