"""A sweep as an Optuna study in a journal file: who runs what, on as many processes and machines as share the folder.

sweep.json      the plan
journal.log     Optuna's journal: one trial per run
runs/<name>/    the run directories
locks/          held by a living worker; the operating system lets go of them when it dies, however it dies
"""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import Any

from neurosparse.core.rng import stream
from neurosparse.errors import ArtifactError, MissingDependencyError, ValidationError
from neurosparse.sweep.plan import SweepPlan

__all__ = ["Job", "Sweep"]

logger = logging.getLogger(__name__)

OBJECTIVES = (("validation_accuracy", "maximize"), ("synapses", "minimize"), ("synaptic_operations", "minimize"))


class Job:
    """A run that this process holds: its `number`, `parameters` and folder `path`, until `finish` or `fail`."""

    def __init__(self, study: Any, number: int, parameters: dict[str, Any], path: Path, lock: Any) -> None:
        self._study, self.number, self.parameters, self.path, self._lock = study, number, parameters, path, lock

    def finish(self, result: dict[str, Any]) -> None:
        """Record the `result`; the journal has its objectives."""
        self._study.tell(self.number, [result[name] for name, _ in OBJECTIVES])
        self._lock.release()

    def fail(self, reason: str) -> None:
        """Record that this run cannot be made, and why."""
        import optuna

        storage, trial = self._study._storage, self._study.trials[self.number]
        storage.set_trial_user_attr(trial._trial_id, "error", reason[:2000])
        self._study.tell(self.number, state=optuna.trial.TrialState.FAIL)
        self._lock.release()

    def abandon(self) -> None:
        """Let go of the run as it is; whoever comes next continues it from its last checkpoint."""
        self._lock.release()


