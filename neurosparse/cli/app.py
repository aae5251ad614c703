"""The typer application: the commands, and the options they share."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from neurosparse import __version__
from neurosparse.cli.bench import bench
from neurosparse.cli.compact import compact
from neurosparse.cli.demo import demo
from neurosparse.cli.deploy import deploy
from neurosparse.cli.doctor import doctor
from neurosparse.cli.evaluate import evaluate
from neurosparse.cli.export import export
from neurosparse.cli.finetune import finetune
from neurosparse.cli.imports import import_nir
from neurosparse.cli.output import guarded
from neurosparse.cli.report import report
from neurosparse.cli.robustness import robustness
from neurosparse.cli.simulate import simulate
from neurosparse.cli.sweep import sweep
from neurosparse.cli.train import train

__all__ = ["app", "main"]

app = typer.Typer(
    name="neurosparse",
    help="Train sparse, rewiring spiking networks; run the same spikes in snnTorch, Brian2 and Lava.",
    epilog="Exit status: 0 ok, 1 a check has failed, 2 wrong usage or bad input. Every command has --json.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = (
    doctor,
    train,
    finetune,
    evaluate,
    robustness,
    compact,
    simulate,
    deploy,
    report,
    export,
    sweep,
    bench,
    demo,
)
for command in COMMANDS:
    app.command(name=command.__name__)(guarded(command))
app.command(name="import")(guarded(import_nir))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"neurosparse {__version__}")
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell on stderr what the library is doing.")] = False,
) -> None:
    """Train sparse, rewiring spiking networks; run the same spikes in snnTorch, Brian2 and Lava."""
    if verbose:
        from rich.logging import RichHandler

        from neurosparse.cli.output import stderr

        logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=stderr())])


def main() -> None:
    """Run the command line; the entry point of the ``neurosparse`` script."""
    app()
