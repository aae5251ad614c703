"""``neurosparse deploy``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurosparse.cli.output import FAILED, JsonOption, NetworkArgument, emit


def deploy(
    run: NetworkArgument,
    chip: Annotated[
        str, typer.Option("--chip", metavar="NAME", help="loihi1, loihi2, speck, xylo_audio2, ... or your own .toml.")
    ] = "loihi2",
    bits: Annotated[int, typer.Option("--bits", min=1, max=8, help="Bits per weight.")] = 8,
    chips: Annotated[int, typer.Option("--chips", min=1, help="How many such chips there are.", metavar="N")] = 1,
    samples: Annotated[
        int | None, typer.Option("--samples", min=1, help="Test samples to run; 1000 by default.", metavar="N")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option("--run", metavar="ENGINE", help="lava: compare with Lava's fixed-point models, bit for bit."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="For the results; RUN by default.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Quantise the network of RUN, place it on a chip, and tell what fits, what it costs and what is lost.

    Exit status 1 if the chip's limits are exceeded, or if the engine of --run disagrees in a single bit.
    """
    from neurosparse.cli.deploy_tables import print_deployment
    from neurosparse.cli.deploying import deploy_network, write_deployment

    found = deploy_network(run, chip, bits=bits, chips=chips, samples=samples, engine=engine)
    files = write_deployment(found, out or (run if run.is_dir() else None))
    if json_output:
        emit({**found.to_dict(), "files": files})
    else:
        print_deployment(found, files)
    if found.failed:
        raise typer.Exit(FAILED)