class Sweep:
    """The shared folder of a sweep.

    Parameters
    ----------
    path : path
        Made if it is not there and a `plan` is given.
    plan : SweepPlan, optional
        For a new sweep, or to say that it is the same one; without it, the plan in the folder.

    Raises
    ------
    ValidationError
        If the folder holds a sweep of another plan, or something else.
    """

    def __init__(self, path: str | Path, plan: SweepPlan | None = None) -> None:
        self.path = Path(path)
        file = self.path / "sweep.json"
        if plan is None and not file.is_file():
            raise ArtifactError(f"{path}: is no sweep, it has no sweep.json; start one with: neurosparse sweep CONFIG")
        if plan is not None and not file.is_file():
            if self.path.is_dir() and any(self.path.iterdir()):
                raise ValidationError(f"out: {path} is not empty and no sweep; choose a new directory")
            self.path.mkdir(parents=True, exist_ok=True)
            plan.save(file)
        self.plan = SweepPlan.load(file)
        if plan is not None and plan.to_json() != self.plan.to_json():
            raise ValidationError(
                f"out: {path} holds a sweep of another plan; choose a new directory, or continue that one with: "
                f"neurosparse sweep --resume {path}"
            )
        (self.path / "locks").mkdir(exist_ok=True)
        with self._lock("study", wait=True):
            self.study = self._open()

    def _open(self) -> Any:
        optuna = _optuna()
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        # not Optuna's default lock, which a killed worker would leave behind for others to wait for
        lock: Any = _JournalLock(self._lock("journal"))
        backend = JournalFileBackend(str(self.path / "journal.log"), lock_obj=lock)
        study = optuna.create_study(
            storage=JournalStorage(backend),
            study_name="sweep",
            directions=[direction for _, direction in OBJECTIVES],
            load_if_exists=True,
        )
        if not study.trials and not self.plan.search:
            for parameters in self.plan.points():
                study.enqueue_trial(parameters)
        return study

    def _lock(self, name: str, *, wait: bool = False) -> Any:
        from filelock import FileLock

        return FileLock(self.path / "locks" / f"{name}.lock", timeout=-1 if wait else 0)

    def retry_failed(self) -> int:
        """Put the runs that have failed back into the queue; return how many."""
        failed = self._failed()
        for trial in failed:
            self.study.enqueue_trial(dict(trial.params), user_attrs={"retries": trial.number})
        return len(failed)

    def _failed(self) -> list[Any]:
        """Return the trials that have failed and are not being tried again."""
        trials = self.study.trials
        retried = {trial.user_attrs.get("retries") for trial in trials}
        return [trial for trial in trials if trial.state.name == "FAIL" and trial.number not in retried]

    def next_job(self) -> Job | None:
        """Return a run to work on: first one whose worker has died, then one that nobody has begun; None if none."""
        import optuna

        states = optuna.trial.TrialState
        with self._lock("queue", wait=True):
            trials = self.study.trials
            for trial in trials:
                if trial.state == states.RUNNING:
                    job = self._take(trial)
                    if job is not None:
                        logger.info("continuing %s, whose worker is gone", job.path.name)
                        return job
            waiting = any(trial.state == states.WAITING for trial in trials)
            begun = sum(trial.state != states.WAITING for trial in trials)
            if not waiting and not begun < self.plan.search:
                return None
            self.study.sampler = self._sampler(begun)
            trial = self.study.ask(fixed_distributions=self._distributions())
            return self._take(trial)

    def _take(self, trial: Any) -> Job | None:
        from filelock import Timeout

        lock = self._lock(f"run-{trial.number}")
        try:
            lock.acquire()
        except Timeout:
            return None
        # A worker may have died after asking and before its parameters were noted; in a grid they are fixed.
        fixed = self.study._storage.get_trial(trial._trial_id).system_attrs.get("fixed_params", {})
        parameters = {**fixed, **trial.params}
        if "method" not in parameters:
            self.study.tell(trial.number, state=_optuna().trial.TrialState.FAIL)
            lock.release()
            return None
        return Job(self.study, trial.number, parameters, self.path / "runs" / run_name(trial.number, parameters), lock)

    def _distributions(self) -> dict[str, Any]:
        from optuna.distributions import CategoricalDistribution, FloatDistribution

        axes, points = self.plan.densities, self.plan.points()
        density: Any = CategoricalDistribution(sorted({point["density"] for point in points}))
        seeds = sorted({point["seed"] for point in points})
        if self.plan.search:
            density, seeds = FloatDistribution(min(axes), max(axes), log=True), seeds[:1]
        categories = {"method": self.plan.methods, "seed": seeds, **self.plan.vary}
        return {"density": density, **{name: CategoricalDistribution(list(v)) for name, v in categories.items()}}

    def _sampler(self, begun: int) -> Any:
        """Return a sampler whose draws depend on the seed and on how many runs have begun, not on who asks."""
        _optuna()
        from optuna.samplers import TPESampler

        return TPESampler(seed=int(stream(int(self.plan.base.get("seed", 0)), "sweep", str(begun)).integers(2**31)))

    def counts(self) -> dict[str, int]:
        """Return how many runs are waiting, running, complete and failed, and the total that is planned."""
        states = [trial.state.name for trial in self.study.trials]
        found = {name.lower(): states.count(name) for name in ("WAITING", "RUNNING", "COMPLETE")}
        found["failed"] = len(self._failed())
        return {**found, "total": max(sum(found.values()), self.plan.search)}

    def failures(self) -> dict[str, str]:
        """Return the reason for every run that has failed, by its name."""
        return {
            run_name(trial.number, dict(trial.params)): str(trial.user_attrs.get("error", ""))
            for trial in self._failed()
        }


def run_name(number: int, parameters: dict[str, Any]) -> str:
    """Return the folder name of a run: its number and what makes it different."""
    return f"{number:04d}-{parameters['method']}-{parameters['density']:.4g}-seed{parameters['seed']}"


class _JournalLock:
    """Optuna's interface of a lock, on a lock that the operating system lets go of when its holder dies."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def acquire(self) -> bool:
        self._lock.acquire(timeout=-1)
        return True

    def release(self) -> None:
        self._lock.release()


@functools.cache
def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise MissingDependencyError("sweep: needs Optuna: pip install 'neurosparse[sweep]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
