"""Workers: take a run of the sweep, train or continue it, measure it, take the next."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from neurosparse.analysis.metrics import stored_bytes
from neurosparse.errors import NeurosparseError
from neurosparse.sweep.costs import OperationsMeter, operations_per_sample
from neurosparse.sweep.results import Result, write_result
from neurosparse.sweep.study import Job, Sweep

__all__ = ["run_sweep", "work"]

logger = logging.getLogger(__name__)


def run_sweep(sweep: Sweep, *, jobs: int = 1, on_change: Callable[[dict[str, int]], None] | None = None) -> None:
    """Work on `sweep` with `jobs` processes until nothing is left to do.

    `on_change` is told the counts of the sweep, which other machines may be changing too, whenever they change. With
    one job the work is done in this process.
    """
    tell = _Teller(sweep, on_change)
    if jobs == 1:
        work(sweep, after=tell)
        return
    context = multiprocessing.get_context("spawn")
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    workers = [context.Process(target=_worker, args=(str(sweep.path), threads)) for _ in range(jobs)]
    try:
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            for worker in workers:
                worker.join(timeout=0.2)
            tell()
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
        for worker in workers:
            worker.join(timeout=10)
            if worker.is_alive():
                worker.kill()
    tell()
    died = sum(worker.exitcode != 0 for worker in workers)
    if died:
        raise NeurosparseError(
            f"sweep: {died} of {jobs} workers died (see their messages above); what they have trained is kept, "
            f"continue with: neurosparse sweep --resume {sweep.path}"
        )


def work(sweep: Sweep, *, after: Callable[[], None] = lambda: None) -> None:
    """Work on `sweep` in this process until nothing is left to do; call `after` each run."""
    while (job := sweep.next_job()) is not None:
        try:
            job.finish(_run(sweep, job))
        except NeurosparseError as error:
            job.fail(str(error))
            logger.warning("%s failed: %s", job.path.name, error)
        except BaseException:
            job.abandon()
            raise
        after()


def _run(sweep: Sweep, job: Job) -> dict[str, Any]:
    """Train the run of `job`, or continue it, and return its result."""
    from neurosparse.training.footprint import training_bytes
    from neurosparse.training.inputs import dataset_of, load_inputs
    from neurosparse.training.run import evaluate, train

    config = sweep.plan.config(job.parameters)
    meter = OperationsMeter(job.path)
    run = train(config, job.path, resume=True, on_epoch=meter)
    dataset = dataset_of(config)
    inputs, _ = load_inputs(job.path, "test", min(dataset.test.labels.size, sweep.plan.samples))
    n_train = min(dataset.train.labels.size, config.training.samples or dataset.train.labels.size)
    named = ("method", "density", "seed")
    result = Result(
        run=str(job.path.relative_to(sweep.path)),
        **{name: job.parameters[name] for name in named},
        test_accuracy=evaluate(job.path, "test")["accuracy"],
        validation_accuracy=evaluate(job.path, "validation")["accuracy"],
        synapses=run.network.n_synapses,
        synaptic_operations=operations_per_sample(run.network, inputs),
        seconds=sum(row["seconds"] for row in run.metrics),
        stored_bytes=stored_bytes(run.network).total,
        varied={key: value for key, value in job.parameters.items() if key not in named},
        training_operations=meter.total(len(run.metrics), n_train),
        training_bytes=training_bytes(config),
    )
    write_result(job.path, result)
    return vars(result)


def _worker(path: str, threads: str) -> None:
    """Run in a process of its own, which ends when the one that started it does."""
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, threads)
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    with suppress(KeyboardInterrupt):
        work(Sweep(Path(path)))


class _Teller:
    """Tells of the counts of a sweep when they have changed."""

    def __init__(self, sweep: Sweep, on_change: Callable[[dict[str, int]], None] | None) -> None:
        self._sweep, self._on_change = sweep, on_change
        self._last: dict[str, int] = {}

    def __call__(self) -> None:
        if self._on_change is not None:
            counts = self._sweep.counts()
            if counts != self._last:
                self._last = counts
                self._on_change(counts)
