"""``neurosparse export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurosparse.cli.output import JsonOption, RunArgument, emit, stdout


def export(
    run: RunArgument,
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="scipy or network.")],
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="A folder for scipy, a file for network.")],
    json_output: JsonOption = False,
) -> None:
    """Write the trained network of RUN in another format.

    scipy: a folder with one .npz per projection (scipy.sparse.load_npz) and network.json with the neurons.
    network: one .safetensors file (neurosparse.Network.load).
    """
    from neurosparse.cli.formats import export_network
    from neurosparse.cli.runs import network_of

    files = export_network(network_of(run), to, out)
    if json_output:
        emit({"run": run, "format": to, "files": files})
    else:
        for file in files:
            stdout().print(str(file), markup=False, soft_wrap=True)
