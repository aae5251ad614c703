"""Progress of a training: a line per epoch, and a bar on a terminal."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from neurosparse.cli.output import INTERRUPTED, emit, say, stderr

if TYPE_CHECKING:
    from rich.progress import Progress

    from neurosparse.training.config import RunConfig
    from neurosparse.training.run import RunResult
    from neurosparse.training.trainer import EpochMetrics

__all__ = ["epoch_line", "train_with_progress"]


def train_with_progress(config: RunConfig | None, run: Path, *, json_output: bool, resume: bool = False) -> RunResult:
    """Train `config` into `run`, or continue `run` without one; tell of every epoch. Ctrl-C says how to go on.

    With `resume`, `run` may hold what the training starts from.
    """
    from neurosparse.training import run as training
    from neurosparse.training.config import RunConfig

    if config is None and not (run / training.CONFIG).is_file():
        return training.resume(run)  # which says what is wrong
    settings = config or RunConfig.load(run / training.CONFIG)
    try:
        with _Progress(settings, json_output=json_output) as progress:
            callbacks: dict[str, Any] = {"on_epoch": progress.epoch, "on_batch": progress.batch}
            return (
                training.train(config, run, resume=resume, **callbacks) if config else training.resume(run, **callbacks)
            )
    except KeyboardInterrupt:
        say(f"interrupted; continue bit for bit with: neurosparse train --resume {run}")
        raise typer.Exit(INTERRUPTED) from None


def epoch_line(metrics: EpochMetrics, n_epochs: int, spiking: list[str]) -> str:
    """Return an epoch in one line: what is learned, what is alive, what spikes, what it costs."""
    rates = " ".join(f"{metrics.rates[name]:.3f}" for name in spiking)
    silent = "+".join(str(metrics.silent[name]) for name in spiking)
    return (
        f"epoch {metrics.epoch:{len(str(n_epochs))}d}/{n_epochs}  loss {metrics.loss:.4f}  "
        f"train {metrics.train_accuracy:6.2%}  validation {metrics.validation_accuracy:6.2%}  "
        f"live {metrics.synapses}  births {metrics.births}  rates {rates}  silent {silent}  "
        f"{metrics.seconds:.1f} s  {metrics.rss_mb:.0f} MB"
    )


class _Progress:
    """The two callbacks of a training, and a bar that exists only on a terminal and vanishes at the end."""

    def __init__(self, config: RunConfig, *, json_output: bool) -> None:
        self._n_epochs, self._json = config.training.epochs, json_output
        self._n_spiking = len(config.network.hidden) + (config.network.readout == "rate")
        self._stack = contextlib.ExitStack()
        self._console, self._epochs_done = stderr(), 0
        self._bar: Progress | None = None

    def __enter__(self) -> _Progress:
        if self._console.is_terminal:
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            columns = [TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()]
            self._bar = self._stack.enter_context(Progress(*columns, console=self._console, transient=True))
            self._task = self._bar.add_task("training", total=self._n_epochs)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def batch(self, done: int, total: int) -> None:
        """Move the bar by a batch."""
        if self._bar is not None:
            self._bar.update(self._task, completed=self._epochs_done + done / total)

    def epoch(self, metrics: EpochMetrics) -> None:
        """Tell of an epoch; with --json also as a line of it."""
        self._epochs_done = metrics.epoch
        line = epoch_line(metrics, self._n_epochs, list(metrics.rates)[: self._n_spiking])
        self._console.print(line, markup=False, soft_wrap=True)
        if self._json:
            emit(metrics.to_dict())
