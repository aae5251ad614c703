"""``neurosparse bench``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from neurosparse.cli.output import JsonOption, emit, say, stdout


def bench(
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            help="layer_step, training_step, simulation, large_layer, growth, profile or choice; repeat it for "
            "several. Default: all.",
        ),
    ] = None,
    density: Annotated[
        list[float] | None, typer.Option("--density", help="Of layer and training step; repeat it for several.")
    ] = None,
    peers: Annotated[
        Path | None, typer.Option("--peers", metavar="FOLDER", help="Holds an environment for each peer, by its name.")
    ] = None,
    peer: Annotated[
        list[str] | None, typer.Option("--peer", metavar="NAME=PYTHON", help="The interpreter of one peer; repeat it.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", help="Per contestant; by default all usable cores.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small and few: shows that it runs, measures little.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Write bench.json, tables.md and figures there.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Run the installed peers and neurosparse side by side: time, memory, growth. About ten minutes.

    Every contestant runs in a process of its own, in turn; only ratios of times of the same round are claimed.
    """
    from neurosparse.benchmarks import suite, tables
    from neurosparse.benchmarks.figures import write_figures
    from neurosparse.benchmarks.lineup import find_peers
    from neurosparse.cli.environment import environment

    lineup = find_peers(_named(peer or []), peers)
    for name, line in lineup.missing.items():
        say(f"{name} is not here: {line}")
    results = suite.run(lineup, parts=part or suite.PARTS, densities=density, quick=quick, n_threads=threads, tell=say)
    cpu = environment()["processor"]
    results["machine"] = {name: cpu[name] for name in ("name", "cores", "memory_gb", "features")}
    written: list[Path] = []
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        written = [out / "bench.json", *write_figures(results, out)]
        written[0].write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (out / "tables.md").write_text(f"# `neurosparse bench`\n\n{tables.markdown(results)}\n", encoding="utf-8")
    if json_output:
        emit(results)
        return
    console = stdout()
    console.print(tables.markdown(results), markup=False, soft_wrap=True)
    for path in written:
        console.print(f"written: {path}", markup=False, soft_wrap=True)


def _named(pairs: list[str]) -> dict[str, Path]:
    named = {}
    for pair in pairs:
        name, separator, python = pair.partition("=")
        if not separator or not python:
            raise typer.BadParameter(f"--peer: expected NAME=PYTHON, got {pair!r}")
        named[name] = Path(python)
    return named
